//! The forms in which the reference's tables hold addresses, hashes and big integers, and reading them back.
//!
//! Columns declared `STRING` have NUMERIC affinity in SQLite, so a value may come back as a number; every reader here
//! takes any type and says what is wrong instead of failing on it.

use protocol::address::Address;
use protocol::money::U256;
use protocol::signature::Hash;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::LedgerError;

/// `0x` and 64 lower-case digits.
pub fn hash_text(hash: &Hash) -> String {
    format!("0x{}", hex::encode(hash))
}

/// What a column holds that it should not.
fn found(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(n) => format!("integer {n}"),
        ValueRef::Real(x) => format!("real {x}"),
        ValueRef::Text(text) => {
            let text: String = String::from_utf8_lossy(text).chars().take(80).collect();
            format!("text {text:?}")
        }
        ValueRef::Blob(bytes) => format!("blob of {} bytes", bytes.len()),
    }
}

/// Any scalar as text: numbers in decimal, blobs as the text they hold.
pub(crate) fn read_text(value: ValueRef<'_>) -> Result<String, String> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| "not valid text".to_owned()),
        ValueRef::Integer(n) => Ok(n.to_string()),
        ValueRef::Real(x) => Ok(x.to_string()),
        ValueRef::Null => Err("null where text was expected".to_owned()),
    }
}

/// An address in any case, with `0x`.
pub(crate) fn read_address(value: ValueRef<'_>) -> Result<Address, String> {
    read_text(value)?
        .parse()
        .map_err(|_| format!("{} is no address", found(value)))
}

/// `0x` and 64 digits.
pub(crate) fn read_hash(value: ValueRef<'_>) -> Result<Hash, String> {
    let text = read_text(value)?;
    parse_hash(&text).ok_or_else(|| format!("{} is no 32-byte hash", found(value)))
}

/// `0x` (or not) and 64 digits.
pub fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, &mut hash).ok()?;
    Some(hash)
}

/// A big-endian blob of at most 32 bytes; empty is zero.
pub(crate) fn read_uint(value: ValueRef<'_>) -> Result<U256, String> {
    match value {
        ValueRef::Blob(bytes) if bytes.len() <= 32 => Ok(U256::from_big_endian(bytes)),
        other => Err(format!(
            "{} is no big-endian number of at most 32 bytes",
            found(other)
        )),
    }
}

/// An integer that is not negative.
pub(crate) fn read_count(value: ValueRef<'_>) -> Result<u64, String> {
    match value {
        ValueRef::Integer(n) => u64::try_from(n).map_err(|_| format!("{n} is negative")),
        other => Err(format!("{} is no integer", found(other))),
    }
}

/// A column with an integer that is not negative.
pub(crate) fn count_at(row: &Row<'_>, i: usize, table: &'static str) -> Result<u64, LedgerError> {
    read_count(row.get_ref(i)?).map_err(|problem| LedgerError::row(table, problem))
}

/// A blob of exactly `N` bytes.
pub(crate) fn read_bytes<const N: usize>(value: ValueRef<'_>) -> Result<[u8; N], String> {
    match value {
        ValueRef::Blob(bytes) => bytes
            .try_into()
            .map_err(|_| format!("{} instead of {N} bytes", found(value))),
        other => Err(format!("{} is no blob of {N} bytes", found(other))),
    }
}

/// As a column of 64-bit integers holds it: clamped, never wrapped.
pub(crate) fn column(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
