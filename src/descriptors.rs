//! File descriptors: as many as the system lets this process have, and a part of them that no stranger's connection can take.
//!
//! Most systems give 1,024 to begin with, which a few gateways with many connections use up; and a node without descriptors can start no
//! worker and open no file.

use config::Settings;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// For listeners, the database, logs, outgoing connections.
const NODE: u64 = 128;
/// For a stream: its worker's link and pipe, a body on disk, requests about it.
const SESSION: u64 = 8;

/// Takes as many as there are to be had; how many that is.
pub fn raise() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1024;
    };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return hard;
    }
    soft
}

/// Connections on the public port at once, of `all` descriptors: what the operator allows, if the node's own work is left enough.
pub fn connections(settings: &Settings, all: u64) -> usize {
    let sessions = u64::from(settings.video.max_sessions);
    let wanted = settings.limits.connections;
    let most = rest(all, sessions);
    if wanted > most {
        tracing::warn!(
            wanted,
            connections = most,
            descriptors = all,
            "-maxConnections is more than there are descriptors for; raise the limit of open files (LimitNOFILE, ulimit -n)"
        );
    }
    wanted.min(most)
}

/// What is left to connections: half of all at least.
fn rest(all: u64, sessions: u64) -> usize {
    let own = sessions.saturating_mul(SESSION).saturating_add(NODE);
    usize::try_from(all - own.min(all / 2)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_keeps_what_its_streams_need_but_not_more_than_half() {
        assert_eq!(rest(1024, 10), 816);
        assert_eq!(rest(256, 10), 128);
        assert_eq!(rest(1024, 1000), 512);
        assert_eq!(rest(1_048_576, 10), 1_048_368);
    }

    #[test]
    fn what_the_system_allows_is_taken() {
        let all = raise();
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        assert_eq!((all, all > 0), (soft, true));
    }
}
