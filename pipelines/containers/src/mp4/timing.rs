//! From media time to presentation time: the leading part of an edit list (ISO/IEC 14496-12 8.6.6).

use mp4_atom::Elst;

use super::samples::Sample;
use crate::timeline::rescale_to_ticks;

/// What the edit list of a track says about its start. Edits after the first that shows media are not followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// Presentation time at which the track begins, in track units: the empty edits.
    pub start: i64,
    /// Composition time shown first, in track units.
    pub media_time: Option<i64>,
    /// Track units shown from there; `None` is without end.
    pub duration: Option<i64>,
}

impl Edit {
    /// Takes the leading empty edits and the first other one. Durations are in `movie_scale`, times in `scale`.
    pub fn new(list: &Elst, movie_scale: u32, scale: u32) -> Self {
        let mut edit = Self::default();
        let mut empty: u64 = 0;
        for (index, entry) in list.entries.iter().enumerate() {
            match entry.media_time {
                None => empty = empty.saturating_add(entry.segment_duration),
                Some(time) => {
                    edit.media_time = Some(i64::try_from(time).unwrap_or(i64::MAX));
                    // a duration of zero is how fragmented files say "all of it"
                    let last = index + 1 == list.entries.len();
                    edit.duration = Some(rescale(entry.segment_duration, scale, movie_scale))
                        .filter(|duration| last && *duration > 0);
                    break;
                }
            }
        }
        edit.start = rescale(empty, scale, movie_scale);
        edit
    }

    /// True for a composition time that is shown.
    pub fn shows(&self, cts: i64) -> bool {
        let begin = self.media_time.unwrap_or(i64::MIN);
        let end = self
            .duration
            .map_or(i64::MAX, |duration| begin.saturating_add(duration));
        cts >= begin && cts < end
    }
}

fn rescale(value: u64, to: u32, from: u32) -> i64 {
    let from = i128::from(from.max(1));
    let scaled = (i128::from(value) * i128::from(to) * 2 + from) / (from * 2);
    crate::timeline::clamp(scaled)
}

/// Turns times of one track into ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    scale: u32,
    /// Added to media times, in track units.
    offset: i64,
    /// Taken off decoding times, in track units, so that negative composition offsets leave DTS at or before PTS.
    dts_shift: i64,
}

impl Clock {
    pub fn new(scale: u32, edit: &Edit, first_shown: i64, dts_shift: i64) -> Self {
        Self {
            scale,
            offset: edit.start.saturating_sub(first_shown),
            dts_shift,
        }
    }

    /// Makes room for a composition offset below zero.
    pub fn cover(&mut self, composition_offset: i64) {
        self.dts_shift = self.dts_shift.max(composition_offset.saturating_neg());
    }

    pub fn pts(&self, sample: &Sample) -> i64 {
        rescale_to_ticks(sample.cts.saturating_add(self.offset), self.scale)
    }

    pub fn dts(&self, sample: &Sample) -> i64 {
        let dts = sample.dts.saturating_sub(self.dts_shift);
        rescale_to_ticks(dts.saturating_add(self.offset), self.scale)
    }
}
