//! The part of the ledger that payments need.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::{Credits, Ledger, LedgerError, NonceEntry, PaymentRecord};
use protocol::address::Address;
use protocol::money::Credit;

/// Answer of the books, to come.
pub type Booked<T> = BoxFuture<'static, Result<T, LedgerError>>;

/// Where balances, prices, nonces and winners survive this process.
///
/// Work is taken at the moment of the call, so the order of calls is the order of effects; the answer says that it is
/// committed, and for a payment with winners that it is on the disk.
pub trait Books: Send + Sync + 'static {
    /// Stores all that one payment changes, or nothing of it.
    fn apply(&self, record: PaymentRecord) -> Booked<()>;

    /// Stores a balance.
    fn set_balance(&self, sender: Address, key: &str, balance: Credit) -> Booked<()>;

    /// Balances of the last run that are younger than `idle`.
    fn load_credits(&self, idle: Duration, limit: u32) -> Booked<Credits>;

    /// Nonces of parameters that end after this L1 block.
    fn load_nonces(&self, l1_block: u64) -> Booked<Vec<NonceEntry>>;

    /// Forgets balances older than `idle` but for those named.
    fn forget_idle(&self, idle: Duration, keep: Vec<(Address, String)>) -> Booked<()>;

    /// Forgets nonces of parameters that ended at or before this L1 block.
    fn purge_nonces(&self, l1_block: u64) -> Booked<()>;
}

impl Books for Ledger {
    fn apply(&self, record: PaymentRecord) -> Booked<()> {
        self.apply_payment(record)
            .map(|done| done.map(drop))
            .boxed()
    }

    fn set_balance(&self, sender: Address, key: &str, balance: Credit) -> Booked<()> {
        Self::set_balance(self, sender, key, balance).boxed()
    }

    fn load_credits(&self, idle: Duration, limit: u32) -> Booked<Credits> {
        Self::load_credits(self, idle, limit).boxed()
    }

    fn load_nonces(&self, l1_block: u64) -> Booked<Vec<NonceEntry>> {
        Self::load_nonces(self, l1_block).boxed()
    }

    fn forget_idle(&self, idle: Duration, keep: Vec<(Address, String)>) -> Booked<()> {
        self.forget_idle_credits(idle, keep)
            .map(|done| done.map(drop))
            .boxed()
    }

    fn purge_nonces(&self, l1_block: u64) -> Booked<()> {
        Self::purge_nonces(self, l1_block)
            .map(|done| done.map(drop))
            .boxed()
    }
}
