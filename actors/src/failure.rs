//! Why a segment failed after it was accepted: the text its gateway is told, and the cause that is counted.

use std::borrow::Cow;

use protocol::texts;
use telemetry::metrics::label::FailureCause;

/// Closed set of causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The segment or the asked profiles cannot be transcoded.
    Input,
    /// The session's queue was full.
    Busy,
    /// No worker could be had.
    NoWorker,
    /// The segment killed its worker on every try.
    Crash,
    /// A worker stopped making progress on every try.
    Stall,
    /// Time ran out while work was making progress.
    Deadline,
    /// The upload failed: wrong hash, too long, too slow, or the peer left.
    Upload,
    /// A rendition could not be stored.
    Store,
    /// The worker answered with a fault of its own on every try.
    Worker,
    /// A defect of ours.
    Internal,
}

impl Cause {
    /// The label value of the failure counter; `None` for what is counted as a refusal instead.
    pub fn counted_as(self) -> Option<FailureCause> {
        match self {
            Self::Input => Some(FailureCause::InvalidInput),
            Self::Busy => None,
            Self::NoWorker => Some(FailureCause::NoTranscoders),
            Self::Crash | Self::Stall => Some(FailureCause::KilledWorker),
            Self::Deadline => Some(FailureCause::Timeout),
            Self::Upload => Some(FailureCause::Cancelled),
            Self::Store => Some(FailureCause::SaveData),
            Self::Worker => Some(FailureCause::Transcode),
            Self::Internal => Some(FailureCause::Unknown),
        }
    }
}

/// A failed segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} ({detail})")]
pub struct SegmentFailure {
    /// What the gateway is told: a text that peers match.
    pub text: Cow<'static, str>,
    /// What happened, for the log.
    pub detail: String,
    /// What is counted.
    pub cause: Cause,
}

impl SegmentFailure {
    /// A failure with a text of the protocol.
    pub fn new(cause: Cause, text: &'static str, detail: impl Into<String>) -> Self {
        Self {
            text: Cow::Borrowed(text),
            detail: detail.into(),
            cause,
        }
    }

    /// The session or a part of the node is gone.
    pub fn lost(detail: impl Into<String>) -> Self {
        Self::new(Cause::Internal, texts::TRANSCODER_STOPPED, detail)
    }
}
