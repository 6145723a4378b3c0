//! Makes registered handles from declarations, each with the base labels.

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
};

use super::table::Declared;
use crate::TelemetryError;

/// Registers metrics with the labels that every series carries.
pub(super) struct Builder<'a> {
    registry: &'a Registry,
    base: HashMap<String, String>,
}

impl<'a> Builder<'a> {
    /// A builder whose metrics carry `base` as constant labels.
    pub(super) fn new(registry: &'a Registry, base: &[(&str, &str)]) -> Self {
        let base = base
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self { registry, base }
    }

    fn opts(&self, metric: &Declared) -> Opts {
        Opts::new(metric.name, metric.help).const_labels(self.base.clone())
    }

    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, TelemetryError> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    /// A counter of whole things.
    pub(super) fn counter(&self, metric: &Declared) -> Result<IntCounterVec, TelemetryError> {
        self.register(IntCounterVec::new(self.opts(metric), metric.labels)?)
    }

    /// A counter of amounts.
    pub(super) fn amount(&self, metric: &Declared) -> Result<CounterVec, TelemetryError> {
        self.register(CounterVec::new(self.opts(metric), metric.labels)?)
    }

    /// A gauge of whole things.
    pub(super) fn gauge(&self, metric: &Declared) -> Result<IntGaugeVec, TelemetryError> {
        self.register(IntGaugeVec::new(self.opts(metric), metric.labels)?)
    }

    /// A gauge of ratios and amounts.
    pub(super) fn ratio(&self, metric: &Declared) -> Result<GaugeVec, TelemetryError> {
        self.register(GaugeVec::new(self.opts(metric), metric.labels)?)
    }

    /// A histogram.
    pub(super) fn histogram(&self, metric: &Declared) -> Result<HistogramVec, TelemetryError> {
        let opts = HistogramOpts::from(self.opts(metric)).buckets(metric.buckets.to_vec());
        self.register(HistogramVec::new(opts, metric.labels)?)
    }
}
