//! The threads that actors live on: a few arbiters for stream actors, chosen by hash, each with a pulse.
//!
//! Nothing may block an arbiter. One that does stops its pulse, and liveness fails.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_rt::{Arbiter, ArbiterHandle};

/// How often a healthy arbiter shows a pulse.
const PULSE: Duration = Duration::from_secs(1);

/// The arbiters for stream and session actors.
#[derive(Clone)]
pub struct Arbiters {
    members: Arc<Vec<Member>>,
    epoch: Instant,
}

struct Member {
    handle: ArbiterHandle,
    // ms since `epoch` of the last pulse
    pulse: Arc<AtomicU64>,
}

impl Arbiters {
    /// Starts `count` arbiters (at least one). Must be called inside an actix system.
    pub fn start(count: usize) -> Self {
        let epoch = Instant::now();
        let members = (0..count.max(1))
            .map(|_| {
                let pulse = Arc::new(AtomicU64::new(0));
                let beating = Arc::clone(&pulse);
                let arbiter = Arbiter::new();
                arbiter.spawn(async move {
                    let mut interval = tokio::time::interval(PULSE);
                    loop {
                        interval.tick().await;
                        beating.store(epoch.elapsed().as_millis() as u64, Ordering::Relaxed);
                    }
                });
                Member {
                    handle: arbiter.handle(),
                    pulse,
                }
            })
            .collect();
        Self {
            members: Arc::new(members),
            epoch,
        }
    }

    /// The arbiter of `key`: the same key always gets the same one.
    pub fn for_key(&self, key: &impl Hash) -> &ArbiterHandle {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let index = (hasher.finish() % self.members.len() as u64) as usize;
        &self.members[index].handle
    }

    /// The longest silence of any arbiter.
    pub fn longest_silence(&self) -> Duration {
        let now = self.epoch.elapsed().as_millis() as u64;
        let oldest = self
            .members
            .iter()
            .map(|member| now.saturating_sub(member.pulse.load(Ordering::Relaxed)))
            .max()
            .unwrap_or(0);
        Duration::from_millis(oldest)
    }

    /// Ends every arbiter; pending tasks are dropped, so drain first.
    pub fn stop(&self) {
        for member in self.members.iter() {
            member.handle.stop();
        }
    }
}
