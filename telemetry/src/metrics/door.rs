//! What is counted about the listening ports.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::build::Builder;
use super::guard::GaugeGuard;
use super::label::{ConnectionRefusal, Door};
use super::table;
use crate::TelemetryError;

/// Counters of requests and connections.
#[derive(Debug, Clone)]
pub struct DoorMetrics {
    http_time: HistogramVec,
    connections: IntGaugeVec,
    refused: IntCounterVec,
}

impl DoorMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        let metrics = Self {
            http_time: build.histogram(&table::HTTP_TIME)?,
            connections: build.gauge(&table::CONNECTIONS)?,
            refused: build.counter(&table::CONNECTIONS_REFUSED)?,
        };
        for reason in ConnectionRefusal::ALL {
            metrics
                .refused
                .with_label_values(&[Door::Public.as_str(), reason.as_str()]);
        }
        metrics
            .connections
            .with_label_values(&[Door::Public.as_str()]);
        Ok(metrics)
    }

    /// A request was answered with `status` after `took`. `route` is the pattern that matched or a name of ours, never
    /// the path a stranger sent.
    pub fn answered(&self, door: Door, route: &str, status: u16, took: Duration) {
        let code = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.http_time
            .with_label_values(&[door.as_str(), route, code])
            .observe(took.as_secs_f64());
    }

    /// A connection is open while the guard lives.
    pub fn connection(&self, door: Door) -> GaugeGuard {
        GaugeGuard::new(self.connections.with_label_values(&[door.as_str()]), 1)
    }

    /// A connection was closed before its first request.
    pub fn connection_refused(&self, door: Door, reason: ConnectionRefusal) {
        self.refused
            .with_label_values(&[door.as_str(), reason.as_str()])
            .inc();
    }
}
