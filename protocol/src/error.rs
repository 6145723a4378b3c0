//! What can go wrong with what the operator or this node itself hands in.
//!
//! What is wrong with a peer's request is a [`crate::refusal::Refusal`] instead.

/// Error of the functions here that do not answer a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not 40 hexadecimal digits with or without `0x`.
    #[error("address {0:?} is not 40 hexadecimal digits, with or without 0x")]
    Address(String),
    /// 0 or not below the order of the curve.
    #[error("secret key is not in the range of the curve, generate another")]
    SecretKey,
    /// A name in a list of presets.
    #[error(
        "{0:?} is no preset, use one of P144p30fps16x9, P240p30fps16x9, P360p30fps16x9, P720p30fps16x9, … or a JSON file"
    )]
    UnknownPreset(String),
    /// The text is not a JSON array of renditions.
    #[error("transcoding options are not a JSON array of renditions: {0}")]
    OptionsJson(String),
    /// A value inside a rendition of the JSON array.
    #[error("rendition {rendition:?}: {field} {value:?} is not one of {expected}")]
    OptionsValue {
        /// Name of the rendition.
        rendition: String,
        /// JSON field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: &'static str,
    },
    /// An empty list of renditions.
    #[error("no renditions, name at least one preset")]
    NoProfiles,
    /// The bytes of an answer are not the message they should be.
    #[error("answer is not a TranscodeResult message: {0}")]
    ResultMessage(String),
}
