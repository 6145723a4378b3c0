//! What an on-chain orchestrator asks for its work: tickets, prices, credit.

use super::Ai;
use super::chain::Chain;
use super::prices::{self, Prices};
use super::{Reader, Roles};
use crate::money::Wei;
use serde::Serialize;

/// How tickets are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tickets {
    /// Expected value of one, in wei.
    pub expected_value: Wei,
    /// Highest face value, in wei; `None` is no limit.
    pub max_face_value: Option<Wei>,
}

/// How far work goes ahead of its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credit {
    /// Ask a sender without history for as much as its work is estimated to cost.
    pub by_estimate: bool,
    /// Most work for one sender beyond what its tickets paid, all its sessions together, in wei; `None` is no limit.
    pub max_exposure: Option<Wei>,
}

/// Everything about being paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payments {
    /// How tickets are made.
    pub tickets: Tickets,
    /// What work costs.
    pub prices: Prices,
    /// How far work goes ahead of its payment.
    pub credit: Credit,
}

/// Gas price, in wei, at which the worth of a ticket is judged when gas is dearer; a constant of the protocol's nodes.
const USUAL_GAS_PRICE: u128 = 3_000_000_000;

/// `None` unless this is an on-chain orchestrator.
pub(super) fn read(
    reader: &mut Reader<'_>,
    roles: &Roles,
    chain: Option<&Chain>,
    ai: &Ai,
) -> Option<Payments> {
    let chain = chain.filter(|_| roles.orchestrator)?;
    Some(Payments {
        tickets: tickets(reader, chain),
        prices: prices::read(reader, ai),
        credit: Credit {
            by_estimate: reader.bool("creditByEstimate"),
            max_exposure: reader.wei_limit("maxSenderExposure"),
        },
    })
}

fn tickets(reader: &mut Reader<'_>, chain: &Chain) -> Tickets {
    let expected_value = reader.wei("ticketEV");
    let max_face_value = reader.wei_limit("maxFaceValue");
    if expected_value.0 == 0 {
        reader
            .report
            .warn("-ticketEV 0: no ticket ever wins, so nothing is ever paid");
    }
    if let Some(most) = max_face_value {
        let gas = u128::from(chain.redeem_gas);
        if most <= expected_value {
            reader.wrong(
                "maxFaceValue",
                &format!(
                    "must be above -ticketEV, {expected_value} wei, or gateways refuse every ticket"
                ),
            );
        } else if most.0 < gas * USUAL_GAS_PRICE {
            reader.report.warn(format!(
                "-maxFaceValue {most}: no gateway is served while gas costs more than {} wei, because redeeming a ticket would cost more than it pays",
                most.0 / gas
            ));
        }
    }
    Tickets {
        expected_value,
        max_face_value,
    }
}
