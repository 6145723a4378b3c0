//! How far the chain was watched: the reference's one row of block headers, and the highest L1 block ever seen.

use protocol::signature::Hash;
use rusqlite::{Connection, params};

use crate::schema::{meta, set_meta};
use crate::text::{column, hash_text, read_count, read_hash};
use crate::{Ledger, LedgerError, Pending};

/// Last block whose events were handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Number on the chain (L2).
    pub number: u64,
    /// Hash of the block before.
    pub parent: Hash,
    /// Its hash.
    pub hash: Hash,
}

/// Name of the highest L1 block in `orn_meta`.
const L1_BLOCK: &str = "l1_block";

impl Ledger {
    /// The last block that was handled; `None` before the first.
    pub fn block_cursor(&self) -> Pending<Option<BlockHeader>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, parent, hash FROM blockheaders ORDER BY number DESC LIMIT 1",
            )?;
            let mut rows = statement.query([])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let bad = |problem: String| LedgerError::row("blockheaders", problem);
            Ok(Some(BlockHeader {
                number: read_count(row.get_ref(0)?).map_err(bad)?,
                parent: read_hash(row.get_ref(1)?).map_err(bad)?,
                hash: read_hash(row.get_ref(2)?).map_err(bad)?,
            }))
        })
    }

    /// Puts the cursor at a block, in place of any other, and raises the L1 clock. Committed: after a power failure
    /// some blocks are handled a second time.
    pub fn set_block_cursor(&self, header: BlockHeader, l1_block: Option<u64>) -> Pending<()> {
        self.committed(move |connection| {
            connection
                .prepare_cached("DELETE FROM blockheaders")?
                .execute([])?;
            connection
                .prepare_cached(
                    "INSERT INTO blockheaders (number, parent, hash, logs) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    column(header.number),
                    hash_text(&header.parent),
                    hash_text(&header.hash),
                    // JSON of no logs
                    &b"null"[..],
                ])?;
            raise(connection, l1_block)
        })
    }

    /// Forgets the cursor, for a chain that does not know the block any more.
    pub fn clear_block_cursor(&self) -> Pending<()> {
        self.committed(|connection| {
            connection
                .prepare_cached("DELETE FROM blockheaders")?
                .execute([])?;
            Ok(())
        })
    }

    /// Raises the L1 clock; a lower block than the highest seen changes nothing.
    pub fn raise_l1_block(&self, l1_block: u64) -> Pending<()> {
        self.committed(move |connection| raise(connection, Some(l1_block)))
    }

    /// Highest L1 block ever seen: the clock of ticket expiry, which never goes back.
    pub fn l1_block(&self) -> Pending<Option<u64>> {
        self.read(highest)
    }
}

fn highest(connection: &Connection) -> Result<Option<u64>, LedgerError> {
    Ok(meta(connection, L1_BLOCK)?.and_then(|text| text.parse().ok()))
}

fn raise(connection: &Connection, l1_block: Option<u64>) -> Result<(), LedgerError> {
    if l1_block > highest(connection)? {
        set_meta(connection, L1_BLOCK, l1_block.map(column))?;
    }
    Ok(())
}
