//! What is counted about the node as a whole.

use prometheus::{IntCounterVec, IntGauge};

use super::build::Builder;
use super::guard::GaugeGuard;
use super::label::ActorEnd;
use super::table;
use crate::TelemetryError;

/// Limits, load and health of the node.
#[derive(Debug, Clone)]
pub struct NodeMetrics {
    max_sessions: IntGauge,
    current_sessions: IntGauge,
    transcoders_number: IntGauge,
    transcoders_capacity: IntGauge,
    transcoders_load: IntGauge,
    ready: IntGauge,
    actor_restarts: IntCounterVec,
}

impl NodeMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        let gauge = |metric| -> Result<IntGauge, TelemetryError> {
            Ok(build.gauge(metric)?.with_label_values::<&str>(&[]))
        };
        Ok(Self {
            max_sessions: gauge(&table::MAX_SESSIONS)?,
            current_sessions: gauge(&table::CURRENT_SESSIONS)?,
            transcoders_number: gauge(&table::TRANSCODERS_NUMBER)?,
            transcoders_capacity: gauge(&table::TRANSCODERS_CAPACITY)?,
            transcoders_load: gauge(&table::TRANSCODERS_LOAD)?,
            ready: gauge(&table::READY)?,
            actor_restarts: build.counter(&table::ACTOR_RESTARTS)?,
        })
    }

    /// The limit of streams.
    pub fn set_max_sessions(&self, sessions: u32) {
        self.max_sessions.set(i64::from(sessions));
    }

    /// One more stream is open while the guard lives.
    pub fn session(&self) -> GaugeGuard {
        GaugeGuard::new(self.current_sessions.clone(), 1)
    }

    /// Streams open, as now exported.
    pub fn current_sessions(&self) -> i64 {
        self.current_sessions.get()
    }

    /// The remote transcoders: how many, what they can carry and what they do carry, in sessions.
    pub fn set_transcoders(&self, number: u32, capacity: u32, load: u32) {
        self.transcoders_number.set(i64::from(number));
        self.transcoders_capacity.set(i64::from(capacity));
        self.transcoders_load.set(i64::from(load));
    }

    /// Whether the node takes work.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// An actor, named by its type, was started anew.
    pub fn actor_restarted(&self, actor: &'static str, cause: ActorEnd) {
        self.actor_restarts
            .with_label_values(&[actor, cause.as_str()])
            .inc();
    }
}
