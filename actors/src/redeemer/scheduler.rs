//! The looks: load, follow, settle, expire, choose, send. Each step leaves the ledger in a state that the next process
//! could go on from.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chain::Hash as ChainHash;
use chain::revert::{RedemptionRevert, Revert};
use chain::transactions::{Mined, Outcome, Pending, Progress, Purpose};
use ledger::ticket::Deferral;
use ledger::{LedgerError, Step, StoredTicket, TicketFilter};
use protocol::address::Address;
use protocol::money::U256;
use protocol::signature::Hash;
use telemetry::metrics::label::{self, RedemptionEnd};
use tokio::time::Instant;

use super::figures::{Figures, deferral_label};
use super::policy::{Life, Purse};
use super::queue::{Phase, Queue};
use super::{Order, RedeemerNews, RedeemerOptions, RedeemerParts, Reply, small};
use crate::duty::{Bell, Duty};
use crate::facts::Rounds;

/// Time without news after which it looks all the same.
const IDLE: Duration = Duration::from_secs(30);
/// Pause after a look that the chain or the database cut short.
const RETRY: Duration = Duration::from_secs(5);
/// Tickets read from the database at a time.
const PAGE: u32 = 500;
/// Tickets newly put off, and senders read, in one look.
pub(super) const BULK: usize = 256;
/// Longest pause of a ticket that keeps failing, L1 blocks: about 13 minutes.
const LONGEST_PAUSE: u64 = 64;

/// A redemption under way.
pub(super) struct Flight {
    pub pending: Pending,
    pub sender: Address,
    pub face: U256,
}

/// A ticket that the contract has as used, not by a transaction of ours that is known to be mined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// Newest block when that was first seen.
    pub since: u64,
    /// Looks since.
    pub looks: u32,
}

/// Why a look ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// The database refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The transaction queue refused.
    #[error(transparent)]
    Transactions(#[from] chain::transactions::TransactionError),
}

/// See the module.
pub struct Redeemer {
    pub(super) options: RedeemerOptions,
    pub(super) parts: RedeemerParts,
    pub(super) queue: Queue,
    pub(super) flights: HashMap<Hash, Flight>,
    pub(super) figures: Figures,
    /// Place of the last ticket read.
    last_seq: i64,
    /// Newest block whose events are known.
    pub(super) head: u64,
    /// Sent tickets without a transaction in sight, to be looked into.
    pub(super) lost: BTreeSet<Hash>,
    /// Since when such a ticket is said to be used.
    pub(super) searches: HashMap<Hash, Search>,
    /// In which transaction somebody else redeemed a ticket.
    pub(super) seen_in: HashMap<Hash, ChainHash>,
    /// Mined tickets whose receipt must be read again.
    pub(super) doubted: BTreeSet<Hash>,
    /// Tickets that somebody is said to have redeemed, and in which transaction.
    pub(super) rumours: Vec<(Hash, ChainHash)>,
    pub(super) orders: Vec<(Order, Reply)>,
    /// Funds as read at an L1 block.
    pub(super) purses: HashMap<Address, Purse>,
    pub(super) purses_at: u64,
    /// L1 block up to which waiting tickets were released.
    pub(super) released: u64,
    /// Round for which tickets were expired, and rounds of a ticket's life.
    pub(super) expired: Option<u64>,
    pub(super) validity: u64,
    pub(super) held: bool,
    started: bool,
}

impl Redeemer {
    /// Takes up what the database has at its first look.
    pub fn new(options: RedeemerOptions, parts: RedeemerParts) -> Self {
        Self {
            queue: Queue::new(options.capacity),
            options,
            parts,
            flights: HashMap::new(),
            figures: Figures::default(),
            last_seq: 0,
            head: 0,
            lost: BTreeSet::new(),
            searches: HashMap::new(),
            seen_in: HashMap::new(),
            doubted: BTreeSet::new(),
            rumours: Vec::new(),
            orders: Vec::new(),
            purses: HashMap::new(),
            purses_at: 0,
            released: 0,
            expired: None,
            validity: 0,
            held: false,
            started: false,
        }
    }

    /// Moves a ticket, here and in the ledger. A step that its state does not allow leaves it as the ledger has it.
    pub(super) async fn step(&mut self, ticket: Hash, step: Step) -> Result<StoredTicket, Trouble> {
        let kind = step.kind();
        let moved = match self.parts.ledger.step_ticket(ticket, step).await {
            Err(LedgerError::IllegalStep(illegal)) => {
                tracing::debug!(%illegal, ?kind, ticket = %ledger::hash_text(&ticket), "step not taken");
                self.parts.ledger.ticket(ticket).await?
            }
            other => other?,
        };
        self.queue.put(&moved);
        self.figures.changed();
        Ok(moved)
    }

    /// Puts a ticket off. Written only when the reason is another one, or there is a block to wait for.
    pub(super) async fn defer(
        &mut self,
        ticket: Hash,
        reason: Deferral,
        detail: String,
        until_block: u64,
    ) -> Result<(), Trouble> {
        if until_block == 0 && self.is_deferred(&ticket, reason) {
            return Ok(());
        }
        self.figures.last_deferral = Some(format!("{}: {detail}", reason.as_str()));
        self.parts.metrics.deferred(deferral_label(reason));
        let step = Step::Defer {
            reason,
            detail,
            until_block,
        };
        self.step(ticket, step).await?;
        Ok(())
    }

    pub(super) fn is_deferred(&self, ticket: &Hash, reason: Deferral) -> bool {
        let phase = self.queue.get(ticket).map(|entry| entry.phase);
        matches!(phase, Some(Phase::Deferred(old, _)) if old == reason)
    }

    /// Puts a ticket off after a failure of its own, longer each time.
    async fn back_off(
        &mut self,
        ticket: Hash,
        reason: Deferral,
        detail: String,
    ) -> Result<(), Trouble> {
        let l1_block = self.parts.rounds.load().l1_block;
        let failures = match self.queue.get_mut(&ticket) {
            Some(entry) => {
                entry.failures += 1;
                entry.failures
            }
            None => 1,
        };
        let pause = 2u64.saturating_pow(failures - 1).min(LONGEST_PAUSE);
        self.defer(ticket, reason, detail, l1_block + pause).await
    }

    // ---- load ----

    /// Reads tickets that are not known yet.
    async fn load(&mut self) -> Result<(), Trouble> {
        if self.queue.wants_more() {
            self.last_seq = 0;
        }
        loop {
            let filter = TicketFilter {
                limit: PAGE,
                ..TicketFilter::unfinished().after(self.last_seq)
            };
            let page = self.parts.ledger.tickets(filter).await?;
            for problem in &page.unreadable {
                tracing::error!("a ticket of the database cannot be read: {problem}");
            }
            for ticket in &page.tickets {
                self.last_seq = self.last_seq.max(ticket.seq);
                self.queue.put(ticket);
                self.figures.changed();
            }
            match page.next {
                Some(next) => self.last_seq = self.last_seq.max(next),
                None => return Ok(()),
            }
        }
    }

    /// Joins transactions of the last run, and looks into tickets whose transaction the queue does not have.
    async fn resume(&mut self) -> Result<(), Trouble> {
        let status = self.parts.transactions.status().await?;
        for ticket in self.queue.hashes(|phase| *phase == Phase::Submitted) {
            let purpose = Purpose::Redeem(ChainHash(ticket));
            if status.transactions.iter().any(|t| t.purpose == purpose) {
                self.launch(ticket).await?;
            } else {
                self.lost.insert(ticket);
            }
        }
        self.doubted
            .extend(self.queue.hashes(|phase| matches!(phase, Phase::Mined(_))));
        Ok(())
    }

    // ---- follow ----

    /// Takes what became of transactions under way.
    async fn follow(&mut self) -> Result<(), Trouble> {
        let done: Vec<_> = self
            .flights
            .iter()
            .filter_map(|(ticket, flight)| match flight.pending.now() {
                Progress::Done(outcome) => Some((*ticket, outcome)),
                _ => None,
            })
            .collect();
        for (ticket, outcome) in done {
            self.land(ticket, outcome).await?;
            // only now: what could not be stored is taken again at the next look
            if let Some(flight) = self.flights.remove(&ticket)
                && let Some(senders) = &self.parts.senders
            {
                senders.refresh(flight.sender).await;
            }
        }
        let sent: Vec<_> = self
            .flights
            .iter()
            .filter(|(_, flight)| matches!(flight.pending.now(), Progress::Sent { .. }))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in sent {
            let known = self.queue.get(&ticket).map(|entry| entry.phase);
            if known.is_some_and(|phase| phase != Phase::Submitted) {
                let stored = self.parts.ledger.ticket(ticket).await?;
                self.queue.put(&stored);
                self.figures.changed();
            }
        }
        Ok(())
    }

    async fn land(&mut self, ticket: Hash, outcome: Outcome) -> Result<(), Trouble> {
        if let Some(flight) = self.flights.get(&ticket) {
            self.purses.remove(&flight.sender);
        }
        match outcome {
            Outcome::Mined(mined) => {
                self.spent(mined.cost());
                self.book(ticket, &mined).await
            }
            Outcome::Reverted(mined, revert) => {
                self.spent(mined.cost());
                self.parts.metrics.failed();
                self.parts.metrics.ended(RedemptionEnd::Reverted);
                tracing::error!(ticket = %ledger::hash_text(&ticket), tx = %mined.hash, reason = %revert, "Error redeeming err=\"transaction failed txHash={}\"", mined.hash);
                let step = Step::Revert {
                    tx: mined.hash.0,
                    reason: revert.to_string(),
                };
                self.step(ticket, step).await?;
                Ok(())
            }
            Outcome::Refused(revert) => self.refused(ticket, &revert).await,
            Outcome::Expired => {
                let note = "it could not be sent in time";
                let stored = self.parts.ledger.ticket(ticket).await?;
                self.queue.put(&stored);
                self.back_off(ticket, Deferral::Chain, note.into()).await
            }
            Outcome::Cancelled(mined) => {
                if let Some(mined) = mined {
                    self.spent(mined.cost());
                }
                self.step(ticket, Step::Drop).await?;
                Ok(())
            }
            Outcome::Unknown { .. } => {
                self.lost.insert(ticket);
                Ok(())
            }
        }
    }

    /// A receipt with success: the money that really came.
    pub(super) async fn book(&mut self, ticket: Hash, mined: &Mined) -> Result<(), Trouble> {
        let broker = crate::round_tracker::broker(&*self.parts.client);
        let step = Step::Mine {
            tx: mined.hash.0,
            block: mined.block,
            paid: mined.paid(broker),
            cost: mined.cost(),
        };
        self.step(ticket, step).await?;
        self.searches.remove(&ticket);
        Ok(())
    }

    /// Tells the floats of senders what they owe: every winner that the chain has not paid yet, in flight or not. Work for
    /// more than a sender has is work for nothing.
    fn show_owed(&self) {
        let Some(senders) = &self.parts.senders else {
            return;
        };
        let mut owed: HashMap<Address, U256> = HashMap::new();
        for entry in self.queue.iter().filter(|entry| entry.is_unpaid()) {
            let sum = owed.entry(entry.sender).or_default();
            *sum = sum.saturating_add(entry.face);
        }
        senders.set_owed(owed);
    }

    fn spent(&self, wei: U256) {
        self.parts.metrics.cost(small(wei));
    }

    /// The simulation was refused, so nothing was sent.
    async fn refused(&mut self, ticket: Hash, revert: &Revert) -> Result<(), Trouble> {
        use RedemptionRevert as Why;
        // a transaction that was taken back may have left its mark
        let stored = self.parts.ledger.ticket(ticket).await?;
        self.queue.put(&stored);
        let detail = revert.to_string();
        match Why::classify(revert) {
            Why::Used => {
                self.lost.insert(ticket);
                Ok(())
            }
            Why::Expired => {
                // the round decides, and it is read from the chain
                self.expired = None;
                self.back_off(ticket, Deferral::Simulation, detail).await
            }
            Why::RoundNotInitialized => {
                self.defer(ticket, Deferral::RoundNotInitialized, detail, 0)
                    .await
            }
            Why::Funds | Why::SenderUnlocked => {
                self.back_off(ticket, Deferral::SenderFunds, detail).await
            }
            Why::Invalid => {
                self.parts.metrics.failed();
                tracing::error!(ticket = %ledger::hash_text(&ticket), reason = %detail, "the contract refuses this ticket");
                let reason = match detail.contains("does not have a block hash") {
                    true => Deferral::RoundHash,
                    false => Deferral::Simulation,
                };
                // nothing but another round could change its mind
                let rounds = self.parts.rounds.get();
                let until = rounds.l1_block + rounds.blocks_left().max(LONGEST_PAUSE);
                self.defer(ticket, reason, detail, until).await
            }
            Why::Paused | Why::RecipientInactive | Why::Unknown => {
                self.parts.metrics.failed();
                tracing::warn!(ticket = %ledger::hash_text(&ticket), reason = %detail, "Error redeeming err={detail:?}");
                self.back_off(ticket, Deferral::Simulation, detail).await
            }
        }
    }

    // ---- time ----

    /// What time does to tickets: parameters end, rounds end.
    async fn age(&mut self, rounds: &Rounds) -> Result<(), Trouble> {
        if rounds.l1_block > self.released {
            self.parts.ledger.release_tickets(rounds.l1_block).await?;
            for entry in self.queue.iter_mut() {
                if matches!(entry.phase, Phase::Waiting(until) if until <= rounds.l1_block) {
                    entry.phase = Phase::Ready;
                    self.figures.changed();
                }
            }
            self.released = rounds.l1_block;
        }
        if self.expired != Some(rounds.current) {
            self.expire().await?;
        }
        self.alarm(rounds);
        Ok(())
    }

    /// Ends what the contract takes no more, by the chain's own word.
    async fn expire(&mut self) -> Result<(), Trouble> {
        self.validity = self.parts.client.ticket_validity_period().await?;
        let current = self.parts.client.rounds().await?.value.current;
        if !self.last_question(current).await? {
            return Ok(());
        }
        let gone = self
            .parts
            .ledger
            .expire_tickets(current, self.validity)
            .await?;
        for ticket in gone {
            if let Some(entry) = self.queue.get(&ticket) {
                tracing::error!(ticket = %ledger::hash_text(&ticket), sender = %entry.sender, face_value = %entry.face, phase = ?entry.phase, "a winning ticket expired unpaid");
            }
            self.queue.remove(&ticket);
            self.lost.remove(&ticket);
            self.parts.metrics.ended(RedemptionEnd::Expired);
            self.figures.changed();
        }
        self.expired = Some(current);
        Ok(())
    }

    /// Asks whether tickets that are about to expire were redeemed after all; `false` while that is not settled.
    async fn last_question(&mut self, current: u64) -> Result<bool, Trouble> {
        let validity = self.validity;
        let dying: Vec<ChainHash> = self
            .queue
            .iter()
            .take_while(|entry| entry.creation_round.saturating_add(validity) <= current)
            .filter(|entry| !matches!(entry.phase, Phase::Submitted | Phase::Mined(_)))
            .map(|entry| ChainHash(entry.hash))
            .collect();
        let mut settled = true;
        for some in dying.chunks(BULK) {
            let used = self.parts.client.used_tickets(some).await?;
            for (ticket, _) in some.iter().zip(used).filter(|(_, used)| *used) {
                settled &= self.search(ticket.0).await?;
            }
        }
        Ok(settled)
    }

    fn alarm(&mut self, rounds: &Rounds) {
        let validity = self.validity;
        for entry in self.queue.iter_mut() {
            let life = Life {
                creation_round: entry.creation_round,
                validity,
            };
            // in order of rounds: the rest has time
            if life.last_round() > rounds.current {
                break;
            }
            if !entry.alarmed && entry.is_unpaid() {
                entry.alarmed = true;
                tracing::warn!(ticket = %ledger::hash_text(&entry.hash), sender = %entry.sender, face_value = %entry.face, phase = ?entry.phase, "a winning ticket is in its last round");
            }
        }
    }

    // ---- the look ----

    async fn see(&mut self) -> Result<(), Trouble> {
        self.load().await?;
        let rounds = self.parts.rounds.get();
        if !self.started {
            self.recall_hold().await?;
            self.resume().await?;
            self.started = true;
        }
        self.obey().await;
        self.follow().await?;
        self.prove().await?;
        if rounds.length == 0 {
            return Ok(());
        }
        self.age(&rounds).await?;
        self.choose(&rounds).await
    }

    /// Tickets that are sent or mined and not done.
    fn is_busy(&self) -> bool {
        !self.flights.is_empty() || !self.lost.is_empty() || !self.doubted.is_empty()
    }
}

/// Rings at each change of a transaction.
pub(super) fn wake_on_change(mut pending: Pending, bell: Bell) {
    tokio::spawn(async move {
        while let Ok(progress) = pending.changed().await {
            bell.ring();
            if matches!(progress, Progress::Done(_)) {
                return;
            }
        }
        bell.ring();
    });
}

impl Duty for Redeemer {
    type News = RedeemerNews;

    fn take(&mut self, news: RedeemerNews) {
        match news {
            RedeemerNews::Block(number) => self.head = number,
            RedeemerNews::Funds(sender) => {
                self.purses.remove(&sender);
            }
            RedeemerNews::Redeemed {
                recipient,
                ticket,
                transaction,
            } => {
                if recipient == self.options.recipient {
                    self.rumours.push((ticket, transaction));
                }
            }
            RedeemerNews::Reorg(to) => {
                self.purses.clear();
                self.expired = None;
                let undone = |phase: &Phase| matches!(phase, Phase::Mined(block) if *block > to);
                self.doubted.extend(self.queue.hashes(undone));
            }
            RedeemerNews::Order(order, reply) => self.orders.push((order, reply)),
            RedeemerNews::Other => {}
        }
    }

    async fn look(&mut self) -> Duration {
        let seen = self.see().await;
        // orders are answered also while the chain is away
        self.obey().await;
        self.show_owed();
        if let Err(trouble) = &seen {
            tracing::warn!(error = %trouble, "redemption goes on later");
            self.figures.last_deferral = Some(format!("chain: {trouble}"));
            if matches!(trouble, Trouble::Chain(_)) {
                self.parts.metrics.deferred(label::Deferral::Chain);
            }
        }
        self.show(Instant::now()).await;
        match seen {
            Err(_) => RETRY,
            Ok(()) if self.is_busy() => RETRY,
            Ok(()) => IDLE,
        }
    }
}
