//! The two ports: decode, ask, encode. Doors hold no state.

pub mod operator;
pub mod public;
