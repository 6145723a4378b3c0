//! What one rendition must become: the decoded form of the protobuf `VideoProfile`.
//!
//! Used by the doors (which decode it), the worker (which executes it) and `push` (which asks for it).

mod options;
mod wire;

use serde::{Deserialize, Serialize};

pub use options::{options_json, presets};
pub use wire::{ProfileLists, decode, encode, encode_lists, from_lists};

/// Frame rate assumed for the cost of a pass-through rendition.
const ASSUMED_FPS: u64 = 30;

/// Container of a rendition (`VideoProfile.format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// MPEG transport stream, `.ts`.
    MpegTs,
    /// Fragment-free MP4 with its index first, `.mp4`.
    Mp4,
}

impl Format {
    /// File extension with its dot, as it stands in rendition URLs.
    pub fn extension(self) -> &'static str {
        match self {
            Self::MpegTs => ".ts",
            Self::Mp4 => ".mp4",
        }
    }

    /// MIME type of an object in this container.
    pub fn mime(self) -> &'static str {
        match self {
            Self::MpegTs => "video/mp2t",
            Self::Mp4 => "video/mp4",
        }
    }
}

/// Video codec of a rendition (`VideoProfile.encoder`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum VideoCodec {
    H264,
    H265,
    Vp8,
    Vp9,
}

/// H.264 profile of a rendition (`VideoProfile.profile`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum H264Profile {
    /// The encoder's own choice.
    Default,
    Baseline,
    Main,
    High,
    /// High without B-frames.
    ConstrainedHigh,
}

/// Distance of key frames in a rendition (`VideoProfile.gop`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Gop {
    /// 0 on the wire: the encoder's default interval.
    Default,
    /// −1 on the wire: every frame is a key frame.
    IntraOnly,
    /// Milliseconds between key frames, > 0.
    Millis(u32),
    /// −2 or less on the wire: refused by the transcoder with `TranscoderInvalidGOP`.
    Invalid(i32),
}

/// One rendition as a gateway asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VideoProfile {
    /// Name, also a path segment of the rendition's URL; never empty after decoding.
    pub name: String,
    /// Asked width in pixels; the size rule decides what is made of it.
    pub width: u32,
    /// Asked height in pixels.
    pub height: u32,
    /// Average, maximum and buffer size in bit/s; 0 = encoder default.
    pub bitrate: u32,
    /// Numerator of the frame rate; 0 = pass-through.
    pub fps: u32,
    /// Denominator of the frame rate; 0 counts as 1.
    pub fps_den: u32,
    /// Container.
    pub format: Format,
    /// H.264 profile.
    pub h264_profile: H264Profile,
    /// Key-frame distance.
    pub gop: Gop,
    /// Codec.
    pub codec: VideoCodec,
    /// 0 = off; else constant quality with the bitrate as its cap.
    pub quality: u32,
}

impl VideoProfile {
    /// Asked frame rate as a fraction, `None` for pass-through.
    pub fn frame_rate(&self) -> Option<(u32, u32)> {
        (self.fps > 0).then(|| (self.fps, self.fps_den.max(1)))
    }

    /// Asked pixels per second, the cost of this rendition for placement: width × height × whole frames per second,
    /// 30 for pass-through.
    pub fn pixels_per_second(&self) -> u64 {
        let fps = self
            .frame_rate()
            .map_or(ASSUMED_FPS, |(fps, den)| u64::from(fps / den));
        let pixels = u64::from(self.width) * u64::from(self.height);
        pixels.saturating_mul(fps)
    }
}
