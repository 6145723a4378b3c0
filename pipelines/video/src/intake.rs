//! The input of a job: bytes in as they arrive, access units out from the entry point on, audio kept aside.
//!
//! Knows why an input yields nothing, and says so with the reference's texts.

use containers::demux::{Demuxer, Summary};
use containers::{AccessUnit, AudioCodec, AudioPacket, MediaEvent, TICKS_PER_SECOND, VideoCodec};
use host::job::JobError;

use crate::entry::EntryPoint;
use crate::error::{input, text};

/// Longest segment, in whole seconds.
const MAX_SECONDS: i64 = 300;

/// What is known of the input so far.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    demuxer: Demuxer,
    events: Vec<MediaEvent>,
    entry: EntryPoint,
    video: Option<VideoCodec>,
    pub(crate) audio_codec: Option<AudioCodec>,
    pub(crate) audio: Vec<AudioPacket>,
}

impl Intake {
    /// Takes the next bytes; returns the access units to be decoded.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<AccessUnit>, JobError> {
        self.demuxer
            .push(bytes, &mut self.events)
            .map_err(unreadable)?;
        self.sort()
    }

    /// The input is complete; returns the last access units to be decoded.
    pub(crate) fn finish(&mut self) -> Result<Vec<AccessUnit>, JobError> {
        self.demuxer.finish(&mut self.events).map_err(unreadable)?;
        self.sort()
    }

    /// Codec of the video track.
    pub(crate) fn codec(&self) -> Result<VideoCodec, JobError> {
        self.video
            .ok_or_else(|| input(text::NO_VIDEO, "no video track"))
    }

    /// What came out of the container.
    pub(crate) fn summary(&self) -> Summary {
        self.demuxer.summary()
    }

    /// Why a complete input gave no access unit to decode.
    pub(crate) fn why_nothing(&self) -> JobError {
        let summary = self.demuxer.summary();
        let units = summary.access_units;
        if self.video.is_none() && self.audio_codec.is_none() && summary.audio_packets == 0 {
            input(text::INVALID_DATA, "no video and no audio track")
        } else if units == 0 {
            input(text::NO_VIDEO, "no video frames")
        } else if !self.entry.seen_key() {
            input(
                text::NO_KEY_FRAME,
                format!("no key frame among {units} frames"),
            )
        } else {
            input(
                text::NO_VIDEO,
                format!("no parameter sets in {units} frames"),
            )
        }
    }

    fn sort(&mut self) -> Result<Vec<AccessUnit>, JobError> {
        let mut units = Vec::new();
        for event in self.events.drain(..) {
            match event {
                MediaEvent::Video(codec @ VideoCodec::Other(kind)) => {
                    self.video = Some(codec);
                    return Err(input(text::NO_DECODER, format!("video codec {kind:#x}")));
                }
                MediaEvent::Video(codec) => self.video = Some(codec),
                MediaEvent::Audio(codec) => self.audio_codec = Some(codec),
                MediaEvent::AudioPacket(packet) => self.audio.push(packet),
                MediaEvent::AccessUnit(unit) => {
                    units.extend(self.video.and_then(|codec| self.entry.admit(codec, unit)));
                }
            }
        }
        let seconds = self.demuxer.summary().duration / TICKS_PER_SECOND;
        if seconds > MAX_SECONDS {
            return Err(input(
                text::TOO_LONG,
                format!("{seconds} s, at most {MAX_SECONDS} s"),
            ));
        }
        Ok(units)
    }
}

fn unreadable(error: containers::ContainerError) -> JobError {
    input(text::INVALID_DATA, error.to_string())
}
