//! Opening the file: whose it is, whether it is sound, and what was taken over. A file that is refused is unchanged.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use telemetry::metrics::LedgerMetrics;

use crate::LedgerError;
use crate::schema;
use crate::store::takeover::{self, Takeover};
use crate::writer::{self, Queue, WriterOptions};

/// Name of the file in the data directory, the reference's.
pub const FILE_NAME: &str = "lpdb.sqlite3";

/// How to open.
#[derive(Debug, Clone)]
pub struct Options {
    /// Chain of this run; 0 off-chain. Compared with what the file says ever after the first run.
    pub chain_id: u64,
    /// Only a file that a node of this release has used, whatever its chain: nothing is made or migrated.
    pub existing: bool,
    /// Winners go to a redeemer elsewhere: they wait in the outbox and not in the reference's queue.
    pub forward_winners: bool,
    /// Longest time that credits, nonces, prices and settings stay unsynced, and so what a power failure may take.
    /// Nothing is lost when only the process dies.
    pub sync_within: Duration,
    /// How long to wait for a lock that another process holds.
    pub lock_wait: Duration,
    /// Where to count.
    pub metrics: Option<LedgerMetrics>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chain_id: 0,
            existing: false,
            forward_winners: false,
            sync_within: Duration::from_millis(200),
            lock_wait: Duration::from_secs(1),
            metrics: None,
        }
    }
}

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The file, links followed.
    pub path: PathBuf,
    /// It did not exist or was empty.
    pub created: bool,
    /// Version of our tables before; the current one when nothing was migrated.
    pub version_before: i64,
    /// Copy made before the first migration.
    pub backup: Option<PathBuf>,
    /// Others could read the file before; now only its owner can.
    pub made_private: bool,
    /// The last run did not close the file.
    pub after_crash: bool,
    /// What the reference left for us.
    pub takeover: Takeover,
}

/// Opens the file and starts the writer.
pub(crate) fn open(given: &Path, options: &Options) -> Result<(Queue, Opened), LedgerError> {
    let file_error = |source| LedgerError::File {
        path: given.to_owned(),
        source,
    };
    let created = fs::metadata(given).map_or(true, |meta| meta.len() == 0);
    if created && options.existing {
        return Err(file_error(std::io::ErrorKind::NotFound.into()));
    }
    if created {
        create_private(given).map_err(file_error)?;
    }
    // SQLite follows links, and puts the files beside the real one
    let real = fs::canonicalize(given).map_err(file_error)?;
    let path = real.as_path();
    let log = beside(path, "-wal");
    let after_crash = log.exists() || beside(path, "-journal").exists();
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| explain(path, error))?;
    connection.busy_timeout(options.lock_wait)?;
    connection.set_prepared_statement_cache_capacity(128);
    // exclusive before the first access: the lock stays, and the index of the log needs no shared memory
    connection
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        .map_err(|error| explain(path, error))?;
    let chain_id = (!options.existing).then_some(options.chain_id);
    let version_before = inspect(&connection, path, chain_id)?;
    if options.existing && version_before < schema::VERSION {
        return Err(LedgerError::NotTakenOver {
            path: path.to_owned(),
            found: version_before,
            known: schema::VERSION,
        });
    }
    connection
        .execute_batch("COMMIT")
        .map_err(|error| explain(path, error))?;

    // the file is ours and sound: from here on it is written
    let made_private = make_private(path).map_err(file_error)?;
    let old = version_before < schema::VERSION;
    let backup = match old && !created {
        true => Some(back_up(&connection, path, version_before)?),
        false => None,
    };
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; BEGIN IMMEDIATE")?;
    if old {
        schema::migrate(&connection, version_before)?;
    }
    if !options.existing && schema::kv(&connection, "chainID")?.is_none_or(|id| id.is_empty()) {
        connection.execute(
            "INSERT OR REPLACE INTO kv (key, value, updatedAt) VALUES ('chainID', ?1, datetime())",
            [options.chain_id.to_string()],
        )?;
    }
    let takeover = takeover::take_over(&connection)?;
    connection.execute_batch("COMMIT")?;

    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(LedgerError::Disk(format!(
            "journal mode {mode} instead of wal"
        )));
    }
    // the first commit makes the log and is synced in full, with its directory entry; it must change a value
    connection
        .execute_batch("PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864")?;
    connection.execute(
        "INSERT INTO orn_meta (name, value) VALUES ('opens', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
        [],
    )?;
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    let queue = writer::start(
        connection,
        WriterOptions {
            log,
            sync_within: options.sync_within,
            metrics: options.metrics.clone(),
        },
    )
    .map_err(file_error)?;
    let opened = Opened {
        path: path.to_owned(),
        created,
        version_before,
        backup,
        made_private,
        after_crash,
        takeover,
    };
    Ok((queue, opened))
}

/// Looks without touching: soundness, owner, versions, columns, and the chain when one is given. Gives the version of
/// our tables.
fn inspect(
    connection: &Connection,
    path: &Path,
    chain_id: Option<u64>,
) -> Result<i64, LedgerError> {
    inspect_tables(connection, path, chain_id).map_err(|error| match error {
        LedgerError::Sql(error) => explain(path, error),
        other => other,
    })
}

fn inspect_tables(
    connection: &Connection,
    path: &Path,
    chain_id: Option<u64>,
) -> Result<i64, LedgerError> {
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding != "ok" {
        return Err(LedgerError::Corrupt {
            path: path.to_owned(),
            detail: finding,
        });
    }
    let foreign = |detail: String| LedgerError::Foreign {
        path: path.to_owned(),
        detail,
    };
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if application != 0 {
        return Err(foreign(format!("application id {application:#x}")));
    }
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 {
        return Ok(0);
    }
    if !schema::has_table(connection, "kv")? {
        return Err(foreign("it has tables, but no table kv".to_owned()));
    }
    for (table, expected) in schema::REFERENCE_TABLES {
        let found = schema::columns(connection, table)?;
        if found.is_empty() || found == *expected {
            continue;
        }
        let wrong: Vec<String> = expected
            .iter()
            .enumerate()
            .filter(|(place, column)| found.get(*place).is_none_or(|found| found != *column))
            .map(|(_, column)| (*column).to_owned())
            .collect();
        // columns behind the known ones hurt nobody, except where the reference selects *
        if wrong.is_empty() && *table != "blockheaders" {
            continue;
        }
        let missing_all = *table == "kv" && wrong.len() == expected.len();
        if missing_all {
            return Err(foreign(format!(
                "its table kv has the columns {}",
                found.join(", ")
            )));
        }
        return Err(LedgerError::OldSchema {
            path: path.to_owned(),
            table,
            columns: wrong,
        });
    }
    let reference = schema::kv(connection, "dbVersion")?.unwrap_or_default();
    let reference: i64 = match reference.is_empty() {
        true => schema::REFERENCE_VERSION,
        false => reference
            .parse()
            .map_err(|_| foreign(format!("dbVersion is {reference:?}")))?,
    };
    let own = schema::own_version(connection)?;
    for (what, found, known) in [
        ("dbVersion", reference, schema::REFERENCE_VERSION),
        ("orn_meta", own, schema::VERSION),
    ] {
        if found > known {
            return Err(LedgerError::TooNew {
                path: path.to_owned(),
                what,
                found,
                known,
            });
        }
    }
    match (schema::kv(connection, "chainID")?, chain_id) {
        (Some(stored), Some(given)) if !stored.is_empty() && stored != given.to_string() => {
            Err(LedgerError::WrongChain { stored, given })
        }
        _ => Ok(own),
    }
}

/// An error of SQLite in words for the operator.
fn explain(path: &Path, error: rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::InUse { path },
        Some(ErrorCode::NotADatabase) => LedgerError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => LedgerError::Corrupt {
            path,
            detail: error.to_string(),
        },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            LedgerError::File {
                path,
                source: std::io::Error::other(error.to_string()),
            }
        }
        _ => LedgerError::Sql(error),
    }
}

/// Copies the whole database beside it, named by date and version, complete and synced before it has its name.
fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<PathBuf, LedgerError> {
    let date: String =
        connection.query_row("SELECT strftime('%Y%m%dT%H%M%SZ', 'now')", [], |row| {
            row.get(0)
        })?;
    let name = format!(".{date}-v{version}-before-v{}.bak", schema::VERSION);
    let target = beside(path, &name);
    let partial = beside(path, &format!("{name}.part"));
    let file_error = |source| LedgerError::File {
        path: target.clone(),
        source,
    };
    let _ = fs::remove_file(&partial);
    create_private(&partial).map_err(file_error)?;
    let mut copy = Connection::open_with_flags(&partial, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    Backup::new(connection, &mut copy)?.run_to_completion(1024, Duration::ZERO, None)?;
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)?;
    fs::File::open(&partial)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&partial, &target))
        .and_then(|()| fs::File::open(directory(&target)).and_then(|dir| dir.sync_all()))
        .map_err(file_error)?;
    Ok(target)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The path with something appended to its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// An empty file that only its owner can read; SQLite gives the files beside it the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Takes the file away from everybody but its owner. It holds the secrets of tickets that are not redeemed yet.
fn make_private(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))?;
    Ok(true)
}
