//! What the benchmarks share: where results go, what machine it was, percentiles.

pub mod machine;
pub mod results;

/// Value below which the fraction `share` of `values` lies (nearest rank); 0 when there are none.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// A goal and whether it was met, as a row of the table of goals.
pub fn goal(what: &str, wanted: &str, seen: &str, met: bool) -> String {
    let verdict = if met { "met" } else { "**missed**" };
    format!("| {what} | {wanted} | {seen} | {verdict} |\n")
}

/// Head of a table of goals.
pub const GOALS: &str = "| goal | wanted | seen | |\n|---|---|---|---|\n";
