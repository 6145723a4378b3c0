//! What a gateway does: how much a job will cost, how many tickets that takes, and the signed payment.
//!
//! The node uses the same estimate to ask credit of senders it does not know.

use super::{
    credit::{Amount, Credit},
    params::TicketParams,
    price::Price,
    rational::Rational,
};
use crate::{pb, profile::VideoProfile, signature::SecretKey};

/// Frame rate assumed for a pass-through rendition.
const ASSUMED_FPS: u32 = 60;

/// The double nearest to 1.02 is exactly this over 2^51: the margin of an estimate.
const MARGIN: (u64, u64) = (2_296_835_809_958_953, 1 << 51);

/// Pixels that a segment will have in all renditions, without margin: width × height × frames per second × seconds,
/// the last two rounded up. Saturates.
pub fn estimated_pixels<'a>(
    profiles: impl IntoIterator<Item = &'a VideoProfile>,
    duration_ms: u32,
) -> u64 {
    let seconds = u64::from(duration_ms.div_ceil(1000));
    profiles
        .into_iter()
        .map(|profile| {
            let fps = profile
                .frame_rate()
                .map_or(ASSUMED_FPS, |(fps, den)| fps.div_ceil(den));
            (u64::from(profile.width) * u64::from(profile.height))
                .saturating_mul(fps.into())
                .saturating_mul(seconds)
        })
        .fold(0, u64::saturating_add)
}

/// What gateways set aside for `pixels`: 1.02 × pixels × price.
pub fn estimated_fee(price: &Price, pixels: u64) -> Amount {
    let margin = Rational::new(MARGIN.0, MARGIN.1).unwrap_or_default();
    Amount::charge(
        &Price::from_rational(price.rational().times(&margin)),
        pixels,
    )
}

/// Tickets to send so that `credit` covers `fee`, and at least one ticket: 0 when it does already. `ev` is the
/// expected value of one ([`TicketParams::ticket_value`]); 0 needs none.
pub fn tickets_needed(fee: Amount, ev: Amount, credit: &Credit) -> u32 {
    credit
        .missing_to(fee.max(ev))
        .in_parts_of(ev)
        .map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// The payment with one signed ticket per nonce; nonces count from 1 for each set of parameters. Without nonces it
/// states sender and price only.
pub fn payment_message(
    key: &SecretKey,
    params: &TicketParams,
    price: Price,
    nonces: impl IntoIterator<Item = u32>,
) -> pb::Payment {
    let sender = key.address();
    let tickets: Vec<_> = nonces
        .into_iter()
        .map(|nonce| pb::TicketSenderParams {
            sender_nonce: nonce,
            sig: params.ticket(sender, nonce).sign(key).to_vec(),
        })
        .collect();
    let paid = !tickets.is_empty();
    pb::Payment {
        ticket_params: paid.then(|| params.to_pb_without_round()),
        sender: sender.0.to_vec(),
        expiration_params: paid.then(|| params.expiration.to_pb()),
        ticket_sender_params: tickets,
        expected_price: Some(price.to_wire()),
    }
}

/// A gateway's own books of one session: the credit that it believes to have at one recipient, and the next nonce.
#[derive(Debug, Clone)]
pub struct PayerSession {
    key: SecretKey,
    params: TicketParams,
    price: Price,
    next_nonce: u32,
    credit: Credit,
}

impl PayerSession {
    /// A session that has paid nothing yet, with its first quote.
    pub fn new(key: SecretKey, params: TicketParams, price: Price) -> Self {
        Self {
            key,
            params,
            price,
            next_nonce: 1,
            credit: Credit::ZERO,
        }
    }

    /// The quote that came with an answer. The credit stays; nonces start anew with other parameters.
    pub fn renew(&mut self, params: TicketParams, price: Price) {
        if params.recipient_rand_hash != self.params.recipient_rand_hash {
            self.next_nonce = 1;
        }
        self.params = params;
        self.price = price;
    }

    /// Payment for a job of about `pixels` pixels, and the tickets in it, which count as credit at once.
    pub fn pay(&mut self, pixels: u64) -> pb::Payment {
        let fee = estimated_fee(&self.price, pixels);
        let value = self.params.ticket_value();
        let count = tickets_needed(fee, value, &self.credit);
        let nonces = self.next_nonce..self.next_nonce.saturating_add(count);
        self.next_nonce = nonces.end;
        self.credit.credit(value.times(count));
        payment_message(&self.key, &self.params, self.price, nonces)
    }

    /// The recipient reported this many pixels.
    pub fn settle(&mut self, pixels: u64) {
        self.credit.debit(Amount::charge(&self.price, pixels));
    }

    /// What the recipient should hold for this session.
    pub fn credit(&self) -> Credit {
        self.credit
    }
}

#[cfg(test)]
mod tests {
    use primitive_types::U256;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        address::Address,
        money::{Payment, win_prob},
    };

    #[test]
    fn a_session_numbers_its_tickets_per_quote_and_keeps_its_credit() {
        let key = SecretKey::from_bytes([0x47; 32]).unwrap();
        let price = Price::new(1, 1).unwrap();
        let params = TicketParams {
            recipient: Address([1; 20]),
            face_value: 1000.into(),
            win_prob: win_prob(1000.into(), 100.into()),
            ..Default::default()
        };
        let mut session = PayerSession::new(key, params, price);
        let nonces = |message: &pb::Payment| -> Vec<u32> {
            let batch = Payment::from_pb(message).unwrap().batch;
            batch.map_or_else(Vec::new, |b| b.tickets.iter().map(|t| t.nonce).collect())
        };
        assert_eq!(nonces(&session.pay(200)), [1, 2, 3]);
        session.settle(200);
        assert_eq!(nonces(&session.pay(10)), Vec::<u32>::new());
        session.settle(10);
        session.renew(params, price);
        assert_eq!(nonces(&session.pay(10)), [4]);
        let other = TicketParams {
            recipient_rand_hash: [1; 32],
            ..params
        };
        session.renew(other, price);
        assert_eq!(nonces(&session.pay(200)), [1]);
        let mut expected = Credit::ZERO;
        expected.credit(params.ticket_value().times(5));
        expected.debit(Amount::wei(210));
        assert_eq!(session.credit(), expected);
    }

    #[test]
    fn nothing_is_sent_for_free_work() {
        assert_eq!(tickets_needed(Amount::ZERO, Amount::ZERO, &Credit::ZERO), 0);
        assert_eq!(
            tickets_needed(Amount::wei(5), Amount::ZERO, &Credit::ZERO),
            0
        );
    }

    #[test]
    fn a_new_session_always_gets_a_ticket() {
        let ev = Amount::wei(10);
        assert_eq!(tickets_needed(Amount::ZERO, ev, &Credit::ZERO), 1);
        assert_eq!(tickets_needed(Amount::wei(11), ev, &Credit::ZERO), 2);
    }

    proptest! {
        #[test]
        fn the_tickets_asked_for_suffice_and_none_is_too_much(
            fee: u64, face in 2..u64::MAX, ev in 1..1u64 << 32, start: u32, debit: bool
        ) {
            let ev = ev.min(face);
            let value = Amount::of_ticket(face.into(), win_prob(face.into(), ev.into()));
            let mut credit = Credit::ZERO;
            if debit { credit.debit(Amount::wei(start)) } else { credit.credit(Amount::wei(start)) }
            let fee = Amount::wei(fee % (ev.saturating_mul(3000)));
            let n = tickets_needed(fee, value, &credit);
            let goal = fee.max(value);
            let after = |n: u32| { let mut c = credit; c.credit(value.times(n)); c };
            prop_assert!(after(n).covers(goal));
            prop_assert!(n == 0 || !after(n - 1).covers(goal));
        }

        #[test]
        fn an_estimate_is_two_percent_above_the_charge(wei in 1..1u64 << 40, units in 1..1u64 << 20, pixels in 1..1u64 << 40) {
            let price = Price::new(wei, units).unwrap();
            let (fee, charge) = (estimated_fee(&price, pixels), Amount::charge(&price, pixels));
            prop_assert!(fee > charge);
            prop_assert!(fee.times(1000) < charge.times(1021).plus(Amount::wei(U256::from(1))));
        }
    }
}
