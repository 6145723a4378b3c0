//! What can go wrong with the database, and what the operator should do about it.

use std::path::PathBuf;

use crate::ticket::IllegalStep;

/// Error of this crate. Opening never changes a file that it refuses.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has the file open for writing.
    #[error(
        "database {} is in use by another process: stop that process, or ask the running node through its API", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The bytes are not an SQLite database.
    #[error("{} is not an SQLite database: move it away or name another data directory", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// SQLite finds the file damaged.
    #[error(
        "database {} is damaged ({detail}): nothing was changed; restore a back-up, or recover it with `sqlite3 FILE .recover`", path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// First finding.
        detail: String,
    },
    /// A database of some other program.
    #[error("{} is a database of another program ({detail}): name another data directory", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        detail: String,
    },
    /// Written by a later release: of the reference (`dbVersion`) or of this node.
    #[error(
        "database {} has {what} version {found}, this release knows {known}: start the newer release, or restore the back-up made before it", path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Whose version: `dbVersion` or `orn_meta`.
        what: &'static str,
        /// Version in the file.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// Only an existing file was asked for, and no node of this release has used this one.
    #[error(
        "database {} has our tables in version {found}, this release has {known}: start the node once, which makes a back-up and takes the file over", path.display()
    )]
    NotTakenOver {
        /// The file.
        path: PathBuf,
        /// Version in the file; 0 where only the reference has used it.
        found: i64,
        /// Version of this release.
        known: i64,
    },
    /// A table of the reference as an old release of it left it.
    #[error(
        "database {}: table {table} has not the columns of this release (missing or out of place: {}): an old release of the reference made it. Keep the file, it may hold queued tickets; rename it and start with a new one", path.display(), columns.join(", ")
    )]
    OldSchema {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The columns that are missing or out of place.
        columns: Vec<String>,
    },
    /// The file belongs to another chain; the text is the reference's.
    #[error(
        "expecting chainID of {stored}, but got {given}. Did you change networks without changing network name or datadir?"
    )]
    WrongChain {
        /// Chain of the file.
        stored: String,
        /// Chain of this run.
        given: u64,
    },
    /// The file or its directory cannot be opened.
    #[error("database {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The queue of the writer is full.
    #[error("the database is too busy: try again")]
    Busy,
    /// The ledger was closed.
    #[error("the database is closed")]
    Closed,
    /// The disk did not confirm a write; what it holds is not known, so nothing more is promised until a restart.
    #[error(
        "the disk failed to keep what was written ({0}): free space or replace the disk, then restart the node"
    )]
    Disk(String),
    /// A statement failed.
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A row does not hold what its table says.
    #[error("row of {table}: {problem}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// No such ticket.
    #[error("no ticket 0x{}: list them with `orchestrion tickets list`", hex::encode(.0))]
    UnknownTicket([u8; 32]),
    /// A ticket cannot take this step from where it is.
    #[error(transparent)]
    IllegalStep(#[from] IllegalStep),
    /// No such transaction in the journal.
    #[error("no transaction {0} in the journal")]
    UnknownTransaction(i64),
    /// A piece of work panicked; a fault of this program. Nothing of it was stored.
    #[error("a database task panicked, nothing of it was stored: {0}")]
    Panicked(String),
}

impl LedgerError {
    pub(crate) fn row(table: &'static str, problem: impl ToString) -> Self {
        Self::Row {
            table,
            problem: problem.to_string(),
        }
    }
}
