//! The ladder on GStreamer: decode a segment once, scale and encode each rendition; and the probe.
//!
//! Containers are read and written by `containers`; here are only parsing, decoding, scaling and encoding.
//! Runs inside the worker process. Owns no socket and no file; every wait has an end.

mod available;
mod backend;
mod branch;
mod cadence;
mod canvas;
mod clock;
mod colour;
mod decode;
mod entry;
mod error;
mod intake;
mod ladder;
mod nvidia;
mod output;
mod plan;
mod probe;
mod retime;
mod scale;
mod segment;
mod shared;
mod signature;
mod size;
mod software;
mod thumbnail;
mod usage;
mod watch;

pub use available::{Available, Missing, available};
pub use error::VideoError;
pub use plan::MAX_OUTPUTS;
pub use probe::ProbeRun;
pub use segment::SegmentRun;
pub use signature::Signature;
pub use size::{Limits, output_size};

/// Starts GStreamer, once per process; further calls do nothing. Reads `GST_REGISTRY` and its kin from
/// the environment.
pub fn init() -> Result<(), VideoError> {
    gst::init().map_err(|error| VideoError::Start(error.to_string()))
}
