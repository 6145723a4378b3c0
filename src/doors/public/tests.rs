//! In-process tests of the whole door: real sockets, real session actors, no worker processes.

pub(super) mod house;
mod http;
mod limits;
mod rpc;
mod segments;
mod tls;
