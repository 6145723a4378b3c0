//! A ticket: its hash, its signature, and whether it wins.

use primitive_types::U256;

use super::{
    credit::Amount,
    params::{ExpirationParams, TicketParams, minimal, uint_from_wire},
    payment::PaymentError,
    secret::RecipientRand,
};
use crate::{
    address::Address,
    pb,
    signature::{Hash, Hasher, SecretKey, Signature, recover_hash, sign_hash},
};

/// What a sender signs. Its hash is that of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ticket {
    /// Who is paid.
    pub recipient: Address,
    /// Who pays.
    pub sender: Address,
    /// What a winner pays, wei.
    pub face_value: U256,
    /// Probability of winning, in parts of 2^256 − 1.
    pub win_prob: U256,
    /// Tells tickets of one set of parameters apart.
    pub nonce: u32,
    /// Keccak-256 of the recipient's secret number.
    pub recipient_rand_hash: Hash,
    /// Round of the parameters.
    pub expiration: ExpirationParams,
}

impl Ticket {
    /// Keccak-256 over the fields, packed: 20 + 20 + 4 × 32 bytes and the auxiliary data.
    pub fn hash(&self) -> Hash {
        let mut hasher = Hasher::default();
        hasher.update(&self.recipient.0);
        hasher.update(&self.sender.0);
        for n in [self.face_value, self.win_prob, self.nonce.into()] {
            let mut word = [0; 32];
            n.to_big_endian(&mut word);
            hasher.update(&word);
        }
        hasher.update(&self.recipient_rand_hash);
        hasher.update(&self.aux_data());
        hasher.finish()
    }

    /// Round and its block hash, 64 bytes; none when both are zero, and then the contract never pays it.
    pub fn aux_data(&self) -> Vec<u8> {
        self.expiration.aux_data()
    }

    /// Signature of the sender: the hash as an EIP-191 personal message, without hashing it once more.
    pub fn sign(&self, key: &SecretKey) -> Signature {
        sign_hash(key, &self.hash())
    }

    /// Whether the sender signed it. A wrong length, a high s or another v is just `false`.
    pub fn is_signed_by_sender(&self, sig: &[u8]) -> bool {
        recover_hash(&self.hash(), sig) == Some(self.sender)
    }

    /// Whether it pays its face value.
    pub fn wins(&self, sig: &Signature, rand: &RecipientRand) -> bool {
        lot(sig, rand) < self.win_prob
    }

    /// Expected value: what it is credited for, winner or not.
    pub fn value(&self) -> Amount {
        Amount::of_ticket(self.face_value, self.win_prob)
    }
}

impl TicketParams {
    /// Expected value of one ticket.
    pub fn ticket_value(&self) -> Amount {
        Amount::of_ticket(self.face_value, self.win_prob)
    }
}

/// Keccak-256 over signature and secret number, read as an integer: a ticket wins when it is below the probability.
pub fn lot(sig: &Signature, rand: &RecipientRand) -> U256 {
    let mut hasher = Hasher::default();
    hasher.update(sig);
    hasher.update(&rand.reveal());
    U256::from_big_endian(&hasher.finish())
}

/// A ticket that pays, with all that its redemption takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WinningTicket {
    /// What was signed.
    pub ticket: Ticket,
    /// By the sender.
    pub sig: Signature,
    /// The secret number, which redeeming makes public.
    pub recipient_rand: RecipientRand,
    /// L1 block of the parameters' end. Not to be redeemed while the last seen block is below it: the sender would
    /// learn the number while it can still choose tickets.
    pub expiration_block: u64,
}

impl WinningTicket {
    /// Whether the secret number is the one promised, the sender signed, and the ticket wins.
    pub fn check(&self) -> Result<(), PaymentError> {
        if self.recipient_rand.hash() != self.ticket.recipient_rand_hash {
            return Err(PaymentError::RecipientRand);
        }
        if !self.ticket.is_signed_by_sender(&self.sig) {
            return Err(PaymentError::Signature);
        }
        if !self.ticket.wins(&self.sig, &self.recipient_rand) {
            return Err(PaymentError::Loser);
        }
        Ok(())
    }

    /// As an orchestrator sends it to its redeemer.
    pub fn to_pb(&self) -> pb::Ticket {
        let ticket = &self.ticket;
        let params = TicketParams {
            recipient: ticket.recipient,
            face_value: ticket.face_value,
            win_prob: ticket.win_prob,
            recipient_rand_hash: ticket.recipient_rand_hash,
            seed: U256::zero(),
            expiration_block: self.expiration_block,
            expiration: ticket.expiration,
        };
        pb::Ticket {
            ticket_params: Some(params.to_pb_without_round()),
            sender: ticket.sender.0.to_vec(),
            expiration_params: Some(ticket.expiration.to_pb()),
            sender_params: Some(pb::TicketSenderParams {
                sender_nonce: ticket.nonce,
                sig: self.sig.to_vec(),
            }),
            recipient_rand: minimal(U256::from_big_endian(&self.recipient_rand.reveal())),
        }
    }

    /// From an orchestrator. Its form only: [`check`](Self::check) says whether it is worth anything.
    pub fn from_pb(message: &pb::Ticket) -> Result<Self, PaymentError> {
        let params = message
            .ticket_params
            .as_ref()
            .ok_or(PaymentError::TicketParams)?;
        let params = TicketParams::from_parts(params, message.expiration_params.as_ref())?;
        let sender = <[u8; 20]>::try_from(&message.sender[..]);
        let sender = Address(sender.map_err(|_| PaymentError::Sender)?);
        let signed = message.sender_params.as_ref();
        let sig = signed.and_then(|s| Signature::try_from(&s.sig[..]).ok());
        let rand = uint_from_wire(&message.recipient_rand).ok_or(PaymentError::RecipientRand)?;
        let mut recipient_rand = [0; 32];
        rand.to_big_endian(&mut recipient_rand);
        Ok(Self {
            ticket: params.ticket(sender, signed.map_or(0, |s| s.sender_nonce)),
            sig: sig.ok_or(PaymentError::Signature)?,
            recipient_rand: RecipientRand::from_bytes(recipient_rand),
            expiration_block: params.expiration_block,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn winner(key: u8, nonce: u32, rand: [u8; 32]) -> WinningTicket {
        let key = SecretKey::from_bytes([key; 32]).unwrap();
        let recipient_rand = RecipientRand::from_bytes(rand);
        let ticket = Ticket {
            recipient: Address([1; 20]),
            sender: key.address(),
            face_value: U256::from(1000),
            win_prob: U256::MAX,
            nonce,
            recipient_rand_hash: recipient_rand.hash(),
            expiration: ExpirationParams {
                creation_round: 5,
                creation_round_block_hash: [6; 32],
            },
        };
        WinningTicket {
            sig: ticket.sign(&key),
            ticket,
            recipient_rand,
            expiration_block: 40,
        }
    }

    #[test]
    fn forged_winners_are_told_apart() {
        let good = winner(7, 1, [3; 32]);
        assert_eq!(good.check(), Ok(()));
        let mut foreign = good;
        foreign.recipient_rand = RecipientRand::from_bytes([4; 32]);
        assert_eq!(foreign.check(), Err(PaymentError::RecipientRand));
        let mut forged = good;
        forged.sig[3] ^= 1;
        assert_eq!(forged.check(), Err(PaymentError::Signature));
        let mut other = good;
        other.ticket.sender = Address([9; 20]);
        assert_eq!(other.check(), Err(PaymentError::Signature));
        let mut loser = good;
        loser.ticket.win_prob = U256::zero();
        loser.sig = loser.ticket.sign(&SecretKey::from_bytes([7; 32]).unwrap());
        assert_eq!(loser.check(), Err(PaymentError::Loser));
    }

    #[test]
    fn absent_parts_of_a_queued_ticket_are_refused() {
        let good = winner(7, 1, [3; 32]).to_pb();
        for change in [
            &(|m: &mut pb::Ticket| m.ticket_params = None) as &dyn Fn(&mut pb::Ticket),
            &|m| m.expiration_params = None,
            &|m| m.sender_params = None,
            &|m| m.sender.clear(),
            &|m| m.recipient_rand = vec![1; 33],
        ] {
            let mut message = good.clone();
            change(&mut message);
            assert!(WinningTicket::from_pb(&message).is_err());
        }
    }

    proptest! {
        #[test]
        fn winners_survive_the_wire(key in 1..255u8, nonce: u32, rand: [u8; 32], zeros in 0..32usize) {
            let mut rand = rand;
            rand[..zeros].fill(0);
            let winner = winner(key, nonce, rand);
            prop_assert_eq!(winner.check(), Ok(()));
            prop_assert_eq!(WinningTicket::from_pb(&winner.to_pb()), Ok(winner));
        }

        #[test]
        fn any_lot_is_judged_strictly(sig: [u8; 32], rest: [u8; 32], v: u8, rand: [u8; 32]) {
            let mut bytes = [v; 65];
            bytes[..32].copy_from_slice(&sig);
            bytes[32..64].copy_from_slice(&rest);
            let rand = RecipientRand::from_bytes(rand);
            let lot = lot(&bytes, &rand);
            let at = |win_prob| Ticket { win_prob, ..Default::default() }.wins(&bytes, &rand);
            prop_assert!(!at(lot));
            prop_assert!(!at(U256::zero()));
            prop_assert!(at(lot.saturating_add(U256::one())) || lot == U256::MAX);
        }
    }
}
