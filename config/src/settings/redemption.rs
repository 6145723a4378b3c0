//! How winning tickets become money: here, or by a redeemer that several nodes share.

use super::chain::Chain;
use super::network::Network;
use super::{Reader, Roles};
use crate::addresses::{self, HostPort};
use crate::networks::{Reach, reach};
use crate::secret::Secret;
use serde::Serialize;

/// The redeemer that redeems in place of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedeemerClient {
    /// Where it listens.
    pub address: HostPort,
    /// What is presented to it; `None` for one of the reference, which asks for nothing.
    pub token: Option<Secret>,
}

/// The redeemer that this node is. It listens on the public listener's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedeemerServer {
    /// What callers must present; `None` serves everybody who reaches the listener.
    pub token: Option<Secret>,
}

/// Policy and place of redemption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redemption {
    /// Most that redeeming may cost, in percent of what the ticket pays.
    pub max_cost_percent: u32,
    /// Who redeems instead of this node.
    pub elsewhere: Option<RedeemerClient>,
    /// Set where this node redeems for others.
    pub server: Option<RedeemerServer>,
}

/// `None` unless this is an on-chain orchestrator or a redeemer.
pub(super) fn read(
    reader: &mut Reader<'_>,
    roles: &Roles,
    chain: Option<&Chain>,
    network: &Network,
) -> Option<Redemption> {
    chain.filter(|_| roles.orchestrator || roles.redeemer)?;
    Some(Redemption {
        max_cost_percent: reader.number("maxRedeemCost").unwrap_or(10),
        elsewhere: elsewhere(reader, roles),
        server: roles.redeemer.then(|| server(reader, network)),
    })
}

fn elsewhere(reader: &mut Reader<'_>, roles: &Roles) -> Option<RedeemerClient> {
    let text = reader.text("redeemerAddr").to_owned();
    if text.is_empty() {
        return None;
    }
    if roles.redeemer {
        reader.wrong(
            "redeemerAddr",
            "cannot be used by a -redeemer; leave one out",
        );
        return None;
    }
    let token = reader.secret_or_file("redeemerToken");
    match addresses::redeemer(&text) {
        Ok(address) => {
            if token.is_none() && reach(&address.host) != Reach::Loopback {
                reader.report.warn("-redeemerAddr without -redeemerToken: anybody who reaches that redeemer can give it tickets");
            }
            Some(RedeemerClient { address, token })
        }
        Err(remedy) => {
            reader.wrong("redeemerAddr", remedy);
            None
        }
    }
}

fn server(reader: &mut Reader<'_>, network: &Network) -> RedeemerServer {
    let token = reader.secret_or_file("redeemerToken");
    if token.is_none() && reach(&network.listen.address.host) != Reach::Loopback {
        if reader.bool("redeemerInsecure") {
            reader
                .report
                .warn("-redeemerInsecure: anybody who reaches this redeemer can give it tickets");
        } else {
            reader.wrong(
                "httpAddr",
                "lets other machines reach the redeemer; set -redeemerToken as well, or -redeemerInsecure for nodes of the reference",
            );
        }
    }
    RedeemerServer { token }
}
