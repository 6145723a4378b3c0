//! Balances, fixed prices and nonces: what gateways have paid ahead, and the guard against paying twice.

use std::time::Duration;

use protocol::address::Address;
use protocol::money::{Credit, Price, U256, WinningTicket};
use protocol::signature::Hash;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::tickets::{Added, add_all};
use crate::text::{column, read_bytes, read_count};
use crate::writer::Class;
use crate::{Ledger, LedgerError, NonceSet, Pending};

/// All that one accepted payment changes; stored as a whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Who paid.
    pub sender: Address,
    /// For what: a session or manifest ID.
    pub key: String,
    /// The balance after this payment.
    pub balance: Credit,
    /// Price fixed by this payment; `None` leaves what there is. The first one stays.
    pub fixed_price: Option<Price>,
    /// Nonces that it used.
    pub nonces: Vec<NonceUse>,
    /// Its winners; when there are any, the answer comes after the sync.
    pub winners: Vec<WinningTicket>,
}

/// Nonces of one set of parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NonceUse {
    /// The set, by the hash of its secret number.
    pub rand_hash: Hash,
    /// L1 block of its end.
    pub expiration_block: u64,
    /// The nonces.
    pub nonces: Vec<u32>,
}

/// What a payment came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Its winners.
    pub winners: Added,
    /// Nonces that were stored before; above 0 only when the caller's view was not the ledger's.
    pub known_nonces: u32,
}

/// A balance with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditEntry {
    /// Who paid.
    pub sender: Address,
    /// For what.
    pub key: String,
    /// What is left, in both directions.
    pub balance: Credit,
    /// Price fixed for it.
    pub fixed_price: Option<Price>,
    /// Last credit or debit, unix seconds.
    pub used_at: u64,
    /// Age of that, by the clock of the ledger.
    pub idle: Duration,
}

/// Balances as a start finds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credits {
    /// The entries, latest use first.
    pub entries: Vec<CreditEntry>,
    /// Entries that were idle for too long and are gone.
    pub forgotten: u32,
    /// Entries beyond the limit: still stored, not given.
    pub left_out: u32,
    /// Entries that could not be read, and why.
    pub unreadable: Vec<String>,
}

/// Nonces as a start finds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonceEntry {
    /// The set of parameters, by the hash of its secret number.
    pub rand_hash: Hash,
    /// L1 block of its end.
    pub expiration_block: u64,
    /// Nonces seen.
    pub nonces: NonceSet,
}

impl Ledger {
    /// Stores a payment. Committed before the answer; synced as well when it holds a winner.
    pub fn apply_payment(&self, payment: PaymentRecord) -> Pending<Applied> {
        let forward = self.forward_winners;
        let class = match payment.winners.is_empty() {
            true => Class::Committed,
            false => Class::Durable,
        };
        self.queue.put(class, move |connection| {
            set_balance(
                connection,
                payment.sender,
                &payment.key,
                payment.balance,
                payment.fixed_price.as_ref(),
            )?;
            let mut applied = Applied::default();
            for used in &payment.nonces {
                applied.known_nonces += use_nonces(connection, used)?;
            }
            applied.winners = add_all(connection, &payment.winners, forward)?;
            Ok(applied)
        })
    }

    /// Stores the balance after a debit; the fixed price stays.
    pub fn set_balance(
        &self,
        sender: Address,
        key: impl Into<String>,
        balance: Credit,
    ) -> Pending<()> {
        let key = key.into();
        self.committed(move |connection| set_balance(connection, sender, &key, balance, None))
    }

    /// Notes nonces of a payment that was refused after they were used.
    pub fn use_nonces(&self, used: NonceUse) -> Pending<()> {
        self.committed(move |connection| use_nonces(connection, &used).map(drop))
    }

    /// The balances of the last run: forgets those idle for longer than `idle`, gives at most `limit`.
    pub fn load_credits(&self, idle: Duration, limit: u32) -> Pending<Credits> {
        self.committed(move |connection| {
            let forgotten = forget_idle(connection, idle)?;
            load_credits(connection, forgotten, limit)
        })
    }

    /// Forgets balances idle for longer than `idle`; gives how many. `keep` names the ones in use whatever their age,
    /// such as running sessions.
    pub fn forget_idle_credits(
        &self,
        idle: Duration,
        keep: Vec<(Address, String)>,
    ) -> Pending<u32> {
        self.committed(move |connection| {
            for (sender, key) in &keep {
                connection
                    .prepare_cached(
                        "UPDATE orn_credits SET used_at = unixepoch() WHERE sender = ?1 AND key = ?2",
                    )?
                    .execute((&sender.0[..], key))?;
            }
            forget_idle(connection, idle)
        })
    }

    /// Nonces of parameters that live on behind `l1_block`; those of expired ones are dropped. `l1_block` must be of
    /// the clock that refuses expired tickets, and not below it.
    pub fn load_nonces(&self, l1_block: u64) -> Pending<Vec<NonceEntry>> {
        self.committed(move |connection| {
            purge_nonces(connection, l1_block)?;
            load_nonces(connection)
        })
    }

    /// Drops the nonces of parameters that have expired by the same L1 clock that refuses their tickets; gives how
    /// many sets.
    pub fn purge_nonces(&self, l1_block: u64) -> Pending<u32> {
        self.committed(move |connection| purge_nonces(connection, l1_block))
    }
}

fn set_balance(
    connection: &Connection,
    sender: Address,
    key: &str,
    balance: Credit,
    price: Option<&Price>,
) -> Result<(), LedgerError> {
    connection
        .prepare_cached(
            "INSERT INTO orn_credits (sender, key, balance, price, used_at) VALUES (?1, ?2, ?3, ?4, unixepoch()) \
             ON CONFLICT (sender, key) DO UPDATE SET balance = excluded.balance, used_at = excluded.used_at, \
             price = coalesce(orn_credits.price, excluded.price)",
        )?
        .execute(params![
            &sender.0[..],
            key,
            &balance.to_bytes()[..],
            price.map(price_bytes).as_ref().map(|bytes| &bytes[..]),
        ])?;
    Ok(())
}

/// Adds nonces; gives how many were there.
fn use_nonces(connection: &Connection, used: &NonceUse) -> Result<u32, LedgerError> {
    let stored = connection
        .prepare_cached("SELECT nonces FROM orn_nonces WHERE rand_hash = ?1")?
        .query_row([&used.rand_hash[..]], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    let mut set = match stored {
        Some(bytes) => NonceSet::from_bytes(&bytes)
            .map_err(|problem| LedgerError::row("orn_nonces", problem))?,
        None => NonceSet::default(),
    };
    let known = used
        .nonces
        .iter()
        .filter(|nonce| !set.insert(**nonce))
        .count();
    connection
        .prepare_cached(
            "INSERT INTO orn_nonces (rand_hash, expiration_block, nonces) VALUES (?1, ?2, ?3) \
             ON CONFLICT (rand_hash) DO UPDATE SET nonces = excluded.nonces",
        )?
        .execute(params![
            &used.rand_hash[..],
            column(used.expiration_block),
            set.to_bytes()
        ])?;
    Ok(u32::try_from(known).unwrap_or(u32::MAX))
}

fn forget_idle(connection: &Connection, idle: Duration) -> Result<u32, LedgerError> {
    let gone = connection
        .prepare_cached("DELETE FROM orn_credits WHERE used_at < unixepoch() - ?1")?
        .execute([column(idle.as_secs())])?;
    Ok(u32::try_from(gone).unwrap_or(u32::MAX))
}

fn purge_nonces(connection: &Connection, l1_block: u64) -> Result<u32, LedgerError> {
    let gone = connection
        .prepare_cached("DELETE FROM orn_nonces WHERE expiration_block <= ?1")?
        .execute([column(l1_block)])?;
    Ok(u32::try_from(gone).unwrap_or(u32::MAX))
}

fn load_credits(
    connection: &Connection,
    forgotten: u32,
    limit: u32,
) -> Result<Credits, LedgerError> {
    let mut credits = Credits {
        forgotten,
        ..Credits::default()
    };
    let all: u32 =
        connection.query_row("SELECT count(*) FROM orn_credits", [], |row| row.get(0))?;
    credits.left_out = all.saturating_sub(limit);
    let mut statement = connection.prepare_cached(
        "SELECT sender, key, balance, price, used_at, max(0, unixepoch() - used_at) FROM orn_credits \
         ORDER BY used_at DESC LIMIT ?1",
    )?;
    let mut rows = statement.query([limit])?;
    while let Some(row) = rows.next()? {
        let values: Vec<ValueRef<'_>> = (0..6).map(|i| row.get_ref(i)).collect::<Result<_, _>>()?;
        match read_credit(&values) {
            Ok(entry) => credits.entries.push(entry),
            Err(problem) => credits.unreadable.push(format!("orn_credits: {problem}")),
        }
    }
    Ok(credits)
}

fn load_nonces(connection: &Connection) -> Result<Vec<NonceEntry>, LedgerError> {
    let mut statement =
        connection.prepare_cached("SELECT rand_hash, expiration_block, nonces FROM orn_nonces")?;
    let mut rows = statement.query([])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let values: Vec<ValueRef<'_>> = (0..3).map(|i| row.get_ref(i)).collect::<Result<_, _>>()?;
        // a guard that cannot be read must stop the start: without it a ticket could be paid with twice
        entries
            .push(read_nonces(&values).map_err(|problem| LedgerError::row("orn_nonces", problem))?);
    }
    Ok(entries)
}

/// Reads `sender, key, balance, price, used_at, idle seconds`.
///
/// # Errors
/// What is wrong, with the column.
pub fn read_credit(values: &[ValueRef<'_>]) -> Result<CreditEntry, String> {
    let [sender, key, balance, price, used_at, idle] = values else {
        return Err(format!("{} columns instead of 6", values.len()));
    };
    let balance = read_bytes::<{ Credit::BYTES }>(*balance)
        .and_then(|bytes| Credit::from_bytes(&bytes).map_err(|error| error.to_string()));
    Ok(CreditEntry {
        sender: Address(read_bytes(*sender).map_err(|problem| format!("sender: {problem}"))?),
        key: crate::text::read_text(*key).map_err(|problem| format!("key: {problem}"))?,
        balance: balance.map_err(|problem| format!("balance: {problem}"))?,
        fixed_price: match price {
            ValueRef::Null => None,
            value => Some(read_price(*value).map_err(|problem| format!("price: {problem}"))?),
        },
        used_at: read_count(*used_at).map_err(|problem| format!("used_at: {problem}"))?,
        idle: Duration::from_secs(read_count(*idle).map_err(|problem| format!("idle: {problem}"))?),
    })
}

/// Reads `rand_hash, expiration_block, nonces`.
///
/// # Errors
/// What is wrong, with the column.
pub fn read_nonces(values: &[ValueRef<'_>]) -> Result<NonceEntry, String> {
    let [rand_hash, expiration, nonces] = values else {
        return Err(format!("{} columns instead of 3", values.len()));
    };
    let bytes = nonces.as_blob().map_err(|_| "nonces: no blob".to_owned())?;
    Ok(NonceEntry {
        rand_hash: read_bytes(*rand_hash).map_err(|problem| format!("rand_hash: {problem}"))?,
        expiration_block: read_count(*expiration)
            .map_err(|problem| format!("expiration_block: {problem}"))?,
        nonces: NonceSet::from_bytes(bytes).map_err(|problem| format!("nonces: {problem}"))?,
    })
}

/// Numerator and denominator, 32 bytes each.
fn price_bytes(price: &Price) -> [u8; 64] {
    let mut bytes = [0; 64];
    let (num, den) = bytes.split_at_mut(32);
    price.num().to_big_endian(num);
    price.den().to_big_endian(den);
    bytes
}

fn read_price(value: ValueRef<'_>) -> Result<Price, String> {
    let bytes: [u8; 64] = read_bytes(value)?;
    let (num, den) = bytes.split_at(32);
    Price::new(U256::from_big_endian(num), U256::from_big_endian(den))
        .ok_or_else(|| "denominator 0".to_owned())
}
