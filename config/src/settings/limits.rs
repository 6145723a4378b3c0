//! What callers and workers may take.

use super::{Reader, seconds};
use serde::Serialize;
use std::time::Duration;

/// Bounds on connections, bytes, memory and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Connections on the public port at once.
    pub connections: usize,
    /// The same from one address.
    pub connections_per_addr: usize,
    /// Failed or unverified calls per minute admitted from one address.
    pub failures_per_minute: u32,
    /// Bytes of request bodies held at once, all streams together.
    pub body_bytes: u64,
    /// Longest time a request body may take to arrive.
    #[serde(serialize_with = "seconds")]
    pub body_timeout: Duration,
    /// Bytes of memory one worker process may use.
    pub worker_bytes: u64,
    /// Per cent of the processors that are video's where models run beside it, 1 to 99; the others are AI's.
    pub video_cpu: u8,
    /// The same of the memory.
    pub video_memory: u8,
    /// Time that running streams get when the node is told to stop.
    #[serde(serialize_with = "seconds")]
    pub drain_timeout: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Limits {
    let limits = Limits {
        connections: reader.number("maxConnections").unwrap_or_default(),
        connections_per_addr: reader.number("maxConnectionsPerAddr").unwrap_or_default(),
        failures_per_minute: reader.number("failureRatePerMinute").unwrap_or_default(),
        body_bytes: reader.bytes("bodyMemory"),
        body_timeout: reader.duration("bodyTimeout"),
        worker_bytes: reader.bytes("workerMemory"),
        video_cpu: reader.number("videoCpuShare").unwrap_or(75),
        video_memory: reader.number("videoMemoryShare").unwrap_or(25),
        drain_timeout: reader.duration("drainTimeout"),
    };
    if limits.body_timeout.is_zero() {
        reader.wrong("bodyTimeout", "must be above 0, or no body could arrive");
    }
    limits
}
