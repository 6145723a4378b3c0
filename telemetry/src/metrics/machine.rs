//! What is counted about the machine that streams and models share.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::build::Builder;
use super::label::{Resource, Work};
use super::table;
use crate::TelemetryError;

/// How the machine is shared.
#[derive(Debug, Clone)]
pub struct MachineMetrics {
    cpu: GaugeVec,
    memory: IntGaugeVec,
    refused: IntCounterVec,
}

impl MachineMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        Ok(Self {
            cpu: build.ratio(&table::MACHINE_CPU)?,
            memory: build.gauge(&table::MACHINE_MEMORY)?,
            refused: build.counter(&table::MACHINE_REFUSED)?,
        })
    }

    /// What `work` takes now: thousandths of a core, and bytes.
    pub fn set(&self, work: Work, cpu: u64, memory: u64) {
        let work = [work.as_str()];
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        let cores = cpu as f64 / 1000.0;
        self.cpu.with_label_values(&work).set(cores);
        let memory = i64::try_from(memory).unwrap_or(i64::MAX);
        self.memory.with_label_values(&work).set(memory);
    }

    /// `work` was refused for want of `lacking`.
    pub fn refused(&self, work: Work, lacking: Resource) {
        let labels = [work.as_str(), lacking.as_str()];
        self.refused.with_label_values(&labels).inc();
    }
}
