//! What a gateway makes of a quote: whether it pays for it, with the reference gateway's words where it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use protocol::address::Address;
use protocol::money::{
    Amount, ExpirationParams, PaymentError, Price, PriceError, Rational, TicketParams, U256,
};
use protocol::{pb, texts};

/// L1 blocks before their end at which parameters are given up.
const EXPIRY_BUFFER: u64 = 1;

/// How much dearer a session may get.
const MOST_INCREASE: u32 = 2;

/// Price and ticket parameters of one description of an orchestrator.
#[derive(Debug, Clone)]
pub struct Quote {
    /// Price of a pixel; `None` when none was stated.
    pub price: Option<Price>,
    /// What tickets are made from.
    pub params: TicketParams,
    nonces: Arc<AtomicU32>,
}

/// Bounds of what a gateway pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most expected value of a ticket, wei.
    pub ticket_ev: Rational,
    /// Most expected value of a payment, wei.
    pub total_ev: Rational,
    /// The deposit must hold the face value so often.
    pub deposit_multiplier: u32,
    /// Most to pay for a pixel when an orchestrator is chosen; `None` is no bound.
    pub price: Option<Price>,
}

/// What the chain says about a gateway, wei and rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Funds {
    /// Its deposit.
    pub deposit: U256,
    /// Its reserve.
    pub reserve: U256,
    /// Round from which it may withdraw; 0 when it has not asked to.
    pub withdraw_round: u64,
}

/// What a gateway knows of the chain's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Time {
    /// Greatest L1 block seen.
    pub l1_block: u64,
    /// Last round that was initialised, and its hash.
    pub round: ExpirationParams,
}

/// Why a gateway does not pay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// The orchestrator asks for no tickets.
    #[error("ticketParams is nil")]
    NoParams,
    /// Parameters of a wrong form.
    #[error("{0}")]
    Params(PaymentError),
    /// Parameters without an end.
    #[error("ticketParams expiration block is 0")]
    NoExpiration,
    /// Parameters at their end: a fresh quote is needed.
    #[error("{}", texts::TICKET_EXPIRED)]
    Expired,
    /// A ticket that always wins, or more.
    #[error("ticket faceValue too low faceValue={0}")]
    FaceValueTooLow(U256),
    /// A ticket worth more than the gateway risks at once.
    #[error("ticket EV {value} > max ticket EV {most}")]
    TicketValue {
        /// Expected value.
        value: Amount,
        /// `-maxTicketEV`.
        most: Amount,
    },
    /// The gateway is about to take its funds back.
    #[error("unable to validate sender: deposit and reserve is set to unlock soon")]
    Unlocking,
    /// Nothing backs the tickets.
    #[error("no sender reserve")]
    NoReserve,
    /// Nothing pays the tickets.
    #[error("no sender deposit")]
    NoDeposit,
    /// More tickets than the gateway risks at once.
    #[error("total ticket EV {value} for {tickets} tickets > max total ticket EV {most}")]
    TotalValue {
        /// Expected value of all.
        value: Amount,
        /// How many.
        tickets: u32,
        /// `-maxTotalEV`.
        most: Amount,
    },
    /// A winner would take too much of the deposit.
    #[error("ticket faceValue {face} > max faceValue {most}")]
    FaceValue {
        /// Of the ticket, wei.
        face: U256,
        /// Deposit ÷ `-depositMultiplier`, wei.
        most: U256,
    },
    /// No price.
    #[error("missing orchestrator price")]
    NoPrice,
    /// A price that is none.
    #[error("{0}")]
    Price(PriceError),
    /// The price rose too far during the session.
    #[error(
        "Orchestrator price has more than doubled, Orchestrator price: {now}, Orchestrator initial price: {initial}"
    )]
    Doubled {
        /// Wei per pixel.
        now: Box<Rational>,
        /// At the session's start.
        initial: Box<Rational>,
    },
    /// Dearer than the gateway wants.
    #[error("price {price} is above -maxPricePerUnit, {most} wei per pixel")]
    AboveMaximum {
        /// Wei per pixel.
        price: Box<Rational>,
        /// Wei per pixel.
        most: Box<Rational>,
    },
    /// An answer repeated parameters that were in use. The reference gateway then forgets them.
    #[error("error loading session: {0}")]
    Repeated(chain::Hash),
}

impl Quote {
    /// Reads what an orchestrator says of itself. Where it names no round, the gateway's own view stands in.
    pub fn read(info: &pb::OrchestratorInfo, own: ExpirationParams) -> Result<Self, PayError> {
        let message = info.ticket_params.as_ref().ok_or(PayError::NoParams)?;
        let stated = message.expiration_params.as_ref();
        let stated = stated.map_or_else(|| own.to_pb(), Clone::clone);
        let mut params =
            TicketParams::from_parts(message, Some(&stated)).map_err(PayError::Params)?;
        if !params.expiration.is_usable() {
            params.expiration = own;
        }
        let price = match &info.price_info {
            Some(price) => Some(Price::from_wire(Some(price)).map_err(PayError::Price)?),
            None => None,
        };
        Ok(Self {
            price,
            params,
            nonces: Arc::default(),
        })
    }

    /// The next `count` numbers of tickets; they count from 1.
    pub fn nonces(&self, count: u32) -> impl Iterator<Item = u32> {
        let last = self.nonces.fetch_add(count, Ordering::Relaxed);
        (1..=count).map(move |n| last.wrapping_add(n))
    }

    /// Whether `tickets` tickets are made from these parameters.
    pub fn check(
        &self,
        tickets: u32,
        limits: &Limits,
        time: Time,
        funds: Funds,
    ) -> Result<(), PayError> {
        let params = &self.params;
        if params.expiration_block == 0 {
            return Err(PayError::NoExpiration);
        }
        if params.expiration_block <= time.l1_block.saturating_add(EXPIRY_BUFFER) {
            return Err(PayError::Expired);
        }
        let value = params.ticket_value();
        if value.is_zero() {
            return Ok(());
        }
        if value >= Amount::wei(params.face_value) {
            return Err(PayError::FaceValueTooLow(params.face_value));
        }
        let most = amount(&limits.ticket_ev);
        if value > most {
            return Err(PayError::TicketValue { value, most });
        }
        let soonest = time.round.creation_round.saturating_add(1);
        if funds.withdraw_round != 0 && funds.withdraw_round <= soonest {
            return Err(PayError::Unlocking);
        }
        if funds.reserve.is_zero() {
            return Err(PayError::NoReserve);
        }
        if funds.deposit.is_zero() {
            return Err(PayError::NoDeposit);
        }
        let (value, most) = (value.times(tickets), amount(&limits.total_ev));
        if value > most {
            return Err(PayError::TotalValue {
                value,
                tickets,
                most,
            });
        }
        let most = funds.deposit / U256::from(limits.deposit_multiplier.max(1));
        if params.face_value > most {
            return Err(PayError::FaceValue {
                face: params.face_value,
                most,
            });
        }
        Ok(())
    }

    /// Whether an orchestrator is chosen at this price.
    pub fn check_choice(&self, limits: &Limits) -> Result<(), PayError> {
        match (self.price, limits.price) {
            (Some(price), Some(most)) if price.rational() > most.rational() => {
                Err(PayError::AboveMaximum {
                    price: Box::new(*price.rational()),
                    most: Box::new(*most.rational()),
                })
            }
            _ => Ok(()),
        }
    }

    /// The price, unless it rose too far since the session began at `initial`.
    pub fn price_since(&self, initial: Option<Price>) -> Result<Price, PayError> {
        let price = self.price.ok_or(PayError::NoPrice)?;
        if let Some(initial) = initial {
            let initial = initial.rational();
            if *price.rational() > initial.times(&Rational::integer(MOST_INCREASE)) {
                return Err(PayError::Doubled {
                    now: Box::new(*price.rational()),
                    initial: Box::new(*initial),
                });
            }
        }
        Ok(price)
    }
}

/// Who signs results: the account that the description names, else the recipient of the tickets; `None` where a
/// gateway does not look.
pub fn result_signer(info: &pb::OrchestratorInfo) -> Option<Address> {
    let params = info.ticket_params.as_ref()?;
    if info.address.is_empty() {
        return None;
    }
    let named = Address::from_wire(&info.address);
    Some(if named.is_zero() {
        Address::from_wire(&params.recipient)
    } else {
        named
    })
}

fn amount(wei: &Rational) -> Amount {
    Amount::charge(&Price::from_rational(*wei), 1)
}

#[cfg(test)]
mod tests {
    use protocol::money::win_prob;

    use super::*;

    fn params() -> TicketParams {
        TicketParams {
            recipient: Address([7; 20]),
            face_value: 1_000_000.into(),
            win_prob: win_prob(1_000_000.into(), 1000.into()),
            recipient_rand_hash: [3; 32],
            seed: 5.into(),
            expiration_block: 140,
            expiration: ExpirationParams {
                creation_round: 9,
                creation_round_block_hash: [9; 32],
            },
        }
    }

    fn info(params: TicketParams) -> pb::OrchestratorInfo {
        pb::OrchestratorInfo {
            ticket_params: Some(params.to_pb()),
            price_info: Some(Price::new(5, 2).unwrap().to_wire()),
            ..Default::default()
        }
    }

    fn quote(params: TicketParams) -> Quote {
        Quote::read(&info(params), ExpirationParams::default()).unwrap()
    }

    fn limits() -> Limits {
        Limits {
            ticket_ev: Rational::integer(2000),
            total_ev: Rational::integer(10_000),
            deposit_multiplier: 1,
            price: None,
        }
    }

    const TIME: Time = Time {
        l1_block: 100,
        round: ExpirationParams {
            creation_round: 9,
            creation_round_block_hash: [9; 32],
        },
    };

    fn funds() -> Funds {
        Funds {
            deposit: 2_000_000.into(),
            reserve: 1.into(),
            withdraw_round: 0,
        }
    }

    #[test]
    fn a_good_quote_is_taken_up_to_its_last_block_but_one() {
        let check = |l1_block| {
            let time = Time { l1_block, ..TIME };
            quote(params()).check(9, &limits(), time, funds())
        };
        assert_eq!(check(100), Ok(()));
        assert_eq!(check(138), Ok(()));
        assert_eq!(check(139), Err(PayError::Expired));
    }

    #[test]
    fn a_quote_is_refused_in_the_words_of_a_gateway() {
        type Change = fn(&mut TicketParams, &mut Limits, &mut Funds);
        let cases: [(&str, Change); 10] = [
            ("ticketParams expiration block is 0", |params, _, _| {
                params.expiration_block = 0;
            }),
            ("TicketParams expired", |params, _, _| {
                params.expiration_block = 50;
            }),
            (
                "ticket faceValue too low faceValue=1000000",
                |params, _, _| {
                    params.win_prob = U256::MAX;
                },
            ),
            ("ticket EV 1000 > max ticket EV 999.5", |_, limits, _| {
                limits.ticket_ev = "999.5".parse().unwrap();
            }),
            (
                "unable to validate sender: deposit and reserve is set to unlock soon",
                |_, _, funds| funds.withdraw_round = 10,
            ),
            ("no sender reserve", |_, _, funds| {
                funds.reserve = 0.into();
            }),
            ("no sender deposit", |_, _, funds| {
                funds.deposit = 0.into();
            }),
            (
                "total ticket EV 3000 for 3 tickets > max total ticket EV 2999",
                |_, limits, _| limits.total_ev = Rational::integer(2999),
            ),
            (
                "ticket faceValue 1000000 > max faceValue 999999",
                |_, _, funds| funds.deposit = 999_999.into(),
            ),
            (
                "ticket faceValue 1000000 > max faceValue 666666",
                |_, limits, _| limits.deposit_multiplier = 3,
            ),
        ];
        for (text, change) in cases {
            let (mut params, mut limits, mut funds) = (params(), limits(), funds());
            change(&mut params, &mut limits, &mut funds);
            let error = quote(params).check(3, &limits, TIME, funds).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(
            Quote::read(&pb::OrchestratorInfo::default(), TIME.round)
                .unwrap_err()
                .to_string(),
            "ticketParams is nil"
        );
    }

    #[test]
    fn free_work_needs_no_funds() {
        let free = TicketParams {
            face_value: 0.into(),
            win_prob: 0.into(),
            ..params()
        };
        assert_eq!(
            quote(free).check(1, &limits(), TIME, Funds::default()),
            Ok(())
        );
    }

    #[test]
    fn funds_that_unlock_later_still_pay() {
        let later = Funds {
            withdraw_round: 11,
            ..funds()
        };
        assert_eq!(quote(params()).check(1, &limits(), TIME, later), Ok(()));
    }

    #[test]
    fn a_session_may_get_twice_as_dear_and_no_more() {
        let initial = Price::new(5, 4).unwrap();
        let quote = quote(params());
        assert_eq!(quote.price_since(Some(initial)), Ok(quote.price.unwrap()));
        let lower = Price::new(124, 100).unwrap();
        assert_eq!(
            quote.price_since(Some(lower)).unwrap_err().to_string(),
            "Orchestrator price has more than doubled, Orchestrator price: 5/2, Orchestrator initial price: 31/25"
        );
    }

    #[test]
    fn an_orchestrator_above_the_greatest_price_is_not_chosen() {
        let at = |wei, pixels| {
            let limits = Limits {
                price: Price::new(wei, pixels),
                ..limits()
            };
            quote(params()).check_choice(&limits)
        };
        assert_eq!(at(5, 2), Ok(()));
        assert!(at(249, 100).is_err());
    }

    #[test]
    fn a_missing_round_is_filled_in_by_the_gateway() {
        let mut without = info(params());
        without.ticket_params.as_mut().unwrap().expiration_params = None;
        let own = ExpirationParams {
            creation_round: 8,
            creation_round_block_hash: [8; 32],
        };
        assert_eq!(Quote::read(&without, own).unwrap().params.expiration, own);
    }

    #[test]
    fn tickets_of_a_quote_count_on() {
        let quote = quote(params());
        assert_eq!(quote.nonces(3).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(quote.clone().nonces(2).collect::<Vec<_>>(), [4, 5]);
    }

    #[test]
    fn results_are_signed_by_the_account_named_or_else_by_the_recipient() {
        let mut info = info(params());
        assert_eq!(result_signer(&info), None);
        info.address = vec![0; 20];
        assert_eq!(result_signer(&info), Some(Address([7; 20])));
        info.address = vec![4; 20];
        assert_eq!(result_signer(&info), Some(Address([4; 20])));
        info.ticket_params = None;
        assert_eq!(result_signer(&info), None);
    }
}
