//! The 90 kHz timeline: 33-bit wrap and unwrap, conversion to and from nanoseconds, and the repair
//! of missing or non-increasing times. Pure integer arithmetic; knows no container.

use crate::TICKS_PER_SECOND;

/// Ticks after which a PTS, DTS or PCR base starts again at zero (ISO/IEC 13818-1: 33 bits).
pub const WRAP: i64 = 1 << 33;

/// The 33-bit form of a time, for writing into a PES header.
pub fn wrap(ticks: i64) -> u64 {
    ticks.rem_euclid(WRAP) as u64
}

/// The time congruent to `raw` modulo 2^33 that lies nearest to `near`.
pub fn unwrap(raw: u64, near: i64) -> i64 {
    let raw = (raw as i64).rem_euclid(WRAP);
    let step = (raw - near.rem_euclid(WRAP)).rem_euclid(WRAP);
    if step >= WRAP / 2 {
        near.saturating_add(step - WRAP)
    } else {
        near.saturating_add(step)
    }
}

/// Unwraps the streams of one container onto one timeline: each follows its own last time, and a
/// stream's first time is put near that of the stream seen before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwrapper {
    anchor: Option<i64>,
}

impl Unwrapper {
    /// Unwraps `raw` near `last`, the stream's previous time, or near the other streams if it has none.
    pub fn unwrap(&mut self, raw: u64, last: Option<i64>) -> i64 {
        let time = match last.or(self.anchor) {
            Some(near) => unwrap(raw, near),
            None => (raw as i64).rem_euclid(WRAP),
        };
        self.anchor = Some(time);
        time
    }
}

/// Nanoseconds of a time, rounded down. Together with [`ns_to_ticks`] an exact round trip.
pub fn ticks_to_ns(ticks: i64) -> i64 {
    clamp((i128::from(ticks) * 100_000).div_euclid(9))
}

/// Ticks of a time in nanoseconds, rounded to the nearest.
pub fn ns_to_ticks(ns: i64) -> i64 {
    clamp((i128::from(ns) * 9 + 50_000).div_euclid(100_000))
}

/// `value` units of `scale` per second in ticks, rounded half up. A scale of zero counts as one.
pub fn rescale_to_ticks(value: i64, scale: u32) -> i64 {
    let scale = i128::from(scale.max(1));
    clamp((i128::from(value) * i128::from(TICKS_PER_SECOND) * 2 + scale).div_euclid(scale * 2))
}

pub(crate) fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// Keeps times strictly increasing: a missing time becomes previous + frame duration, a time that does
/// not increase becomes previous + 1 tick. The reference applies this to decoded frames and, with
/// [`Self::raise`], to DTS before muxing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Monotonic {
    last: Option<i64>,
}

impl Monotonic {
    /// The repaired time. The first time, if missing, becomes 0.
    pub fn repair(&mut self, time: Option<i64>, frame_duration: i64) -> i64 {
        let wanted = match (time, self.last) {
            (Some(time), _) => time,
            (None, Some(last)) => last.saturating_add(frame_duration),
            (None, None) => 0,
        };
        self.raise(wanted)
    }

    /// `time` if it is later than the previous one, else previous + 1 tick.
    pub fn raise(&mut self, time: i64) -> i64 {
        let time = match self.last {
            Some(last) if time <= last => last.saturating_add(1),
            _ => time,
        };
        self.last = Some(time);
        time
    }

    /// The time last handed out.
    pub fn last(&self) -> Option<i64> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unwrap_continues_over_the_wrap_in_both_directions() {
        assert_eq!(unwrap(10, WRAP - 10), WRAP + 10);
        assert_eq!(unwrap((WRAP - 10) as u64, 10), -10);
        assert_eq!(unwrap(5, 5 * WRAP), 5 * WRAP + 5);
    }

    #[test]
    fn a_second_stream_is_put_near_the_first() {
        let mut unwrapper = Unwrapper::default();
        assert_eq!(unwrapper.unwrap(50, None), 50);
        assert_eq!(unwrapper.unwrap((WRAP - 1000) as u64, None), -1000);
        assert_eq!(unwrapper.unwrap(3050, Some(50)), 3050);
    }

    #[test]
    fn late_start_of_a_long_stream_survives_the_nanosecond_round_trip() {
        assert_eq!(ns_to_ticks(ticks_to_ns(3_374_024_940)), 3_374_024_940);
        assert_eq!(ticks_to_ns(9), 100_000);
        assert_eq!(ticks_to_ns(-1), -11_112);
    }

    #[test]
    fn repair_follows_the_reference() {
        let mut times = Monotonic::default();
        assert_eq!(times.repair(Some(100), 3000), 100);
        assert_eq!(times.repair(None, 3000), 3100);
        assert_eq!(times.repair(Some(3100), 3000), 3101);
        assert_eq!(times.repair(Some(50), 3000), 3102);
        assert_eq!(times.repair(Some(9000), 3000), 9000);
    }

    #[test]
    fn rescaling_rounds_half_up() {
        assert_eq!(rescale_to_ticks(1, 48_000), 2);
        assert_eq!(rescale_to_ticks(1024, 48_000), 1920);
        assert_eq!(rescale_to_ticks(1024, 44_100), 2090);
    }

    proptest! {
        #[test]
        fn wrap_then_unwrap_near_is_identity(time in -WRAP * 4..WRAP * 4, off in -WRAP / 2 + 1..WRAP / 2) {
            prop_assert_eq!(unwrap(wrap(time), time + off), time);
        }

        #[test]
        fn nanoseconds_round_trip(ticks in i64::MIN / 20_000..i64::MAX / 20_000) {
            prop_assert_eq!(ns_to_ticks(ticks_to_ns(ticks)), ticks);
        }
    }
}
