//! Every bound of the redeemer's port.

use std::time::Duration;

/// Bounds of connections and of what travels on them.
#[derive(Debug, Clone)]
pub struct RedeemerLimits {
    /// Connections in all; each orchestrator keeps one.
    pub connections: usize,
    /// Connections from one address, or one IPv6 network.
    pub connections_per_address: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time until the first call that is let in; whoever makes none is a stranger who only takes a place.
    pub first_call: Duration,
    /// How often a connection is proved to be alive, and how long the proof may take.
    pub ping: Duration,
    /// Streams of one connection: one per sender whose float is followed, and calls.
    pub streams: u32,
    /// Bytes of a call's head.
    pub head_bytes: u32,
    /// Bytes of a message: a ticket is half a kilobyte.
    pub message_bytes: usize,
    /// Time for running calls when the port closes; streams of floats end at once.
    pub closing: Duration,
}

impl Default for RedeemerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 64,
            handshake: Duration::from_secs(10),
            first_call: Duration::from_secs(30),
            ping: Duration::from_secs(20),
            streams: 10_240,
            head_bytes: 16 << 10,
            message_bytes: 16 << 10,
            closing: Duration::from_secs(2),
        }
    }
}
