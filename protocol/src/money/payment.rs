//! The message that carries tickets, in its checked form, and every reason to refuse it.
//!
//! Checked here is what needs no state: presence, lengths, ranges. What depends on chain, balances and nonces is
//! judged by who owns them, with the errors that stand here.

use super::{
    params::TicketParams,
    price::{Price, PriceError},
};
use crate::{
    address::Address, payment::decode_header, pb, refusal::Refusal, signature::Signature, texts,
};

/// Most tickets that are accepted under one set of parameters; one more is refused with `too many values`.
pub const MAX_NONCES: usize = 600;

/// Most tickets that are read from one payment: what an honest gateway sends at most under its defaults (the limit of
/// total expected value over the expected value of a ticket).
pub const MAX_TICKETS: usize = 2500;

/// A payment of proper form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Who pays; zero when the payment names nobody, which it may without tickets.
    pub sender: Address,
    /// What the sender believes to pay. Only tickets prove it.
    pub expected_price: Option<Price>,
    /// The tickets; `None` when the payment has no ticket parameters, and then it sets nothing.
    pub batch: Option<TicketBatch>,
}

/// Tickets made from one set of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketBatch {
    /// What they are made from, as claimed: [`QuoteSecret::recipient_rand`](super::QuoteSecret::recipient_rand) tells
    /// whether this node made it.
    pub params: TicketParams,
    /// The price that was quoted with the parameters, as claimed; the same proof covers it.
    pub price: Price,
    /// One entry per ticket, in their order; may be empty.
    pub tickets: Vec<SignedNonce>,
}

/// What differs between the tickets of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedNonce {
    /// Number of the ticket.
    pub nonce: u32,
    /// `None` for another length than 65 bytes: simply an invalid signature.
    pub sig: Option<Signature>,
}

/// Why a payment or one of its tickets is refused. The display is the text on the wire, with status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// Tickets without sender.
    #[error("Could not find Sender for payment: {0}")]
    SenderMissing(String),
    /// The recipient is not in the active set.
    #[error("orchestrator {recipient} is inactive in round {round}, cannot process payments")]
    Inactive {
        /// As the payment names it.
        recipient: Address,
        /// Last initialised round.
        round: u64,
    },
    /// No price, or one that is none.
    #[error("invalid expected price sent with payment err=\"{0}\"")]
    ExpectedPrice(PriceError),
    /// The price is proper but below what the session costs.
    #[error(
        "invalid expected price sent with payment err=\"price {sent} is below the price of the session, {fixed}\""
    )]
    PriceTooLow {
        /// Of the payment.
        sent: Box<Price>,
        /// Of the session.
        fixed: Box<Price>,
    },
    /// Tickets without the round they were made in.
    #[error("invalid ticket params: expiration_params is missing")]
    ExpirationParams,
    /// A winner handed over without parameters.
    #[error("invalid ticket params: ticket_params is missing")]
    TicketParams,
    /// A round below 0.
    #[error("invalid ticket params: creation_round is negative: {0}")]
    NegativeRound(i64),
    /// A field of a wrong length.
    #[error("invalid ticket params: {field} has {bytes} bytes instead of {expected}")]
    Field {
        /// Name in the message.
        field: &'static str,
        /// What it has.
        bytes: usize,
        /// What it may have.
        expected: &'static str,
    },
    /// More tickets than one payment may have.
    #[error("payment has {0} tickets, at most {MAX_TICKETS} are read")]
    TooManyTickets(usize),
    /// What the chain says about the sender could not be had.
    #[error("could not get sender info for {sender}: {cause}")]
    SenderInfo {
        /// Who pays.
        sender: Address,
        /// What happened.
        cause: String,
    },
    /// The sender is about to take its funds back.
    #[error("deposit and reserve for sender {0} is set to unlock soon")]
    Unlocking(Address),
    /// A ticket to somebody else.
    #[error("{}", texts::TICKET_RECIPIENT)]
    Recipient,
    /// A ticket from nobody.
    #[error("{}", texts::TICKET_SENDER)]
    Sender,
    /// Parameters, price or session that this node did not quote together.
    #[error("{}", texts::TICKET_RECIPIENT_RAND)]
    RecipientRand,
    /// A ticket that the sender did not sign.
    #[error("{}", texts::TICKET_SIGNATURE)]
    Signature,
    /// A ticket that was here before.
    #[error("invalid ticket senderNonce: already seen sender={sender} nonce={nonce}")]
    NonceSeen {
        /// Who pays.
        sender: Address,
        /// Of the ticket.
        nonce: u32,
    },
    /// The parameters have [`MAX_NONCES`] tickets already.
    #[error("invalid ticket senderNonce: too many values sender={sender} nonce={nonce}")]
    NonceLimit {
        /// Who pays.
        sender: Address,
        /// Of the ticket.
        nonce: u32,
    },
    /// The last seen L1 block is at or above the expiration block.
    #[error("{}", texts::TICKET_EXPIRED)]
    Expired,
    /// A ticket handed over as a winner that is none.
    #[error("ticket did not win")]
    Loser,
}

impl PaymentError {
    /// Whether the rest of the payment is not even looked at. After one of the others the remaining tickets are still
    /// searched for winners, though none is credited any more.
    pub fn is_fatal(&self) -> bool {
        !matches!(
            self,
            Self::Signature | Self::NonceSeen { .. } | Self::NonceLimit { .. } | Self::Expired
        )
    }

    /// Short name of the reason, for metrics. The set of labels is fixed.
    pub fn label(&self) -> &'static str {
        match self {
            Self::SenderMissing(_) | Self::Sender => "sender",
            Self::Inactive { .. } => "inactive",
            Self::ExpectedPrice(_) | Self::PriceTooLow { .. } => "price",
            Self::ExpirationParams
            | Self::TicketParams
            | Self::NegativeRound(_)
            | Self::Field { .. }
            | Self::TooManyTickets(_) => "form",
            Self::SenderInfo { .. } => "sender_info",
            Self::Unlocking(_) => "unlocking",
            Self::Recipient => "recipient",
            Self::RecipientRand => "recipient_rand",
            Self::Signature => "signature",
            Self::NonceSeen { .. } => "nonce_seen",
            Self::NonceLimit { .. } => "nonce_limit",
            Self::Expired => "expired",
            Self::Loser => "loser",
        }
    }
}

impl From<PaymentError> for Refusal {
    fn from(error: PaymentError) -> Self {
        Self::Payment(error.to_string())
    }
}

impl Payment {
    /// Reads the value of `Livepeer-Payment`; an empty one is a payment of nobody for nothing.
    pub fn decode_header(value: &[u8]) -> Result<Self, Refusal> {
        Ok(Self::from_pb(&decode_header(value)?)?)
    }

    /// Checks the form. A price, where there is one, must be proper also when no ticket proves it.
    pub fn from_pb(message: &pb::Payment) -> Result<Self, PaymentError> {
        let price = message.expected_price.as_ref();
        let Some(params) = &message.ticket_params else {
            return Ok(Self {
                sender: if message.sender.is_empty() {
                    Address::ZERO
                } else {
                    sender(message)?
                },
                expected_price: price
                    .map(|price| Price::from_wire(Some(price)))
                    .transpose()
                    .map_err(PaymentError::ExpectedPrice)?,
                batch: None,
            });
        };
        let sender = sender(message)?;
        let price = Price::from_wire(price).map_err(PaymentError::ExpectedPrice)?;
        let params = TicketParams::from_parts(params, message.expiration_params.as_ref())?;
        if sender.is_zero() {
            return Err(PaymentError::Sender);
        }
        let count = message.ticket_sender_params.len();
        if count > MAX_TICKETS {
            return Err(PaymentError::TooManyTickets(count));
        }
        let tickets = message.ticket_sender_params.iter().map(|t| SignedNonce {
            nonce: t.sender_nonce,
            sig: Signature::try_from(&t.sig[..]).ok(),
        });
        Ok(Self {
            sender,
            expected_price: Some(price),
            batch: Some(TicketBatch {
                params,
                price,
                tickets: tickets.collect(),
            }),
        })
    }
}

fn sender(message: &pb::Payment) -> Result<Address, PaymentError> {
    <[u8; 20]>::try_from(&message.sender[..])
        .map(Address)
        .map_err(|_| PaymentError::SenderMissing(summary(message)))
}

/// What the reference dumps in full, in a few words.
fn summary(message: &pb::Payment) -> String {
    let recipient = message.ticket_params.as_ref().map(|p| &p.recipient);
    let recipient: String = hex::encode(recipient.map_or(&[][..], |r| r.get(..20).unwrap_or(r)));
    format!(
        "{} tickets to 0x{recipient}, sender of {} bytes",
        message.ticket_sender_params.len(),
        message.sender.len()
    )
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use primitive_types::U256;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::{
        money::{ExpirationParams, payment_message},
        payment::{BASE64, encode_header},
        signature::SecretKey,
    };

    fn params() -> TicketParams {
        TicketParams {
            recipient: Address([1; 20]),
            face_value: U256::from(100),
            win_prob: U256::MAX / 3,
            recipient_rand_hash: [2; 32],
            seed: U256::from(5),
            expiration_block: 40,
            expiration: ExpirationParams {
                creation_round: 3,
                creation_round_block_hash: [4; 32],
            },
        }
    }

    fn good(nonces: u32) -> pb::Payment {
        let key = SecretKey::from_bytes([0x47; 32]).unwrap();
        let price = Price::new(7, 1).unwrap();
        payment_message(&key, &params(), price, 1..=nonces)
    }

    fn price(price_per_unit: i64, pixels_per_unit: i64) -> Option<pb::PriceInfo> {
        Some(pb::PriceInfo {
            price_per_unit,
            pixels_per_unit,
            ..Default::default()
        })
    }

    #[test]
    fn every_broken_form_has_its_text_and_status() {
        for (text, change) in [
            (
                "Could not find Sender for payment: 1 tickets to 0x0101010101010101010101010101010101010101, sender \
                 of 0 bytes",
                &(|m: &mut pb::Payment| m.sender.clear()) as &dyn Fn(&mut pb::Payment),
            ),
            (
                "Could not find Sender for payment: 1 tickets to 0x0101010101010101010101010101010101010101, sender \
                 of 32 bytes",
                &|m| m.sender = vec![9; 32],
            ),
            ("invalid ticket sender", &|m| m.sender = vec![0; 20]),
            (
                "invalid expected price sent with payment err=\"expected price is nil\"",
                &|m| m.expected_price = None,
            ),
            (
                "invalid expected price sent with payment err=\"pixels per unit is 0\"",
                &|m| m.expected_price = price(1, 0),
            ),
            (
                "invalid expected price sent with payment err=\"price per unit is negative: -1\"",
                &|m| m.expected_price = price(-1, 1),
            ),
            (
                "invalid expected price sent with payment err=\"price per unit is negative: -9223372036854775808\"",
                // 2^63 on the wire of an int64
                &|m| m.expected_price = price(i64::MIN, 1),
            ),
            (
                "invalid expected price sent with payment err=\"pixels per unit is negative: -1\"",
                &|m| m.expected_price = price(1, -1),
            ),
            (
                "invalid ticket params: expiration_params is missing",
                &|m| m.expiration_params = None,
            ),
            ("invalid ticket recipient", &|m| {
                if let Some(params) = &mut m.ticket_params {
                    params.recipient.push(1);
                }
            }),
            ("payment has 2501 tickets, at most 2500 are read", &|m| {
                let ticket = m.ticket_sender_params[0].clone();
                m.ticket_sender_params = vec![ticket; 2501];
            }),
        ] {
            let mut message = good(1);
            change(&mut message);
            let refusal = Payment::decode_header(encode_header(&message).as_bytes()).unwrap_err();
            assert_eq!(refusal.wire_text(), text);
            assert_eq!(refusal.status(), 400);
        }
    }

    #[test]
    fn broken_headers_are_402() {
        for (value, prefix) in [
            (&b"!!!!"[..], "base64 decode error: "),
            (b"/////w==", "protobuf unmarshal error: "),
        ] {
            let refusal = Payment::decode_header(value).unwrap_err();
            assert_eq!(refusal.status(), 402);
            assert!(refusal.wire_text().starts_with(prefix));
        }
    }

    #[test]
    fn a_payment_without_parameters_has_no_tickets_whatever_it_lists() {
        let empty = Payment::decode_header(b"").unwrap();
        assert_eq!((empty.sender, empty.batch), (Address::ZERO, None));
        let mut message = good(2);
        message.ticket_params = None;
        let payment = Payment::from_pb(&message).unwrap();
        assert_eq!(payment.batch, None);
        assert_eq!(payment.expected_price, Price::new(7, 1));
        message.expected_price = price(0, 0);
        assert!(Payment::from_pb(&message).is_err());
    }

    #[test]
    fn a_signature_of_another_length_spoils_its_ticket_only() {
        let mut message = good(3);
        message.ticket_sender_params[1].sig.pop();
        let batch = Payment::from_pb(&message).unwrap().batch.unwrap();
        let valid: Vec<_> = batch.tickets.iter().map(|t| t.sig.is_some()).collect();
        assert_eq!(valid, [true, false, true]);
    }

    #[test]
    fn only_errors_of_single_tickets_let_the_search_for_winners_go_on() {
        let sender = Address::ZERO;
        for error in [
            PaymentError::Signature,
            PaymentError::NonceSeen { sender, nonce: 1 },
            PaymentError::NonceLimit { sender, nonce: 1 },
            PaymentError::Expired,
        ] {
            assert!(!error.is_fatal(), "{error}");
        }
        for error in [
            PaymentError::Unlocking(sender),
            PaymentError::Recipient,
            PaymentError::Sender,
            PaymentError::RecipientRand,
        ] {
            assert!(error.is_fatal(), "{error}");
        }
    }

    #[test]
    fn texts_are_those_of_the_reference() {
        let sender: Address = "0xb595B18c88b1f651cA387489067f855b5C8E6720"
            .parse()
            .unwrap();
        for (error, text) in [
            (
                PaymentError::Inactive {
                    recipient: sender,
                    round: 7,
                },
                "orchestrator 0xb595B18c88b1f651cA387489067f855b5C8E6720 is inactive in round 7, cannot process payments",
            ),
            (
                PaymentError::Unlocking(sender),
                "deposit and reserve for sender 0xb595B18c88b1f651cA387489067f855b5C8E6720 is set to unlock soon",
            ),
            (
                PaymentError::SenderInfo {
                    sender,
                    cause: "x".into(),
                },
                "could not get sender info for 0xb595B18c88b1f651cA387489067f855b5C8E6720: x",
            ),
            (
                PaymentError::NonceSeen { sender, nonce: 9 },
                "invalid ticket senderNonce: already seen sender=0xb595B18c88b1f651cA387489067f855b5C8E6720 nonce=9",
            ),
            (
                PaymentError::NonceLimit { sender, nonce: 601 },
                "invalid ticket senderNonce: too many values sender=0xb595B18c88b1f651cA387489067f855b5C8E6720 nonce=601",
            ),
            (PaymentError::Recipient, "invalid ticket recipient"),
            (PaymentError::Sender, "invalid ticket sender"),
            (
                PaymentError::RecipientRand,
                "invalid recipientRand for ticket recipientRandHash",
            ),
            (PaymentError::Signature, "invalid ticket signature"),
            (PaymentError::Expired, "TicketParams expired"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(value: Vec<u8>, message: Vec<u8>) {
            let _ = Payment::decode_header(&value);
            let _ = Payment::decode_header(BASE64.encode(message).as_bytes());
        }

        #[test]
        fn any_damage_to_a_payment_is_read_or_refused(at in 0..300usize, byte: u8, cut in 0..300usize) {
            let mut bytes = good(1).encode_to_vec();
            let length = bytes.len();
            bytes[at % length] = byte;
            let _ = Payment::decode_header(BASE64.encode(&bytes).as_bytes());
            bytes.truncate(cut);
            let _ = Payment::decode_header(BASE64.encode(&bytes).as_bytes());
        }

        #[test]
        fn what_a_payer_sends_is_what_is_read(first: u32, count in 1..5u32, wei in 0..=i64::MAX, units in 1..=i64::MAX) {
            let key = SecretKey::from_bytes([0x47; 32]).unwrap();
            let price = Price::new(wei as u64, units as u64).unwrap();
            let nonces = (0..count).map(|n| first.wrapping_add(n));
            let message = payment_message(&key, &params(), price, nonces.clone());
            let payment = Payment::decode_header(encode_header(&message).as_bytes()).unwrap();
            prop_assert_eq!(payment.sender, key.address());
            prop_assert_eq!(payment.expected_price, Some(price));
            let batch = payment.batch.unwrap();
            prop_assert_eq!(batch.params, params());
            prop_assert_eq!(batch.price, price);
            prop_assert!(batch.tickets.iter().map(|t| t.nonce).eq(nonces));
            for t in &batch.tickets {
                let ticket = batch.params.ticket(payment.sender, t.nonce);
                prop_assert!(ticket.is_signed_by_sender(&t.sig.unwrap()));
            }
        }
    }
}
