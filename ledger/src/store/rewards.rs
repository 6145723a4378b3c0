//! What was done about the reward of each round.

use protocol::money::{U256, minimal};
use protocol::signature::Hash;
use rusqlite::types::ValueRef;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use crate::text::{column, count_at, read_bytes, read_uint};
use crate::wire::{maybe_hash, wei};
use crate::{Ledger, LedgerError, Pending};

/// State of a round's reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewardState {
    /// Due, not sent yet.
    Due,
    /// A transaction is out.
    Submitted,
    /// Mined.
    Mined,
    /// Called by somebody else.
    Elsewhere,
    /// The round ended without it.
    Missed,
}

impl RewardState {
    const ALL: [Self; 5] = [
        Self::Due,
        Self::Submitted,
        Self::Mined,
        Self::Elsewhere,
        Self::Missed,
    ];

    /// Name as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Submitted => "submitted",
            Self::Mined => "mined",
            Self::Elsewhere => "elsewhere",
            Self::Missed => "missed",
        }
    }
}

/// The reward of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardRecord {
    /// The round.
    pub round: u64,
    /// Where it stands.
    pub state: RewardState,
    /// In words: last error, what is waited for.
    pub detail: String,
    /// The transaction.
    #[serde(with = "maybe_hash")]
    pub tx: Option<Hash>,
    /// LPT wei.
    #[serde(with = "wei")]
    pub minted: U256,
}

impl Ledger {
    /// Writes the state of a round's reward in place of the last; durable.
    pub fn set_reward(&self, record: RewardRecord) -> Pending<()> {
        self.durable(move |connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO orn_rewards (round, state, detail, tx, minted) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    column(record.round),
                    record.state.as_str(),
                    record.detail,
                    record.tx.as_ref().map(|hash| &hash[..]),
                    minimal(record.minted),
                ])?;
            Ok(())
        })
    }

    /// The latest rounds, newest first.
    pub fn rewards(&self, limit: u32) -> Pending<Vec<RewardRecord>> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT round, state, detail, tx, minted FROM orn_rewards ORDER BY round DESC LIMIT ?1",
            )?;
            let mut rows = statement.query([limit])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(record(row)?);
            }
            Ok(records)
        })
    }
}

fn record(row: &Row<'_>) -> Result<RewardRecord, LedgerError> {
    let bad = |problem: String| LedgerError::row("orn_rewards", problem);
    let state: String = row.get(1)?;
    Ok(RewardRecord {
        round: count_at(row, 0, "orn_rewards")?,
        state: RewardState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| bad(format!("state: {state:?}")))?,
        detail: row.get(2)?,
        tx: match row.get_ref(3)? {
            ValueRef::Null => None,
            value => Some(read_bytes(value).map_err(bad)?),
        },
        minted: read_uint(row.get_ref(4)?).map_err(bad)?,
    })
}
