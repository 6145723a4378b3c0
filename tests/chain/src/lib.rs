//! A local chain for tests: anvil, doubles of the contracts written in Solidity, and a proxy that makes the RPC misbehave.
//!
//! ```no_run
//! # async fn example() {
//! use orchestrion_test_chain::{Chain, Fault, L1Field, Proxy, Ticket, ether};
//!
//! let chain = Chain::start().await; // anvil, all doubles, round 3456 initialized at L1 block 20,000,000
//! let proxy = Proxy::before(&chain).await; // what the node gets as its end point: `proxy.url()`
//! proxy.l1_field(L1Field::Hex); // headers as on Arbitrum
//!
//! let (ticket, signature, rand) = Ticket::winner();
//! chain.fund_sender(ticket.sender, ether(3), ether(1)).await;
//! chain.add_transcoder(ticket.recipient, ether(100)).await;
//! proxy.fail("eth_sendRawTransaction", Fault::LoseAnswer);
//! chain.new_round().await;
//! # }
//! ```
//!
//! What only has to work panics when it does not: a test may fail. Functions that begin with `try_` give the revert text.
//! Amounts are in wei, times in seconds, heights in blocks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a test may fail, and its futures run once"
)]

mod anvil;
mod bonding;
mod broker;
mod chain;
mod double;
mod proxy;
mod rounds;
mod rpc;
mod ticket;

pub use anvil::free_port;
pub use bonding::{Hints, Transcoder};
pub use broker::SenderInfo;
pub use chain::{Chain, Event, Options, Receipt, Snapshot};
pub use double::{Arg, Double};
pub use ethabi::Token;
pub use ethabi::ethereum_types::{Address, H256, U256};
pub use proxy::{Fault, Head, L1Field, Proxy, RangeRefusal};
pub use rpc::{Rpc, RpcError};
pub use ticket::{Key, Ticket, keccak};

/// Whole ether, or whole LPT, in their smallest unit.
pub fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::exp10(18)
}
