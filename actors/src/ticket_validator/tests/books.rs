//! Books in memory that keep what they were told, and fail or wait when ordered to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::FutureExt;
use ledger::{CreditEntry, Credits, LedgerError, NonceEntry, NonceSet, PaymentRecord};
use parking_lot::Mutex;
use protocol::address::Address;
use protocol::money::{Credit, Price, WinningTicket};
use protocol::signature::Hash;
use tokio::sync::watch;

use super::super::{Booked, Books};

/// What happens to the next writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    Busy,
    Panicking,
}

#[derive(Default)]
pub struct State {
    pub credits: BTreeMap<(Address, String), (Credit, Option<Price>)>,
    pub nonces: HashMap<Hash, (u64, NonceSet)>,
    pub winners: Vec<WinningTicket>,
    pub writes: usize,
}

pub struct MemoryBooks {
    pub state: Mutex<State>,
    pub mood: Mutex<Mood>,
    /// Answers wait while it is `false`.
    pub synced: watch::Sender<bool>,
}

impl Default for MemoryBooks {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            mood: Mutex::new(Mood::Well),
            synced: watch::Sender::new(true),
        }
    }
}

impl MemoryBooks {
    pub fn balance(&self, sender: Address, key: &str) -> Option<Credit> {
        let state = self.state.lock();
        let entry = state.credits.get(&(sender, key.to_owned()));
        entry.map(|(balance, _)| *balance)
    }

    fn write(&self, change: impl FnOnce(&mut State)) -> Booked<()> {
        match *self.mood.lock() {
            Mood::Busy => return std::future::ready(Err(LedgerError::Busy)).boxed(),
            Mood::Panicking => panic!("ordered by a test"),
            Mood::Well => {}
        }
        let mut state = self.state.lock();
        state.writes += 1;
        change(&mut state);
        let mut synced = self.synced.subscribe();
        async move {
            drop(synced.wait_for(|synced| *synced).await);
            Ok(())
        }
        .boxed()
    }
}

impl Books for MemoryBooks {
    fn apply(&self, record: PaymentRecord) -> Booked<()> {
        self.write(|state| {
            let entry = state
                .credits
                .entry((record.sender, record.key))
                .or_default();
            entry.0 = record.balance;
            entry.1 = entry.1.or(record.fixed_price);
            for used in record.nonces {
                let nonces = state.nonces.entry(used.rand_hash).or_default();
                nonces.0 = used.expiration_block;
                nonces.1.extend(used.nonces);
            }
            state.winners.extend(record.winners);
        })
    }

    fn set_balance(&self, sender: Address, key: &str, balance: Credit) -> Booked<()> {
        self.write(|state| {
            state.credits.entry((sender, key.to_owned())).or_default().0 = balance;
        })
    }

    fn load_credits(&self, _: Duration, _: u32) -> Booked<Credits> {
        let state = self.state.lock();
        let entries = state
            .credits
            .iter()
            .map(|((sender, key), (balance, price))| CreditEntry {
                sender: *sender,
                key: key.clone(),
                balance: *balance,
                fixed_price: *price,
                used_at: 0,
                idle: Duration::ZERO,
            });
        let credits = Credits {
            entries: entries.collect(),
            ..Credits::default()
        };
        std::future::ready(Ok(credits)).boxed()
    }

    fn load_nonces(&self, l1_block: u64) -> Booked<Vec<NonceEntry>> {
        let mut state = self.state.lock();
        state.nonces.retain(|_, (end, _)| *end > l1_block);
        let entries = state.nonces.iter().map(|(hash, (end, nonces))| NonceEntry {
            rand_hash: *hash,
            expiration_block: *end,
            nonces: nonces.clone(),
        });
        std::future::ready(Ok(entries.collect())).boxed()
    }

    fn forget_idle(&self, _: Duration, keep: Vec<(Address, String)>) -> Booked<()> {
        self.write(|state| state.credits.retain(|key, _| keep.contains(key)))
    }

    fn purge_nonces(&self, l1_block: u64) -> Booked<()> {
        self.write(|state| state.nonces.retain(|_, (end, _)| *end > l1_block))
    }
}
