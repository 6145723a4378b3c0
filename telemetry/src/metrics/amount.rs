//! Amounts as metrics: exact wei in, floats of larger units out. Nothing is ever computed back from them.

/// Wei as gwei.
pub(super) fn gwei(wei: u128) -> f64 {
    wei as f64 / 1e9
}

/// Wei that may be below zero, as gwei.
pub(super) fn signed_gwei(wei: i128) -> f64 {
    wei as f64 / 1e9
}

/// Wei as ETH, or the smallest unit of LPT as LPT.
pub(super) fn whole_tokens(units: u128) -> f64 {
    units as f64 / 1e18
}

/// A count as the gauges hold it.
pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
