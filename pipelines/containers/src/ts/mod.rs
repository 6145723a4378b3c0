//! MPEG transport streams (ISO/IEC 13818-1): a streaming demuxer and a segment muxer that keep the
//! source's 90 kHz times and audio bytes untouched.

mod access;
mod audio;
mod demux;
mod mux;
mod packet;
mod pes;
mod psi;
mod times;
mod write;

pub use demux::{TsCounters, TsDemuxer};
pub use mux::{TsOutput, mux_ts};

/// Size of a transport packet in bytes.
pub const PACKET_SIZE: usize = 188;

/// First byte of every transport packet.
pub const SYNC_BYTE: u8 = 0x47;

/// Largest access unit or audio packet in bytes; a larger one is dropped and counted.
pub const MAX_UNIT_BYTES: usize = 32 << 20;

const STREAM_TYPE_AAC: u8 = 0x0f;
const STREAM_TYPE_H264: u8 = 0x1b;
const STREAM_TYPE_H265: u8 = 0x24;
