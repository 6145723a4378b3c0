//! What is counted about the database: its queue, commits and syncs.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::build::Builder;
use super::table;
use crate::TelemetryError;

/// Counters of the one writer.
#[derive(Debug, Clone)]
pub struct LedgerMetrics {
    queue: IntGauge,
    batch: Histogram,
    commit: Histogram,
    sync: Histogram,
    refused: IntCounter,
    failed: IntCounter,
}

impl LedgerMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        const NONE: &[&str] = &[];
        Ok(Self {
            queue: build.gauge(&table::LEDGER_QUEUE)?.with_label_values(NONE),
            batch: build
                .histogram(&table::LEDGER_BATCH)?
                .with_label_values(NONE),
            commit: build
                .histogram(&table::LEDGER_COMMIT)?
                .with_label_values(NONE),
            sync: build
                .histogram(&table::LEDGER_SYNC)?
                .with_label_values(NONE),
            refused: build
                .counter(&table::LEDGER_REFUSED)?
                .with_label_values(NONE),
            failed: build
                .counter(&table::LEDGER_FAILED)?
                .with_label_values(NONE),
        })
    }

    /// So much work waits.
    pub fn queue(&self, waiting: usize) {
        self.queue.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// A batch was committed.
    pub fn committed(&self, size: usize, took: Duration) {
        self.batch.observe(size as f64);
        self.commit.observe(took.as_secs_f64());
    }

    /// The disk confirmed what was committed.
    pub fn synced(&self, took: Duration) {
        self.sync.observe(took.as_secs_f64());
    }

    /// Work was refused because the queue is full.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// Work failed and was undone.
    pub fn failed(&self) {
        self.failed.inc();
    }
}
