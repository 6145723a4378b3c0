//! What a gateway's side of a stream can meet, and what it gives up at.

use std::time::Duration;

use protocol::address::Address;
use protocol::texts;

use super::super::pay::PayError;
use crate::dial::DialError;

/// What can go wrong between a gateway and an orchestrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The RPC could not be made or was refused.
    #[error("{0}")]
    Rpc(String),
    /// The orchestrator cannot do what the job demands.
    #[error("the orchestrator cannot do this job: {0}")]
    Incapable(String),
    /// The connection for the segment failed.
    #[error("/segment: {0}")]
    Http(String),
    /// No head of the answer in time.
    #[error("header timeout: no answer to /segment within {0:?}")]
    HeaderTimeout(Duration),
    /// No whole answer in time.
    #[error("body timeout: no result of /segment within {0:?}")]
    BodyTimeout(Duration),
    /// `/segment` was answered with another status than 200.
    #[error("/segment: status {status}: {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Body of the answer, trimmed.
        text: String,
    },
    /// The result is a failure; this is its text.
    #[error("{0}")]
    Failed(String),
    /// An answer that makes no sense.
    #[error("unusable answer: {0}")]
    Answer(String),
    /// The orchestrator's quote is not paid.
    #[error(transparent)]
    Pay(#[from] PayError),
    /// The result is not signed by who should have made it.
    #[error("PM Check Failed: the renditions are not signed by {0}")]
    Signature(Address),
    /// A rendition could not be fetched.
    #[error("{url}: {reason}")]
    Download {
        /// Where it should lie.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

impl ClientError {
    pub(super) fn rpc(status: tonic::Status) -> Self {
        Self::Rpc(format!("{:?}: {}", status.code(), status.message()))
    }

    /// Whether a gateway gives the segment up at this instead of trying again.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Failed(text) | Self::Refused { text, .. } => texts::is_non_retryable(text),
            _ => false,
        }
    }
}

impl From<DialError> for ClientError {
    fn from(error: DialError) -> Self {
        Self::Rpc(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_non_retryable_texts_are_final() {
        assert!(ClientError::Failed("No keyframes in input".into()).is_final());
        assert!(
            ClientError::Refused {
                status: 403,
                text: "TranscoderInvalidVideo".into()
            }
            .is_final()
        );
        assert!(!ClientError::Failed("OrchestratorBusy".into()).is_final());
        assert!(!ClientError::Failed("oh: No keyframes in input".into()).is_final());
    }
}
