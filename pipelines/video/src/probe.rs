//! What a piece of media holds: facts of the container, and where asked every frame decoded.
//!
//! Access units are kept until the end, since pictures that are to be spread evenly need their number.

use std::collections::VecDeque;
use std::sync::Arc;

use containers::demux::ContainerKind;
use containers::{AccessUnit, VideoCodec, h264};
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks};
use host::job::{JobError, ProbeJob, ProbeReport};
use parking_lot::Mutex;

use crate::backend::Backend;
use crate::cadence::Cadence;
use crate::clock::MediaClock;
use crate::decode::{self, Head, add_chain};
use crate::error::{VideoError, input, text};
use crate::intake::Intake;
use crate::output::codec_name;
use crate::shared::Shared;
use crate::thumbnail;
use crate::watch::Watcher;

/// Most thumbnails of one probe.
const MAX_THUMBNAILS: u32 = 64;

/// A probe in progress.
pub struct ProbeRun {
    job: ProbeJob,
    intake: Intake,
    units: Vec<AccessUnit>,
}

/// What decoding adds to a report.
#[derive(Debug, Default)]
struct Seen {
    pts: Vec<i64>,
    size: (u32, u32),
    sizes: Vec<(u32, u32)>,
    pixels: Vec<u8>,
    failed: Option<VideoError>,
}

impl ProbeRun {
    /// Makes ready for the input.
    pub fn start(job: ProbeJob) -> Result<Self, JobError> {
        crate::init()?;
        Ok(Self {
            job,
            intake: Intake::default(),
            units: Vec::new(),
        })
    }

    /// Takes the next bytes, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        self.units.extend(self.intake.push(bytes)?);
        Ok(())
    }

    /// The input is complete. Returns the report and the thumbnails' RGB24 bytes, one after the other.
    pub fn finish(mut self) -> Result<(ProbeReport, Vec<u8>), JobError> {
        self.units.extend(self.intake.finish()?);
        let Some(first) = self.units.first() else {
            return Err(self.intake.why_nothing());
        };
        let codec = self.intake.codec()?;
        let facts = h264::find_sps(&first.data).filter(|_| codec == VideoCodec::H264);
        let mut report = ProbeReport {
            container: match self.intake.summary().kind {
                Some(ContainerKind::Mp4) => "mp4".into(),
                _ => "mpegts".into(),
            },
            video_codec: codec_name(codec).into(),
            video_profile: facts
                .as_ref()
                .map(|sps| profile_name(sps.profile_idc).to_owned())
                .unwrap_or_default(),
            width: facts.as_ref().map_or(0, |sps| sps.width),
            height: facts.as_ref().map_or(0, |sps| sps.height),
            frames: self.units.len() as u64,
            video_pts: self.units.iter().map(|unit| unit.pts).collect(),
            key_frames: (0u64..)
                .zip(&self.units)
                .filter(|(_, unit)| unit.key)
                .map(|(i, _)| i)
                .collect(),
            audio_pts: self.intake.audio.iter().map(|packet| packet.pts).collect(),
            thumbnails: Vec::new(),
        };
        report.video_pts.sort_unstable();
        if !self.job.decode && self.job.thumbnails == 0 {
            return Ok((report, Vec::new()));
        }
        let seen = decode(self.units, codec, &self.job)?;
        (report.width, report.height) = seen.size;
        report.frames = seen.pts.len() as u64;
        report.video_pts = seen.pts;
        report.thumbnails = seen.sizes;
        Ok((report, seen.pixels))
    }
}

/// Takes a pipeline down however its owner leaves.
struct Running {
    pipeline: gst::Pipeline,
    shared: Arc<Shared>,
    watcher: Option<Watcher>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(watcher) = self.watcher.take() {
            watcher.stop();
        }
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn decode(units: Vec<AccessUnit>, codec: VideoCodec, job: &ProbeJob) -> Result<Seen, JobError> {
    let dts: Vec<i64> = units
        .iter()
        .take(crate::cadence::SAMPLE)
        .map(|unit| unit.dts)
        .collect();
    let cadence = Cadence::measure(&dts);
    let clock = MediaClock::new(dts.first().copied().unwrap_or(0));
    let shared = Shared::new(1, Arc::new(|_| {}));
    let pipeline = gst::Pipeline::new();
    let head = Head::add(&pipeline, Backend::Software, codec, cadence, clock, &shared)?;
    let mut running = Running {
        pipeline,
        shared: Arc::clone(&shared),
        watcher: None,
    };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let wanted = evenly_spread(units.len() as u64, job.thumbnails.min(MAX_THUMBNAILS));
    let sink = collector(&shared, &seen, wanted, job.thumbnail_width, clock);
    add_chain(&running.pipeline, &[&head.decoder, sink.upcast_ref()])?;
    let entry = sink
        .static_pad("sink")
        .ok_or_else(|| VideoError::Build("sink without pad".into()))?;
    decode::count_and_repair(&entry, cadence, clock, Arc::clone(&shared));
    running.watcher = Some(Watcher::start(&running.pipeline, Arc::clone(&shared))?);
    running
        .pipeline
        .set_state(gst::State::Playing)
        .map_err(|error| VideoError::Build(format!("start: {error}")))?;
    let result = units
        .into_iter()
        .try_for_each(|unit| head.push(unit, &shared))
        .and_then(|()| head.end(&shared))
        .and_then(|()| shared.wait(|state| state.branches.iter().all(|branch| branch.done)));
    drop(running);
    result?;
    let seen = std::mem::take(&mut *seen.lock());
    if let Some(error) = seen.failed {
        return Err(error.into());
    }
    if seen.pts.is_empty() {
        return Err(input(text::INVALID_DATA, "no frame could be decoded"));
    }
    Ok(seen)
}

/// Positions of `count` pictures spread over `total`, each in the middle of its share.
fn evenly_spread(total: u64, count: u32) -> VecDeque<u64> {
    let count = u64::from(count).min(total);
    (0..count)
        .map(|i| (2 * i + 1) * total / (2 * count))
        .collect()
}

fn collector(
    shared: &Arc<Shared>,
    seen: &Arc<Mutex<Seen>>,
    mut wanted: VecDeque<u64>,
    thumbnail_width: u32,
    clock: MediaClock,
) -> AppSink {
    let (ended, seen) = (Arc::clone(shared), Arc::clone(seen));
    let callbacks = AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let pts = sample
                .buffer()
                .and_then(|buffer| buffer.pts())
                .ok_or(gst::FlowError::Error)?;
            let mut seen = seen.lock();
            if let Some(info) = sample
                .caps()
                .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
            {
                seen.size = (info.width(), info.height());
            }
            if wanted.front() == Some(&(seen.pts.len() as u64)) {
                wanted.pop_front();
                match thumbnail::rgb24(&sample, thumbnail_width) {
                    Ok((size, pixels)) => {
                        seen.sizes.push(size);
                        seen.pixels.extend(pixels);
                    }
                    Err(error) => seen.failed = Some(error),
                }
            }
            seen.pts.push(clock.to_ticks(pts.nseconds() as i64));
            Ok(gst::FlowSuccess::Ok)
        })
        .eos(move |_| ended.branch_done(0))
        .build();
    AppSink::builder()
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .max_buffers(4)
        .callbacks(callbacks)
        .build()
}

/// Name of an H.264 profile by its `profile_idc`.
fn profile_name(profile_idc: u8) -> &'static str {
    match profile_idc {
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4 Predictive",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_are_spread_over_the_whole() {
        assert_eq!(evenly_spread(60, 3), [10, 30, 50]);
        assert_eq!(evenly_spread(2, 5), [0, 1]);
        assert_eq!(evenly_spread(0, 5), [0u64; 0]);
    }
}
