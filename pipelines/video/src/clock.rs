//! Times of the media (90 kHz ticks, any sign) as times of a pipeline (nanoseconds, never negative).
//!
//! A pipeline's time zero lies 1001 hours before `base`, so that times before the first access unit and
//! decoding times before the first presentation time stay representable. It is that much because encoders
//! move everything that begins before 1000 hours to there, and then confuse moved and unmoved times when a
//! key frame is asked for. Exact in both directions.

use containers::timeline::{ns_to_ticks, ticks_to_ns};

const HEADROOM: i64 = 1001 * 3600 * containers::TICKS_PER_SECOND;

/// Maps ticks to pipeline time and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaClock {
    base: i64,
}

impl MediaClock {
    /// A clock for media that begins near `base` ticks.
    pub(crate) fn new(base: i64) -> Self {
        Self { base }
    }

    /// Pipeline time of `ticks`; times more than 1001 hours before the base become zero.
    pub(crate) fn to_pipeline(self, ticks: i64) -> gst::ClockTime {
        let ns = ticks_to_ns(ticks.saturating_sub(self.base).saturating_add(HEADROOM));
        gst::ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(0))
    }

    /// Ticks of a pipeline time in nanoseconds.
    pub(crate) fn to_ticks(self, ns: i64) -> i64 {
        ns_to_ticks(ns)
            .saturating_sub(HEADROOM)
            .saturating_add(self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_way_through_a_pipeline() {
        for base in [0, -5000, 126_000, 3_374_024_940, 1 << 33, 5 << 33] {
            let clock = MediaClock::new(base);
            for offset in [-9000, -1, 0, 1, 2, 3003, 6007, 90_000 * 299] {
                let ns = clock.to_pipeline(base + offset).nseconds() as i64;
                assert_eq!(clock.to_ticks(ns), base + offset);
            }
        }
    }
}
