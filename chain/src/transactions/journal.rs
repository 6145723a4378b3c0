//! What must survive the process: which nonce belongs to which purpose, and all that was ever sent under it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::Purpose;
use crate::types::Hash;

/// The journal could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transaction journal: {0}")]
pub struct JournalError(String);

impl JournalError {
    /// In words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A transaction that was sent, or was about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// Its nonce: the key of the open records.
    pub nonce: u64,
    /// What for.
    pub purpose: Purpose,
    /// Hashes of all that was signed under the nonce, oldest first.
    pub hashes: Vec<Hash>,
    /// Signed bytes of the newest.
    pub raw: Vec<u8>,
    /// Index of the first hash that is a cancellation; those behind it are, too.
    pub first_cancel: Option<usize>,
}

/// Why a nonce is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Mined and not reverted.
    Mined {
        /// Which of the hashes.
        hash: Hash,
        /// Block.
        block: u64,
    },
    /// Mined and reverted.
    Reverted {
        /// Which of the hashes.
        hash: Hash,
        /// Block.
        block: u64,
        /// The contract's words.
        reason: String,
    },
    /// The cancellation was mined.
    Cancelled {
        /// Its hash.
        hash: Hash,
        /// Block.
        block: u64,
    },
    /// Another transaction has the nonce; ours can never be mined.
    NonceTaken {
        /// Its hash, where the node could say.
        by: Option<Hash>,
    },
}

/// Where the queue of one account keeps its records.
#[async_trait]
pub trait TransactionJournal: Send + Sync + 'static {
    /// The open records of the account.
    async fn open_records(&self) -> Result<Vec<JournalRecord>, JournalError>;

    /// Puts a record in place of the open one of the same nonce. On the disk when this returns: the bytes leave after.
    async fn save(&self, record: &JournalRecord) -> Result<(), JournalError>;

    /// Closes the open record of a nonce.
    async fn close(&self, nonce: u64, end: &End) -> Result<(), JournalError>;

    /// Hash under which a purpose was mined and not reverted, if it ever was.
    async fn mined(&self, purpose: &Purpose) -> Result<Option<Hash>, JournalError>;
}

#[async_trait]
impl<J: TransactionJournal + ?Sized> TransactionJournal for std::sync::Arc<J> {
    async fn open_records(&self) -> Result<Vec<JournalRecord>, JournalError> {
        (**self).open_records().await
    }

    async fn save(&self, record: &JournalRecord) -> Result<(), JournalError> {
        (**self).save(record).await
    }

    async fn close(&self, nonce: u64, end: &End) -> Result<(), JournalError> {
        (**self).close(nonce, end).await
    }

    async fn mined(&self, purpose: &Purpose) -> Result<Option<Hash>, JournalError> {
        (**self).mined(purpose).await
    }
}

/// A journal that lasts as long as the process: for programs that send once and wait, and for tests.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    open: Mutex<BTreeMap<u64, JournalRecord>>,
    mined: Mutex<BTreeMap<Purpose, Hash>>,
}

#[async_trait]
impl TransactionJournal for MemoryJournal {
    async fn open_records(&self) -> Result<Vec<JournalRecord>, JournalError> {
        Ok(self.open.lock().values().cloned().collect())
    }

    async fn save(&self, record: &JournalRecord) -> Result<(), JournalError> {
        self.open.lock().insert(record.nonce, record.clone());
        Ok(())
    }

    async fn close(&self, nonce: u64, end: &End) -> Result<(), JournalError> {
        let record = self.open.lock().remove(&nonce);
        if let (Some(record), End::Mined { hash, .. }) = (record, end) {
            self.mined.lock().insert(record.purpose, *hash);
        }
        Ok(())
    }

    async fn mined(&self, purpose: &Purpose) -> Result<Option<Hash>, JournalError> {
        Ok(self.mined.lock().get(purpose).copied())
    }
}
