//! The chain: contracts, blocks, transactions, keys. ethers stays in here; the public face is types of our own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`client`] | [`ChainClient`], what can be asked of the chain |
//! | [`rpc`] | [`RpcClient`], the one that asks real nodes |
//! | [`endpoints`] | several RPC end points behind one transport: health, fail-over, budget |
//! | [`contracts`] | where the contracts are, as the Controller says |
//! | [`networks`] | what differs between chains |
//! | [`watcher`] | blocks and events in order, through re-orgs and gaps |
//! | [`price_feed`] | what a currency costs, with bounds |
//! | [`calls`] | every write as call data |
//! | [`hints`] | where a new stake goes in the pool |
//! | [`fees`], [`transactions`], [`revert`] | what a transaction may cost, the queue that sends them, why one failed |
//! | [`keystore`], [`signer`], [`typed_data`] | keys and what is signed with them |
//! | [`types`] | what the chain tells |
//! | `testing` | a chain in memory, with the feature of that name |

mod bindings;
pub mod calls;
pub mod client;
pub mod contracts;
mod convert;
pub mod endpoints;
mod error;
pub mod fees;
pub mod hints;
pub mod keystore;
pub mod networks;
pub mod price_feed;
pub mod revert;
pub mod rpc;
pub mod signer;
#[cfg(feature = "testing")]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests only")]
pub mod testing;
pub mod transactions;
pub mod typed_data;
pub mod types;
pub mod watcher;

pub use client::{ChainClient, Result};
pub use contracts::{ContractName, Contracts};
pub use endpoints::{EndpointOptions, EndpointUrl, Endpoints};
pub use error::Error;
pub use rpc::{Deployment, RpcClient};
pub use signer::Signer;
pub use types::{At, Call, Hash, Head, Log, LogFilter, Read, Receipt, Rounds, U256};
