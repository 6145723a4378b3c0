//! The journal of transactions: every hash that was ever sent under a nonce, written before it is sent.

use protocol::address::Address;
use protocol::signature::Hash;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::tickets::take_step;
use crate::text::{column, count_at, read_bytes};
use crate::ticket::Step;
use crate::wire::{address, hashes, maybe_hash};
use crate::{Ledger, LedgerError, Pending};

/// Place in the journal.
pub type TransactionId = i64;

/// A transaction that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransaction {
    /// Whose key signed it.
    pub account: Address,
    /// Its nonce.
    pub nonce: u64,
    /// What it is for, e.g. `redeem`, `reward 3333`.
    pub purpose: String,
    /// The ticket that it redeems: takes [`Step::Submit`] with it.
    pub ticket: Option<Hash>,
    /// Its hash.
    pub hash: Hash,
    /// As signed, so that it can be sent again.
    pub raw: Vec<u8>,
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionEnd {
    /// Receipt with status 1.
    Mined {
        /// Hash that was mined.
        tx: Hash,
        /// Its block.
        block: u64,
    },
    /// Receipt with status 0.
    Reverted {
        /// Hash that was mined.
        tx: Hash,
        /// Its block.
        block: u64,
        /// Reason that the chain gives.
        reason: String,
    },
    /// The nonce was used by something else, or it was never sent.
    Dropped {
        /// What is known.
        reason: String,
    },
}

/// State of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalState {
    /// Sent or about to be; no receipt.
    Open,
    /// Mined with status 1.
    Mined,
    /// Mined with status 0.
    Reverted,
    /// Will never be mined.
    Dropped,
}

impl JournalState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Mined => "mined",
            Self::Reverted => "reverted",
            Self::Dropped => "dropped",
        }
    }
}

/// A transaction of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its place.
    pub id: TransactionId,
    /// Whose key signed it.
    #[serde(with = "address")]
    pub account: Address,
    /// Its nonce.
    pub nonce: u64,
    /// What it is for.
    pub purpose: String,
    /// The ticket that it redeems.
    #[serde(with = "maybe_hash")]
    pub ticket: Option<Hash>,
    /// Every hash that was sent, oldest first.
    #[serde(with = "hashes")]
    pub hashes: Vec<Hash>,
    /// The latest as signed.
    #[serde(skip)]
    pub raw: Vec<u8>,
    /// Index of the first hash that is a cancellation; those behind it are, too.
    pub first_cancel: Option<usize>,
    /// Where it stands.
    pub state: JournalState,
    /// The hash that was mined.
    #[serde(with = "maybe_hash")]
    pub tx: Option<Hash>,
    /// The block of it.
    pub block: Option<u64>,
    /// Why it failed or was dropped.
    pub detail: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub updated_at: u64,
}

impl Ledger {
    /// Notes a transaction before it is sent, with the step of its ticket in one; durable.
    pub fn begin_transaction(&self, new: NewTransaction) -> Pending<TransactionId> {
        self.durable(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO orn_transactions (account, nonce, purpose, ticket, hashes, raw, state) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'open')",
                )?
                .execute(params![
                    &new.account.0[..],
                    column(new.nonce),
                    new.purpose,
                    new.ticket.as_ref().map(|hash| &hash[..]),
                    &new.hash[..],
                    new.raw,
                ])?;
            let id = connection.last_insert_rowid();
            submit(connection, new.ticket.as_ref(), new.nonce, new.hash)?;
            Ok(id)
        })
    }

    /// Notes a replacement under the same nonce before it is sent, or with `cancels` a cancellation; durable.
    pub fn replace_transaction(
        &self,
        id: TransactionId,
        hash: Hash,
        raw: Vec<u8>,
        cancels: bool,
    ) -> Pending<()> {
        self.durable(move |connection| {
            let entry = get(connection, id)?;
            if entry.hashes.contains(&hash) {
                return Ok(());
            }
            connection
                .prepare_cached(
                    "UPDATE orn_transactions SET hashes = ?2, raw = ?3, first_cancel = coalesce(first_cancel, ?4), \
                     updated_at = unixepoch() WHERE id = ?1",
                )?
                .execute(params![
                    id,
                    [entry.hashes.concat(), hash.to_vec()].concat(),
                    raw,
                    cancels.then_some(i64::try_from(entry.hashes.len()).unwrap_or(i64::MAX)),
                ])?;
            submit(connection, entry.ticket.as_ref(), entry.nonce, hash)
        })
    }

    /// Notes the end of a transaction; durable. Steps of its ticket are the caller's, who knows what was paid.
    pub fn end_transaction(&self, id: TransactionId, end: TransactionEnd) -> Pending<()> {
        self.durable(move |connection| {
            let (state, tx, block, detail) = match &end {
                TransactionEnd::Mined { tx, block } => {
                    (JournalState::Mined, Some(tx), Some(*block), "")
                }
                TransactionEnd::Reverted { tx, block, reason } => (
                    JournalState::Reverted,
                    Some(tx),
                    Some(*block),
                    reason.as_str(),
                ),
                TransactionEnd::Dropped { reason } => {
                    (JournalState::Dropped, None, None, reason.as_str())
                }
            };
            write_end(connection, id, state, tx, block, detail)
        })
    }

    /// The block of its receipt is gone: open again; durable.
    pub fn reopen_transaction(&self, id: TransactionId) -> Pending<()> {
        self.durable(move |connection| {
            write_end(connection, id, JournalState::Open, None, None, "")
        })
    }

    /// Transactions without an end, by account and nonce.
    pub fn open_transactions(&self) -> Pending<Vec<JournalEntry>> {
        self.read(|connection| {
            list(
                connection,
                "WHERE state = 'open' ORDER BY account, nonce, id LIMIT ?1",
                u32::MAX,
            )
        })
    }

    /// The latest transactions, newest first.
    pub fn transactions(&self, limit: u32) -> Pending<Vec<JournalEntry>> {
        self.read(move |connection| list(connection, "ORDER BY id DESC LIMIT ?1", limit))
    }

    /// The hash under which a purpose of an account was mined with success, if it ever was.
    pub fn mined_transaction(&self, account: Address, purpose: String) -> Pending<Option<Hash>> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT} WHERE purpose = ?1 AND account = ?2 AND state = 'mined' ORDER BY id DESC LIMIT 1"
            ))?;
            let mut rows = statement.query(params![purpose, &account.0[..]])?;
            Ok(match rows.next()? {
                Some(row) => entry(row)?.tx,
                None => None,
            })
        })
    }

    /// Every transaction for a ticket, oldest first.
    pub fn ticket_transactions(&self, ticket: Hash) -> Pending<Vec<JournalEntry>> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached(&format!("{SELECT} WHERE ticket = ?1 ORDER BY id"))?;
            let mut rows = statement.query([&ticket[..]])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(entry(row)?);
            }
            Ok(entries)
        })
    }

    /// Highest nonce that the journal has of an account, dropped ones left out.
    pub fn last_nonce(&self, account: Address) -> Pending<Option<u64>> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT max(nonce) FROM orn_transactions WHERE account = ?1 AND state <> 'dropped'",
                )?
                .query_row([&account.0[..]], |row| row.get::<_, Option<i64>>(0))?
                .and_then(|nonce| u64::try_from(nonce).ok()))
        })
    }
}

fn submit(
    connection: &Connection,
    ticket: Option<&Hash>,
    nonce: u64,
    tx: Hash,
) -> Result<(), LedgerError> {
    if let Some(ticket) = ticket {
        take_step(connection, ticket, Step::Submit { nonce, tx })?;
    }
    Ok(())
}

fn write_end(
    connection: &Connection,
    id: TransactionId,
    state: JournalState,
    tx: Option<&Hash>,
    block: Option<u64>,
    detail: &str,
) -> Result<(), LedgerError> {
    let changed = connection
        .prepare_cached(
            "UPDATE orn_transactions SET state = ?2, tx = ?3, block = ?4, detail = ?5, updated_at = unixepoch() \
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            state.as_str(),
            tx.map(|hash| &hash[..]),
            block.map(column),
            detail
        ])?;
    match changed {
        0 => Err(LedgerError::UnknownTransaction(id)),
        _ => Ok(()),
    }
}

const TABLE: &str = "orn_transactions";
const SELECT: &str = "SELECT id, account, nonce, purpose, ticket, hashes, raw, state, tx, block, detail, created_at, updated_at, first_cancel FROM orn_transactions";

fn get(connection: &Connection, id: TransactionId) -> Result<JournalEntry, LedgerError> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
        .query_row([id], |row| Ok(entry(row)))
        .optional()?
        .ok_or(LedgerError::UnknownTransaction(id))?
}

fn list(
    connection: &Connection,
    condition: &str,
    limit: u32,
) -> Result<Vec<JournalEntry>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} {condition}"))?;
    let mut rows = statement.query([limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(entries)
}

fn entry(row: &Row<'_>) -> Result<JournalEntry, LedgerError> {
    let bad = |problem: String| LedgerError::row(TABLE, problem);
    let maybe = |i: usize| -> Result<Option<Hash>, LedgerError> {
        match row.get_ref(i)? {
            rusqlite::types::ValueRef::Null => Ok(None),
            value => read_bytes(value).map(Some).map_err(bad),
        }
    };
    let all: Vec<u8> = row.get(5)?;
    let (hashes, rest) = all.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(bad(format!("hashes: {} bytes", all.len())));
    }
    let state: String = row.get(7)?;
    Ok(JournalEntry {
        id: row.get(0)?,
        account: Address(read_bytes(row.get_ref(1)?).map_err(bad)?),
        nonce: count_at(row, 2, TABLE)?,
        purpose: row.get(3)?,
        ticket: maybe(4)?,
        hashes: hashes.to_vec(),
        raw: row.get(6)?,
        state: [
            JournalState::Open,
            JournalState::Mined,
            JournalState::Reverted,
            JournalState::Dropped,
        ]
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| bad(format!("state: {state:?}")))?,
        tx: maybe(8)?,
        block: row
            .get::<_, Option<i64>>(9)?
            .and_then(|n| u64::try_from(n).ok()),
        detail: row.get(10)?,
        created_at: count_at(row, 11, TABLE)?,
        updated_at: count_at(row, 12, TABLE)?,
        first_cancel: row
            .get::<_, Option<i64>>(13)?
            .and_then(|at| usize::try_from(at).ok()),
    })
}
