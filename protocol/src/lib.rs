//! What travels between peers and how it is proved. Pure: no I/O, no clock, no random numbers.
//!
//! Times, random bytes and keys are arguments. Everything that reads outside bytes returns an error instead of
//! panicking, whatever the bytes are.

pub mod address;
pub mod ai;
pub mod capabilities;
pub mod discovery;
mod error;
pub mod mixed;
pub mod money;
pub mod payment;
pub mod profile;
pub mod refusal;
pub mod remote;
pub mod result;
pub mod segment;
pub mod signature;
pub mod storage;
pub mod texts;
pub mod token;

pub use error::Error;

/// Protobuf messages of package `net`, as generated from `proto/`.
///
/// Enum fields are raw `i32`: values outside the known ones must be seen and refused, not mapped to a default.
pub mod pb {
    #![allow(missing_docs, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/net.rs"));
}

/// Whether accounts, signatures and payments count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// Signatures are checked.
    OnChain,
    /// Every signature is accepted unseen, also a missing one, and nothing is signed.
    OffChain,
}
