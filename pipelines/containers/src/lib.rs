//! TS and MP4 apart and together, the timeline, and the frame grid. Pure Rust, memory-safe, fuzzed.
//!
//! Used inside the worker (all outside bytes), by `push` and by tests. Times are 90 kHz ticks as `i64`,
//! unwrapped per stream, so they may exceed 33 bits or be negative.

pub mod annexb;
pub mod demux;
mod error;
pub mod grid;
pub mod h264;
pub mod h265;
pub mod timeline;
pub mod ts;

pub mod aac;
pub mod mp4;

use bytes::Bytes;
pub use demux::Demuxer;
pub use error::ContainerError;

/// Ticks per second of every time in this crate.
pub const TICKS_PER_SECOND: i64 = 90_000;

/// Codec of a video track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264, access units in Annex B.
    H264,
    /// H.265, access units in Annex B.
    H265,
    /// Known to exist, not decodable here (e.g. MPEG-2); named by its stream type or sample entry.
    Other(u32),
}

/// Codec of an audio track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioCodec {
    /// AAC; in TS each packet is one PES of ADTS frames.
    Aac,
    /// Anything else that TS can carry: copied with its stream type and descriptors.
    Other {
        /// Stream type of the PMT.
        stream_type: u8,
        /// Raw ES descriptors of the PMT entry.
        descriptors: Bytes,
    },
}

/// One coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// Presentation time in ticks.
    pub pts: i64,
    /// Decoding time in ticks.
    pub dts: i64,
    /// True for an IDR (H.264) or IRAP (H.265) picture.
    pub key: bool,
    /// Annex B bytes, with start codes.
    pub data: Bytes,
}

/// Audio as it lay in the container: one PES (TS) or one sample turned into ADTS (MP4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioPacket {
    /// Presentation time in ticks.
    pub pts: i64,
    /// Elementary stream bytes; AAC always carries ADTS headers here.
    pub data: Bytes,
}

/// What a demuxer hands out, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEvent {
    /// The best video track is known; comes before its first access unit.
    Video(VideoCodec),
    /// The best audio track is known; comes before its first packet.
    Audio(AudioCodec),
    /// A coded picture of the video track.
    AccessUnit(AccessUnit),
    /// A packet of the audio track.
    AudioPacket(AudioPacket),
}
