//! The queue against a chain in memory that can do what real ones do: drop, refuse, re-organise, forget receipts, lag,
//! and let another process use the same key.

mod faults;
mod properties;
mod sim;
mod words;
