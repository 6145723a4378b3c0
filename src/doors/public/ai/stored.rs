//! A shelf for the media of one request: in the node's own store, under names that nobody guesses, for ten minutes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::segment_store::{Object, SegmentStore};
use bytes::Bytes;

use super::super::Door;

/// How long results can be fetched; gateways do so at once.
const LIFE: Duration = Duration::from_secs(600);
/// Objects of a request are not of a profile.
const DIRECTORY: &str = "";

/// See the module.
pub(super) struct Shelf {
    store: SegmentStore,
    service: String,
    request: String,
}

impl Shelf {
    /// A shelf of its own for a request.
    pub fn open(door: &Arc<Door>) -> Self {
        let snapshot = door.context.broadcast.load();
        let shelf = Self {
            store: door.context.store.clone(),
            service: snapshot.identity().service_uri.clone(),
            request: random_name(),
        };
        shelf.store.open(&shelf.request);
        let (store, request) = (shelf.store.clone(), shelf.request.clone());
        tokio::spawn(async move {
            tokio::time::sleep(LIFE).await;
            store.end(&request, Instant::now());
        });
        shelf
    }

    /// Keeps a file; where it can be fetched.
    pub fn put(&self, extension: &str, mime: &'static str, bytes: Bytes) -> Result<String, String> {
        let name = format!("{}.{extension}", random_name());
        let stored = self
            .store
            .put(&self.request, DIRECTORY, &name, Object { bytes, mime });
        stored.map_err(|error| format!("Could not store results: {error}"))?;
        let service = self.service.trim_end_matches('/');
        Ok(format!("{service}/stream/{}/{name}", self.request))
    }
}

/// A file of a request that is over.
pub(in super::super) fn find(store: &SegmentStore, request: &str, name: &str) -> Option<Object> {
    store.get(request, DIRECTORY, name)
}

/// 8 hexadecimal digits, as the reference's names have.
fn random_name() -> String {
    format!("{:08x}", rand::random::<u32>())
}
