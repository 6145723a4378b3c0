//! The rounds this node has seen initialised: their number and the L1 block hash that tickets carry.

use protocol::signature::Hash;
use rusqlite::params;

use crate::text::{column, count_at, read_bytes};
use crate::{Ledger, LedgerError, Pending};

/// An initialised round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundRecord {
    /// Its number.
    pub round: u64,
    /// L1 block hash of its initialisation, as the contract keeps it; zeros happen.
    pub block_hash: Hash,
    /// L1 block in which it starts.
    pub start_block: u64,
}

impl Ledger {
    /// Notes a round, in place of what was known of it.
    pub fn note_round(&self, record: RoundRecord) -> Pending<()> {
        self.committed(move |connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO orn_rounds (round, block_hash, start_block) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![
                    column(record.round),
                    &record.block_hash[..],
                    column(record.start_block)
                ])?;
            Ok(())
        })
    }

    /// The latest rounds, newest first.
    pub fn rounds(&self, limit: u32) -> Pending<Vec<RoundRecord>> {
        self.read(move |connection| {
            const TABLE: &str = "orn_rounds";
            let mut statement = connection.prepare_cached(
                "SELECT round, block_hash, start_block FROM orn_rounds ORDER BY round DESC LIMIT ?1",
            )?;
            let mut rows = statement.query([limit])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(RoundRecord {
                    round: count_at(row, 0, TABLE)?,
                    block_hash: read_bytes(row.get_ref(1)?)
                        .map_err(|problem| LedgerError::row(TABLE, problem))?,
                    start_block: count_at(row, 2, TABLE)?,
                });
            }
            Ok(records)
        })
    }
}
