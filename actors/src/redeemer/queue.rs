//! What is known in memory of tickets that are not done: enough to choose by, in the order of their urgency, and not more
//! of them than fit. The ledger holds them all.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use ledger::ticket::Deferral;
use ledger::{StoredTicket, TicketState};
use protocol::address::Address;
use protocol::money::U256;
use protocol::signature::Hash;

/// Where a ticket stands, as far as choosing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its parameters are accepted until this L1 block.
    Waiting(u64),
    /// May be redeemed.
    Ready,
    /// Put off; not to be looked at before this L1 block.
    Deferred(Deferral, u64),
    /// A transaction is out, or was.
    Submitted,
    /// A receipt of this block says success.
    Mined(u64),
    /// A receipt says failure.
    Reverted,
    /// Stopped by the operator.
    Held,
}

/// A ticket that is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is known by.
    pub hash: Hash,
    /// Who pays.
    pub sender: Address,
    /// Wei.
    pub face: U256,
    /// Round of its parameters.
    pub creation_round: u64,
    /// Order of arrival.
    pub seq: i64,
    /// Where it stands.
    pub phase: Phase,
    /// Tries that failed lately.
    pub failures: u32,
    /// Whether its last round was announced.
    pub alarmed: bool,
}

impl Entry {
    /// Of a stored ticket; `None` when it is done.
    pub fn of(ticket: &StoredTicket) -> Option<Self> {
        let phase = match &ticket.state {
            TicketState::Waiting => Phase::Waiting(ticket.winner.expiration_block),
            TicketState::Ready => Phase::Ready,
            TicketState::Deferred {
                reason,
                until_block,
                ..
            } => Phase::Deferred(*reason, *until_block),
            TicketState::Submitted { .. } => Phase::Submitted,
            TicketState::Mined { block, .. } => Phase::Mined(*block),
            TicketState::Reverted { .. } => Phase::Reverted,
            TicketState::Held { .. } => Phase::Held,
            TicketState::Paid { .. }
            | TicketState::Expired { .. }
            | TicketState::UsedElsewhere { .. }
            | TicketState::Imported { .. } => return None,
        };
        Some(Self {
            hash: ticket.hash,
            sender: ticket.winner.ticket.sender,
            face: ticket.winner.ticket.face_value,
            creation_round: ticket.winner.ticket.expiration.creation_round,
            seq: ticket.seq,
            phase,
            failures: 0,
            alarmed: false,
        })
    }

    /// Whether it may be chosen at this L1 block.
    pub fn is_open(&self, l1_block: u64) -> bool {
        match self.phase {
            Phase::Ready => true,
            Phase::Deferred(_, until) => until <= l1_block,
            _ => false,
        }
    }

    /// Whether its money is still with the sender: no receipt says that it came. What the operator stopped counts for nothing.
    pub fn is_unpaid(&self) -> bool {
        !matches!(self.phase, Phase::Mined(_) | Phase::Held)
    }

    fn place(&self) -> Place {
        Place(self.creation_round, Reverse(self.face), self.seq)
    }
}

/// Urgency: the earliest to expire first, of these the greatest (gas is the same for all), of these the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64, Reverse<U256>, i64);

/// See the module.
#[derive(Debug)]
pub struct Queue {
    places: HashMap<Hash, Place>,
    entries: BTreeMap<Place, Entry>,
    capacity: usize,
    /// Whether the ledger has tickets that did not fit.
    truncated: bool,
}

impl Queue {
    /// Room for `capacity` tickets.
    pub fn new(capacity: usize) -> Self {
        Self {
            places: HashMap::new(),
            entries: BTreeMap::new(),
            capacity: capacity.max(1),
            truncated: false,
        }
    }

    /// Takes a ticket as the ledger has it. One that is done leaves; one that does not fit drives the least urgent out.
    pub fn put(&mut self, ticket: &StoredTicket) {
        let Some(mut entry) = Entry::of(ticket) else {
            self.remove(&ticket.hash);
            return;
        };
        if let Some(known) = self.get(&ticket.hash) {
            (entry.failures, entry.alarmed) = (known.failures, known.alarmed);
        }
        self.places.insert(entry.hash, entry.place());
        self.entries.insert(entry.place(), entry);
        if self.entries.len() > self.capacity
            && let Some((_, dropped)) = self.entries.pop_last()
        {
            self.places.remove(&dropped.hash);
            self.truncated = true;
        }
    }

    /// Forgets a ticket.
    pub fn remove(&mut self, hash: &Hash) {
        if let Some(place) = self.places.remove(hash) {
            self.entries.remove(&place);
        }
    }

    /// One ticket.
    pub fn get(&self, hash: &Hash) -> Option<&Entry> {
        self.entries.get(self.places.get(hash)?)
    }

    /// One ticket, to change what its place does not depend on.
    pub fn get_mut(&mut self, hash: &Hash) -> Option<&mut Entry> {
        self.entries.get_mut(self.places.get(hash)?)
    }

    /// All, the most urgent first.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// All, to change what their place does not depend on.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    /// Those in a phase.
    pub fn hashes(&self, of: impl Fn(&Phase) -> bool) -> Vec<Hash> {
        let found = self.iter().filter(|entry| of(&entry.phase));
        found.map(|entry| entry.hash).collect()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the ledger should be read anew: there was no room, and now there is. Asked once.
    pub fn wants_more(&mut self) -> bool {
        let room = self.truncated && self.len() <= self.capacity / 2;
        if room {
            self.truncated = false;
        }
        room
    }
}
