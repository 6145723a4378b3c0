//! The reference's table of unbonding locks.

use protocol::address::Address;
use protocol::money::U256;
use rusqlite::params;

use crate::text::{column, count_at, read_address, read_text};
use crate::{Ledger, LedgerError, Pending};

/// Stake on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnbondingLock {
    /// Number of the lock, per delegator.
    pub id: u64,
    /// Whose stake.
    pub delegator: Address,
    /// LPT wei.
    pub amount: U256,
    /// First round in which it can be withdrawn.
    pub withdraw_round: u64,
}

impl Ledger {
    /// Adds a lock; one that is there stays.
    pub fn add_unbonding_lock(&self, lock: UnbondingLock) -> Pending<()> {
        self.committed(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO unbondingLocks (id, delegator, amount, withdrawRound) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (id, delegator) DO NOTHING",
                )?
                .execute(params![
                    column(lock.id),
                    lock.delegator.to_string(),
                    lock.amount.to_string(),
                    column(lock.withdraw_round)
                ])?;
            Ok(())
        })
    }

    /// Removes a lock: its event was undone.
    pub fn remove_unbonding_lock(&self, id: u64, delegator: Address) -> Pending<()> {
        self.committed(move |connection| {
            connection
                .prepare_cached("DELETE FROM unbondingLocks WHERE id = ?1 AND delegator = ?2")?
                .execute(params![column(id), delegator.to_string()])?;
            Ok(())
        })
    }

    /// Marks a lock as used in a block, or with `None` as not used after all.
    pub fn use_unbonding_lock(
        &self,
        id: u64,
        delegator: Address,
        block: Option<u64>,
    ) -> Pending<()> {
        self.committed(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE unbondingLocks SET usedBlock = ?3 WHERE id = ?1 AND delegator = ?2",
                )?
                .execute(params![
                    column(id),
                    delegator.to_string(),
                    block.map(column)
                ])?;
            Ok(())
        })
    }

    /// Unused locks of every delegator; with a round those that can be withdrawn in it.
    pub fn unbonding_locks(&self, withdrawable_in: Option<u64>) -> Pending<Vec<UnbondingLock>> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, delegator, amount, withdrawRound FROM unbondingLocks \
                 WHERE usedBlock IS NULL AND withdrawRound <= ?1 ORDER BY id",
            )?;
            let mut rows = statement.query([column(withdrawable_in.unwrap_or(u64::MAX))])?;
            let mut locks = Vec::new();
            while let Some(row) = rows.next()? {
                let bad = |problem: String| LedgerError::row("unbondingLocks", problem);
                let amount = read_text(row.get_ref(2)?).map_err(bad)?;
                locks.push(UnbondingLock {
                    id: count_at(row, 0, "unbondingLocks")?,
                    delegator: read_address(row.get_ref(1)?).map_err(bad)?,
                    amount: U256::from_dec_str(&amount)
                        .map_err(|_| bad(format!("amount {amount:?} is no number")))?,
                    withdraw_round: count_at(row, 3, "unbondingLocks")?,
                });
            }
            Ok(locks)
        })
    }
}
