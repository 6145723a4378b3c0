//! Ticket parameters: what a recipient hands out and gets back with the tickets made from them.

use primitive_types::U256;

use super::{payment::PaymentError, ticket::Ticket};
use crate::{address::Address, pb, signature::Hash};

/// The round in which parameters were made, and its L1 block hash. It bounds how long a winner can be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ExpirationParams {
    /// Number of the round.
    pub creation_round: u64,
    /// Hash of the L1 block in which the round was initialised.
    pub creation_round_block_hash: Hash,
}

impl ExpirationParams {
    /// Auxiliary data of a ticket: the round as a 256-bit integer, then the hash. Nothing at all when both are zero.
    pub fn aux_data(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let mut aux = vec![0; 24];
        aux.extend(self.creation_round.to_be_bytes());
        aux.extend(self.creation_round_block_hash);
        aux
    }

    /// Whether gateways keep it: they put their own view in place of parameters in which the round or the hash is zero.
    pub fn is_usable(&self) -> bool {
        self.creation_round != 0 && self.creation_round_block_hash != [0; 32]
    }

    /// As a message.
    pub fn to_pb(&self) -> pb::TicketExpirationParams {
        pb::TicketExpirationParams {
            creation_round: i64::try_from(self.creation_round).unwrap_or(i64::MAX),
            creation_round_block_hash: self.creation_round_block_hash.to_vec(),
        }
    }

    /// From a message; the round is not negative, the hash has 32 bytes or none.
    pub fn from_pb(message: &pb::TicketExpirationParams) -> Result<Self, PaymentError> {
        let hash = &message.creation_round_block_hash;
        Ok(Self {
            creation_round: u64::try_from(message.creation_round)
                .map_err(|_| PaymentError::NegativeRound(message.creation_round))?,
            creation_round_block_hash: if hash.is_empty() {
                [0; 32]
            } else {
                fixed(hash, "creation_round_block_hash")?
            },
        })
    }
}

/// What tickets are made from. Amounts in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TicketParams {
    /// Who is paid.
    pub recipient: Address,
    /// What a winner pays, wei.
    pub face_value: U256,
    /// Probability of winning, in parts of 2^256 − 1.
    pub win_prob: U256,
    /// Keccak-256 of the recipient's secret number.
    pub recipient_rand_hash: Hash,
    /// Tells sets of parameters apart; random, not secret.
    pub seed: U256,
    /// L1 block from which tickets are refused.
    pub expiration_block: u64,
    /// Round in which they were made.
    pub expiration: ExpirationParams,
}

impl TicketParams {
    /// The ticket of `sender` with one nonce.
    pub fn ticket(&self, sender: Address, nonce: u32) -> Ticket {
        Ticket {
            recipient: self.recipient,
            sender,
            face_value: self.face_value,
            win_prob: self.win_prob,
            nonce,
            recipient_rand_hash: self.recipient_rand_hash,
            expiration: self.expiration,
        }
    }

    /// As a recipient sends it, with the round.
    pub fn to_pb(&self) -> pb::TicketParams {
        pb::TicketParams {
            expiration_params: Some(self.expiration.to_pb()),
            ..self.to_pb_without_round()
        }
    }

    /// As a gateway sends it back: the round stands in the payment instead.
    pub fn to_pb_without_round(&self) -> pb::TicketParams {
        pb::TicketParams {
            recipient: self.recipient.0.to_vec(),
            face_value: minimal(self.face_value),
            win_prob: minimal(self.win_prob),
            recipient_rand_hash: self.recipient_rand_hash.to_vec(),
            seed: minimal(self.seed),
            expiration_block: minimal(self.expiration_block),
            expiration_params: None,
        }
    }

    /// From what a recipient sent, where the round stands inside.
    pub fn from_pb(message: &pb::TicketParams) -> Result<Self, PaymentError> {
        Self::from_parts(message, message.expiration_params.as_ref())
    }

    /// From a payment, where the round stands beside: addresses of 20 bytes, hashes of 32, integers of at most 32.
    pub fn from_parts(
        message: &pb::TicketParams,
        expiration: Option<&pb::TicketExpirationParams>,
    ) -> Result<Self, PaymentError> {
        let recipient = <[u8; 20]>::try_from(&message.recipient[..]);
        let rand_hash = Hash::try_from(&message.recipient_rand_hash[..]);
        let block = uint(&message.expiration_block, "expiration_block")?;
        Ok(Self {
            recipient: Address(recipient.map_err(|_| PaymentError::Recipient)?),
            face_value: uint(&message.face_value, "face_value")?,
            win_prob: uint(&message.win_prob, "win_prob")?,
            recipient_rand_hash: rand_hash.map_err(|_| PaymentError::RecipientRand)?,
            seed: uint(&message.seed, "seed")?,
            expiration_block: u64::try_from(block).map_err(|_| PaymentError::Field {
                field: "expiration_block",
                bytes: message.expiration_block.len(),
                expected: "at most 8",
            })?,
            expiration: ExpirationParams::from_pb(
                expiration.ok_or(PaymentError::ExpirationParams)?,
            )?,
        })
    }
}

/// Big-endian bytes without leading zeros; none for 0: the form of integers in messages and database columns.
pub fn minimal(n: impl Into<U256>) -> Vec<u8> {
    let n = n.into();
    let mut bytes = [0; 32];
    n.to_big_endian(&mut bytes);
    let zeros = n.leading_zeros() as usize / 8;
    bytes.get(zeros..).unwrap_or_default().to_vec()
}

/// Inverse of [`minimal`], which also takes leading zeros; `None` above 32 bytes.
pub fn uint_from_wire(bytes: &[u8]) -> Option<U256> {
    (bytes.len() <= 32).then(|| U256::from_big_endian(bytes))
}

fn uint(bytes: &[u8], field: &'static str) -> Result<U256, PaymentError> {
    uint_from_wire(bytes).ok_or(PaymentError::Field {
        field,
        bytes: bytes.len(),
        expected: "at most 32",
    })
}

fn fixed(bytes: &[u8], field: &'static str) -> Result<Hash, PaymentError> {
    Hash::try_from(bytes).map_err(|_| PaymentError::Field {
        field,
        bytes: bytes.len(),
        expected: "32",
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_params() -> impl Strategy<Value = TicketParams> {
        (
            any::<[u8; 20]>(),
            any::<[[u64; 4]; 3]>(),
            any::<[[u8; 32]; 2]>(),
            any::<u64>(),
            0..=i64::MAX as u64,
        )
            .prop_map(
                |(recipient, [face, p, seed], [rand, block], expiration_block, round)| {
                    TicketParams {
                        recipient: Address(recipient),
                        face_value: U256(face),
                        win_prob: U256(p),
                        recipient_rand_hash: rand,
                        seed: U256(seed),
                        expiration_block,
                        expiration: ExpirationParams {
                            creation_round: round,
                            creation_round_block_hash: block,
                        },
                    }
                },
            )
    }

    #[test]
    fn integers_on_the_wire_are_minimal() {
        assert_eq!(minimal(0), Vec::<u8>::new());
        assert_eq!(minimal(256), [1, 0]);
        assert_eq!(minimal(U256::MAX), [0xff; 32]);
        assert_eq!(uint_from_wire(&[0; 32]), Some(U256::zero()));
        assert_eq!(uint_from_wire(&[0; 33]), None);
    }

    #[test]
    fn wrong_lengths_are_refused_by_name() {
        let good = TicketParams {
            recipient: Address([1; 20]),
            ..Default::default()
        };
        let refuse = |change: &dyn Fn(&mut pb::TicketParams)| {
            let mut message = good.to_pb();
            change(&mut message);
            TicketParams::from_pb(&message).unwrap_err().to_string()
        };
        for (text, change) in [
            (
                "invalid ticket recipient",
                &(|m: &mut pb::TicketParams| m.recipient = vec![1; 21])
                    as &dyn Fn(&mut pb::TicketParams),
            ),
            ("invalid ticket recipient", &|m| m.recipient.clear()),
            ("invalid recipientRand for ticket recipientRandHash", &|m| {
                m.recipient_rand_hash = vec![1; 31]
            }),
            (
                "invalid ticket params: face_value has 33 bytes instead of at most 32",
                &|m| m.face_value = vec![0; 33],
            ),
            (
                "invalid ticket params: win_prob has 33 bytes instead of at most 32",
                &|m| m.win_prob = vec![0; 33],
            ),
            (
                "invalid ticket params: seed has 40 bytes instead of at most 32",
                &|m| m.seed = vec![0; 40],
            ),
            (
                "invalid ticket params: expiration_block has 9 bytes instead of at most 8",
                &|m| m.expiration_block = vec![1; 9],
            ),
            (
                "invalid ticket params: expiration_params is missing",
                &|m| {
                    m.expiration_params = None;
                },
            ),
            (
                "invalid ticket params: creation_round is negative: -1",
                &|m| {
                    m.expiration_params = Some(pb::TicketExpirationParams {
                        creation_round: -1,
                        ..Default::default()
                    });
                },
            ),
            (
                "invalid ticket params: creation_round_block_hash has 31 bytes instead of 32",
                &|m| {
                    m.expiration_params = Some(pb::TicketExpirationParams {
                        creation_round: 1,
                        creation_round_block_hash: vec![1; 31],
                    });
                },
            ),
        ] {
            assert_eq!(refuse(change), text);
        }
    }

    proptest! {
        #[test]
        fn params_survive_the_wire(params in any_params()) {
            prop_assert_eq!(TicketParams::from_pb(&params.to_pb()), Ok(params));
            let echoed = params.to_pb_without_round();
            prop_assert_eq!(TicketParams::from_parts(&echoed, Some(&params.expiration.to_pb())), Ok(params));
        }

        #[test]
        fn integers_survive_the_wire(words: [u64; 4], shift in 0..256usize) {
            let n = U256(words) >> shift;
            prop_assert_eq!(uint_from_wire(&minimal(n)), Some(n));
            prop_assert!(minimal(n).first() != Some(&0));
        }

        #[test]
        fn any_message_is_read_or_refused(
            a: Vec<u8>, b: Vec<u8>, c: Vec<u8>, d: Vec<u8>, round: i64, hash: Vec<u8>
        ) {
            let message = pb::TicketParams {
                recipient: a.clone(), face_value: b.clone(), win_prob: c.clone(), recipient_rand_hash: d.clone(),
                seed: a, expiration_block: b,
                expiration_params: Some(pb::TicketExpirationParams { creation_round: round, creation_round_block_hash: hash }),
            };
            let _ = TicketParams::from_pb(&message);
        }
    }
}
