//! The reference's table of orchestrators, with its rule that an empty or zero value keeps what is there.

use protocol::address::Address;
use rusqlite::{Connection, Row, params};

use crate::text::{column, read_address, read_text};
use crate::{Ledger, LedgerError, Pending};

/// A round that never comes, in the columns for rounds.
pub const NEVER: u64 = i64::MAX as u64;

/// A row. In an update an empty text and a 0 mean "as it was", so nothing is ever set back to 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orchestrator {
    /// Its account.
    pub address: Address,
    /// Where it says it can be reached.
    pub service_uri: String,
    /// Wei per pixel × 1000; 0 on an orchestrator.
    pub price_per_pixel: u64,
    /// First round in which it is active.
    pub activation_round: u64,
    /// First round in which it is not any more; [`NEVER`] without an end.
    pub deactivation_round: u64,
    /// LPT × 100000, truncated.
    pub stake: u64,
}

impl Orchestrator {
    /// `activationRound ≤ round < deactivationRound`.
    pub fn is_active(&self, round: u64) -> bool {
        self.activation_round <= round && round < self.deactivation_round
    }
}

impl Ledger {
    /// Adds or updates a row as the reference does. Amounts are clamped to 63 bits.
    pub fn upsert_orchestrator(&self, orchestrator: Orchestrator) -> Pending<()> {
        self.committed(move |connection| upsert(connection, &orchestrator))
    }

    /// One row.
    pub fn orchestrator(&self, address: Address) -> Pending<Option<Orchestrator>> {
        self.read(move |connection| {
            Ok(list(connection, "WHERE ethereumAddr = ?1", address.to_string())?.pop())
        })
    }

    /// Every row, or those active in a round.
    pub fn orchestrators(&self, active_in: Option<u64>) -> Pending<Vec<Orchestrator>> {
        self.read(move |connection| match active_in {
            Some(round) => list(
                connection,
                "WHERE activationRound <= ?1 AND ?1 < deactivationRound",
                column(round),
            ),
            None => list(connection, "WHERE ?1", 1),
        })
    }
}

fn upsert(connection: &Connection, row: &Orchestrator) -> Result<(), LedgerError> {
    connection
        .prepare_cached(
            "INSERT INTO orchestrators \
             (ethereumAddr, createdAt, updatedAt, serviceURI, pricePerPixel, activationRound, deactivationRound, stake) \
             VALUES (?1, datetime(), datetime(), ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (ethereumAddr) DO UPDATE SET \
             updatedAt = excluded.updatedAt, \
             serviceURI = coalesce(nullif(trim(excluded.serviceURI), ''), serviceURI), \
             pricePerPixel = coalesce(nullif(excluded.pricePerPixel, 0), pricePerPixel), \
             activationRound = coalesce(nullif(excluded.activationRound, 0), activationRound), \
             deactivationRound = coalesce(nullif(excluded.deactivationRound, 0), deactivationRound), \
             stake = coalesce(nullif(excluded.stake, 0), stake)",
        )?
        .execute(params![
            row.address.to_string(),
            row.service_uri,
            column(row.price_per_pixel),
            column(row.activation_round),
            column(row.deactivation_round),
            column(row.stake),
        ])?;
    Ok(())
}

fn list(
    connection: &Connection,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> Result<Vec<Orchestrator>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT ethereumAddr, serviceURI, pricePerPixel, activationRound, deactivationRound, stake \
         FROM orchestrators {condition}"
    ))?;
    let mut rows = statement.query([value])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        list.push(orchestrator(row)?);
    }
    Ok(list)
}

fn orchestrator(row: &Row<'_>) -> Result<Orchestrator, LedgerError> {
    let bad = |problem: String| LedgerError::row("orchestrators", problem);
    let number = |i: usize| -> Result<u64, LedgerError> {
        // a null or a negative number of an old release is nothing
        let n: Option<i64> = row.get(i)?;
        Ok(n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    };
    Ok(Orchestrator {
        address: read_address(row.get_ref(0)?).map_err(bad)?,
        service_uri: read_text(row.get_ref(1)?).unwrap_or_default(),
        price_per_pixel: number(2)?,
        activation_round: number(3)?,
        deactivation_round: number(4)?,
        stake: number(5)?,
    })
}
