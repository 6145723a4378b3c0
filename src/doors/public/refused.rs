//! A refusal on its way out: what the peer is told, what is counted, and whose fault it is.

use protocol::refusal::{DiscoveryRefusal, Refusal};
use telemetry::metrics::label;

/// A refusal and the reason that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// What the peer is told.
    pub refusal: Refusal,
    /// What is counted.
    pub reason: label::Refusal,
}

impl Refused {
    /// A body that could not be taken, for a reason of its own.
    pub fn body(reason: label::Refusal, detail: impl Into<String>) -> Self {
        Self {
            refusal: Refusal::Body(detail.into()),
            reason,
        }
    }

    /// Whether the caller is to blame, so that it counts against its address.
    pub fn blames_caller(&self) -> bool {
        blames_caller(self.reason)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let reason = reason(&refusal);
        Self { refusal, reason }
    }
}

/// What is counted for a refusal of a segment.
fn reason(refusal: &Refusal) -> label::Refusal {
    use label::Refusal as Label;
    match refusal {
        Refusal::PaymentEncoding(_)
        | Refusal::PaymentMessage(_)
        | Refusal::SegmentEncoding(_)
        | Refusal::SegmentMessage(_) => Label::Encoding,
        Refusal::OutputFormat | Refusal::EncoderProfile | Refusal::VideoCodec => Label::Profile,
        Refusal::Duration(_) => Label::Duration,
        Refusal::Signature => Label::Signature,
        Refusal::Capabilities(_) => Label::Capability,
        Refusal::TokenMissing | Refusal::TokenInvalid => Label::Token,
        Refusal::TokenExpired => Label::TokenExpired,
        Refusal::Capped => Label::Capped,
        Refusal::Info(_) => Label::Internal,
        Refusal::Payment(_) => Label::Payment,
        Refusal::Balance => Label::Balance,
        Refusal::Body(_) => Label::Body,
        Refusal::Url(_) => Label::Download,
        Refusal::Hash => Label::Hash,
        Refusal::Busy => Label::Busy,
    }
}

/// What is counted for a refusal of discovery.
pub(super) fn discovery_reason(refusal: &DiscoveryRefusal) -> label::Refusal {
    match refusal {
        DiscoveryRefusal::Signature => label::Refusal::Signature,
        DiscoveryRefusal::Capped => label::Refusal::Capped,
        DiscoveryRefusal::Webhook(_) => label::Refusal::Authentication,
        DiscoveryRefusal::SenderReserve(_) => label::Refusal::Payment,
        DiscoveryRefusal::NoQuote(_) => label::Refusal::Internal,
    }
}

/// Whether the caller is to blame for a refusal that is counted as `reason`.
pub(super) fn blames_caller(reason: label::Refusal) -> bool {
    use label::Refusal as Label;
    !matches!(
        reason,
        Label::Capped
            | Label::Busy
            | Label::Draining
            | Label::NoWorker
            | Label::Memory
            | Label::Rate
            | Label::TokenExpired
            | Label::Internal
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_lacks_is_not_the_callers_fault() {
        for refusal in [
            Refusal::Capped,
            Refusal::Busy,
            Refusal::Info("x".into()),
            Refusal::TokenExpired,
        ] {
            assert!(
                !Refused::from(refusal.clone()).blames_caller(),
                "{refusal:?}"
            );
        }
        for refusal in [
            Refusal::Hash,
            Refusal::TokenInvalid,
            Refusal::SegmentEncoding("x".into()),
            Refusal::Url("x".into()),
        ] {
            assert!(
                Refused::from(refusal.clone()).blames_caller(),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn reasons_tell_apart_what_an_operator_can_change() {
        for (refusal, label) in [
            (Refusal::PaymentEncoding("x".into()), "encoding"),
            (Refusal::OutputFormat, "profile"),
            (Refusal::Duration(-1), "duration"),
            (Refusal::TokenMissing, "token"),
            (Refusal::TokenExpired, "token_expired"),
            (Refusal::Capped, "capped"),
            (Refusal::Body("x".into()), "body"),
            (Refusal::Url("x".into()), "download"),
            (Refusal::Hash, "hash"),
        ] {
            assert_eq!(Refused::from(refusal).reason.as_str(), label);
        }
        assert_eq!(
            Refused::body(label::Refusal::TooLarge, "x")
                .refusal
                .status(),
            500
        );
    }
}
