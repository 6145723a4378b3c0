//! One round: some streams at once, each its segments one after the other, by one of the sides.

use bytes::Bytes;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;

/// What a round cost.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// CPU seconds of all processes of the round, from their start to their end, per segment.
    pub cpu_s_per_segment: f64,
    /// Time for each segment, ms.
    pub wall_ms: Vec<f64>,
    /// Largest resident memory of each stream, MiB.
    pub peak_mib: Vec<f64>,
}

/// What one stream of a round saw.
#[derive(Debug, Default)]
pub struct StreamRun {
    /// Time for each segment, ms.
    pub wall_ms: Vec<f64>,
    /// Largest resident memory, MiB.
    pub peak_mib: f64,
    /// Renditions of each segment in the ladder's order.
    pub renditions: Vec<Vec<Bytes>>,
}

impl Round {
    /// Sums up `streams`, which took `cpu_s` seconds of processor together.
    pub fn new(cpu_s: f64, streams: &[StreamRun]) -> Self {
        let wall_ms: Vec<f64> = streams
            .iter()
            .flat_map(|stream| &stream.wall_ms)
            .copied()
            .collect();
        Self {
            cpu_s_per_segment: cpu_s / wall_ms.len() as f64,
            wall_ms,
            peak_mib: streams.iter().map(|stream| stream.peak_mib).collect(),
        }
    }
}

/// Processor time of all children that have ended and were waited for, user and system, seconds.
pub fn cpu_of_ended_children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("resource usage");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    micros as f64 / 1e6
}
