//! What one process of the node leaves to the next, where the listening socket outlives both (systemd's socket activation): the key
//! of its session tokens, and the renditions that gateways have not fetched yet.
//!
//! So an upgrade costs no stream a segment: who connects meanwhile waits in the socket's queue, and the next process knows
//! the sessions' tokens and has what was promised.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use actors::segment_store::{Object, SegmentStore};
use bytes::Bytes;
use listenfd::ListenFd;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use prost::Message;
use protocol::profile::Format;

/// An older legacy is of no use: gateways have long gone elsewhere.
const FRESH: Duration = Duration::from_secs(60);
/// Bytes of renditions that are left, the newest first.
const MOST: usize = 256 << 20;
/// Whoever reads the media types of a legacy knows these.
const TYPES: [&str; 4] = ["image/png", "video/mp4", "audio/wav", "application/json"];

/// The socket that was opened for this process, if one was.
pub fn socket() -> Option<TcpListener> {
    let listener = match ListenFd::from_env().take_tcp_listener(0) {
        Ok(listener) => listener?,
        Err(error) => {
            tracing::error!(%error, "the socket that was passed on cannot be used");
            return None;
        }
    };
    // Workers have no business with it.
    if let Err(error) = fcntl(&listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        tracing::warn!(%error, "the socket that was passed on is passed on to workers as well");
    }
    Some(listener)
}

/// What is left.
#[derive(Clone, PartialEq, Message)]
pub struct Legacy {
    /// Key of session tokens, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    token_key: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    objects: Vec<Left>,
}

/// A rendition.
#[derive(Clone, PartialEq, Message)]
struct Left {
    #[prost(string, tag = "1")]
    session: String,
    #[prost(string, tag = "2")]
    directory: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    mime: String,
    #[prost(bytes = "bytes", tag = "5")]
    bytes: Bytes,
}

impl Legacy {
    /// Takes what the process before left in `data_dir`: nobody else gets it.
    pub fn take(data_dir: &Path) -> Option<Self> {
        let path = file(data_dir);
        let age = std::fs::metadata(&path).ok()?.modified().ok()?.elapsed();
        let bytes = std::fs::read(&path);
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(%error, path = %path.display(), "a legacy cannot be removed and is not taken");
            return None;
        }
        if age.is_ok_and(|age| age > FRESH) {
            return None;
        }
        let legacy = Self::decode(Bytes::from(bytes.ok()?));
        legacy
            .inspect_err(|error| tracing::warn!(%error, "a legacy cannot be read"))
            .ok()
    }

    /// Leaves the token key and what is in `store` to the next process.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing is left.
    pub fn leave(
        data_dir: &Path,
        token_key: [u8; 32],
        store: &SegmentStore,
    ) -> std::io::Result<()> {
        let mut room = MOST;
        let mut objects = Vec::new();
        for kept in store.newest_first() {
            let Some(left) = room.checked_sub(kept.object.bytes.len()) else {
                break;
            };
            room = left;
            objects.push(Left {
                session: kept.session,
                directory: kept.directory,
                name: kept.name,
                mime: kept.object.mime.to_owned(),
                bytes: kept.object.bytes,
            });
        }
        // What is put back first is evicted first.
        objects.reverse();
        let legacy = Self {
            token_key: token_key.to_vec(),
            objects,
        };
        // For its owner's eyes only: it holds a key.
        let mut temporary = tempfile::NamedTempFile::new_in(data_dir)?;
        temporary.write_all(&legacy.encode_to_vec())?;
        temporary.persist(file(data_dir))?;
        tracing::info!(renditions = legacy.objects.len(), "handed over");
        Ok(())
    }

    /// The key of session tokens.
    pub fn token_key(&self) -> Option<[u8; 32]> {
        self.token_key.as_slice().try_into().ok()
    }

    /// Puts the renditions into `store`, for as long as gateways usually take to fetch them.
    pub fn restore(self, store: &SegmentStore) {
        let now = Instant::now();
        for left in self.objects {
            let object = Object {
                bytes: left.bytes,
                mime: known(&left.mime),
            };
            store.restore(&left.session, &left.directory, &left.name, object, now);
        }
    }
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("hand-over")
}

fn known(mime: &str) -> &'static str {
    let mut types = [Format::MpegTs.mime(), Format::Mp4.mime()]
        .into_iter()
        .chain(TYPES);
    types
        .find(|known| *known == mime)
        .unwrap_or("application/octet-stream")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actors::segment_store::StoreLimits;
    use telemetry::Metrics;
    use telemetry::metrics::{MetricsOptions, NodeType};

    use super::*;

    fn store() -> SegmentStore {
        let options = MetricsOptions {
            node_id: "n".into(),
            node_type: NodeType::Orchestrator,
            version: "v".into(),
            runtime: "r".into(),
            per_stream: false,
            client_ip: false,
        };
        let metrics = Metrics::new(&options).expect("metrics");
        SegmentStore::new(StoreLimits::default(), Arc::new(metrics))
    }

    #[test]
    fn a_legacy_is_taken_once_with_key_and_renditions() {
        let directory = tempfile::tempdir().expect("a directory");
        let before = store();
        before.open("s");
        for (name, size) in [("0.ts", 3), ("1.ts", 5)] {
            let object = Object {
                bytes: vec![7; size].into(),
                mime: "video/mp2t",
            };
            before.put("s", "p/../x", name, object).expect("stored");
        }
        Legacy::leave(directory.path(), [9; 32], &before).expect("left");
        let legacy = Legacy::take(directory.path()).expect("taken");
        assert_eq!(legacy.token_key(), Some([9; 32]));
        assert_eq!(Legacy::take(directory.path()), None, "once");
        let after = store();
        legacy.restore(&after);
        assert_eq!(
            after.get("s", "p/../x", "1.ts"),
            before.get("s", "p/../x", "1.ts")
        );
        assert_eq!(after.bytes(), 8);
        // The session goes on here.
        after.open("s");
        after.sweep(Instant::now() + Duration::from_secs(3600));
        assert_eq!(after.bytes(), 8);
    }

    #[test]
    fn garbage_is_no_legacy_and_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(file(directory.path()), b"\xff\xff\xff").expect("written");
        assert_eq!(Legacy::take(directory.path()), None);
        assert!(!file(directory.path()).exists());
    }
}
