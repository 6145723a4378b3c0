//! Why a peer's request is refused before any work is done: HTTP status, text on the wire, label for counting.

use std::borrow::Cow;

use crate::{capabilities::Incompatible, texts};

/// Why a segment (or a payment sent alone) is refused.
///
/// The variants stand in the order of the checks: the first one that fails is told. `Display` is for logs and says
/// more than [`wire_text`](Self::wire_text).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `Livepeer-Payment` is not base64.
    #[error("payment header is not base64: {0}")]
    PaymentEncoding(String),
    /// `Livepeer-Payment` is not a `Payment`.
    #[error("payment header is not a Payment message: {0}")]
    PaymentMessage(String),
    /// `Livepeer-Segment` is not base64.
    #[error("segment header is not base64: {0}")]
    SegmentEncoding(String),
    /// `Livepeer-Segment` is not a `SegData`.
    #[error("segment header is not a SegData message: {0}")]
    SegmentMessage(String),
    /// Unknown container of a rendition.
    #[error("a rendition has an unknown container")]
    OutputFormat,
    /// Unknown H.264 profile of a rendition.
    #[error("a rendition has an unknown H.264 profile")]
    EncoderProfile,
    /// Unknown codec of a rendition.
    #[error("a rendition has an unknown codec")]
    VideoCodec,
    /// Duration below 0 or above 5 minutes.
    #[error("duration of {0} ms is not within 0 to 300000 ms")]
    Duration(i32),
    /// The segment is not signed by the sender of the payment.
    #[error("segment is not signed by the sender of its payment")]
    Signature,
    /// The job needs what this node does not offer.
    #[error("job does not fit this node: {0}")]
    Capabilities(Incompatible),
    /// No auth token.
    #[error("auth token is missing")]
    TokenMissing,
    /// An auth token of another process.
    #[error("auth token was not made by this process")]
    TokenInvalid,
    /// An auth token past its time.
    #[error("auth token has expired")]
    TokenExpired,
    /// No room for another session.
    #[error("no room for another session")]
    Capped,
    /// The node could not describe itself.
    #[error("answer could not be prepared: {0}")]
    Info(String),
    /// The payment was not accepted; the text goes to the gateway.
    #[error("payment refused: {0}")]
    Payment(String),
    /// The sender's balance is too low for another segment.
    #[error("balance of the sender is too low")]
    Balance,
    /// The body could not be read, or is above 300 000 000 bytes.
    #[error("body could not be taken: {0}")]
    Body(String),
    /// The body is a URL and its object could not be had.
    #[error("segment could not be fetched: {0}")]
    Url(String),
    /// The bytes are not those that were signed.
    #[error("body does not have the hash in the segment header")]
    Hash,
    /// The session's queue is full. Told inside a result after status 200.
    #[error("queue of the session is full")]
    Busy,
}

impl Refusal {
    /// HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::PaymentEncoding(_) | Self::PaymentMessage(_) => 402,
            Self::Payment(_) | Self::Balance | Self::Url(_) => 400,
            Self::Info(_) | Self::Body(_) => 500,
            Self::Busy => 200,
            Self::SegmentEncoding(_)
            | Self::SegmentMessage(_)
            | Self::OutputFormat
            | Self::EncoderProfile
            | Self::VideoCodec
            | Self::Duration(_)
            | Self::Signature
            | Self::Capabilities(_)
            | Self::TokenMissing
            | Self::TokenInvalid
            | Self::TokenExpired
            | Self::Capped
            | Self::Hash => 403,
        }
    }

    /// What the peer is told: the body of the answer, which ends with a line feed that is not part of this text, or
    /// for [`Refusal::Busy`] the error of the result.
    pub fn wire_text(&self) -> Cow<'_, str> {
        let text = match self {
            Self::PaymentEncoding(text) => return format!("base64 decode error: {text}").into(),
            Self::PaymentMessage(text) => {
                return format!("protobuf unmarshal error: {text}").into();
            }
            Self::SegmentMessage(text) | Self::Payment(text) => text,
            Self::SegmentEncoding(_) => "ErrorSegEncoding",
            Self::OutputFormat => "unrecognized profile output format",
            Self::EncoderProfile => "unrecognized encoder profile",
            Self::VideoCodec => "unrecognized video codec",
            Self::Duration(_) => "invalid duration",
            Self::Signature => "ErrSegSig",
            Self::Capabilities(_) => "incompatible capabilities",
            Self::TokenMissing => "missing auth token",
            Self::TokenInvalid => "invalid auth token",
            Self::TokenExpired => "expired auth token",
            Self::Capped => texts::CAPPED,
            Self::Info(_) | Self::Body(_) => "Internal Server Error",
            Self::Balance => "Insufficient balance",
            Self::Url(_) => "BadRequest",
            Self::Hash => "Forbidden",
            Self::Busy => texts::BUSY,
        };
        text.into()
    }

    /// Short name of the reason, for metrics. The set of labels is fixed.
    pub fn label(&self) -> &'static str {
        match self {
            Self::PaymentEncoding(_) | Self::PaymentMessage(_) | Self::Payment(_) => "payment",
            Self::SegmentEncoding(_) | Self::SegmentMessage(_) => "encoding",
            Self::OutputFormat | Self::EncoderProfile | Self::VideoCodec => "profile",
            Self::Duration(_) => "duration",
            Self::Signature => "sig",
            Self::Capabilities(_) => "capabilities",
            Self::TokenMissing => "token_missing",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::Capped => "capped",
            Self::Info(_) => "info",
            Self::Balance => "balance",
            Self::Body(_) => "body",
            Self::Url(_) => "url",
            Self::Hash => "hash",
            Self::Busy => "busy",
        }
    }
}

/// Why a gateway that looks for orchestrators is turned away. Travels as the message of gRPC status 2 (unknown).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryRefusal {
    /// The address is not signed by its key.
    #[error("discovery request is not signed by its address")]
    Signature,
    /// No room for another session.
    #[error("no room for another session")]
    Capped,
    /// The operator's webhook said no.
    #[error("webhook refused the gateway: {0}")]
    Webhook(String),
    /// No ticket parameters for a sender with this reserve. The text begins as the reference's and goes on with the numbers.
    #[error("no quote for the sender: {0}")]
    SenderReserve(String),
    /// The node cannot quote a price now: it knows no round, no exchange rate, or the chain does not answer.
    #[error("no quote can be made now: {0}")]
    NoQuote(String),
}

impl DiscoveryRefusal {
    /// Message of the gRPC status.
    pub fn wire_text(&self) -> Cow<'_, str> {
        match self {
            Self::Signature => texts::DISCOVERY_SIGNATURE.into(),
            Self::Capped => texts::DISCOVERY_CAPPED.into(),
            Self::Webhook(text) => format!("authentication failed: {text}").into(),
            Self::SenderReserve(text) | Self::NoQuote(text) => text.into(),
        }
    }

    /// Short name of the reason, for metrics, of the same family as [`Refusal::label`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::Signature => "sig",
            Self::Capped => "capped",
            Self::Webhook(_) => "webhook",
            Self::SenderReserve(_) => "payment",
            Self::NoQuote(_) => "info",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_answers_with_its_status_and_text() {
        let x = || "x".to_owned();
        for (refusal, status, text) in [
            (Refusal::PaymentEncoding(x()), 402, "base64 decode error: x"),
            (
                Refusal::PaymentMessage(x()),
                402,
                "protobuf unmarshal error: x",
            ),
            (Refusal::SegmentEncoding(x()), 403, "ErrorSegEncoding"),
            (Refusal::SegmentMessage(x()), 403, "x"),
            (
                Refusal::OutputFormat,
                403,
                "unrecognized profile output format",
            ),
            (Refusal::EncoderProfile, 403, "unrecognized encoder profile"),
            (Refusal::VideoCodec, 403, "unrecognized video codec"),
            (Refusal::Duration(-1), 403, "invalid duration"),
            (Refusal::Signature, 403, "ErrSegSig"),
            (
                Refusal::Capabilities(Incompatible::Mandatory),
                403,
                "incompatible capabilities",
            ),
            (Refusal::TokenMissing, 403, "missing auth token"),
            (Refusal::TokenInvalid, 403, "invalid auth token"),
            (Refusal::TokenExpired, 403, "expired auth token"),
            (Refusal::Capped, 403, "OrchestratorCapped"),
            (Refusal::Info(x()), 500, "Internal Server Error"),
            (Refusal::Payment(x()), 400, "x"),
            (Refusal::Balance, 400, "Insufficient balance"),
            (Refusal::Body(x()), 500, "Internal Server Error"),
            (Refusal::Url(x()), 400, "BadRequest"),
            (Refusal::Hash, 403, "Forbidden"),
            (Refusal::Busy, 200, "OrchestratorBusy"),
        ] {
            assert_eq!((refusal.status(), &*refusal.wire_text()), (status, text));
        }
    }

    #[test]
    fn discovery_messages_are_those_of_the_reference() {
        for (refusal, text) in [
            (
                DiscoveryRefusal::Signature,
                "Invalid orchestrator request: orchestrator req sig check failed",
            ),
            (
                DiscoveryRefusal::Capped,
                "Invalid orchestrator request: OrchestratorCapped",
            ),
            (
                DiscoveryRefusal::Webhook("no".into()),
                "authentication failed: no",
            ),
            (
                DiscoveryRefusal::SenderReserve(texts::SENDER_RESERVE.into()),
                "insufficient sender reserve",
            ),
        ] {
            assert_eq!(refusal.wire_text(), text);
        }
    }
}
