//! Winners on their way to a redeemer elsewhere: kept until it has taken them.

use protocol::money::WinningTicket;
use protocol::signature::Hash;
use rusqlite::{Connection, params_from_iter};

use crate::text::{count_at, read_bytes};
use crate::ticket::queue::{COLUMNS, columns_of, queue_row};
use crate::{Ledger, LedgerError, Pending};

/// A winner that the redeemer has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Keccak-256 of the ticket.
    pub hash: Hash,
    /// The winner.
    pub winner: WinningTicket,
    /// Failed deliveries.
    pub attempts: u32,
    /// Unix seconds.
    pub created_at: u64,
}

impl Ledger {
    /// Winners that wait for the redeemer, oldest first, at most `limit`.
    pub fn outbox(&self, limit: u32) -> Pending<Vec<OutboxEntry>> {
        self.read(move |connection| waiting(connection, limit))
    }

    /// The redeemer has it. Committed: delivering twice is harmless.
    pub fn outbox_delivered(&self, hash: Hash) -> Pending<()> {
        self.committed(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE orn_outbox SET delivered_at = unixepoch() WHERE hash = ?1 AND delivered_at IS NULL",
                )?
                .execute([&hash[..]])?;
            Ok(())
        })
    }

    /// A delivery failed.
    pub fn outbox_failed(&self, hash: Hash, error: String) -> Pending<()> {
        self.committed(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE orn_outbox SET attempts = attempts + 1, last_error = ?2 WHERE hash = ?1",
                )?
                .execute((&hash[..], &error))?;
            Ok(())
        })
    }
}

/// Whether the ticket is new.
pub(crate) fn add(connection: &Connection, winner: &WinningTicket) -> Result<bool, LedgerError> {
    let hash = winner.ticket.hash();
    let known = connection
        .prepare_cached("SELECT 1 FROM orn_outbox WHERE hash = ?1")?
        .exists([&hash[..]])?;
    if known {
        return Ok(false);
    }
    let sql = format!(
        "INSERT INTO orn_outbox ({COLUMNS}, hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    );
    let mut values = columns_of(winner);
    values.push(hash.to_vec().into());
    connection
        .prepare_cached(&sql)?
        .execute(params_from_iter(values))?;
    Ok(true)
}

fn waiting(connection: &Connection, limit: u32) -> Result<Vec<OutboxEntry>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS}, hash, attempts, created_at FROM orn_outbox \
         WHERE delivered_at IS NULL ORDER BY seq LIMIT ?1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let bad = |problem: String| LedgerError::row("orn_outbox", problem);
        entries.push(OutboxEntry {
            winner: queue_row(row, 0)?.map_err(bad)?,
            hash: read_bytes(row.get_ref(11)?).map_err(bad)?,
            attempts: row.get(12)?,
            created_at: count_at(row, 13, "orn_outbox")?,
        });
    }
    Ok(entries)
}
