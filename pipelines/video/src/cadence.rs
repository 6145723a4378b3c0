//! The frame rate of the input, measured from the decoding times of its first access units.
//!
//! It sets the encoder's rate control and the length of the last frame; it never moves a timestamp.

use containers::TICKS_PER_SECOND;

/// Access units to look at before the pipeline is started.
pub(crate) const SAMPLE: usize = 16;

/// Rates that exist in practice; a measured rate within one percent of one of them is that one.
const STANDARD: [(u32, u32); 13] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (10, 1),
    (12, 1),
    (15, 1),
    (20, 1),
];

/// Frame rate of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cadence {
    /// Frames per `den` seconds.
    pub(crate) num: u32,
    /// Seconds per `num` frames.
    pub(crate) den: u32,
}

impl Cadence {
    /// Measures the rate; one access unit alone, or times without order, count as 25 frames per second.
    pub(crate) fn measure(dts: &[i64]) -> Self {
        let steps: Vec<i64> = dts
            .windows(2)
            .filter_map(|w| Some(w.get(1)? - w.first()?))
            .collect();
        let mut sorted: Vec<i64> = steps.iter().copied().filter(|step| *step > 1).collect();
        sorted.sort_unstable();
        let Some(&median) = sorted.get(sorted.len() / 2) else {
            return Self { num: 25, den: 1 };
        };
        // Jitter cancels out in the mean; gaps and bursts are kept out of it.
        let (mut sum, mut count) = (0i64, 0i64);
        for step in sorted
            .iter()
            .filter(|step| **step * 2 > median && **step < median * 2)
        {
            sum += step;
            count += 1;
        }
        let rate = (TICKS_PER_SECOND * count) as f64 / sum.max(1) as f64;
        let error = |(num, den): (u32, u32)| (f64::from(num) / f64::from(den) / rate - 1.0).abs();
        STANDARD
            .into_iter()
            .min_by(|a, b| error(*a).total_cmp(&error(*b)))
            .filter(|standard| error(*standard) < 0.01)
            .map_or_else(
                || Self {
                    num: ((rate * 1000.0).round() as u32).clamp(1, 1_000_000),
                    den: 1000,
                },
                |(num, den)| Self { num, den },
            )
    }

    /// Duration of one frame in ticks, at least one.
    pub(crate) fn frame_ticks(self) -> i64 {
        let num = i64::from(self.num.max(1));
        ((TICKS_PER_SECOND * i64::from(self.den) + num / 2) / num).max(1)
    }

    /// Frames in a second as numerator and denominator.
    pub(crate) fn rate(self) -> (u32, u32) {
        (self.num, self.den)
    }

    /// As a GStreamer fraction.
    pub(crate) fn fraction(self) -> gst::Fraction {
        fraction((self.num, self.den))
    }
}

/// A frame rate as a GStreamer fraction; values beyond its range are cut.
pub(crate) fn fraction((num, den): (u32, u32)) -> gst::Fraction {
    let cut = |value: u32| i32::try_from(value.max(1)).unwrap_or(i32::MAX);
    gst::Fraction::new(cut(num), cut(den))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(steps: &[i64]) -> (u32, u32) {
        let mut times = vec![126_000];
        for step in steps {
            times.push(times[times.len() - 1] + step);
        }
        let rate = Cadence::measure(&times);
        (rate.num, rate.den)
    }

    #[test]
    fn standard_rates_are_told_apart() {
        assert_eq!(measure(&[3000; 15]), (30, 1));
        assert_eq!(measure(&[3003; 15]), (30_000, 1001));
        assert_eq!(measure(&[3750; 15]), (24, 1));
        assert_eq!(measure(&[3753, 3754, 3754, 3754]), (24_000, 1001));
        assert_eq!(measure(&[45_000; 3]), (2000, 1000));
    }

    #[test]
    fn millisecond_jitter_and_gaps_do_not_matter() {
        assert_eq!(measure(&[2970, 2970, 3060, 2970, 2970, 3060]), (30, 1));
        assert_eq!(measure(&[3600, 3600, 90_000, 3600, 3600]), (25, 1));
    }

    #[test]
    fn a_single_picture_has_a_duration() {
        assert_eq!(measure(&[]), (25, 1));
        assert_eq!(measure(&[0, -5, 1]), (25, 1));
        assert_eq!(Cadence { num: 30, den: 1 }.frame_ticks(), 3000);
    }
}
