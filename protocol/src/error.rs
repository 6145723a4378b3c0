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
    /// Not a non-negative decimal, exponent or fraction of at most 77 digits.
    #[error(
        "{0:?} is not a number such as 1200, 0.02, 1e12 or 7/3, with a currency such as USD behind it where one is allowed"
    )]
    Number(String),
    /// A price in a currency that the feed does not have.
    #[error(
        "a price is in {wanted} but the price feed offers {offered}, set -priceFeedAddr to a feed between ETH and {wanted}"
    )]
    Currency {
        /// Of the price.
        wanted: String,
        /// Of the feed.
        offered: String,
    },
    /// A price feed that cannot be used.
    #[error("price feed {description:?} {reason}, set -priceFeedAddr to another")]
    Feed {
        /// What the feed says it is.
        description: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Stored bytes that are no balance.
    #[error("stored balance has {0} bytes instead of 64, the record is damaged")]
    Balance(usize),
    /// Stored bytes that are no secret.
    #[error("stored ticket secret has {0} bytes instead of 32 or 64, the record is damaged")]
    TicketSecret(usize),
}
