//! The built node as a child process, driven over its ports as gateways and operators do.
//!
//! One test binary with many modules, so that it links once. Nodes that tests only look at are shared; whoever changes a node
//! starts one of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a test may fail, and its futures run once"
)]

mod ai;
mod bad_media;
mod bad_profiles;
mod bodies;
mod checks;
mod faults;
mod gateway;
mod good_media;
mod hand_over;
mod lifecycle;
mod live;
mod media;
mod neighbour;
mod node;
mod operator;
mod outside;
mod paid;
mod probe;
mod push;
mod remote;
mod sessions;
mod settings;
mod stores;
mod urls;
mod wire;
mod workers;
