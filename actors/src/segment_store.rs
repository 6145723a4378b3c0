//! Renditions in memory until the gateway has fetched them: a ring per session and profile.
//!
//! Written by transcode sessions, read by the `/stream/` door without a message. Bounded three ways: 12 objects per profile, bytes
//! per session, bytes in all. A session's objects stay for a grace period after its end, because downloads race with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::RwLock;
use telemetry::metrics::label::Pool;
use telemetry::metrics::{GaugeGuard, Metrics};

/// Objects per profile of a session, as in the reference.
pub const RING: usize = 12;
/// How long objects outlive their session.
pub const GRACE: Duration = Duration::from_secs(20);

/// A stored rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The whole file.
    pub bytes: Bytes,
    /// Its MIME type.
    pub mime: &'static str,
}

/// An object and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Session.
    pub session: String,
    /// Profile.
    pub directory: String,
    /// File name.
    pub name: String,
    stored: u64,
    /// The object.
    pub object: Object,
}

/// Why an object could not be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The session has ended.
    #[error("Session ended")]
    SessionEnded,
    /// The object alone exceeds the limit of a session.
    #[error("a rendition of {size} bytes exceeds the {limit} bytes that a session may hold")]
    TooLarge {
        /// Bytes of the object.
        size: usize,
        /// Bytes a session may hold.
        limit: usize,
    },
}

/// Limits of the store, bytes.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// Bytes that one session may hold.
    pub per_session: usize,
    /// Bytes in all.
    pub total: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            per_session: 256 << 20,
            total: 2 << 30,
        }
    }
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct SegmentStore {
    inner: Arc<RwLock<Inner>>,
    limits: StoreLimits,
    metrics: Arc<Metrics>,
}

struct Inner {
    sessions: HashMap<String, Session>,
    bytes: usize,
    gauge: GaugeGuard,
    // rises with every stored object: the smallest is the oldest
    clock: u64,
}

#[derive(Default)]
struct Session {
    rings: BTreeMap<String, VecDeque<Entry>>,
    bytes: usize,
    /// Actors that hold the session open: for a moment two, when one follows the other.
    owners: usize,
    ended: Option<Instant>,
}

struct Entry {
    name: String,
    stored: u64,
    object: Object,
}

impl SegmentStore {
    /// An empty store.
    pub fn new(limits: StoreLimits, metrics: Arc<Metrics>) -> Self {
        let inner = Inner {
            sessions: HashMap::new(),
            bytes: 0,
            gauge: metrics.video.ring_bytes(0),
            clock: 0,
        };
        Self {
            inner: Arc::new(RwLock::new(inner)),
            limits,
            metrics,
        }
    }

    /// Opens a directory for a session, until [`Self::end`] has been called as often.
    pub fn open(&self, session: &str) {
        let mut inner = self.inner.write();
        let session = inner.sessions.entry(session.to_owned()).or_default();
        session.owners += 1;
        session.ended = None;
    }

    /// Stores `object` as `<directory>/<name>`, replacing one of the same name and evicting the oldest beyond the bounds.
    pub fn put(
        &self,
        session: &str,
        directory: &str,
        name: &str,
        object: Object,
    ) -> Result<(), StoreError> {
        let size = object.bytes.len();
        if size > self.limits.per_session {
            return Err(StoreError::TooLarge {
                size,
                limit: self.limits.per_session,
            });
        }
        let mut inner = self.inner.write();
        inner.clock += 1;
        let stored = inner.clock;
        let held = inner
            .sessions
            .get_mut(session)
            .filter(|session| session.ended.is_none())
            .ok_or(StoreError::SessionEnded)?;
        let before = held.bytes;
        held.insert(directory, name, stored, object);
        while held.bytes > self.limits.per_session && held.evict_oldest().is_some() {}
        let after = held.bytes;
        inner.bytes = inner.bytes + after - before;
        while inner.bytes > self.limits.total && inner.evict_oldest() {
            self.metrics.video.pool_full(Pool::SegmentRing);
        }
        inner.publish();
        Ok(())
    }

    /// The object at `<session>/<directory>/<name>`.
    pub fn get(&self, session: &str, directory: &str, name: &str) -> Option<Object> {
        let inner = self.inner.read();
        let ring = inner.sessions.get(session)?.rings.get(directory)?;
        ring.iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.object.clone())
    }

    /// Everything, the newest first.
    pub fn newest_first(&self) -> Vec<Kept> {
        let inner = self.inner.read();
        let mut all = Vec::new();
        for (session, held) in &inner.sessions {
            for (directory, ring) in &held.rings {
                all.extend(ring.iter().map(|entry| Kept {
                    session: session.clone(),
                    directory: directory.clone(),
                    name: entry.name.clone(),
                    stored: entry.stored,
                    object: entry.object.clone(),
                }));
            }
        }
        drop(inner);
        all.sort_by_key(|kept| std::cmp::Reverse(kept.stored));
        all
    }

    /// Puts back what another store held: its session counts as ended at `now`, until it is opened here.
    pub fn restore(
        &self,
        session: &str,
        directory: &str,
        name: &str,
        object: Object,
        now: Instant,
    ) {
        let mut inner = self.inner.write();
        inner.clock += 1;
        let stored = inner.clock;
        let held = inner.sessions.entry(session.to_owned()).or_default();
        if held.owners == 0 {
            held.ended = Some(now);
        }
        let before = held.bytes;
        held.insert(directory, name, stored, object);
        let after = held.bytes;
        inner.bytes = inner.bytes + after - before;
        while inner.bytes > self.limits.total && inner.evict_oldest() {}
        inner.publish();
    }

    /// Ends a session at `now`: nothing more is stored, and its objects vanish after [`GRACE`].
    pub fn end(&self, session: &str, now: Instant) {
        if let Some(session) = self.inner.write().sessions.get_mut(session) {
            session.owners = session.owners.saturating_sub(1);
            if session.owners == 0 {
                session.ended.get_or_insert(now);
            }
        }
    }

    /// Removes the sessions whose grace has passed at `now`.
    pub fn sweep(&self, now: Instant) {
        let mut inner = self.inner.write();
        inner.sessions.retain(|_, session| {
            session
                .ended
                .is_none_or(|ended| now.duration_since(ended) < GRACE)
        });
        inner.bytes = inner.sessions.values().map(|session| session.bytes).sum();
        inner.publish();
    }

    /// Bytes held in all.
    pub fn bytes(&self) -> usize {
        self.inner.read().bytes
    }
}

impl Session {
    fn insert(&mut self, directory: &str, name: &str, stored: u64, object: Object) {
        let ring = self.rings.entry(directory.to_owned()).or_default();
        self.bytes += object.bytes.len();
        if let Some(entry) = ring.iter_mut().find(|entry| entry.name == name) {
            self.bytes -= entry.object.bytes.len();
            entry.object = object;
            entry.stored = stored;
            return;
        }
        if ring.len() == RING
            && let Some(oldest) = ring.pop_front()
        {
            self.bytes -= oldest.object.bytes.len();
        }
        ring.push_back(Entry {
            name: name.to_owned(),
            stored,
            object,
        });
    }

    fn oldest(&self) -> Option<(u64, &str, usize)> {
        self.rings
            .iter()
            .flat_map(|(directory, ring)| {
                ring.iter()
                    .enumerate()
                    .map(move |(index, entry)| (entry.stored, directory.as_str(), index))
            })
            .min()
    }

    fn evict_oldest(&mut self) -> Option<usize> {
        let (_, directory, index) = self.oldest()?;
        let directory = directory.to_owned();
        let entry = self.rings.get_mut(&directory)?.remove(index)?;
        self.bytes -= entry.object.bytes.len();
        Some(entry.object.bytes.len())
    }
}

impl Inner {
    fn publish(&mut self) {
        self.gauge.set(self.bytes as u64);
    }

    fn evict_oldest(&mut self) -> bool {
        let oldest = self
            .sessions
            .iter()
            .filter_map(|(id, session)| session.oldest().map(|(stored, ..)| (stored, id.clone())))
            .min();
        let freed = oldest.and_then(|(_, id)| self.sessions.get_mut(&id)?.evict_oldest());
        self.bytes -= freed.unwrap_or(0);
        freed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(size: usize) -> Object {
        Object {
            bytes: vec![0; size].into(),
            mime: "video/mp2t",
        }
    }

    fn store(per_session: usize, total: usize) -> SegmentStore {
        let store = SegmentStore::new(StoreLimits { per_session, total }, crate::test_metrics());
        store.open("s");
        store
    }

    #[test]
    fn the_thirteenth_object_of_a_profile_evicts_the_first() {
        let store = store(1 << 20, 1 << 20);
        for seq in 0..=RING {
            store
                .put("s", "p", &format!("{seq}.ts"), object(1))
                .expect("stored");
        }
        assert_eq!(store.get("s", "p", "0.ts"), None);
        assert!(store.get("s", "p", "1.ts").is_some());
        assert_eq!(store.bytes(), RING);
    }

    #[test]
    fn the_same_name_is_replaced_in_place() {
        let store = store(1 << 20, 1 << 20);
        store.put("s", "p", "7.ts", object(10)).expect("stored");
        store.put("s", "p", "7.ts", object(3)).expect("stored");
        assert_eq!(store.bytes(), 3);
    }

    #[test]
    fn objects_outlive_their_session_by_the_grace_period_only() {
        let store = store(1 << 20, 1 << 20);
        store.put("s", "p", "7.ts", object(10)).expect("stored");
        let now = Instant::now();
        store.end("s", now);
        assert_eq!(
            store.put("s", "p", "8.ts", object(1)),
            Err(StoreError::SessionEnded)
        );
        store.sweep(now + GRACE / 2);
        assert!(store.get("s", "p", "7.ts").is_some());
        store.sweep(now + GRACE);
        assert_eq!(store.get("s", "p", "7.ts"), None);
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn a_full_store_gives_up_the_oldest_object_of_any_session() {
        let store = store(100, 150);
        store.open("t");
        store.put("s", "p", "0.ts", object(80)).expect("stored");
        store.put("t", "p", "0.ts", object(60)).expect("stored");
        store.put("t", "p", "1.ts", object(30)).expect("stored");
        assert_eq!(store.get("s", "p", "0.ts"), None);
        assert!(store.get("t", "p", "0.ts").is_some());
    }

    proptest! {
        #[test]
        fn bytes_never_pass_the_bounds_and_always_add_up(
            puts in prop::collection::vec((0..3usize, 0..3usize, 0..40usize, 0..60usize), 0..200)
        ) {
            let store = store(100, 150);
            store.open("t");
            store.open("u");
            for (session, profile, seq, size) in puts {
                let session = ["s", "t", "u"][session];
                store.put(session, &profile.to_string(), &seq.to_string(), object(size)).expect("fits");
                let inner = store.inner.read();
                let sum: usize = inner.sessions.values()
                    .flat_map(|s| s.rings.values().flatten()).map(|e| e.object.bytes.len()).sum();
                prop_assert_eq!(sum, inner.bytes);
                prop_assert!(inner.bytes <= 150);
                prop_assert!(inner.sessions.values().all(|s| s.bytes <= 100));
            }
        }
    }
}
