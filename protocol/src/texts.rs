//! Error texts that are protocol: gateways and remote transcoders compare them whole.
//!
//! A gateway that reads one of [`NON_RETRYABLE`] keeps its session and gives the segment up; any other text makes it
//! drop this orchestrator for the stream and try elsewhere.

/// No usable video, or a segment that kills its worker.
pub const INVALID_VIDEO: &str = "TranscoderInvalidVideo";
/// The size of a rendition cannot be read.
pub const INVALID_RESOLUTION: &str = "TranscoderInvalidResolution";
/// Container of a rendition.
pub const UNRECOGNIZED_FORMAT: &str = "TranscoderUnrecognizedFormat";
/// H.264 profile of a rendition.
pub const UNRECOGNIZED_PROFILE: &str = "TranscoderUnrecognizedProfile";
/// Key-frame distance of −2 or less.
pub const INVALID_GOP: &str = "TranscoderInvalidGOP";
/// Decoder and encoder on different kinds of devices.
pub const INCOMPATIBLE_DEVICES: &str = "TranscoderIncompatibleDevices";
/// A device decodes only 4:2:0 with 8 bits.
pub const UNSUPPORTED_PIXEL_FORMAT: &str = "Unsupported input pixel format";
/// No decoder for the codec of the source.
pub const UNSUPPORTED_CODEC: &str = "Unsupported input codec";
/// The segment has no key frame.
pub const NO_KEYFRAMES: &str = "No keyframes in input";
/// Scaling and rate conversion could not be set up.
pub const FILTERGRAPH: &str = "Error initializing filtergraph";
/// More than 10 renditions, or another number of them within a session on a device.
pub const TOO_MANY_OUTPUTS: &str = "Too many outputs";
/// More than 25 encoded frames per decoded one.
pub const RUNAWAY: &str = "Encoded frames runaway";
/// The device is lost.
pub const UNRECOVERABLE: &str = "Unrecoverable state, restart process";
/// A decoder is not installed.
pub const DECODER_NOT_FOUND: &str = "Decoder not found";
/// A demuxer is not installed.
pub const DEMUXER_NOT_FOUND: &str = "Demuxer not found";
/// An encoder is not installed.
pub const ENCODER_NOT_FOUND: &str = "Encoder not found";
/// A muxer is not installed.
pub const MUXER_NOT_FOUND: &str = "Muxer not found";
/// An option of a codec does not exist.
pub const OPTION_NOT_FOUND: &str = "Option not found";
/// A codec refused its parameters.
pub const INVALID_ARGUMENT: &str = "Invalid argument";

/// Texts after which a gateway does not try the segment elsewhere.
pub const NON_RETRYABLE: &[&str] = &[
    INVALID_VIDEO,
    INVALID_RESOLUTION,
    UNRECOGNIZED_FORMAT,
    UNRECOGNIZED_PROFILE,
    INVALID_GOP,
    INCOMPATIBLE_DEVICES,
    UNSUPPORTED_PIXEL_FORMAT,
    UNSUPPORTED_CODEC,
    NO_KEYFRAMES,
    FILTERGRAPH,
    TOO_MANY_OUTPUTS,
    RUNAWAY,
    UNRECOVERABLE,
    DECODER_NOT_FOUND,
    DEMUXER_NOT_FOUND,
    ENCODER_NOT_FOUND,
    MUXER_NOT_FOUND,
    OPTION_NOT_FOUND,
    INVALID_ARGUMENT,
];

/// Whether a gateway gives a segment up at this text. It must be equal to the whole text.
pub fn is_non_retryable(text: &str) -> bool {
    NON_RETRYABLE.contains(&text)
}

/// The session's queue is full.
pub const BUSY: &str = "OrchestratorBusy";
/// No room for another session.
pub const CAPPED: &str = "OrchestratorCapped";
/// No worker is there, or all are full.
pub const NO_TRANSCODERS: &str = "no transcoders available";
/// Workers are there, but none can do this.
pub const NO_CAPABLE_TRANSCODERS: &str = "no transcoders can provide requested capabilities";
/// A worker did not answer in time.
pub const TOOK_TOO_LONG: &str = "Remote transcoder took too long";
/// A worker was lost.
pub const UNAVAILABLE: &str = "ErrTranscoderUnavailable";
/// There is nowhere to put renditions.
pub const MISSING_STORAGE: &str = "Missing local storage";
/// Number of renditions differs from that of profiles.
pub const MISMATCHED_SEGMENTS: &str = "MismatchedSegments";
/// A rendition has less than 25 bytes.
pub const ZERO_SEGMENTS: &str = "ZeroSegments";
/// The queue of a device session is full.
pub const TRANSCODER_BUSY: &str = "TranscoderBusy";
/// The device session ended while segments waited.
pub const TRANSCODER_STOPPED: &str = "TranscoderStopped";
/// The container says more than 300 s.
pub const INVALID_DURATION: &str = "TranscoderInvalidDuration";
/// The part to keep ends before it begins.
pub const INVALID_CLIP: &str = "TranscoderInvalidClipConfig";
/// The source cannot be opened.
pub const INVALID_INPUT: &str = "TranscoderInvalidInput";
/// The device does not exist.
pub const INVALID_HARDWARE: &str = "TranscoderInvalidHardware";
/// Number of renditions differs from that of profiles, found by the orchestrator.
pub const PROFILE_MISMATCH: &str = "segment / profile mismatch";
/// A remote transcoder cannot do a segment.
pub const INCOMPATIBLE_SEGMENT: &str = "incompatible segment capabilities";
/// A job without parameters.
pub const EMPTY_SEG_DATA: &str = "empty seg data";
/// The session ended while its segment was worked on.
pub const SESSION_ENDED: &str = "Session ended";
/// A source or a rendition is above 300 000 000 bytes.
pub const INPUT_TOO_BIG: &str = "input bigger than max buffer size";
/// The source is broken.
pub const INVALID_DATA: &str = "Invalid data found when processing input";

/// Signature of a discovery request, in the message of its gRPC status.
pub const DISCOVERY_SIGNATURE: &str =
    "Invalid orchestrator request: orchestrator req sig check failed";
/// No room, in the message of the gRPC status of a discovery request.
pub const DISCOVERY_CAPPED: &str = "Invalid orchestrator request: OrchestratorCapped";
/// Ending a session with a token that was not made here, in the message of its gRPC status.
pub const END_SESSION_TOKEN: &str = "Invalid auth token";
/// Ticket parameters cannot be given to this sender, in the message of a gRPC status.
pub const SENDER_RESERVE: &str = "insufficient sender reserve";
/// A price without a unit.
pub const PIXELS_PER_UNIT: &str = "pixels per unit is 0";
/// A payment without a price.
pub const EXPECTED_PRICE_NIL: &str = "expected price is nil";
/// A ticket to somebody else.
pub const TICKET_RECIPIENT: &str = "invalid ticket recipient";
/// A ticket from nobody.
pub const TICKET_SENDER: &str = "invalid ticket sender";
/// Ticket parameters that were not made here, or were changed.
pub const TICKET_RECIPIENT_RAND: &str = "invalid recipientRand for ticket recipientRandHash";
/// A ticket that its sender did not sign.
pub const TICKET_SIGNATURE: &str = "invalid ticket signature";
/// A ticket after the expiration block of its parameters.
pub const TICKET_EXPIRED: &str = "TicketParams expired";
/// A remote transcoder stops trying for good when it reads exactly this.
pub const INVALID_SECRET: &str = "invalid secret";
/// A remote transcoder stops trying for good when it reads exactly this.
pub const ZERO_CAPACITY: &str = "zero capacity";

/// An answer with neither an error nor data, as gateways name it.
pub const UNKNOWN_RESPONSE: &str = "UnknownResponse";
/// Body of `/stream/…` for an object that is not there.
pub const NOT_FOUND: &str = "ErrNotFound";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_texts_are_non_retryable() {
        assert!(is_non_retryable("TranscoderInvalidVideo"));
        assert!(is_non_retryable("Invalid argument"));
        for text in [
            "",
            "transcoderinvalidvideo",
            "TranscoderInvalidVideo\n",
            BUSY,
            CAPPED,
            INVALID_DATA,
        ] {
            assert!(!is_non_retryable(text), "{text:?}");
        }
        assert_eq!(NON_RETRYABLE.len(), 19);
    }
}
