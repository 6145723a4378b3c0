//! The node on a chain of its own: gateways pay, winners are redeemed, rewards are called, through faults and kills.
//!
//! The chain is anvil with doubles of the contracts, seen through a proxy that can misbehave. What is true is asked of the
//! chain and of the gateways' own books, never of the node.

/// A file as the reference makes it.
#[allow(dead_code, reason = "the tests of the ledger use all of it")]
#[path = "../../ledger/tests/ledger/data.rs"]
mod reference;

mod disk;
mod faults;
mod judge;
mod kills;
mod payer;
mod push;
mod redeemer;
mod refusals;
mod rpc_faults;
mod start;
mod takeover;
mod whole_loop;
mod world;
