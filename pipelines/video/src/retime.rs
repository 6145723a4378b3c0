//! Which decoded frames a branch encodes, and when they are shown: a changed frame rate, a clip, or both.
//!
//! Frames are chosen after scaling and repeated by reference. Times are ticks on the absolute timeline,
//! so consecutive segments share one grid. Owns no element.

use containers::ContainerError;
use containers::grid::{FrameGrid, FrameSelector};
use host::job::Clip;

/// A frame to be encoded and its presentation time in ticks.
pub(crate) type Timed<F> = (F, i64);

/// Chooses the frames of one branch.
#[derive(Debug)]
pub(crate) struct Retimer<F> {
    selector: Option<FrameSelector<F>>,
    window: Option<Window>,
    frame_ticks: i64,
}

impl<F: Clone> Retimer<F> {
    /// For a branch with a `grid` (or none: every frame) and a `clip` (or none: everything).
    /// `frame_ticks` is the length of the last frame.
    pub(crate) fn new(
        grid: Option<FrameGrid>,
        rate: Option<(u32, u32)>,
        clip: Option<Clip>,
        frame_ticks: i64,
    ) -> Self {
        let units = rate.map_or((90_000, 1), |(num, den)| {
            (u64::from(num), u64::from(den.max(1)))
        });
        Self {
            selector: grid.map(FrameSelector::new),
            window: clip
                .filter(|clip| clip.from_ms > 0 || clip.to_ms > 0)
                .map(|clip| Window::new(clip, units)),
            frame_ticks,
        }
    }

    /// Takes the next frame in presentation order; returns what is settled.
    pub(crate) fn push(&mut self, frame: F, pts: i64) -> Result<Vec<Timed<F>>, ContainerError> {
        match &mut self.selector {
            Some(selector) => {
                let filled = selector.push(frame, pts, self.frame_ticks)?;
                Ok(self.settle(filled))
            }
            None => Ok(self
                .admit(pts)
                .map(|pts| (frame, pts))
                .into_iter()
                .collect()),
        }
    }

    /// Settles the last frame.
    pub(crate) fn finish(&mut self) -> Result<Vec<Timed<F>>, ContainerError> {
        let Some(selector) = &mut self.selector else {
            return Ok(Vec::new());
        };
        let filled = selector.finish()?;
        Ok(self.settle(filled))
    }

    fn settle(&mut self, filled: Option<containers::grid::Filled<F>>) -> Vec<Timed<F>> {
        let Some((filled, grid)) = filled.zip(self.selector.as_ref().map(FrameSelector::grid))
        else {
            return Vec::new();
        };
        filled
            .slots
            .filter_map(|slot| self.admit(slot))
            .map(|slot| (filled.frame.clone(), grid.slot_ticks(slot)))
            .collect()
    }

    fn admit(&mut self, position: i64) -> Option<i64> {
        match &mut self.window {
            Some(window) => window.admit(position),
            None => Some(position),
        }
    }
}

/// Part of a stream counted from its first unit; positions are ticks or grid slots.
///
/// Before `from` and after `to` is dropped; with a `from`, what is kept is shifted to begin near zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    from: i64,
    to: Option<i64>,
    start: Option<i64>,
}

impl Window {
    /// The window of a clip, in positions of which `num / den` make a second.
    pub(crate) fn new(clip: Clip, (num, den): (u64, u64)) -> Self {
        let unit = 1000 * u128::from(den);
        let position = |ms: u64| {
            let exact = (u128::from(ms) * u128::from(num) * 2 + unit) / (unit * 2);
            i64::try_from(exact).unwrap_or(i64::MAX)
        };
        Self {
            from: position(clip.from_ms),
            to: (clip.to_ms > 0).then(|| position(clip.to_ms)),
            start: None,
        }
    }

    /// The position in the output, or `None` if this one is cut away. The first call sets the start.
    pub(crate) fn admit(&mut self, position: i64) -> Option<i64> {
        let start = *self.start.get_or_insert(position);
        let offset = position.saturating_sub(start);
        if offset < self.from || self.to.is_some_and(|to| offset > to) {
            return None;
        }
        Some(if self.from > 0 {
            offset - self.from
        } else {
            position
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rate: Option<(u32, u32)>, clip: Option<Clip>, frames: &[i64], step: i64) -> Vec<i64> {
        let grid = rate.map(|(num, den)| FrameGrid::new(num, den).unwrap());
        let mut retimer = Retimer::new(grid, rate, clip, step);
        let mut out = Vec::new();
        for pts in frames {
            out.extend(retimer.push((), *pts).unwrap());
        }
        out.extend(retimer.finish().unwrap());
        out.into_iter().map(|(_, pts)| pts).collect()
    }

    fn segment(start: i64) -> Vec<i64> {
        (0..60).map(|i| start + i * 3000).collect()
    }

    #[test]
    fn rates_give_the_frames_of_the_reference() {
        for (rate, count, first, last) in [
            ((15, 1), 30, 6000, 180_000),
            ((24, 1), 48, 7500, 183_750),
            ((25, 1), 50, 7200, 183_600),
            ((50, 1), 100, 5400, 183_600),
            ((60, 1), 120, 6000, 184_500),
        ] {
            let out = times(Some(rate), None, &segment(6000), 3000);
            assert_eq!(
                (out.len(), out[0], out[out.len() - 1]),
                (count, first, last),
                "{rate:?}"
            );
        }
    }

    #[test]
    fn a_clip_is_counted_from_the_first_frame_and_shifted_to_zero() {
        let clip = Some(Clip {
            from_ms: 1000,
            to_ms: 1500,
        });
        let out = times(None, clip, &segment(6000), 3000);
        assert_eq!((out.len(), out[0], out[out.len() - 1]), (16, 0, 45_000));
        let out = times(Some((15, 1)), clip, &segment(6000), 3000);
        assert_eq!((out.len(), out[0], out[out.len() - 1]), (9, 0, 48_000));
    }

    #[test]
    fn a_clip_without_start_keeps_the_timeline() {
        let out = times(
            None,
            Some(Clip {
                from_ms: 0,
                to_ms: 100,
            }),
            &segment(6000),
            3000,
        );
        assert_eq!(out, [6000, 9000, 12_000, 15_000]);
    }
}
