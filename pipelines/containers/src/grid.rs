//! Frame-rate conversion on one absolute grid: which decoded frame fills which output slot.
//!
//! `slot(t) = round(t × fps)`; frame i fills the slots from `slot(pts_i)` up to, but not including,
//! `slot(pts_(i+1))`; the last frame ends at its PTS + duration. The grid is anchored at time 0, not at
//! the segment, so consecutive segments join without gap or overlap. Owns no pixels.

use crate::timeline::{self, ticks_to_ns};
use crate::{ContainerError, TICKS_PER_SECOND};
use std::ops::Range;

/// Most output frames per decoded frame before the conversion is refused.
pub const RUNAWAY_FACTOR: u64 = 25;

/// A constant output frame rate and its slots on the absolute timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameGrid {
    num: u32,
    den: u32,
}

impl FrameGrid {
    /// A grid of `num / den` frames per second; a `den` of 0 counts as 1, as in the protocol.
    pub fn new(num: u32, den: u32) -> Result<Self, ContainerError> {
        if num == 0 {
            return Err(ContainerError::FrameRate { num, den });
        }
        Ok(Self {
            num,
            den: den.max(1),
        })
    }

    /// The slot nearest to a time in ticks, halves upwards.
    pub fn slot(&self, ticks: i64) -> i64 {
        let unit = i128::from(TICKS_PER_SECOND) * i128::from(self.den);
        timeline::clamp((i128::from(ticks) * i128::from(self.num) * 2 + unit).div_euclid(unit * 2))
    }

    /// The PTS of a slot in ticks, rounded half up where the rate does not divide 90 kHz.
    pub fn slot_ticks(&self, slot: i64) -> i64 {
        let num = i128::from(self.num);
        let exact = i128::from(slot) * i128::from(TICKS_PER_SECOND) * i128::from(self.den);
        timeline::clamp((exact * 2 + num).div_euclid(num * 2))
    }

    /// The PTS of a slot in nanoseconds: the floor of its ticks, so that it converts back exactly.
    pub fn slot_ns(&self, slot: i64) -> i64 {
        ticks_to_ns(self.slot_ticks(slot))
    }
}

/// A frame and the consecutive slots it fills: none (dropped), one, or several (repeated).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled<F> {
    /// The frame as pushed.
    pub frame: F,
    /// Slots to fill with it; times through [`FrameGrid::slot_ticks`].
    pub slots: Range<i64>,
}

/// Chooses frames while decoding goes on: each push settles the frame before it.
#[derive(Debug)]
pub struct FrameSelector<F> {
    grid: FrameGrid,
    pending: Option<(F, i64, i64)>,
    next_slot: Option<i64>,
    decoded: u64,
    produced: u64,
}

impl<F> FrameSelector<F> {
    /// A selector for one segment.
    pub fn new(grid: FrameGrid) -> Self {
        Self {
            grid,
            pending: None,
            next_slot: None,
            decoded: 0,
            produced: 0,
        }
    }

    /// The grid in use.
    pub fn grid(&self) -> FrameGrid {
        self.grid
    }

    /// Frames handed out so far, repeats counted.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    /// Takes the next frame in presentation order (`pts` and `duration` in ticks) and returns the one
    /// before it with its slots. Fails when the output would exceed [`RUNAWAY_FACTOR`] times the input.
    pub fn push(
        &mut self,
        frame: F,
        pts: i64,
        duration: i64,
    ) -> Result<Option<Filled<F>>, ContainerError> {
        self.decoded += 1;
        match self.pending.replace((frame, pts, duration)) {
            None => Ok(None),
            Some((previous, start, _)) => self.fill(previous, start, self.grid.slot(pts)).map(Some),
        }
    }

    /// Settles the last frame, which ends at its PTS + duration. A segment too short to reach a slot
    /// still yields its last frame once, as in the reference.
    pub fn finish(&mut self) -> Result<Option<Filled<F>>, ContainerError> {
        let Some((frame, pts, duration)) = self.pending.take() else {
            return Ok(None);
        };
        let mut end = self.grid.slot(pts.saturating_add(duration.max(0)));
        if self.produced == 0 {
            end = end.max(self.grid.slot(pts).saturating_add(1));
        }
        self.fill(frame, pts, end).map(Some)
    }

    fn fill(&mut self, frame: F, pts: i64, end: i64) -> Result<Filled<F>, ContainerError> {
        let start = self.next_slot.unwrap_or_else(|| self.grid.slot(pts));
        let end = end.max(start);
        let produced = self.produced.saturating_add(end.abs_diff(start));
        if produced > self.decoded.saturating_mul(RUNAWAY_FACTOR) {
            return Err(ContainerError::Runaway {
                decoded: self.decoded,
                produced,
            });
        }
        self.next_slot = Some(end);
        self.produced = produced;
        Ok(Filled {
            frame,
            slots: start..end,
        })
    }
}

#[cfg(test)]
mod tests;
