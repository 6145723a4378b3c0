//! Looks at the frames that go into an encoder, and leaves their signature with the branch.

use std::sync::Arc;

use containers::TICKS_PER_SECOND;
use gst::prelude::*;
use gst_video::VideoInfo;
use gst_video::prelude::*;
use parking_lot::Mutex;
use protocol::profile::Format;

use super::Signature;
use crate::clock::MediaClock;
use crate::error::{VideoError, worker};
use crate::shared::Shared;

/// Smallest number of units in a second that the reference's MP4 writer counts time with.
const SMALLEST_MP4_UNIT: u32 = 10_000;

/// In what a signature counts time: the reference's filter sees times in the units of its frames, and writes beside them how
/// many units its container has in a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeUnits {
    /// Frames in a second as a fraction where the rate was changed: then times are frame numbers.
    pub(crate) rate: Option<(u32, u32)>,
    /// Frame rate of the source as a fraction.
    pub(crate) source: (u32, u32),
    /// Container of the rendition.
    pub(crate) format: Format,
}

impl TimeUnits {
    fn of_frame(self, ticks: i64) -> i64 {
        let Some((num, den)) = self.rate else {
            return ticks;
        };
        let second = i128::from(TICKS_PER_SECOND) * i128::from(den);
        let frame = (i128::from(ticks) * i128::from(num) + second / 2).div_euclid(second);
        i64::try_from(frame).unwrap_or(ticks)
    }

    fn in_second(self) -> u32 {
        match self.format {
            Format::Mp4 => {
                let (num, _) = self.rate.unwrap_or(self.source);
                let mut unit = num.max(1);
                while unit < SMALLEST_MP4_UNIT {
                    unit *= 2;
                }
                unit
            }
            _ => TICKS_PER_SECOND as u32,
        }
    }
}

/// Watches what goes into `encoder`, in system memory, until the end of the stream.
pub(crate) fn watch(
    encoder: &gst::Element,
    index: usize,
    clock: MediaClock,
    units: TimeUnits,
    shared: &Arc<Shared>,
) -> Result<(), VideoError> {
    let entry = encoder
        .static_pad("sink")
        .ok_or_else(|| VideoError::Build("encoder without sink pad".into()))?;
    let watcher = Mutex::new(Watcher::default());
    let shared = Arc::clone(shared);
    let passing = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    entry.add_probe(passing, move |_, info| {
        let mut watcher = watcher.lock();
        let outcome = match &info.data {
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Caps(caps) => watcher.fit(caps.caps()),
                gst::EventView::Eos(_) => watcher.end(units).map(|hash| {
                    if let Some(branch) = shared.lock().branches.get_mut(index) {
                        branch.hash = hash;
                    }
                }),
                _ => Ok(()),
            },
            Some(gst::PadProbeData::Buffer(buffer)) => watcher.see(buffer, clock, units),
            _ => Ok(()),
        };
        match outcome {
            Ok(()) => gst::PadProbeReturn::Ok,
            Err(what) => {
                shared.fail(worker(format!("signature of branch {index}: {what}")));
                gst::PadProbeReturn::Drop
            }
        }
    });
    Ok(())
}

#[derive(Default)]
struct Watcher {
    info: Option<VideoInfo>,
    signature: Option<Signature>,
}

impl Watcher {
    fn fit(&mut self, caps: &gst::CapsRef) -> Result<(), String> {
        let info = VideoInfo::from_caps(caps).map_err(|error| error.to_string())?;
        if self.info.is_none() {
            self.signature = Signature::new(info.width(), info.height());
        }
        self.info = Some(info);
        Ok(())
    }

    fn see(
        &mut self,
        buffer: &gst::Buffer,
        clock: MediaClock,
        units: TimeUnits,
    ) -> Result<(), String> {
        let info = self.info.as_ref().ok_or("frame without format")?;
        let Some(signature) = &mut self.signature else {
            return Ok(());
        };
        let pts = buffer.pts().ok_or("frame without time")?.nseconds() as i64;
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info)
            .map_err(|error| error.to_string())?;
        let samples = frame.plane_data(0).map_err(|error| error.to_string())?;
        let stride = usize::try_from(frame.plane_stride()[0]).map_err(|error| error.to_string())?;
        signature.add(samples, stride, units.of_frame(clock.to_ticks(pts)));
        Ok(())
    }

    fn end(&mut self, units: TimeUnits) -> Result<Vec<u8>, String> {
        match self.signature.take() {
            Some(signature) if signature.frames() > 0 => signature
                .write(units.in_second())
                .map_err(|error| error.to_string()),
            _ => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(rate: Option<(u32, u32)>, format: Format) -> TimeUnits {
        TimeUnits {
            rate,
            source: (25, 1),
            format,
        }
    }

    #[test]
    fn times_count_frames_only_where_the_rate_was_changed() {
        assert_eq!(units(None, Format::MpegTs).of_frame(93_003), 93_003);
        let ntsc = units(Some((30_000, 1001)), Format::MpegTs);
        assert_eq!(ntsc.of_frame(3003), 1);
        assert_eq!(ntsc.of_frame(-3003), -1);
        assert_eq!(ntsc.of_frame(300 * 3003 + 1), 300);
    }

    #[test]
    fn the_unit_is_the_containers() {
        assert_eq!(units(None, Format::MpegTs).in_second(), 90_000);
        assert_eq!(units(Some((30, 1)), Format::Mp4).in_second(), 15_360);
        assert_eq!(units(Some((30_000, 1001)), Format::Mp4).in_second(), 30_000);
        assert_eq!(units(None, Format::Mp4).in_second(), 12_800);
    }
}
