//! Failures of this crate, and the exact texts that a failed job tells the gateway.
//!
//! The gateway compares texts as a whole: some of them end a segment for good, all others are tried
//! again elsewhere. So nothing that GStreamer says is ever forwarded; it goes into the detail, for the log.

use host::job::{Blame, JobError};

/// GStreamer cannot be used as it is installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VideoError {
    /// The library could not start.
    #[error("gstreamer did not start: {0}; check the installation and GST_REGISTRY")]
    Start(String),
    /// An element that every pipeline needs is not installed.
    #[error("gstreamer element {element} is missing; install the Debian package {package}")]
    Missing {
        /// Factory name.
        element: String,
        /// Debian package that carries it.
        package: &'static str,
    },
    /// An element refused to be made, set or linked.
    #[error("pipeline could not be built at {0}")]
    Build(String),
}

impl From<VideoError> for JobError {
    fn from(error: VideoError) -> Self {
        worker(error.to_string())
    }
}

/// Texts of the reference, verbatim.
pub(crate) mod text {
    pub(crate) const NO_VIDEO: &str = "TranscoderInvalidVideo";
    pub(crate) const TOO_LONG: &str = "TranscoderInvalidDuration";
    pub(crate) const CLIP: &str = "TranscoderInvalidClipConfig";
    pub(crate) const GOP: &str = "TranscoderInvalidGOP";
    pub(crate) const STOPPED: &str = "TranscoderStopped";
    pub(crate) const NO_KEY_FRAME: &str = "No keyframes in input";
    pub(crate) const TOO_MANY_OUTPUTS: &str = "Too many outputs";
    pub(crate) const RUNAWAY: &str = "Encoded frames runaway";
    pub(crate) const NO_DECODER: &str = "Decoder not found";
    pub(crate) const NO_ENCODER: &str = "Encoder not found";
    pub(crate) const INVALID_DATA: &str = "Invalid data found when processing input";
    pub(crate) const INVALID_ARGUMENT: &str = "Invalid argument";
}

/// The segment or the asked profiles are at fault.
pub(crate) fn input(text: &str, detail: impl Into<String>) -> JobError {
    JobError {
        text: text.to_owned(),
        detail: detail.into(),
        blame: Blame::Input,
    }
}

/// This worker or its device is at fault; the gateway may try again.
pub(crate) fn worker(detail: impl Into<String>) -> JobError {
    JobError {
        text: text::STOPPED.to_owned(),
        detail: detail.into(),
        blame: Blame::Worker,
    }
}
