//! What must survive the process: winning tickets, credits, fixed prices, rounds, in the SQLite file that the reference leaves behind.
//!
//! [`Ledger::open`] takes over `lpdb.sqlite3` of the reference's data directory: its five tables stay as it made them
//! and are kept in step, ours stand beside them (`orn_…`), and after [`Ledger::close`] the reference can have the file
//! back. One process holds the file; one thread of it writes (`writer.rs` says what an answer promises).
//!
//! Every method puts its work into the queue at the moment it is called and gives a [`Pending`] answer, so **the order
//! of calls is the order of effects**, whether or not the answers are awaited.
//!
//! | file | what |
//! |---|---|
//! | `open` | whose file it is, soundness, versions, back-up, lock |
//! | `schema` | the tables and our migrations |
//! | `writer` | queue, group commit, sync |
//! | `ticket` | states of a winning ticket and their transitions, what an operator sees |
//! | `nonces` | nonces in use of one set of parameters |
//! | `text` | the reference's forms of addresses, hashes and integers |
//! | `store/…` | statements, one file per subject |

mod error;
mod nonces;
mod open;
mod schema;
mod store;
mod text;
pub mod ticket;
mod wire;
mod writer;

/// Reading and writing single rows, for whoever tests them with rows of any content.
pub mod rows {
    pub use crate::store::credits::{read_credit, read_nonces};
    pub use crate::ticket::queue::{
        columns_of as write_winner, read_state, read_winner, state_text as write_state,
    };
}

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

pub use self::error::LedgerError;
pub use self::nonces::NonceSet;
pub use self::open::{FILE_NAME, Opened, Options};
pub use self::store::blocks::BlockHeader;
pub use self::store::credits::{
    Applied, CreditEntry, Credits, NonceEntry, NonceUse, PaymentRecord,
};
pub use self::store::journal::{
    JournalEntry, JournalState, NewTransaction, TransactionEnd, TransactionId,
};
pub use self::store::orchestrators::{NEVER, Orchestrator};
pub use self::store::outbox::OutboxEntry;
pub use self::store::rewards::{RewardRecord, RewardState};
pub use self::store::rounds::RoundRecord;
pub use self::store::secrets::Secrets;
pub use self::store::takeover::Takeover;
pub use self::store::tickets::Added;
pub use self::store::unbonding::UnbondingLock;
pub use self::text::{hash_text, parse_hash};
pub use self::ticket::{State, Step, StoredTicket, TicketFilter, TicketState};
pub use self::writer::{BATCH, Pending, QUEUE, RESERVED};

use self::writer::{Class, Queue};

/// The database, open. Clones share it; the file is closed in order when the last one goes.
#[derive(Debug, Clone)]
pub struct Ledger {
    queue: Queue,
    opened: Arc<Opened>,
    forward_winners: bool,
}

impl Ledger {
    /// Opens or makes the file. Blocks for as long as a check of the whole file takes.
    ///
    /// # Errors
    /// [`LedgerError::InUse`], [`NotADatabase`](LedgerError::NotADatabase), [`Corrupt`](LedgerError::Corrupt),
    /// [`Foreign`](LedgerError::Foreign), [`TooNew`](LedgerError::TooNew), [`OldSchema`](LedgerError::OldSchema),
    /// [`WrongChain`](LedgerError::WrongChain), [`File`](LedgerError::File): the file is as it was.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, LedgerError> {
        let (queue, opened) = open::open(path.as_ref(), &options)?;
        Ok(Self {
            queue,
            opened: Arc::new(opened),
            forward_winners: options.forward_winners,
        })
    }

    /// What opening found and did.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Finishes what was accepted, syncs, turns the file back into one with a plain journal and gives up the lock.
    /// Every later call on any clone is answered [`LedgerError::Closed`].
    ///
    /// # Errors
    /// When the disk fails, or the ledger was closed before.
    pub async fn close(&self) -> Result<(), LedgerError> {
        self.queue.close().await
    }

    /// Whether writes are still promised: `false` after the disk failed once. For the readiness of the node.
    pub fn is_sound(&self) -> bool {
        self.queue.is_sound()
    }

    /// Pieces of work that wait, of [`QUEUE`].
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Answered once everything accepted before is on the disk.
    pub fn sync(&self) -> Pending<()> {
        // nothing to store: the answer waits for the sync all the same
        self.durable(|_| Ok(()))
    }

    fn read<T: Send + 'static>(
        &self,
        f: impl FnMut(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Pending<T> {
        self.queue.put(Class::Read, f)
    }

    fn committed<T: Send + 'static>(
        &self,
        f: impl FnMut(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Pending<T> {
        self.queue.put(Class::Committed, f)
    }

    fn durable<T: Send + 'static>(
        &self,
        f: impl FnMut(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Pending<T> {
        self.queue.put(Class::Durable, f)
    }
}
