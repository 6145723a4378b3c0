//! MP4 (ISO/IEC 14496-12) apart and together. The demuxer takes outside bytes in any chunking, plain or
//! fragmented, and hands out Annex B access units and ADTS frames on the file's own timeline; the muxer
//! writes one file with its index first. Atoms with outside bytes are decoded one leaf at a time, so the
//! nesting of the input never becomes nesting on the stack.

mod boxes;
mod codec_config;
mod demux;
mod fragment;
mod movie;
mod mux;
mod mux_audio;
mod mux_index;
mod mux_video;
mod nal;
mod sample_entry;
mod samples;
mod timing;

#[cfg(test)]
mod tests;

pub use demux::Mp4Demuxer;
pub use mux::{Mp4Output, mux_mp4};

/// Largest file taken in, in bytes: what a segment may weigh.
pub const MAX_FILE_BYTES: u64 = 300_000_000;

/// Largest `moov` or `moof` taken in, in bytes. 300 s at 1000 frames/s need less.
pub const MAX_INDEX_BYTES: u64 = 32 << 20;

/// Most samples of one file, all tracks handed out together.
pub const MAX_SAMPLES: u64 = 500_000;

/// Largest single sample, in bytes.
pub const MAX_SAMPLE_BYTES: u64 = 64 << 20;
