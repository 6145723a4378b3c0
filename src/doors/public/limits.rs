//! Every limit of the public port.

use std::time::Duration;

use protocol::segment::MAX_BYTES;

/// Bounds on what callers may take. The defaults suit one machine on the open internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicLimits {
    /// Connections open at once.
    pub connections: usize,
    /// Connections open at once from one address (an IPv6 network of 64 bits counts as one). Trusted proxies are exempt.
    pub connections_per_address: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time from the connection's start to its first request.
    pub first_request: Duration,
    /// Time for the head of an HTTP/1.1 request, counted from the end of the answer before. Gateways keep idle
    /// connections for 60 s, so it must be above that.
    pub head: Duration,
    /// How long a connection without a running request is kept after the last byte.
    pub idle: Duration,
    /// How long a connection with a running request may be silent in both directions. The longest segment takes 18
    /// minutes at most.
    pub silence: Duration,
    /// How long what we sent may go without acknowledgement before the peer counts as gone.
    pub unacknowledged: Duration,
    /// Bytes of the head of a request. Payment headers grow with the number of tickets.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// HTTP/2 requests at once on a connection.
    pub streams: u32,
    /// HTTP/2 receive window of a request, bytes.
    pub stream_window: u32,
    /// HTTP/2 receive window of a connection, bytes.
    pub connection_window: u32,
    /// Bytes of a gRPC request.
    pub rpc_bytes: usize,
    /// Time for a gRPC request up to the head of its answer.
    pub rpc: Duration,
    /// Bytes of a segment, sent or fetched.
    pub body_bytes: usize,
    /// Time for a segment to arrive, or the segment's own duration where that is longer.
    pub body: Duration,
    /// Bytes per second that a body must come in at.
    pub body_rate: u32,
    /// How long a body may lag behind [`body_rate`](Self::body_rate).
    pub body_lag: Duration,
    /// Bytes of all renditions of a segment together, as a remote transcoder posts them.
    pub results_bytes: usize,
    /// How often something is sent to a remote transcoder that has nothing to do.
    pub heartbeat: Duration,
    /// Bytes of a body that is a URL, JSON or the text of a failure.
    pub text_bytes: usize,
    /// Time for the rest of a refused body, which is read and dropped so that the client gets to the answer.
    pub drain: Duration,
    /// Time to fetch a segment from its URL, redirects included.
    pub fetch: Duration,
    /// Redirects followed while fetching.
    pub redirects: usize,
    /// Failed or unverified calls per minute admitted from one address. Gateways that delivered a segment lately are
    /// exempt.
    pub failures_per_minute: u32,
    /// How long a delivered segment exempts its sender's address.
    pub vouched: Duration,
    /// Time for running requests when the port closes.
    pub shutdown: Duration,
}

impl Default for PublicLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 512,
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(30),
            head: Duration::from_secs(75),
            idle: Duration::from_secs(600),
            silence: Duration::from_secs(1200),
            unacknowledged: Duration::from_secs(30),
            head_bytes: 1 << 20,
            headers: 256,
            streams: 250,
            stream_window: 1 << 20,
            connection_window: 4 << 20,
            rpc_bytes: 1 << 20,
            rpc: Duration::from_secs(10),
            body_bytes: MAX_BYTES,
            body: Duration::from_secs(30),
            body_rate: 16 << 10,
            body_lag: Duration::from_secs(5),
            results_bytes: 2 * MAX_BYTES,
            heartbeat: Duration::from_secs(10),
            text_bytes: 16 << 10,
            drain: Duration::from_secs(2),
            fetch: Duration::from_secs(4),
            redirects: 3,
            failures_per_minute: 120,
            vouched: Duration::from_secs(1800),
            shutdown: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_outlive_the_gateways_own_limit() {
        let limits = PublicLimits::default();
        let gateway = Duration::from_secs(60);
        assert!(limits.head > gateway && limits.idle > gateway);
    }

    #[test]
    fn the_longest_segment_may_be_silent_while_it_is_transcoded() {
        // answered within 0.9 of four times its duration
        let longest =
            Duration::from_millis(u64::from(protocol::segment::MAX_DURATION_MS) * 4).mul_f64(0.9);
        assert!(PublicLimits::default().silence > longest);
    }
}
