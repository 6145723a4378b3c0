//! The redeemer over a chain in memory, with the real transaction queue and the real ledger: faults one by one, then all
//! together.

mod bench;
mod faults;
mod life;
mod properties;
mod remote;
