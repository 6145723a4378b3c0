//! Where the frames of a rendition must lie in time, held against where they do. Pure arithmetic on ticks of 1/90000 s; the
//! rule of the frame grid is written out here once more, so that the check does not share the worker's code.

use containers::TICKS_PER_SECOND;
use containers::timeline::{unwrap, wrap};

/// How far a frame may be off where the source's times are kept: 1 ms.
const KEPT_TOLERANCE: i64 = TICKS_PER_SECOND / 1000;

/// How far a frame may be off its slot: rounding to whole ticks.
const GRID_TOLERANCE: i64 = 1;

/// Presentation times of the pictures of a source segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTimes {
    /// Rising.
    pub pts: Vec<i64>,
    /// Length of the last picture.
    pub frame: i64,
}

impl SourceTimes {
    /// Whether all pictures are as far apart as their length says. Otherwise the slot at a border is a matter of taste.
    fn is_constant(&self) -> bool {
        self.pts
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if (b - a - self.frame).abs() <= 1))
    }

    fn end(&self) -> Option<i64> {
        Some(self.pts.last()?.saturating_add(self.frame))
    }

    fn start(&self) -> Option<i64> {
        self.pts.first().copied()
    }
}

/// Holds the times of one rendition against those of its source, segment after segment.
#[derive(Debug, Default)]
pub struct TimelineCheck {
    /// End of the last source segment, and the slot that follows the rendition's last frame.
    last: Option<(i64, i64, i64)>,
}

impl TimelineCheck {
    /// Checks the segment with number `seq`; `frames` are the rendition's times, rising; `rate` is its frame rate, `None` where
    /// the source's times are kept. Gives what is wrong, in words.
    pub fn check(
        &mut self,
        seq: i64,
        source: &SourceTimes,
        frames: &[i64],
        rate: Option<(u32, u32)>,
    ) -> Vec<String> {
        let Some(start) = source.start() else {
            return vec!["the source has no pictures".to_owned()];
        };
        // Times wrap at 33 bits; only where they lie within that range counts.
        let frames: Vec<i64> = frames.iter().map(|pts| unwrap(wrap(*pts), start)).collect();
        match rate {
            None => kept(source, &frames),
            Some(rate) => self.on_grid(seq, source, &frames, rate),
        }
    }

    fn on_grid(
        &mut self,
        seq: i64,
        source: &SourceTimes,
        frames: &[i64],
        rate: (u32, u32),
    ) -> Vec<String> {
        let mut faults = Vec::new();
        let mut slots = Vec::with_capacity(frames.len());
        for (n, pts) in frames.iter().enumerate() {
            let slot = slot_of(*pts, rate);
            if (pts - slot_time(slot, rate)).abs() > GRID_TOLERANCE {
                faults.push(format!(
                    "frame {n} at {pts} lies beside the grid of {}/{}",
                    rate.0, rate.1
                ));
                break;
            }
            slots.push(slot);
        }
        if let Some(n) = slots
            .windows(2)
            .position(|pair| matches!(pair, [a, b] if b - a != 1))
        {
            faults.push(format!("a gap or an overlap after frame {n}"));
        }
        if let (Some(first), Some(last), Some(begin), Some(end)) =
            (slots.first(), slots.last(), source.start(), source.end())
        {
            let grace = i64::from(!source.is_constant());
            let (from, to) = (slot_of(begin, rate), slot_of(end, rate));
            if (first - from).abs() > grace {
                faults.push(format!("begins with slot {first} instead of {from}"));
            }
            // The shortest segment still gets a frame.
            if (last + 1 - to.max(from + 1)).abs() > grace {
                faults.push(format!("ends before slot {} instead of {to}", last + 1));
            }
            faults.extend(self.border(seq, begin, *first, grace));
            self.last = Some((seq, end, last + 1));
        }
        faults
    }

    /// A rendition joins its predecessor without gap or overlap where the source does.
    fn border(&self, seq: i64, begin: i64, first: i64, grace: i64) -> Option<String> {
        let (before, end, next) = self.last?;
        let joined = before + 1 == seq && (begin - end).abs() <= 1;
        (joined && (first - next).abs() > grace)
            .then(|| format!("{} frames between it and the segment before", first - next))
    }
}

fn kept(source: &SourceTimes, frames: &[i64]) -> Vec<String> {
    if frames.len() != source.pts.len() {
        return vec![format!(
            "{} frames instead of {}",
            frames.len(),
            source.pts.len()
        )];
    }
    let off = source
        .pts
        .iter()
        .zip(frames)
        .enumerate()
        .find(|(_, (wanted, found))| (*found - *wanted).abs() > KEPT_TOLERANCE);
    off.map(|(n, (wanted, found))| format!("frame {n} at {found} instead of {wanted}"))
        .into_iter()
        .collect()
}

/// The slot nearest to a time, halves upwards.
fn slot_of(pts: i64, (num, den): (u32, u32)) -> i64 {
    let unit = i128::from(TICKS_PER_SECOND) * i128::from(den.max(1));
    let slot = (2 * i128::from(pts) * i128::from(num) + unit).div_euclid(2 * unit);
    i64::try_from(slot).unwrap_or(i64::MAX)
}

/// When a slot is shown, rounded to a tick.
fn slot_time(slot: i64, (num, den): (u32, u32)) -> i64 {
    let num = i128::from(num.max(1));
    let exact = i128::from(slot) * i128::from(TICKS_PER_SECOND) * i128::from(den.max(1));
    i64::try_from((2 * exact + num).div_euclid(2 * num)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(start: i64) -> SourceTimes {
        SourceTimes {
            pts: (0..60).map(|n| start + n * 3000).collect(),
            frame: 3000,
        }
    }

    fn grid(range: std::ops::Range<i64>, rate: (u32, u32)) -> Vec<i64> {
        range.map(|slot| slot_time(slot, rate)).collect()
    }

    #[test]
    fn kept_times_may_be_off_by_a_millisecond_and_not_more() {
        let mut check = TimelineCheck::default();
        let source = source(6000);
        let moved = |by: i64| source.pts.iter().map(|pts| pts + by).collect::<Vec<_>>();
        assert!(check.check(0, &source, &moved(90), None).is_empty());
        assert_eq!(
            check.check(0, &source, &moved(91), None),
            ["frame 0 at 6091 instead of 6000"]
        );
        assert_eq!(
            check.check(0, &source, &moved(0)[1..], None),
            ["59 frames instead of 60"]
        );
    }

    #[test]
    fn grids_of_the_reference_pass() {
        // frames out of 60 at 30 per second from 6000 on: count, first and last time as ffmpeg gives them
        for (rate, count, first, last) in [
            (15, 30, 6000, 180_000),
            (24, 48, 7500, 183_750),
            (25, 50, 7200, 183_600),
            (50, 100, 5400, 183_600),
        ] {
            let rate = (rate, 1);
            let from = slot_of(first, rate);
            let frames = grid(from..from + count, rate);
            assert_eq!(frames.last(), Some(&last));
            assert_eq!(
                TimelineCheck::default().check(0, &source(6000), &frames, Some(rate)),
                Vec::<String>::new()
            );
        }
    }

    #[test]
    fn gaps_within_and_between_segments_are_found() {
        let rate = (15, 1);
        let mut check = TimelineCheck::default();
        assert!(
            check
                .check(0, &source(6000), &grid(1..31, rate), Some(rate))
                .is_empty()
        );
        assert!(
            check
                .check(1, &source(186_000), &grid(31..61, rate), Some(rate))
                .is_empty()
        );
        let faults = check.check(2, &source(366_000), &grid(62..91, rate), Some(rate));
        assert_eq!(
            faults,
            [
                "begins with slot 62 instead of 61",
                "1 frames between it and the segment before"
            ]
        );
        let mut holed = grid(91..121, rate);
        holed.remove(4);
        let faults = check.check(3, &source(546_000), &holed, Some(rate));
        assert_eq!(faults, ["a gap or an overlap after frame 3"]);
    }

    #[test]
    fn a_fractional_rate_is_rounded_to_ticks() {
        let rate = (30_000, 1001);
        let source = SourceTimes {
            pts: (0..60).map(|n| 90_000 + n * 3003).collect(),
            frame: 3003,
        };
        let from = slot_of(90_000, rate);
        let frames = grid(from..from + 60, rate);
        assert!(
            TimelineCheck::default()
                .check(0, &source, &frames, Some(rate))
                .is_empty()
        );
        let beside: Vec<i64> = frames.iter().map(|pts| pts + 2).collect();
        assert_eq!(
            TimelineCheck::default()
                .check(0, &source, &beside, Some(rate))
                .len(),
            1
        );
    }

    #[test]
    fn times_that_wrapped_at_33_bits_are_the_same_times() {
        let start = (1_i64 << 33) - 90_000;
        let wrapped: Vec<i64> = source(start)
            .pts
            .iter()
            .map(|pts| pts.rem_euclid(1 << 33))
            .collect();
        assert!(
            TimelineCheck::default()
                .check(0, &source(start), &wrapped, None)
                .is_empty()
        );
    }
}
