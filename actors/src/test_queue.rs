//! The real transaction queue over the chain in memory, moved on by hand: tests of whoever sends.

use std::sync::Arc;

use async_trait::async_trait;
use chain::fees::PriceBounds;
use chain::signer::Signer;
use chain::testing::FakeChain;
use chain::transactions::{
    Options, Pending, Purpose, QueueStatus, Request, TransactionError, TransactionQueue,
    TransactionSender,
};
use ledger::Ledger;
use protocol::address::Address;
use protocol::signature::SecretKey;
use tokio::sync::Mutex;

use crate::journal::LedgerJournal;

/// A key of tests.
pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32]).unwrap()
}

/// The account of the node under test.
pub(crate) fn account() -> Address {
    key(1).address()
}

/// A new database; it lasts as long as the directory.
pub(crate) fn ledger(dir: &tempfile::TempDir) -> Ledger {
    let options = ledger::Options {
        chain_id: 1,
        ..ledger::Options::default()
    };
    Ledger::open(dir.path().join(ledger::FILE_NAME), options).unwrap()
}

/// The queue without a task of its own.
#[derive(Clone)]
pub(crate) struct DrivenQueue(Arc<Mutex<TransactionQueue<Arc<FakeChain>, LedgerJournal>>>);

impl DrivenQueue {
    /// Takes up what the journal in `ledger` holds.
    pub(crate) async fn open(chain: &FakeChain, ledger: &Ledger, options: Options) -> Self {
        let journal = LedgerJournal::new(ledger.clone(), account());
        let node = Arc::new(chain.clone());
        let queue = TransactionQueue::open(node, journal, Signer::new(key(1)), options).await;
        Self(Arc::new(Mutex::new(queue.unwrap())))
    }

    /// One step. End points that are down are no failure of the test.
    pub(crate) async fn step(&self, now_ms: u64) {
        drop(self.0.lock().await.step(now_ms).await);
    }
}

#[async_trait]
impl TransactionSender for DrivenQueue {
    fn account(&self) -> Address {
        account()
    }

    async fn submit(&self, request: Request) -> Result<Pending, TransactionError> {
        self.0.lock().await.submit(request).await
    }

    async fn cancel(&self, purpose: Purpose) -> Result<Option<Pending>, TransactionError> {
        Ok(self.0.lock().await.cancel(&purpose))
    }

    async fn status(&self) -> Result<QueueStatus, TransactionError> {
        Ok(self.0.lock().await.status())
    }

    async fn expected_gas(&self, _: [u8; 4]) -> Result<Option<u64>, TransactionError> {
        Ok(None)
    }

    async fn set_bounds(&self, bounds: PriceBounds) -> Result<(), TransactionError> {
        self.0.lock().await.set_bounds(bounds);
        Ok(())
    }
}
