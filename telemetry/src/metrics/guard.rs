//! Gauges that go back by themselves: what a guard added is taken off when it is dropped.

use prometheus::IntGauge;

/// An amount added to a gauge for as long as this value lives.
#[derive(Debug)]
#[must_use = "the amount is taken off again when the guard is dropped"]
pub struct GaugeGuard {
    gauge: IntGauge,
    amount: i64,
}

impl GaugeGuard {
    pub(super) fn new(gauge: IntGauge, amount: u64) -> Self {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        gauge.add(amount);
        Self { gauge, amount }
    }

    /// Changes the amount.
    pub fn set(&mut self, amount: u64) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        self.gauge.add(amount.saturating_sub(self.amount));
        self.amount = amount;
    }

    /// Moves the amount to another gauge.
    pub(super) fn move_to(&mut self, gauge: IntGauge) {
        self.gauge.sub(self.amount);
        gauge.add(self.amount);
        self.gauge = gauge;
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.gauge.sub(self.amount);
    }
}
