//! Gives every access unit a time: PES packets may carry none, or one for several units.

use super::access::{PesTime, RawUnit};
use crate::{AccessUnit, MediaEvent, h264};
use bytes::Bytes;

/// Assumed until the stream tells: 25 frames per second, as the reference's demuxer does.
const DEFAULT_FRAME: i64 = 3600;

/// Units held back at most while no time has been seen at all.
const MAX_WAITING: usize = 256;

/// Fills in missing times of one video stream.
#[derive(Debug)]
pub(super) struct UnitTimes {
    last: Option<PesTime>,
    /// Units since the last one with a time of its own.
    since: i64,
    last_own: Option<PesTime>,
    frame: i64,
    waiting: Vec<RawUnit>,
    /// The last access unit with parameter sets, and one whose PTS others can be counted from.
    parameter_sets: Bytes,
    counted_from: Option<(Bytes, i64)>,
}

impl Default for UnitTimes {
    fn default() -> Self {
        Self {
            last: None,
            since: 0,
            last_own: None,
            frame: DEFAULT_FRAME,
            waiting: Vec::new(),
            parameter_sets: Bytes::new(),
            counted_from: None,
        }
    }
}

impl UnitTimes {
    /// DTS of the unit handed out last, for unwrapping the next.
    pub fn last_dts(&self) -> Option<i64> {
        self.last.map(|time| time.dts)
    }

    /// Duration of a frame in ticks, as far as known.
    pub fn frame_duration(&self) -> i64 {
        self.frame
    }

    /// The stream states its frame rate.
    pub fn set_frame_duration(&mut self, ticks: i64) {
        if ticks > 0 {
            self.frame = ticks;
        }
    }

    /// Hands the unit out with its time, or holds it until the first time of the stream is known.
    pub fn place(&mut self, unit: RawUnit, out: &mut Vec<MediaEvent>) {
        match (unit.time, self.last) {
            (Some(time), None) => {
                let missing = self.waiting.len() as i64;
                self.release(missing.saturating_neg(), time, out);
                self.emit(unit, time, out);
            }
            (None, None) => {
                self.waiting.push(unit);
                if self.waiting.len() >= MAX_WAITING {
                    self.flush(out);
                }
            }
            (Some(time), Some(_)) => {
                self.learn(time);
                self.emit(unit, time, out);
            }
            (None, Some(last)) => {
                let time = PesTime {
                    pts: self
                        .counted_pts(&unit)
                        .unwrap_or(last.pts.saturating_add(self.frame)),
                    dts: last.dts.saturating_add(self.frame),
                };
                self.emit(unit, time, out);
            }
        }
    }

    /// No time will come any more: held units start at 0.
    pub fn flush(&mut self, out: &mut Vec<MediaEvent>) {
        self.release(0, PesTime { pts: 0, dts: 0 }, out);
    }

    fn release(&mut self, from: i64, base: PesTime, out: &mut Vec<MediaEvent>) {
        for (index, unit) in (from..).zip(std::mem::take(&mut self.waiting)) {
            let offset = self.frame.saturating_mul(index);
            let time = PesTime {
                pts: base.pts.saturating_add(offset),
                dts: base.dts.saturating_add(offset),
            };
            self.emit(unit, time, out);
        }
    }

    /// The distance of two own times, divided by the units between them, is the frame duration.
    fn learn(&mut self, time: PesTime) {
        if let Some(own) = self.last_own {
            let each = time.dts.saturating_sub(own.dts) / self.since.max(1);
            // Slower than one frame in ten seconds is a gap, not a rate.
            if (1..=900_000).contains(&each) {
                self.frame = each;
            }
        }
    }

    /// The PTS of a picture by its place in presentation order. A key picture starts counting anew.
    fn counted_pts(&self, unit: &RawUnit) -> Option<i64> {
        let (known, pts) = self.counted_from.as_ref().filter(|_| !unit.key)?;
        let from = h264::picture_order(&self.parameter_sets, known)?;
        let fields = h264::picture_order(&self.parameter_sets, &unit.data)?.fields_since(&from);
        Some(pts.saturating_add(fields.saturating_mul(self.frame) / 2))
    }

    fn emit(&mut self, unit: RawUnit, time: PesTime, out: &mut Vec<MediaEvent>) {
        if let Some(own) = unit.time {
            self.last_own = Some(own);
            self.since = 0;
        }
        if unit.key {
            self.parameter_sets = unit.data.clone();
        }
        if unit.key || unit.time.is_some() {
            self.counted_from = Some((unit.data.clone(), time.pts));
        }
        self.since += 1;
        self.last = Some(time);
        out.push(MediaEvent::AccessUnit(AccessUnit {
            pts: time.pts,
            dts: time.dts,
            key: unit.key,
            data: unit.data,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(times: &[Option<(i64, i64)>]) -> Vec<(i64, i64)> {
        let mut unit_times = UnitTimes::default();
        let mut out = Vec::new();
        for time in times {
            let time = time.map(|(pts, dts)| PesTime { pts, dts });
            unit_times.place(
                RawUnit {
                    time,
                    key: false,
                    data: Bytes::new(),
                },
                &mut out,
            );
        }
        unit_times.flush(&mut out);
        out.iter()
            .map(|event| match event {
                MediaEvent::AccessUnit(unit) => (unit.pts, unit.dts),
                other => panic!("unexpected {other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_missing_time_is_the_previous_plus_a_learnt_frame() {
        let out = placed(&[
            Some((3000, 0)),
            Some((6000, 3000)),
            None,
            Some((12_000, 9000)),
        ]);
        assert_eq!(out, [(3000, 0), (6000, 3000), (9000, 6000), (12_000, 9000)]);
    }

    #[test]
    fn units_before_the_first_time_count_backwards_from_it() {
        let out = placed(&[None, None, Some((10_000, 10_000))]);
        assert_eq!(out, [(2800, 2800), (6400, 6400), (10_000, 10_000)]);
    }

    #[test]
    fn a_stream_without_any_time_starts_at_zero() {
        assert_eq!(placed(&[None, None]), [(0, 0), (3600, 3600)]);
    }
}
