//! The state of one shard of senders, and what a payment does to it. No runtime, no clock, no disk: those are told.

use std::collections::HashMap;

use ledger::{Credits, NonceEntry, NonceSet, NonceUse, PaymentRecord};
use protocol::address::Address;
use protocol::money::{Amount, Credit, MAX_NONCES, PaymentError, Price, WinningTicket};
use protocol::signature::Hash;
use telemetry::metrics::PaymentMetrics;
use tokio::time::Instant;

use super::PaymentRefusal;
use super::check::CheckedBatch;
use super::session::{BalanceView, CreditTerms, DEBT_KEPT, IDLE, Reserved, Sender, Session};

/// L1 blocks, about an hour, for which nonces are kept after their parameters have ended: the L1 number that this node
/// sees may go back by so much over a restart or to another end point, and no ticket counts twice.
pub(super) const NONCES_KEPT_BLOCKS: u64 = 300;

/// Nonces of one set of parameters.
#[derive(Debug, Default)]
struct Nonces {
    seen: NonceSet,
    expiration_block: u64,
    /// Those whose tickets won and are in the books, so that a replay costs no second write.
    won: Vec<u32>,
}

/// A payment that passed the checks without state.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) sender: Address,
    pub(super) key: String,
    /// Name of the stream, for metrics.
    pub(super) stream: String,
    /// What the sender believes to pay.
    pub(super) sent_price: Option<Price>,
    pub(super) batch: Option<CheckedBatch>,
    /// Units of work that the payment opens; `None` when it only pays ahead.
    pub(super) units: Option<u64>,
    /// Price of a sender without session: what it is quoted now. `None` when it cannot be quoted.
    pub(super) list_price: Option<Price>,
}

/// What a payment came to, before it is in the books.
#[derive(Debug)]
pub(super) struct Judged {
    /// What to tell, once it is.
    pub(super) verdict: Result<Accepted, PaymentRefusal>,
    /// What to store; `None` when nothing changed.
    pub(super) record: Option<PaymentRecord>,
    /// What to take back should that fail.
    pub(super) undo: Undo,
    /// Tickets credited.
    pub(super) tickets: u64,
    /// What they are worth.
    pub(super) credited: Amount,
    /// Refusals of single tickets and of the payment, to be counted.
    pub(super) refusals: Vec<PaymentRefusal>,
}

/// An accepted payment.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Price of the session.
    pub(super) price: Price,
    /// Balance after it.
    pub(super) balance: Credit,
    /// Work taken on, with its estimated price.
    pub(super) reserved: Option<(Reserved, Amount)>,
}

/// How to take a payment back that could not be stored.
#[derive(Debug, Default)]
pub(super) struct Undo {
    sender: Address,
    key: String,
    credited: Amount,
    fixed: bool,
    rand_hash: Hash,
    won: Vec<u32>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shard {
    senders: HashMap<Address, Sender>,
    nonces: HashMap<Hash, Nonces>,
    purged_at: u64,
}

impl Shard {
    /// The state that the books hold, as far as `mine` says that a sender belongs here.
    pub(super) fn from_books(
        credits: Credits,
        nonces: Vec<NonceEntry>,
        mine: impl Fn(Address) -> bool,
        now: Instant,
    ) -> Self {
        let mut shard = Self::default();
        let entries = credits.entries.into_iter();
        for entry in entries.filter(|entry| mine(entry.sender)) {
            let kept = if entry.balance.is_negative() {
                DEBT_KEPT
            } else {
                IDLE
            };
            if entry.idle > kept {
                continue;
            }
            let session = Session {
                balance: entry.balance,
                fixed: entry.fixed_price,
                restored: true,
                used: now.checked_sub(entry.idle).unwrap_or(now),
                ..Session::new(now)
            };
            let sender = shard.senders.entry(entry.sender).or_default();
            sender.sessions.insert(entry.key, session);
        }
        // nonces do not name their sender: each shard keeps all, which is little
        for entry in nonces {
            let nonces = Nonces {
                seen: entry.nonces,
                expiration_block: entry.expiration_block,
                won: Vec::new(),
            };
            shard.nonces.insert(entry.rand_hash, nonces);
        }
        shard
    }

    /// Judges a payment and books it here at once. `l1_block` is the greatest L1 block seen.
    pub(super) fn receive(
        &mut self,
        arrival: Arrival,
        terms: &CreditTerms,
        l1_block: u64,
        now: Instant,
        metrics: &PaymentMetrics,
    ) -> Judged {
        self.purge(l1_block);
        let (address, key) = (arrival.sender, arrival.key);
        let fixed = self
            .session(address, &key)
            .and_then(|session| session.fixed);
        let mut judged = Judged {
            verdict: Err(PaymentRefusal::Balance),
            record: None,
            undo: Undo {
                sender: address,
                key: key.clone(),
                ..Undo::default()
            },
            tickets: 0,
            credited: Amount::ZERO,
            refusals: Vec::new(),
        };
        // tickets prove that this node quoted their price: discovery quotes the price of the day, whoever has a session
        if let (Some(sent), Some(fixed)) = (arrival.sent_price, fixed)
            && sent < fixed
            && arrival.batch.is_none()
        {
            judged.refuse(
                PaymentError::PriceTooLow {
                    sent: Box::new(sent),
                    fixed: Box::new(fixed),
                }
                .into(),
            );
            return judged;
        }
        let ticket_value = arrival.batch.as_ref().map(|batch| batch.value);
        let error = match &arrival.batch {
            Some(batch) => self.take_tickets(address, &key, batch, l1_block, &mut judged),
            None => None,
        };
        if judged.record.is_some() {
            let sender = self.senders.entry(address).or_default();
            let session = sender.session(&key, now);
            session.used = now;
            if !judged.credited.is_zero() {
                session.balance.credit(judged.credited);
                let least = session.ticket_value.into_iter().chain(ticket_value).min();
                session.ticket_value = least;
                if session.fixed.is_none() {
                    session.fixed = arrival.batch.as_ref().map(|batch| batch.price);
                    judged.undo.fixed = true;
                }
            }
            let payer = session
                .payer
                .get_or_insert_with(|| metrics.payer(&arrival.stream, &address.to_string()));
            let winners = judged
                .record
                .as_ref()
                .map_or(0, |record| record.winners.len());
            payer.credited(
                judged.tickets,
                winners as u64,
                u128::try_from(judged.credited.whole_wei()).unwrap_or(u128::MAX),
            );
            if let Some(record) = &mut judged.record {
                record.balance = session.balance;
                record.fixed_price = session.fixed.filter(|_| judged.undo.fixed);
            }
        }
        if let Some(error) = error {
            judged.verdict = Err(error.into());
            return judged;
        }
        let verdict = self.open(address, &key, arrival.list_price, arrival.units, terms);
        match verdict {
            Ok(accepted) => judged.verdict = Ok(accepted),
            Err(refusal) => judged.refuse(refusal),
        }
        judged
    }

    /// Looks at each ticket of a batch: the last error, and what is to be booked for the tickets before the first one.
    fn take_tickets(
        &mut self,
        sender: Address,
        key: &str,
        batch: &CheckedBatch,
        l1_block: u64,
        judged: &mut Judged,
    ) -> Option<PaymentError> {
        let rand_hash = batch.params.recipient_rand_hash;
        let mut known = self.nonces.remove(&rand_hash).unwrap_or_default();
        known.expiration_block = batch.params.expiration_block;
        let mut error = None;
        let mut winners: Vec<WinningTicket> = Vec::new();
        let mut used = Vec::new();
        for ticket in &batch.tickets {
            let refused = if !ticket.signed {
                Some(PaymentError::Signature)
            } else if known.seen.contains(ticket.nonce) {
                Some(PaymentError::NonceSeen {
                    sender,
                    nonce: ticket.nonce,
                })
            } else if known.seen.len() >= MAX_NONCES {
                Some(PaymentError::NonceLimit {
                    sender,
                    nonce: ticket.nonce,
                })
            } else {
                known.seen.insert(ticket.nonce);
                used.push(ticket.nonce);
                (l1_block >= batch.params.expiration_block).then_some(PaymentError::Expired)
            };
            if let Some(winner) = &ticket.winner
                && !known.won.contains(&ticket.nonce)
            {
                known.won.push(ticket.nonce);
                winners.push(**winner);
            }
            match refused {
                Some(refused) => {
                    judged.refusals.push(refused.clone().into());
                    error = Some(refused);
                }
                None if error.is_none() => {
                    judged.tickets += 1;
                    judged.credited = judged.credited.plus(batch.value);
                }
                None => {}
            }
        }
        if !known.seen.is_empty() {
            self.nonces.insert(rand_hash, known);
        }
        if used.is_empty() && winners.is_empty() {
            return error;
        }
        judged.undo.rand_hash = rand_hash;
        judged.undo.credited = judged.credited;
        judged.undo.won = winners.iter().map(|winner| winner.ticket.nonce).collect();
        judged.record = Some(PaymentRecord {
            sender,
            key: key.to_owned(),
            nonces: vec![NonceUse {
                rand_hash,
                expiration_block: batch.params.expiration_block,
                nonces: used,
            }],
            winners,
            ..PaymentRecord::default()
        });
        error
    }

    /// The price of the session and whether the work may begin.
    fn open(
        &mut self,
        address: Address,
        key: &str,
        list_price: Option<Price>,
        units: Option<u64>,
        terms: &CreditTerms,
    ) -> Result<Accepted, PaymentRefusal> {
        let session = self.session(address, key);
        let balance = session.map_or(Credit::ZERO, |session| session.balance);
        let fixed = session.and_then(|session| session.fixed);
        let Some(units) = units else {
            return Ok(Accepted {
                price: fixed.or(list_price).unwrap_or_default(),
                balance,
                reserved: None,
            });
        };
        // no price of its own: only what is free for everybody is free
        let price = fixed.or(list_price).ok_or(PaymentRefusal::Balance)?;
        let reserved = match self.senders.get_mut(&address) {
            Some(sender) => sender.take_on(key, &price, units, terms)?,
            None if price.is_zero() => None,
            None => return Err(PaymentRefusal::Balance),
        };
        Ok(Accepted {
            price,
            balance,
            reserved,
        })
    }

    /// Takes back what could not be stored: the balance to store instead, if its session is still there.
    pub(super) fn undo(&mut self, undo: Undo) -> Option<Credit> {
        // the nonces stay used: honest senders make new tickets, and a replay must find them
        if let Some(nonces) = self.nonces.get_mut(&undo.rand_hash) {
            nonces.won.retain(|nonce| !undo.won.contains(nonce));
        }
        let session = self
            .senders
            .get_mut(&undo.sender)?
            .sessions
            .get_mut(&undo.key)?;
        session.balance.debit(undo.credited);
        if undo.fixed {
            session.fixed = None;
        }
        Some(session.balance)
    }

    /// Charges work that was done. Saves the balance to store. `only_covered` refuses instead of going below zero.
    pub(super) fn debit(
        &mut self,
        address: Address,
        key: &str,
        charge: Amount,
        only_covered: bool,
        now: Instant,
    ) -> Result<Credit, PaymentRefusal> {
        let sender = self.senders.entry(address).or_default();
        let session = sender.session(key, now);
        if only_covered && !session.balance.covers(charge) {
            return Err(PaymentRefusal::Balance);
        }
        session.balance.debit(charge);
        session.used = now;
        if let Some(payer) = &session.payer {
            payer.debited(u128::try_from(charge.whole_wei()).unwrap_or(u128::MAX));
        }
        let balance = session.balance;
        sender.worked = sender.worked.plus(charge);
        Ok(balance)
    }

    pub(super) fn session(&self, sender: Address, key: &str) -> Option<&Session> {
        self.senders.get(&sender)?.sessions.get(key)
    }

    /// Forgets what is idle; names what is not.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<(Address, String)> {
        self.senders.retain(|_, sender| !sender.sweep(now));
        let named = self.senders.iter().flat_map(|(address, sender)| {
            sender.sessions.keys().map(|key| (*address, key.clone()))
        });
        named.collect()
    }

    /// Drops nonces whose parameters ended long ago by the clock that refuses their tickets.
    fn purge(&mut self, l1_block: u64) {
        if l1_block > self.purged_at {
            self.purged_at = l1_block;
            self.nonces.retain(|_, nonces| {
                nonces.expiration_block.saturating_add(NONCES_KEPT_BLOCKS) > l1_block
            });
        }
    }

    /// Credit not worked off and work not paid.
    pub(super) fn totals(&self) -> (Amount, Amount) {
        self.senders.values().fold(
            (Amount::ZERO, Amount::ZERO),
            |(credit, exposure), sender| {
                let sessions = sender.sessions.values();
                let paid = sessions
                    .filter(|session| !session.balance.is_negative())
                    .map(|session| session.balance.magnitude())
                    .fold(credit, Amount::plus);
                (paid, exposure.plus(sender.exposure()))
            },
        )
    }

    pub(super) fn views(&self) -> Vec<BalanceView> {
        let mut views = Vec::new();
        for (address, sender) in &self.senders {
            for (key, session) in &sender.sessions {
                views.push(BalanceView {
                    sender: address.to_string(),
                    key: key.clone(),
                    balance: session.balance.to_string(),
                    fixed_price: session.fixed.map(|price| price.to_string()),
                    in_work: session.reserved.lock().to_string(),
                });
            }
        }
        views
    }

    #[cfg(test)]
    pub(super) fn nonce_sets(&self) -> usize {
        self.nonces.len()
    }
}

impl Judged {
    fn refuse(&mut self, refusal: PaymentRefusal) {
        self.refusals.push(refusal.clone());
        self.verdict = Err(refusal);
    }
}
