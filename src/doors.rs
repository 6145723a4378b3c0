//! What peers and the operator reach: decode, ask, encode. Doors hold no state.

pub mod operator;
pub mod public;
pub mod redeemer;
pub mod requests;
pub mod rpc;
pub mod runner;
mod token;

pub use self::token::{SHORTEST, Token};
