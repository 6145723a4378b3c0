//! Options that bound what callers and workers may take. None of them exists in the reference.

use super::{OptionSpec, Role};
use crate::kind::Kind;

const O: &[Role] = &[Role::Orchestrator];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "maxConnections",
        Kind::int(1, 1_000_000),
        "4096",
        "Connections on the public port at once",
    )
    .roles(O)
    .ours(),
    OptionSpec::new(
        "maxConnectionsPerAddr",
        Kind::int(1, 1_000_000),
        "512",
        "Connections on the public port at once from one address",
    )
    .roles(O)
    .ours(),
    OptionSpec::new(
        "failureRatePerMinute",
        Kind::int(1, 1_000_000),
        "120",
        "Failed or unverified calls per minute admitted from one address",
    )
    .roles(O)
    .live()
    .ours(),
    OptionSpec::new(
        "bodyMemory",
        Kind::Bytes { min: 16 << 20 },
        "1GiB",
        "Bytes of request bodies held at once, all streams together",
    )
    .roles(O)
    .ours(),
    OptionSpec::new(
        "bodyTimeout",
        Kind::Duration,
        "30s",
        "Longest time a request body may take to arrive",
    )
    .roles(O)
    .ours(),
    OptionSpec::new(
        "workerMemory",
        Kind::Bytes { min: 64 << 20 },
        "8GiB",
        "Memory one worker process may use",
    )
    .roles(&[Role::Transcoder])
    .ours(),
    OptionSpec::new(
        "drainTimeout",
        Kind::Duration,
        "30s",
        "Time that running streams get to finish when the node is told to stop",
    )
    .live()
    .ours(),
];
