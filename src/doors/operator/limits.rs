//! Every limit of the operator port.

use std::time::Duration;

/// Largest request body, bytes.
pub const BODY_BYTES: usize = 64 * 1024;
/// Longest wait for a request's body and its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a transaction that an operator asked for; one that could not be sent by then is given up.
pub const TRANSACTION_WAIT: Duration = Duration::from_secs(300);
/// The same as [`REQUEST_TIMEOUT`] where a transaction is waited for.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(320);
/// Longest wait for the head of a request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a client to close after the last answer.
pub const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an idle connection is kept.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long running requests may take at the end.
pub const SHUTDOWN: Duration = Duration::from_secs(2);
/// Connections open at once.
pub const CONNECTIONS: usize = 256;
/// Threads that answer.
pub const THREADS: usize = 1;
