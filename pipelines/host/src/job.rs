//! The vocabulary of work: what the daemon asks of a worker process and what comes back.
//!
//! Plain serialisable types, shared by both ends of the link; bytes of media travel beside them, never inside.

use std::path::PathBuf;

use bytes::Bytes;
use protocol::profile::VideoProfile;
pub use protocol::segment::Clip;
use serde::{Deserialize, Serialize};

/// Number of a job on one link, chosen by the daemon, never reused on that link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// One segment to be transcoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentJob {
    /// Manifest ID or another name for logs.
    pub stream: String,
    /// Sequence number, for logs.
    pub seq: i64,
    /// Renditions in the gateway's order; the answer keeps it.
    pub profiles: Vec<VideoProfile>,
    /// Duration the gateway stated, ms.
    pub duration_ms: u32,
    /// Part of the segment to keep.
    pub clip: Option<Clip>,
    /// Text for the service provider (TS) and comment (MP4) of the outputs.
    pub provider: String,
    /// Give the perceptual hash of each rendition too.
    pub perceptual_hash: bool,
}

/// What a worker process is for, its whole life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Transcodes and probes.
    Video(EncoderSettings),
    /// Answers AI requests with one model.
    Model(ModelSettings),
}

impl Role {
    /// The device that the process works on.
    pub fn device(&self) -> &Device {
        match self {
            Self::Video(settings) => &settings.device,
            Self::Model(settings) => &settings.device,
        }
    }
}

impl From<EncoderSettings> for Role {
    fn from(settings: EncoderSettings) -> Self {
        Self::Video(settings)
    }
}

impl From<ModelSettings> for Role {
    fn from(settings: ModelSettings) -> Self {
        Self::Model(settings)
    }
}

/// Which model a worker process holds, and what it may use for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSettings {
    /// Pipeline in the spelling of runners, e.g. `llm`.
    pub pipeline: String,
    /// Model ID as gateways name it.
    pub model_id: String,
    /// File or directory of the weights, absolute.
    pub path: PathBuf,
    /// Where it computes.
    pub device: Device,
    /// Threads that compute; 0 = one per core.
    pub threads: u32,
}

/// A model on disk, as the worker found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundModel {
    /// Pipeline that it serves.
    pub pipeline: String,
    /// What it is, e.g. `llama`.
    pub architecture: String,
    /// Bytes of the weights on disk.
    pub weights: u64,
    /// Memory that the loaded model takes, bytes, without requests. An estimate.
    pub memory: u64,
    /// Memory that each running request adds at most, bytes. An estimate.
    pub per_request: u64,
    /// The worker can compute on NVIDIA cards.
    pub cuda: bool,
}

/// One AI request. Its file (picture, sound), where the pipeline takes one, travels as the job's input; results are JSON in
/// the form that runners answer with, media inside as data URLs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InferJob {
    /// Fields of the request by name. Absent ones take the model's defaults.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// How the encoders of a worker are set; same for all jobs of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderSettings {
    /// Which encoder family to use.
    pub device: Device,
    /// x264 preset name, e.g. `medium`.
    pub x264_preset: String,
    /// x264 look-ahead in frames; `None` = what the preset says.
    pub x264_lookahead: Option<u32>,
    /// Threads per x264 encoder; 0 = automatic.
    pub x264_threads: u32,
}

/// Where a worker transcodes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Device {
    /// x264 and libav on the processor.
    Cpu,
    /// An NVIDIA card by CUDA index.
    Nvidia(u32),
}

/// A finished rendition; its bytes travel beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// Position in [`SegmentJob::profiles`].
    pub index: usize,
    /// Real width in pixels.
    pub width: u32,
    /// Real height in pixels.
    pub height: u32,
    /// Frames encoded.
    pub frames: u64,
    /// Bytes of its perceptual hash, at the end of what travels; 0 where none was asked for or is possible.
    pub hash_len: usize,
}

impl Rendition {
    /// Encoded pixels, what is billed: width × height × frames.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * self.frames
    }

    /// Takes what travelled apart: the file, and its perceptual hash, which may be empty.
    pub fn split(&self, mut payload: Bytes) -> (Bytes, Bytes) {
        let hash = payload.split_off(payload.len().saturating_sub(self.hash_len));
        (payload, hash)
    }
}

/// What a finished job cost and saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStats {
    /// Frames decoded.
    pub decoded_frames: u64,
    /// Pixels decoded.
    pub decoded_pixels: u64,
    /// µs from the first input byte to the last rendition.
    pub total_us: u64,
    /// µs from the end of input to the last rendition: what the caller waits for codecs.
    pub after_input_us: u64,
    /// CPU time of the process during the job, µs (user + system).
    pub cpu_us: u64,
    /// Peak resident memory of the process so far, bytes.
    pub peak_rss: u64,
    /// Codec of the input, e.g. `H264`.
    pub input_codec: String,
}

/// Why a job failed. `text` is what the gateway is told (a text that peers match).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}: {detail}")]
pub struct JobError {
    /// Text of the protocol, exact.
    pub text: String,
    /// What happened, for the log.
    pub detail: String,
    /// Whose fault it was; decides whether another try makes sense.
    pub blame: Blame,
}

/// Whose fault a failed job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Blame {
    /// The segment or the asked profiles: no other worker would do better.
    Input,
    /// The worker or its device: another try may succeed.
    Worker,
}

/// What is to be learnt about a piece of media without transcoding it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeJob {
    /// Decode every frame (counts, sizes), not only the container.
    pub decode: bool,
    /// Return up to this many decoded pictures, evenly spread, as RGB24 scaled to `thumbnail_width`.
    pub thumbnails: u32,
    /// Width of each thumbnail in pixels; height follows the aspect.
    pub thumbnail_width: u32,
}

/// What a probe found. Times in 90 kHz ticks on the absolute timeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// `mpegts` or `mp4`.
    pub container: String,
    /// e.g. `H264`.
    pub video_codec: String,
    /// e.g. `High`, where known.
    pub video_profile: String,
    /// Decoded width in pixels.
    pub width: u32,
    /// Decoded height in pixels.
    pub height: u32,
    /// Frames decoded (or access units where `decode` was off).
    pub frames: u64,
    /// Presentation time of each video frame, in display order.
    pub video_pts: Vec<i64>,
    /// Positions in decoding order of access units that are key frames.
    pub key_frames: Vec<u64>,
    /// Presentation time of each audio packet.
    pub audio_pts: Vec<i64>,
    /// Size (width, height) of each thumbnail; the RGB bytes travel beside, one after the other.
    pub thumbnails: Vec<(u32, u32)>,
}
