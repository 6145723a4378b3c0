//! More than a node can take: too many streams, too many callers, too many connections, and a stop in the middle of it.
//!
//! Counts are held here, figures are printed. `make faults` runs the same for longer: `ORCHESTRION_FAULT_SECONDS` says how
//! long each load lasts.

mod flood;
mod overload;
mod stop;

use std::time::Duration;

/// How long a load lasts.
pub fn load_time() -> Duration {
    let asked = std::env::var("ORCHESTRION_FAULT_SECONDS").ok();
    Duration::from_secs(asked.and_then(|text| text.parse().ok()).unwrap_or(6))
}

/// The value below which `percent` of the samples lie.
pub fn percentile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    let place = (samples.len() * percent).div_ceil(100).saturating_sub(1);
    samples.get(place.min(last)).copied().unwrap_or_default()
}

#[test]
fn a_percentile_is_one_of_the_samples() {
    let mut samples: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
    assert_eq!(percentile(&mut samples, 50), Duration::from_millis(50));
    assert_eq!(percentile(&mut samples, 99), Duration::from_millis(99));
    assert_eq!(percentile(&mut samples[..1], 99), Duration::from_millis(1));
    assert_eq!(percentile(&mut [], 99), Duration::ZERO);
}
