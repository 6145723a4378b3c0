//! The one error type of this crate. Stray bytes inside a recognised container are tolerated and
//! counted, so errors stay few: what cannot be read at all, and what would not end.

/// Why a container could not be read, or a conversion was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// The bytes are neither MPEG-TS nor ISO base media.
    #[error("container not recognised as MPEG-TS or MP4; send one of these")]
    Unrecognised,
    /// A frame rate with a zero in it.
    #[error("frame rate {num}/{den} is not a positive number")]
    FrameRate {
        /// Frames per `den` seconds.
        num: u32,
        /// Seconds per `num` frames.
        den: u32,
    },
    /// The frame grid asks for more than [`crate::grid::RUNAWAY_FACTOR`] times the decoded frames.
    #[error("frame grid runs away: {produced} frames out of {decoded} decoded")]
    Runaway {
        /// Frames taken in so far.
        decoded: u64,
        /// Frames that would be handed out.
        produced: u64,
    },
    /// An MP4 atom that contradicts itself or the file.
    #[error("mp4 atom {atom} is damaged: {reason}")]
    Mp4Damaged {
        /// Four-character code of the atom.
        atom: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An MP4 file, or a table in it, larger than a segment may be.
    #[error("mp4 {what} exceeds the limit of {limit}")]
    Mp4TooLarge {
        /// What was counted.
        what: &'static str,
        /// The limit, in the unit of `what`.
        limit: u64,
    },
    /// An MP4 file whose end came before its `moov` atom.
    #[error("mp4 has no moov atom; the file is cut off or not an mp4")]
    Mp4WithoutMoov,
    /// Access units or audio frames that cannot be written as MP4.
    #[error("cannot write mp4: {reason}")]
    Mp4Mux {
        /// What stands in the way.
        reason: String,
    },
    /// An audio codec that the wanted container cannot carry from here.
    #[error("audio codec {codec} cannot be carried over; use AAC")]
    UnsupportedAudio {
        /// Sample entry or stream type of the codec.
        codec: String,
    },
}
