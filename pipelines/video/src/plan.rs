//! From the asked profiles to what each encoder must do: the checks that need no input, and the rules
//! for bitrate, quality, key frames, B-frames and frame rate. Pure; knows no GStreamer.

use containers::grid::FrameGrid;
use host::job::{JobError, SegmentJob};
use protocol::profile::{Format, Gop, H264Profile, VideoCodec, VideoProfile};

use crate::error::{input, text};
use crate::size::{self, Limits};

/// Most renditions of one segment, as in the reference.
pub const MAX_OUTPUTS: usize = 10;

/// Key-frame distance in frames where the profile asks for none.
const DEFAULT_KEY_INTERVAL: u32 = 250;

/// Constant rate factor where the profile asks for neither bitrate nor quality: x264's own default.
const DEFAULT_CRF: u32 = 23;

/// Largest quality that is a rate factor; larger values are ignored, as in the reference.
const MAX_QUALITY: u32 = 63;

/// How an encoder spends bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateControl {
    /// Average = maximum = buffer size, in kbit/s and kbit.
    Constant {
        /// kbit/s, at least 1.
        kbit: u32,
    },
    /// Constant quality, with the bitrate as its cap where there is one.
    Quality {
        /// Constant rate factor, 1–63.
        crf: u32,
        /// Cap in kbit/s with a buffer of one second.
        cap_kbit: Option<u32>,
    },
}

/// What one rendition's encoder must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchPlan {
    /// Codec of the rendition.
    pub codec: VideoCodec,
    /// Asked (width, height) in pixels.
    pub asked: (u32, u32),
    /// Size limits of the codec.
    pub limits: Limits,
    /// Frame rate as (numerator, denominator); `None` passes frames through.
    pub rate: Option<(u32, u32)>,
    /// Bits.
    pub control: RateControl,
    /// Longest distance of key frames, in frames.
    pub key_interval: u32,
    /// Key frame forced when this many ticks have passed since the last forced one.
    pub force_key_after: Option<i64>,
    /// B-frames between reference frames.
    pub b_frames: u32,
    /// Profile to signal; `None` leaves it to the encoder.
    pub profile: Option<&'static str>,
    /// Container of the rendition.
    pub format: Format,
}

/// Checks everything about a job that needs no input.
pub fn plan(job: &SegmentJob) -> Result<Vec<BranchPlan>, JobError> {
    if job.profiles.len() > MAX_OUTPUTS {
        let detail = format!(
            "{} renditions asked, at most {MAX_OUTPUTS}",
            job.profiles.len()
        );
        return Err(input(text::TOO_MANY_OUTPUTS, detail));
    }
    if job.profiles.is_empty() {
        return Err(input(text::INVALID_ARGUMENT, "no rendition asked"));
    }
    if let Some(clip) = job.clip
        && clip.to_ms > 0
        && clip.from_ms > clip.to_ms
    {
        let detail = format!("clip from {} ms to {} ms", clip.from_ms, clip.to_ms);
        return Err(input(text::CLIP, detail));
    }
    job.profiles.iter().map(branch).collect()
}

fn branch(profile: &VideoProfile) -> Result<BranchPlan, JobError> {
    let limits = match profile.codec {
        VideoCodec::H264 => size::H264,
        VideoCodec::H265 => size::H265,
        VideoCodec::Vp8 | VideoCodec::Vp9 => {
            let detail = format!("no encoder for {:?} of {}", profile.codec, profile.name);
            return Err(input(text::NO_ENCODER, detail));
        }
    };
    let (key_interval, force_key_after) = key_frames(profile)?;
    let (h264_profile, b_frames) = match profile.h264_profile {
        H264Profile::Default => (None, 3),
        H264Profile::Baseline => (Some("baseline"), 0),
        H264Profile::Main => (Some("main"), 3),
        H264Profile::High => (Some("high"), 3),
        // the reference asks its encoder for high and switches B-frames off
        H264Profile::ConstrainedHigh => (Some("high"), 0),
    };
    Ok(BranchPlan {
        codec: profile.codec,
        asked: (profile.width, profile.height),
        limits,
        rate: profile.frame_rate(),
        control: rate_control(profile),
        key_interval,
        force_key_after,
        b_frames,
        profile: (profile.codec == VideoCodec::H264)
            .then_some(h264_profile)
            .flatten(),
        format: profile.format,
    })
}

/// Longest key-frame distance in frames, and the distance in ticks at which one is forced.
fn key_frames(profile: &VideoProfile) -> Result<(u32, Option<i64>), JobError> {
    match (profile.gop, profile.frame_rate()) {
        (Gop::Invalid(gop), _) => Err(input(text::GOP, format!("gop {gop} of {}", profile.name))),
        (Gop::Default, _) => Ok((DEFAULT_KEY_INTERVAL, None)),
        (Gop::IntraOnly, _) => Ok((1, None)),
        // the reference multiplies by the numerator and forgets the denominator; players see the same
        (Gop::Millis(ms), Some((num, _))) => {
            let frames = u64::from(ms) * u64::from(num) / 1000;
            Ok((
                u32::try_from(frames)
                    .unwrap_or(u32::MAX / 2)
                    .clamp(1, u32::MAX / 2),
                None,
            ))
        }
        (Gop::Millis(ms), None) => Ok((
            DEFAULT_KEY_INTERVAL,
            Some(i64::from(ms) * (containers::TICKS_PER_SECOND / 1000)),
        )),
    }
}

fn rate_control(profile: &VideoProfile) -> RateControl {
    let kbit = (profile.bitrate > 0)
        .then(|| profile.bitrate.saturating_add(500) / 1000)
        .map(|k| k.max(1));
    match (profile.quality, kbit) {
        (1..=MAX_QUALITY, cap_kbit) => RateControl::Quality {
            crf: profile.quality,
            cap_kbit,
        },
        (_, Some(kbit)) => RateControl::Constant { kbit },
        (_, None) => RateControl::Quality {
            crf: DEFAULT_CRF,
            cap_kbit: None,
        },
    }
}

impl BranchPlan {
    /// The grid of a changed frame rate.
    pub fn grid(&self) -> Option<FrameGrid> {
        self.rate
            .and_then(|(num, den)| FrameGrid::new(num, den).ok())
    }
}

#[cfg(test)]
mod tests;
