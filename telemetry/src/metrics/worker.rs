//! What is counted about worker processes, by device (`cpu`, `nvidia-0`, …) and never by process.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::build::Builder;
use super::guard::GaugeGuard;
use super::label::{WorkerEnd, WorkerState};
use super::table;
use crate::TelemetryError;

/// Counters of worker processes.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    workers: IntGaugeVec,
    memory: IntGaugeVec,
    starts: IntCounterVec,
    restarts: IntCounterVec,
    ends: IntCounterVec,
    kills: IntCounterVec,
}

impl WorkerMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        Ok(Self {
            workers: build.gauge(&table::WORKERS)?,
            memory: build.gauge(&table::WORKER_MEMORY)?,
            starts: build.counter(&table::WORKER_STARTS)?,
            restarts: build.counter(&table::WORKER_RESTARTS)?,
            ends: build.counter(&table::WORKER_ENDS)?,
            kills: build.counter(&table::WORKER_KILLS)?,
        })
    }

    /// Makes the series of a device, all at 0, so that its first event is seen.
    pub fn declare_device(&self, device: &str) {
        self.starts.with_label_values(&[device]);
        self.memory.with_label_values(&[device]);
        for state in WorkerState::ALL {
            self.workers.with_label_values(&[device, state.as_str()]);
        }
        for cause in WorkerEnd::ALL {
            self.restarts.with_label_values(&[device, cause.as_str()]);
            self.ends.with_label_values(&[device, cause.as_str()]);
            self.kills.with_label_values(&[device, cause.as_str()]);
        }
    }

    /// A process was started; it counts as [`WorkerState::Starting`] until it says otherwise.
    pub fn started(&self, device: &str) -> WorkerGuard {
        self.starts.with_label_values(&[device]).inc();
        let starting = self
            .workers
            .with_label_values(&[device, WorkerState::Starting.as_str()]);
        WorkerGuard {
            state: GaugeGuard::new(starting, 1),
            memory: GaugeGuard::new(self.memory.with_label_values(&[device]), 0),
            metrics: self.clone(),
            device: device.to_owned(),
        }
    }

    /// A process is started in place of one that ended for `cause`.
    pub fn restarted(&self, device: &str, cause: WorkerEnd) {
        self.restarts
            .with_label_values(&[device, cause.as_str()])
            .inc();
    }
}

/// One worker process in the gauges; dropping it takes the process out of them.
#[derive(Debug)]
#[must_use = "the process leaves the gauges when the guard is dropped"]
pub struct WorkerGuard {
    state: GaugeGuard,
    memory: GaugeGuard,
    metrics: WorkerMetrics,
    device: String,
}

impl WorkerGuard {
    /// The process changed state.
    pub fn set_state(&mut self, state: WorkerState) {
        self.state.move_to(
            self.metrics
                .workers
                .with_label_values(&[self.device.as_str(), state.as_str()]),
        );
    }

    /// Its resident memory in bytes, as it reported.
    pub fn set_memory(&mut self, bytes: u64) {
        self.memory.set(bytes);
    }

    /// The node kills the process for `cause`; its end is still to be reported by [`Self::ended`].
    pub fn killed(&self, cause: WorkerEnd) {
        self.metrics
            .kills
            .with_label_values(&[self.device.as_str(), cause.as_str()])
            .inc();
    }

    /// The process is gone.
    pub fn ended(self, cause: WorkerEnd) {
        self.metrics
            .ends
            .with_label_values(&[self.device.as_str(), cause.as_str()])
            .inc();
    }
}
