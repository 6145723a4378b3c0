//! The grid against the counts and times ffmpeg's fps filter gives, and the joining of segments.

use super::*;
use proptest::prelude::*;

fn convert(grid: FrameGrid, frames: impl IntoIterator<Item = (i64, i64)>) -> Vec<(i64, usize)> {
    let mut selector = FrameSelector::new(grid);
    let mut out = Vec::new();
    for (index, (pts, duration)) in frames.into_iter().enumerate() {
        out.extend(selector.push(index, pts, duration).unwrap());
    }
    out.extend(selector.finish().unwrap());
    out.into_iter()
        .flat_map(|f| f.slots.map(move |s| (grid.slot_ticks(s), f.frame)))
        .collect()
}

fn segment_at_30_fps() -> impl Iterator<Item = (i64, i64)> {
    (0..60).map(|i| (6000 + i * 3000, 3000))
}

#[test]
fn counts_and_times_equal_those_of_ffmpeg() {
    for (fps, count, first, last) in [
        (15, 30, 6000, 180_000),
        (24, 48, 7500, 183_750),
        (25, 50, 7200, 183_600),
        (30, 60, 6000, 183_000),
        (50, 100, 5400, 183_600),
        (60, 120, 6000, 184_500),
    ] {
        let out = convert(FrameGrid::new(fps, 1).unwrap(), segment_at_30_fps());
        let times = (out.len(), out[0].0, out[out.len() - 1].0);
        assert_eq!(times, (count, first, last), "{fps} fps");
    }
}

#[test]
fn ntsc_rate_keeps_exact_multiples_of_3003_ticks() {
    let out = convert(FrameGrid::new(30_000, 1001).unwrap(), segment_at_30_fps());
    assert_eq!((out.len(), out[0].0), (60, 6006));
    assert!(
        out.iter()
            .enumerate()
            .all(|(i, (pts, _))| *pts == 6006 + i as i64 * 3003)
    );
}

#[test]
fn a_late_start_makes_no_frames_from_time_zero() {
    let frames = (0..30).map(|i| (3_374_024_940 + i * 3000, 3000));
    assert_eq!(convert(FrameGrid::new(30, 1).unwrap(), frames).len(), 30);
}

#[test]
fn a_segment_between_two_slots_still_yields_a_frame() {
    assert_eq!(
        convert(FrameGrid::new(1, 1).unwrap(), [(10_000, 3000)]).len(),
        1
    );
}

#[test]
fn a_denominator_of_zero_is_one_and_a_rate_of_zero_is_refused() {
    assert_eq!(FrameGrid::new(30, 0), FrameGrid::new(30, 1));
    assert!(FrameGrid::new(0, 1).is_err());
}

#[test]
fn runaway_is_refused_before_the_frames_exist() {
    let mut selector = FrameSelector::new(FrameGrid::new(60, 1).unwrap());
    selector.push((), 0, 3000).unwrap();
    let refused = selector.push((), 90_000 * 3600, 3000);
    assert_eq!(
        refused,
        Err(ContainerError::Runaway {
            decoded: 2,
            produced: 216_000
        })
    );
}

proptest! {
    #[test]
    fn consecutive_segments_join_without_gap_or_overlap(
        num in 1u32..120_000, den in 1u32..1002, start in -1_000_000i64..9_000_000_000,
        durations in prop::collection::vec(1i64..20_000, 2..200), cut in 0.1f64..0.9,
    ) {
        prop_assume!(num / den <= 120 && num >= den);
        let grid = FrameGrid::new(num, den).unwrap();
        let mut pts = start;
        let frames: Vec<_> = durations.iter().map(|d| { let at = pts; pts += d; (at, *d) }).collect();
        let cut = ((frames.len() as f64 * cut) as usize).clamp(1, frames.len() - 1);
        let (head, tail) = frames.split_at(cut);
        let slots = |part: &[(i64, i64)]| {
            let last = part[part.len() - 1];
            grid.slot(part[0].0)..grid.slot(last.0 + last.1)
        };
        // A part that reaches no slot of its own repeats one so as not to be empty; not a join.
        prop_assume!(!slots(head).is_empty() && !slots(tail).is_empty());
        let run = |part: &[(i64, i64)]| {
            let mut selector = FrameSelector::new(grid);
            let mut all = Vec::new();
            for (pts, duration) in part {
                if let Some(f) = selector.push((), *pts, *duration)? { all.extend(f.slots); }
            }
            if let Some(f) = selector.finish()? { all.extend(f.slots); }
            Ok::<_, ContainerError>(all)
        };
        if let (Ok(whole), Ok(head), Ok(tail)) = (run(&frames), run(head), run(tail)) {
            prop_assert_eq!(whole, [head, tail].concat());
        }
    }

    #[test]
    fn slots_never_go_back_even_when_times_do(
        times in prop::collection::vec(-100_000i64..100_000, 1..50), fps in 1u32..120,
    ) {
        let mut selector = FrameSelector::new(FrameGrid::new(fps, 1).unwrap());
        let mut last = i64::MIN;
        for pts in times {
            if let Ok(Some(filled)) = selector.push((), pts, 3000) {
                prop_assert!(filled.slots.start >= last && filled.slots.end >= filled.slots.start);
                last = filled.slots.end;
            }
        }
    }
}
