//! The doubles do what the contracts do, and the proxy does what it says: whoever tests against them may rely on it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a test may fail"
)]

mod deployment;
mod proxy;
mod redemption;
mod rounds;
mod stakes;
