//! Syncing the log beside the commits: one call for everything that was committed before it began.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use telemetry::metrics::LedgerMetrics;

use super::{Commit, Work};
use crate::LedgerError;

/// The thread that makes commits durable.
pub(super) struct Syncer {
    /// The write-ahead log, opened once more: only its contents are synced through this.
    pub(super) log: File,
    /// Commits in order; each says who waits for it.
    pub(super) commits: mpsc::Receiver<Commit>,
    /// Longest time that a commit nobody waits for stays unsynced.
    pub(super) within: Duration,
    /// Set at the first failure, never cleared.
    pub(super) broken: Arc<AtomicBool>,
    pub(super) metrics: Option<LedgerMetrics>,
}

impl Syncer {
    /// Until the writer ends.
    pub(super) fn run(self) {
        while let Ok(mut waiting) = self.commits.recv() {
            let deadline = Instant::now() + self.within;
            // nobody waits for the disk: gather until the time is up or somebody does
            while waiting.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.commits.recv_timeout(left) {
                    Ok(more) => waiting.extend(more),
                    Err(_) => break,
                }
            }
            while let Ok(more) = self.commits.try_recv() {
                waiting.extend(more);
            }
            self.sync(waiting);
        }
    }

    fn sync(&self, waiting: Commit) {
        let began = Instant::now();
        let synced = match self.broken.load(Ordering::Acquire) {
            true => Err("an earlier write failed".to_owned()),
            false => self.log.sync_data().map_err(|error| error.to_string()),
        };
        if let Some(metrics) = &self.metrics {
            metrics.synced(began.elapsed());
        }
        match synced {
            Ok(()) => waiting.into_iter().for_each(Work::answer),
            Err(text) => {
                // a second sync would succeed without having written the pages that were lost
                if !self.broken.swap(true, Ordering::AcqRel) {
                    tracing::error!(error = text, "the disk did not keep what was written");
                }
                for work in waiting {
                    work.fail(LedgerError::Disk(text.clone()));
                }
            }
        }
    }
}
