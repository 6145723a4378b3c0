//! What is counted about models, runners and AI requests. Models are those of the settings, so that their names are bounded.

use std::time::Duration;

use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::build::Builder;
use super::guard::GaugeGuard;
use super::label::{AiFailure, Refusal, RunnerEnd, RunnerKind, RunnerState};
use super::table;
use crate::TelemetryError;

/// Counters of AI.
#[derive(Debug, Clone)]
pub struct AiMetrics {
    requested: IntCounterVec,
    latency: GaugeVec,
    price: GaugeVec,
    errors: IntCounterVec,
    downloaded: IntCounterVec,
    download_time: HistogramVec,
    save_failed: IntCounterVec,
    in_use: IntGaugeVec,
    idle: IntGaugeVec,
    starts: IntCounterVec,
    ends: IntCounterVec,
    runners: IntGaugeVec,
    reserved: IntGaugeVec,
    memory: IntGaugeVec,
    ledger: IntGauge,
    refused: IntCounterVec,
    seconds: HistogramVec,
}

impl AiMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        Ok(Self {
            requested: build.counter(&table::AI_REQUESTED)?,
            latency: build.ratio(&table::AI_LATENCY)?,
            price: build.ratio(&table::AI_PRICE)?,
            errors: build.counter(&table::AI_ERRORS)?,
            downloaded: build.counter(&table::AI_RESULT_DOWNLOADED)?,
            download_time: build.histogram(&table::AI_RESULT_DOWNLOAD_TIME)?,
            save_failed: build.counter(&table::AI_RESULT_SAVE_FAILED)?,
            in_use: build.gauge(&table::AI_CONTAINER_IN_USE)?,
            idle: build.gauge(&table::AI_CONTAINER_IDLE)?,
            starts: build.counter(&table::AI_STARTS)?,
            ends: build.counter(&table::AI_ENDS)?,
            runners: build.gauge(&table::AI_RUNNERS)?,
            reserved: build.gauge(&table::AI_RESERVED)?,
            memory: build.gauge(&table::AI_MEMORY)?,
            ledger: build
                .gauge(&table::AI_LEDGER)?
                .with_label_values::<&str>(&[]),
            refused: build.counter(&table::AI_REFUSED)?,
            seconds: build.histogram(&table::AI_SECONDS)?,
        })
    }

    /// The counters of one model of the settings.
    pub fn model(&self, pipeline: &str, model: &str) -> ModelMetrics {
        ModelMetrics {
            all: self.clone(),
            pipeline: pipeline.to_owned(),
            model: model.to_owned(),
        }
    }

    /// A request was refused before it began.
    pub fn refused(&self, reason: Refusal, pipeline: &str) {
        self.refused
            .with_label_values(&[reason.as_str(), pipeline])
            .inc();
    }

    /// Memory that is set aside for native models, bytes.
    pub fn set_ledger(&self, bytes: u64) {
        self.ledger.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

/// Counters of one model.
#[derive(Debug, Clone)]
pub struct ModelMetrics {
    all: AiMetrics,
    pipeline: String,
    model: String,
}

impl ModelMetrics {
    fn labels(&self) -> [&str; 2] {
        [&self.pipeline, &self.model]
    }

    /// A request was answered: `units` of work within `time`, from the request to its whole answer.
    pub fn done(&self, time: Duration, units: u64) {
        let labels = self.labels();
        self.all.requested.with_label_values(&labels).inc();
        self.all
            .seconds
            .with_label_values(&labels)
            .observe(time.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        let units = units.max(1) as f64;
        self.all
            .latency
            .with_label_values(&labels)
            .set(time.as_secs_f64() / units);
    }

    /// What the last request cost, wei per unit.
    pub fn set_price(&self, price: f64) {
        self.all.price.with_label_values(&self.labels()).set(price);
    }

    /// A request failed.
    pub fn failed(&self, why: AiFailure) {
        let [pipeline, model] = self.labels();
        self.all
            .errors
            .with_label_values(&[why.as_str(), pipeline, model, ""])
            .inc();
    }

    /// A remote worker's result came, `time` after its first byte.
    pub fn downloaded(&self, time: Duration) {
        let labels = self.labels();
        self.all.downloaded.with_label_values(&labels).inc();
        self.all
            .download_time
            .with_label_values(&labels)
            .observe(time.as_secs_f64());
    }

    /// A result could not be stored.
    pub fn not_saved(&self) {
        let [pipeline, model] = self.labels();
        let store = AiFailure::Store.as_str();
        self.all
            .save_failed
            .with_label_values(&[store, pipeline, model])
            .inc();
    }

    /// A request holds a place until the guard is dropped.
    pub fn reserved(&self) -> GaugeGuard {
        GaugeGuard::new(self.all.reserved.with_label_values(&self.labels()), 1)
    }

    /// A runner of this model.
    pub fn runner(&self, kind: RunnerKind) -> RunnerGauges {
        let cold = self.state(kind, RunnerState::Cold);
        let [pipeline, model] = self.labels();
        RunnerGauges {
            state: GaugeGuard::new(cold, 1),
            idle: GaugeGuard::new(self.all.idle.with_label_values(&[pipeline, model, ""]), 0),
            in_use: GaugeGuard::new(self.all.in_use.with_label_values(&[pipeline, model, ""]), 0),
            memory: GaugeGuard::new(self.all.memory.with_label_values(&[pipeline, model]), 0),
            metrics: self.clone(),
            kind,
        }
    }

    fn state(&self, kind: RunnerKind, state: RunnerState) -> IntGauge {
        let [pipeline, model] = self.labels();
        let labels = [pipeline, model, kind.as_str(), state.as_str()];
        self.all.runners.with_label_values(&labels)
    }
}

/// One runner in the gauges; dropping it takes the runner out of them.
#[derive(Debug)]
#[must_use = "the runner leaves the gauges when this is dropped"]
pub struct RunnerGauges {
    state: GaugeGuard,
    idle: GaugeGuard,
    in_use: GaugeGuard,
    memory: GaugeGuard,
    metrics: ModelMetrics,
    kind: RunnerKind,
}

impl RunnerGauges {
    /// The runner changed state.
    pub fn set_state(&mut self, state: RunnerState) {
        self.state.move_to(self.metrics.state(self.kind, state));
        if state != RunnerState::Ready {
            self.idle.set(0);
            self.in_use.set(0);
            self.memory.set(0);
        }
    }

    /// Whether a ready runner has something to do.
    pub fn set_busy(&mut self, busy: bool) {
        self.idle.set(u64::from(!busy));
        self.in_use.set(u64::from(busy));
    }

    /// Memory that it holds, bytes.
    pub fn set_memory(&mut self, bytes: u64) {
        self.memory.set(bytes);
    }

    /// A start begins.
    pub fn started(&self) {
        let [pipeline, model] = self.metrics.labels();
        self.metrics
            .all
            .starts
            .with_label_values(&[pipeline, model, self.kind.as_str()])
            .inc();
    }

    /// It ended.
    pub fn ended(&self, cause: RunnerEnd) {
        let [pipeline, model] = self.metrics.labels();
        let labels = [pipeline, model, self.kind.as_str(), cause.as_str()];
        self.metrics.all.ends.with_label_values(&labels).inc();
    }
}
