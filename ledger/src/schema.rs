//! The tables: the reference's five, as it declares them, and ours beside them under the prefix `orn_`.
//!
//! Declared types of the reference's columns matter (`STRING` is NUMERIC to SQLite), and its readers select `*` from
//! `blockheaders`: nothing here may add, move or retype a column of its tables, and its `dbVersion` is never raised.
//! What we keep beside has a version of its own in `orn_meta` and moves by [`MIGRATIONS`].

use rusqlite::{Connection, OptionalExtension, params};

use crate::LedgerError;
use crate::text::read_text;

/// The reference's version of its tables.
pub(crate) const REFERENCE_VERSION: i64 = 1;

/// Tables of the reference and their columns in order.
pub(crate) const REFERENCE_TABLES: &[(&str, &[&str])] = &[
    ("kv", &["key", "value", "updatedAt"]),
    (
        "orchestrators",
        &[
            "ethereumAddr",
            "createdAt",
            "updatedAt",
            "serviceURI",
            "pricePerPixel",
            "activationRound",
            "deactivationRound",
            "stake",
        ],
    ),
    (
        "unbondingLocks",
        &[
            "createdAt",
            "id",
            "delegator",
            "amount",
            "withdrawRound",
            "usedBlock",
        ],
    ),
    (
        "ticketQueue",
        &[
            "createdAt",
            "sender",
            "recipient",
            "faceValue",
            "winProb",
            "senderNonce",
            "recipientRand",
            "recipientRandHash",
            "sig",
            "creationRound",
            "creationRoundBlockHash",
            "paramsExpirationBlock",
            "redeemedAt",
            "txHash",
        ],
    ),
    ("blockheaders", &["number", "parent", "hash", "logs"]),
];

/// The reference's tables as it declares them.
pub(crate) const REFERENCE_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS kv (
    key STRING PRIMARY KEY,
    value STRING,
    updatedAt STRING DEFAULT CURRENT_TIMESTAMP
);
INSERT OR IGNORE INTO kv (key, value) VALUES ('dbVersion', '1');
CREATE TABLE IF NOT EXISTS orchestrators (
    ethereumAddr STRING PRIMARY KEY,
    createdAt STRING DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updatedAt STRING DEFAULT CURRENT_TIMESTAMP NOT NULL,
    serviceURI STRING,
    pricePerPixel int64,
    activationRound int64,
    deactivationRound int64,
    stake int64
);
CREATE TABLE IF NOT EXISTS unbondingLocks (
    createdAt STRING DEFAULT CURRENT_TIMESTAMP,
    id INTEGER NOT NULL,
    delegator STRING,
    amount TEXT,
    withdrawRound int64,
    usedBlock int64,
    PRIMARY KEY(id, delegator)
);
CREATE INDEX IF NOT EXISTS idx_unbondinglocks_usedblock ON unbondingLocks(usedBlock);
CREATE TABLE IF NOT EXISTS ticketQueue (
    createdAt DATETIME DEFAULT CURRENT_TIMESTAMP,
    sender STRING,
    recipient STRING,
    faceValue BLOB,
    winProb BLOB,
    senderNonce INTEGER,
    recipientRand BLOB,
    recipientRandHash STRING,
    sig BLOB PRIMARY KEY,
    creationRound int64,
    creationRoundBlockHash STRING,
    paramsExpirationBlock int64,
    redeemedAt DATETIME,
    txHash STRING
);
CREATE INDEX IF NOT EXISTS idx_ticketqueue_sender ON ticketQueue(sender);
CREATE TABLE IF NOT EXISTS blockheaders (
    number int64,
    parent STRING,
    hash STRING PRIMARY KEY,
    logs BLOB
);
CREATE INDEX IF NOT EXISTS idx_blockheaders_number ON blockheaders(number);
";

/// From version n − 1 to n at index n − 1. A released entry never changes; a new need is a new entry.
///
/// Times are unix seconds, hashes and amounts big-endian blobs, addresses blobs of 20 bytes, prices two amounts in 64
/// bytes. Hashes of several transactions stand one behind the other.
pub(crate) const MIGRATIONS: &[&str] = &["
CREATE TABLE orn_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE orn_tickets (
    seq INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    sig BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL DEFAULT (unixepoch()),
    updated_at INTEGER NOT NULL DEFAULT (unixepoch())
);
CREATE INDEX orn_tickets_state ON orn_tickets(state);
CREATE TABLE orn_outbox (
    seq INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    faceValue BLOB NOT NULL,
    winProb BLOB NOT NULL,
    senderNonce INTEGER NOT NULL,
    recipientRand BLOB NOT NULL,
    recipientRandHash TEXT NOT NULL,
    sig BLOB NOT NULL,
    creationRound INTEGER NOT NULL,
    creationRoundBlockHash TEXT NOT NULL,
    paramsExpirationBlock INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    created_at INTEGER NOT NULL DEFAULT (unixepoch()),
    delivered_at INTEGER
);
CREATE INDEX orn_outbox_waiting ON orn_outbox(seq) WHERE delivered_at IS NULL;
CREATE TABLE orn_credits (
    sender BLOB NOT NULL,
    key TEXT NOT NULL,
    balance BLOB NOT NULL,
    price BLOB,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (sender, key)
) WITHOUT ROWID;
CREATE TABLE orn_nonces (
    rand_hash BLOB PRIMARY KEY,
    expiration_block INTEGER NOT NULL,
    nonces BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX orn_nonces_expiration ON orn_nonces(expiration_block);
CREATE TABLE orn_settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL DEFAULT (unixepoch())
) WITHOUT ROWID;
CREATE TABLE orn_rounds (
    round INTEGER PRIMARY KEY,
    block_hash BLOB NOT NULL,
    start_block INTEGER NOT NULL
);
CREATE TABLE orn_rewards (
    round INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    tx BLOB,
    minted BLOB,
    updated_at INTEGER NOT NULL DEFAULT (unixepoch())
);
CREATE TABLE orn_transactions (
    id INTEGER PRIMARY KEY,
    account BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    ticket BLOB,
    hashes BLOB NOT NULL,
    raw BLOB NOT NULL,
    first_cancel INTEGER,
    state TEXT NOT NULL,
    tx BLOB,
    block INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL DEFAULT (unixepoch()),
    updated_at INTEGER NOT NULL DEFAULT (unixepoch())
);
CREATE INDEX orn_transactions_open ON orn_transactions(account, nonce) WHERE state = 'open';
CREATE INDEX orn_transactions_purpose ON orn_transactions(purpose);
CREATE INDEX orn_transactions_ticket ON orn_transactions(ticket);
"];

/// Version of our tables in this release.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Version of our tables in the file, 0 without them.
pub(crate) fn own_version(connection: &Connection) -> rusqlite::Result<i64> {
    if !has_table(connection, "orn_meta")? {
        return Ok(0);
    }
    let version = meta(connection, "version")?;
    Ok(version.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// A value of `orn_meta` as text.
pub(crate) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            "SELECT value FROM orn_meta WHERE name = ?1",
            [name],
            |row| Ok(read_text(row.get_ref(0)?).unwrap_or_default()),
        )
        .optional()
}

/// Sets a value of `orn_meta`.
pub(crate) fn set_meta(
    connection: &Connection,
    name: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO orn_meta (name, value) VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}

/// A value of the reference's `kv`, of whatever type, as text.
pub(crate) fn kv(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM kv WHERE key = ?1", [key], |row| {
            Ok(read_text(row.get_ref(0)?).unwrap_or_default())
        })
        .optional()
}

/// Whether a table exists.
pub(crate) fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
        .exists([name])
}

/// Columns of a table in order.
pub(crate) fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect()
}

/// Makes what is missing, in the transaction that is open.
pub(crate) fn migrate(connection: &Connection, from: i64) -> Result<(), LedgerError> {
    connection.execute_batch(REFERENCE_SCHEMA)?;
    let from = usize::try_from(from).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(from) {
        connection.execute_batch(migration)?;
    }
    set_meta(connection, "version", VERSION)?;
    Ok(())
}
