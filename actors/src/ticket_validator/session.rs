//! Balances: what a sender has paid ahead for one session, at which price, and what is being worked off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::money::{Amount, Credit, MAX_NONCES, Price};
use serde::Serialize;
use telemetry::metrics::PayerMetrics;
use tokio::time::Instant;

use super::PaymentRefusal;

/// Time without credit or debit after which a session is forgotten. Gateways forget after 10 to 20 minutes.
pub(super) const IDLE: Duration = Duration::from_secs(20 * 60);
/// Time for which work that was not paid counts against its sender.
pub(super) const DEBT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What the operator asks of senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditTerms {
    /// Expected value of a ticket (`-ticketEV`): credit that opens work of a sender with history.
    pub ev: Amount,
    /// Ask senders without history for what their work is estimated to cost (`-creditByEstimate`).
    pub by_estimate: bool,
    /// Most unpaid work of one sender over all its sessions (`-maxSenderExposure`); `None` = no limit.
    pub max_exposure: Option<Amount>,
}

/// Estimated price of work in progress; shared with the guards that give it back.
pub(super) type Reserved = Arc<Mutex<Amount>>;

/// One session of a sender.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) balance: Credit,
    /// Price of its first paid use.
    pub(super) fixed: Option<Price>,
    pub(super) reserved: Reserved,
    /// Least value of a ticket that it was paid with since this process started.
    pub(super) ticket_value: Option<Amount>,
    /// Came from the books: what its tickets were worth is not known any more.
    pub(super) restored: bool,
    pub(super) used: Instant,
    pub(super) payer: Option<PayerMetrics>,
}

impl Session {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            balance: Credit::ZERO,
            fixed: None,
            reserved: Reserved::default(),
            ticket_value: None,
            restored: false,
            used: now,
            payer: None,
        }
    }

    /// Work in progress or done that its credit does not cover.
    fn unpaid(&self) -> Amount {
        self.balance.missing_to(*self.reserved.lock())
    }

    fn is_idle(&self, now: Instant) -> bool {
        let kept = if self.balance.is_negative() {
            DEBT_KEPT
        } else {
            IDLE
        };
        self.reserved.lock().is_zero() && now.duration_since(self.used) > kept
    }
}

/// Everything about one sender.
#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) sessions: HashMap<String, Session>,
    /// What it has been charged for since this process started: for as much, it is trusted.
    pub(super) worked: Amount,
}

impl Sender {
    /// Work in progress or done that no ticket has paid, over all sessions.
    pub(super) fn exposure(&self) -> Amount {
        self.sessions
            .values()
            .map(Session::unpaid)
            .fold(Amount::ZERO, Amount::plus)
    }

    pub(super) fn session(&mut self, key: &str, now: Instant) -> &mut Session {
        self.sessions
            .entry(key.to_owned())
            .or_insert_with(|| Session::new(now))
    }

    /// Takes work of `units` units at `price` on, if the credit of the session allows it.
    ///
    /// A sender that has paid for as much before needs the value of one ticket, as peers expect. Another one needs the
    /// estimate, which honest gateways cover: they send `ceil((max(1.02 × estimate, ticket) − credit) / ticket)`
    /// tickets. No more than one set of parameters can bring is ever asked.
    pub(super) fn take_on(
        &mut self,
        key: &str,
        price: &Price,
        units: u64,
        terms: &CreditTerms,
    ) -> Result<Option<(Reserved, Amount)>, PaymentRefusal> {
        if price.is_zero() {
            return Ok(None);
        }
        let session = self.sessions.get(key).ok_or(PaymentRefusal::Balance)?;
        let ticket = session
            .ticket_value
            .map_or(terms.ev, |value| value.min(terms.ev));
        let estimate = Amount::charge(price, units);
        // its gateway still counts in tickets of before the restart, which may have been smaller
        let threshold = match session.restored && session.ticket_value.is_none() {
            true => Amount::ZERO,
            false => ticket,
        };
        if !session.balance.covers(threshold) {
            return Err(PaymentRefusal::Balance);
        }
        if terms.by_estimate && self.worked < estimate {
            let asked = estimate.min(ticket.times(MAX_NONCES as u32));
            let in_work = *session.reserved.lock();
            if !session.balance.covers(in_work.plus(asked)) {
                return Err(PaymentRefusal::Balance);
            }
        }
        let reserved = Arc::clone(&session.reserved);
        let before = *reserved.lock();
        *reserved.lock() = before.plus(estimate);
        if terms
            .max_exposure
            .is_some_and(|most| self.exposure() > most)
        {
            *reserved.lock() = before;
            return Err(PaymentRefusal::Exposure);
        }
        Ok(Some((reserved, estimate)))
    }

    /// Forgets idle sessions; `true` when nothing is left.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        self.sessions.retain(|_, session| !session.is_idle(now));
        self.sessions.is_empty()
    }
}

/// A balance as operators and tests see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BalanceView {
    /// Who pays.
    pub sender: String,
    /// For what: a session or manifest ID.
    pub key: String,
    /// Credits less debits, wei, with up to three decimals.
    pub balance: String,
    /// Price of the first paid use, wei per unit.
    pub fixed_price: Option<String>,
    /// Estimated price of work in progress, wei.
    pub in_work: String,
}
