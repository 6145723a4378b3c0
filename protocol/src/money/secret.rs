//! The secret number behind a set of ticket parameters.
//!
//! It is HMAC-SHA256(secret, M), where M holds everything that was quoted: recomputed from what comes back with the
//! tickets, it proves that the parameters, the price and the session are those that this node gave out. Nothing is
//! stored for strangers.
//!
//! M has a version byte, then fields of fixed width, then the session to its end, so no two sets of terms share one M:
//! `1 ‖ seed 32 ‖ sender 20 ‖ recipient 20 ‖ face value 32 ‖ win probability 32 ‖ expiration block 8 ‖ price numerator
//! 32 ‖ price denominator 32 ‖ round 8 ‖ round's block hash 32 ‖ session`.

use std::fmt;

use hmac::{Hmac, Mac};
use primitive_types::U256;
use sha2::Sha256;

use super::{params::TicketParams, price::Price};
use crate::{
    Error,
    address::Address,
    signature::{Hash, keccak256},
};

/// Version of M. Another one makes every outstanding set of parameters void.
const VERSION: u8 = 1;

/// The number that decides together with a signature whether a ticket wins. Shown as `***`: who learns it while the
/// parameters are accepted can send losers only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecipientRand([u8; 32]);

impl RecipientRand {
    /// From the ledger, big-endian.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Big-endian, 32 bytes: for the ledger, the redeemer and the redemption, never for logs.
    pub fn reveal(&self) -> [u8; 32] {
        self.0
    }

    /// Keccak-256 of its 32 bytes.
    pub fn hash(&self) -> Hash {
        keccak256(self.0)
    }
}

impl fmt::Debug for RecipientRand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a set of parameters is bound to besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// Who may use it.
    pub sender: Address,
    /// The price that stands in the same answer, as a reader of it understands it ([`Price::as_sent`]).
    pub price: Price,
    /// Session ID of the auth token in the same answer; a gateway sends both back together. Empty binds no session.
    pub session: &'a [u8],
}

/// The key behind all secret numbers, in two generations so that it can change while tickets are in flight. Shown as
/// `***`: who knows it can make winners at will.
#[derive(Clone)]
pub struct QuoteSecret {
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

impl QuoteSecret {
    /// From 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self {
            current: random,
            previous: None,
        }
    }

    /// The next generation: `random` makes new parameters, the present key is still accepted, the one before no more.
    #[must_use]
    pub fn rotated(&self, random: [u8; 32]) -> Self {
        Self {
            current: random,
            previous: Some(self.current),
        }
    }

    /// For the ledger: the current key, then the previous one if there is one.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.current.to_vec();
        bytes.extend(self.previous.iter().flatten());
        bytes
    }

    /// Inverse of [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let error = || Error::TicketSecret(bytes.len());
        let (current, rest) = bytes.split_first_chunk::<32>().ok_or_else(error)?;
        let previous = match rest {
            [] => None,
            rest => Some(<[u8; 32]>::try_from(rest).map_err(|_| error())?),
        };
        Ok(Self {
            current: *current,
            previous,
        })
    }

    /// Fills in the hash of the secret number: the parameters are ready to be sent, for this binding only.
    ///
    /// Every answer needs a seed of its own. A gateway that gets a set of parameters twice starts it anew and then drops
    /// it as the old one, and can pay no more.
    #[must_use]
    pub fn seal(&self, binding: &Binding<'_>, params: TicketParams) -> TicketParams {
        let rand = rand(&self.current, &message(binding, &params));
        TicketParams {
            recipient_rand_hash: rand.hash(),
            ..params
        }
    }

    /// The secret number of parameters that came back; `None` when they, the price or the session are not what either
    /// generation sealed.
    pub fn recipient_rand(
        &self,
        binding: &Binding<'_>,
        params: &TicketParams,
    ) -> Option<RecipientRand> {
        let message = message(binding, params);
        std::iter::once(&self.current)
            .chain(&self.previous)
            .map(|key| rand(key, &message))
            .find(|rand| rand.hash() == params.recipient_rand_hash)
    }
}

impl fmt::Debug for QuoteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn rand(key: &[u8; 32], message: &[u8]) -> RecipientRand {
    // HMAC pads a shorter key with zeros to the block of 64 bytes
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(message);
    RecipientRand(mac.finalize().into_bytes().into())
}

fn message(binding: &Binding<'_>, params: &TicketParams) -> Vec<u8> {
    let mut message = Vec::with_capacity(256 + binding.session.len());
    message.push(VERSION);
    push_uint(&mut message, params.seed);
    message.extend(binding.sender.0);
    message.extend(params.recipient.0);
    push_uint(&mut message, params.face_value);
    push_uint(&mut message, params.win_prob);
    message.extend(params.expiration_block.to_be_bytes());
    push_uint(&mut message, binding.price.num());
    push_uint(&mut message, binding.price.den());
    message.extend(params.expiration.creation_round.to_be_bytes());
    message.extend(params.expiration.creation_round_block_hash);
    message.extend(binding.session);
    message
}

fn push_uint(message: &mut Vec<u8>, n: U256) {
    let mut bytes = [0; 32];
    n.to_big_endian(&mut bytes);
    message.extend(bytes);
}

/// M as the reference makes it: minimal integers without separators. Its vectors check our HMAC, hash and integers.
#[cfg(test)]
pub(super) fn reference_message(binding: &Binding<'_>, params: &TicketParams) -> Vec<u8> {
    use super::params::minimal;
    [
        minimal(params.seed),
        binding.sender.0.to_vec(),
        minimal(params.face_value),
        minimal(params.win_prob),
        minimal(params.expiration_block),
        minimal(binding.price.num()),
        minimal(binding.price.den()),
        params.expiration.aux_data(),
    ]
    .concat()
}

/// The secret number over any M.
#[cfg(test)]
pub(super) fn rand_over(key: [u8; 32], message: &[u8]) -> RecipientRand {
    rand(&key, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::ExpirationParams;

    fn terms() -> (Binding<'static>, TicketParams) {
        let params = TicketParams {
            recipient: Address([1; 20]),
            face_value: 1000.into(),
            win_prob: U256::MAX / 10,
            seed: 7.into(),
            expiration_block: 40,
            expiration: ExpirationParams {
                creation_round: 3,
                creation_round_block_hash: [5; 32],
            },
            ..Default::default()
        };
        let binding = Binding {
            sender: Address([2; 20]),
            price: Price::new(303, 250).unwrap(),
            session: b"0a1b2c3d",
        };
        (binding, params)
    }

    #[test]
    fn whatever_is_changed_breaks_the_seal() {
        let secret = QuoteSecret::new([9; 32]);
        let (binding, params) = terms();
        let sealed = secret.seal(&binding, params);
        let rand = secret.recipient_rand(&binding, &sealed).unwrap();
        assert_eq!(rand.hash(), sealed.recipient_rand_hash);
        let change = |f: &dyn Fn(&mut Binding<'static>, &mut TicketParams)| {
            let (mut binding, mut params) = (binding, sealed);
            f(&mut binding, &mut params);
            secret.recipient_rand(&binding, &params)
        };
        assert!(change(&|_, _| ()).is_some());
        for f in [
            &(|b: &mut Binding<'static>, _: &mut TicketParams| b.sender.0[0] ^= 1)
                as &dyn Fn(&mut Binding<'static>, &mut TicketParams),
            &|b, _| b.price = Price::new(302, 250).unwrap(),
            &|b, _| b.price = Price::ZERO,
            &|b, _| b.session = b"0a1b2c3",
            &|b, _| b.session = b"",
            &|_, p| p.recipient.0[0] ^= 1,
            &|_, p| p.face_value += U256::one(),
            &|_, p| p.win_prob += U256::one(),
            &|_, p| p.seed += U256::one(),
            &|_, p| p.expiration_block += 1,
            &|_, p| p.expiration.creation_round += 1,
            &|_, p| p.expiration.creation_round_block_hash[31] ^= 1,
            &|_, p| p.recipient_rand_hash[0] ^= 1,
        ] {
            assert_eq!(change(f), None);
        }
        assert!(change(&|b, _| b.price = Price::new(606, 500).unwrap()).is_some());
    }

    #[test]
    fn tickets_in_flight_outlive_one_change_of_the_key() {
        let first = QuoteSecret::new([1; 32]);
        let (binding, params) = terms();
        let sealed = first.seal(&binding, params);
        let second = first.rotated([2; 32]);
        let third = second.rotated([3; 32]);
        assert_eq!(
            second.recipient_rand(&binding, &sealed),
            first.recipient_rand(&binding, &sealed)
        );
        assert_eq!(third.recipient_rand(&binding, &sealed), None);
        assert_ne!(second.seal(&binding, params), sealed);
    }

    #[test]
    fn the_secret_survives_a_restart() {
        let (binding, params) = terms();
        for secret in [
            QuoteSecret::new([1; 32]),
            QuoteSecret::new([1; 32]).rotated([2; 32]),
        ] {
            let read = QuoteSecret::from_bytes(&secret.to_bytes()).unwrap();
            assert_eq!(read.to_bytes(), secret.to_bytes());
            assert_eq!(read.seal(&binding, params), secret.seal(&binding, params));
        }
        for length in [0, 31, 33, 63, 65] {
            let error = QuoteSecret::from_bytes(&vec![0; length]).unwrap_err();
            assert_eq!(error, Error::TicketSecret(length));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", QuoteSecret::new([1; 32])), "***");
        assert_eq!(format!("{:?}", RecipientRand([1; 32])), "***");
    }

    type Raw = (
        [[u64; 4]; 3],
        [[u8; 20]; 2],
        [u64; 2],
        (u64, u64),
        [u8; 32],
        Vec<u8>,
    );

    fn message_of(raw: &Raw) -> (Vec<u8>, (U256, U256)) {
        let ([seed, face, p], [sender, recipient], [block, round], (wei, units), hash, session) =
            raw;
        let price = Price::new(*wei, (*units).max(1)).unwrap();
        let binding = Binding {
            sender: Address(*sender),
            price,
            session,
        };
        let params = TicketParams {
            recipient: Address(*recipient),
            face_value: U256(*face),
            win_prob: U256(*p),
            recipient_rand_hash: [0; 32],
            seed: U256(*seed),
            expiration_block: *block,
            expiration: ExpirationParams {
                creation_round: *round,
                creation_round_block_hash: *hash,
            },
        };
        (message(&binding, &params), (price.num(), price.den()))
    }

    proptest! {
        #[test]
        fn different_terms_have_different_messages(
            a: Raw, b: Raw, keep in proptest::collection::vec(any::<bool>(), 6)
        ) {
            // most fields equal, so that a shift of bytes between neighbours would show
            let mut c = a.clone();
            if keep[0] { c.0 = b.0 }
            if keep[1] { c.1 = b.1 }
            if keep[2] { c.2 = b.2 }
            if keep[3] { c.3 = b.3 }
            if keep[4] { c.4 = b.4 }
            if keep[5] { c.5 = b.5 }
            let ((first, first_price), (second, second_price)) = (message_of(&a), message_of(&c));
            let same = a.0 == c.0 && a.1 == c.1 && a.2 == c.2 && first_price == second_price && a.4 == c.4 && a.5 == c.5;
            prop_assert_eq!(first == second, same);
        }

        #[test]
        fn a_message_can_be_read_back_field_by_field(raw: Raw) {
            let (message, (num, den)) = message_of(&raw);
            let mut rest = &message[..];
            let mut take = |n: usize| { let (head, tail) = rest.split_at(n); rest = tail; head };
            prop_assert_eq!(take(1), &[VERSION]);
            prop_assert_eq!(U256::from_big_endian(take(32)), U256(raw.0[0]));
            prop_assert_eq!(take(20), &raw.1[0][..]);
            prop_assert_eq!(take(20), &raw.1[1][..]);
            prop_assert_eq!(U256::from_big_endian(take(32)), U256(raw.0[1]));
            prop_assert_eq!(U256::from_big_endian(take(32)), U256(raw.0[2]));
            prop_assert_eq!(take(8), &raw.2[0].to_be_bytes()[..]);
            prop_assert_eq!(U256::from_big_endian(take(32)), num);
            prop_assert_eq!(U256::from_big_endian(take(32)), den);
            prop_assert_eq!(take(8), &raw.2[1].to_be_bytes()[..]);
            prop_assert_eq!(take(32), &raw.4[..]);
            prop_assert_eq!(rest, &raw.5[..]);
        }
    }
}
