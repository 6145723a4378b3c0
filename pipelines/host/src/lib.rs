//! The link to a worker process: frames, both ends; start, sandbox, heartbeat, kill.
//!
//! The daemon uses [`process`]; the worker uses [`sandbox`] on itself and then serves with [`worker`]. Nothing here
//! decodes media, knows a gateway or opens a socket to anybody but the other end of the link.

pub mod frame;
pub mod job;
pub mod message;
pub mod process;
pub mod sandbox;
pub mod worker;

/// Version of the package and a hash of what defines the link. Both ends must have the same one.
pub const BUILD_ID: &str = env!("LINK_BUILD_ID");
