//! Tickets as an operator sees them: filters, pages, sums, JSON. The secret number shows only in an export, and only
//! once the parameters have expired.

use protocol::address::Address;
use protocol::money::U256;
use protocol::signature::Hash;
use serde::{Deserialize, Serialize};

use super::{State, StoredTicket, TicketState};
use crate::text::hash_text;
use crate::wire::{address, one_hash, wei};

/// Most tickets on a page.
pub const PAGE: u32 = 1000;

/// Which tickets, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TicketFilter {
    /// In one of these states; empty: in any.
    pub states: Vec<State>,
    /// Of this sender.
    pub sender: Option<AddressText>,
    /// Behind this place ([`Page::next`]).
    pub after: i64,
    /// At most so many; 0 or more than [`PAGE`] is [`PAGE`].
    pub limit: u32,
}

impl TicketFilter {
    /// Those that are not done.
    pub fn unfinished() -> Self {
        Self {
            states: State::ALL
                .iter()
                .copied()
                .filter(|state| !state.is_final())
                .collect(),
            ..Self::default()
        }
    }

    /// Those of one sender.
    pub fn of(mut self, sender: Address) -> Self {
        self.sender = Some(AddressText(sender));
        self
    }

    /// Those behind a place.
    pub fn after(mut self, seq: i64) -> Self {
        self.after = seq;
        self
    }

    pub(crate) fn size(&self) -> u32 {
        match self.limit {
            1..=PAGE => self.limit,
            _ => PAGE,
        }
    }
}

/// An address in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressText(#[serde(with = "address")] pub Address);

/// Some tickets of a longer list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The tickets, in order of arrival.
    pub tickets: Vec<StoredTicket>,
    /// For [`TicketFilter::after`]; `None` at the end.
    pub next: Option<i64>,
    /// Rows that could not be read: what they are and why.
    pub unreadable: Vec<String>,
}

/// Clocks against which a ticket is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Highest L1 block ever seen; `None` shows no secret number.
    pub l1_block: Option<u64>,
    /// Current round of the chain.
    pub round: Option<u64>,
    /// Rounds for which the contract pays a ticket, its creation round included; 2 on the live network.
    pub validity: u64,
}

/// A ticket without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketView {
    /// Keccak-256 of the ticket.
    #[serde(with = "one_hash")]
    pub hash: Hash,
    /// Who pays.
    #[serde(with = "address")]
    pub sender: Address,
    /// Who is paid.
    #[serde(with = "address")]
    pub recipient: Address,
    /// Wei.
    #[serde(with = "wei")]
    pub face_value: U256,
    /// Of the sender; under a name of its own, because a state may have the nonce of a transaction.
    #[serde(rename = "sender_nonce")]
    pub nonce: u32,
    /// Round of the parameters.
    pub creation_round: u64,
    /// L1 block at which it may be redeemed.
    pub expiration_block: u64,
    /// Rounds in which it can still be redeemed, the current one included; 0: too late. `None`: round not known.
    pub rounds_left: Option<u64>,
    /// Where it stands.
    #[serde(flatten)]
    pub state: TicketState,
    /// Transactions begun for it.
    pub attempts: u32,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub updated_at: u64,
}

/// All that another program needs to redeem a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketExport {
    /// What everybody may see.
    #[serde(flatten)]
    pub view: TicketView,
    /// Parts of 2^256 − 1, decimal.
    #[serde(with = "wei")]
    pub win_prob: U256,
    /// Hash of the secret number.
    #[serde(with = "one_hash")]
    pub recipient_rand_hash: Hash,
    /// L1 block hash of the creation round.
    #[serde(with = "one_hash")]
    pub creation_round_block_hash: Hash,
    /// Signature of the sender, 65 bytes, `0x` and digits.
    pub sig: String,
    /// The secret number, `0x` and 64 digits. `None` while the parameters are accepted: whoever knows it then can
    /// make tickets that never win.
    pub recipient_rand: Option<String>,
}

impl Clocks {
    /// Rounds in which a ticket of `creation_round` can still be redeemed.
    pub fn rounds_left(&self, creation_round: u64) -> Option<u64> {
        let round = self.round?;
        Some(
            creation_round
                .saturating_add(self.validity)
                .saturating_sub(round)
                .min(self.validity),
        )
    }
}

impl StoredTicket {
    /// As an operator sees it.
    pub fn view(&self, clocks: &Clocks) -> TicketView {
        let ticket = &self.winner.ticket;
        TicketView {
            hash: self.hash,
            sender: ticket.sender,
            recipient: ticket.recipient,
            face_value: ticket.face_value,
            nonce: ticket.nonce,
            creation_round: ticket.expiration.creation_round,
            expiration_block: self.winner.expiration_block,
            rounds_left: clocks.rounds_left(ticket.expiration.creation_round),
            state: self.state.clone(),
            attempts: self.attempts,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// With its proof; the secret number only once the L1 clock has passed the parameters' end.
    pub fn export(&self, clocks: &Clocks) -> TicketExport {
        let ticket = &self.winner.ticket;
        let expired = clocks
            .l1_block
            .is_some_and(|block| block >= self.winner.expiration_block);
        TicketExport {
            view: self.view(clocks),
            win_prob: ticket.win_prob,
            recipient_rand_hash: ticket.recipient_rand_hash,
            creation_round_block_hash: ticket.expiration.creation_round_block_hash,
            sig: format!("0x{}", hex::encode(self.winner.sig)),
            recipient_rand: expired.then(|| hash_text(&self.winner.recipient_rand.reveal())),
        }
    }
}

/// What is in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSum {
    /// The state.
    pub state: State,
    /// Tickets in it.
    pub count: u64,
    /// Their face values, wei.
    #[serde(with = "wei")]
    pub face_value: U256,
    /// Wei that reached the recipient, of mined and paid ones.
    #[serde(with = "wei")]
    pub paid: U256,
    /// Wei that their transactions cost, of mined and paid ones.
    #[serde(with = "wei")]
    pub cost: U256,
    /// Arrival of the oldest, unix seconds.
    pub oldest: Option<u64>,
    /// Lowest creation round.
    pub lowest_round: Option<u64>,
}

/// What one sender still owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderSum {
    /// Who.
    #[serde(with = "address")]
    pub sender: Address,
    /// Tickets that are not done.
    pub count: u64,
    /// Their face values, wei.
    #[serde(with = "wei")]
    pub face_value: U256,
    /// Of these, face values with a transaction out (submitted), wei.
    #[serde(with = "wei")]
    pub submitted: U256,
}
