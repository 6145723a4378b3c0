//! What is counted about RPC end points, blocks and events. End points are labelled by host, never by URL.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::build::Builder;
use super::label::{ChainReload, LogDrop, RpcOutcome};
use super::table;
use crate::TelemetryError;

/// Counters of the chain.
#[derive(Debug, Clone)]
pub struct ChainMetrics {
    requests: IntCounterVec,
    time: HistogramVec,
    calls: IntCounterVec,
    up: IntGaugeVec,
    head: IntGaugeVec,
    lag: IntGaugeVec,
    unavailable: IntCounterVec,
    budget_waits: IntCounterVec,
    block: IntGaugeVec,
    behind: IntGaugeVec,
    l1_block: IntGaugeVec,
    block_time: IntGaugeVec,
    reorgs: IntCounterVec,
    reloads: IntCounterVec,
    events: IntCounterVec,
    dropped: IntCounterVec,
    poll_errors: IntCounterVec,
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl ChainMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        Ok(Self {
            requests: build.counter(&table::RPC_REQUESTS)?,
            time: build.histogram(&table::RPC_TIME)?,
            calls: build.counter(&table::RPC_CALLS)?,
            up: build.gauge(&table::RPC_UP)?,
            head: build.gauge(&table::RPC_HEAD)?,
            lag: build.gauge(&table::RPC_LAG)?,
            unavailable: build.counter(&table::RPC_UNAVAILABLE)?,
            budget_waits: build.counter(&table::RPC_BUDGET_WAITS)?,
            block: build.gauge(&table::CHAIN_BLOCK)?,
            behind: build.gauge(&table::CHAIN_LAG)?,
            l1_block: build.gauge(&table::CHAIN_L1_BLOCK)?,
            block_time: build.gauge(&table::CHAIN_BLOCK_TIME)?,
            reorgs: build.counter(&table::CHAIN_REORGS)?,
            reloads: build.counter(&table::CHAIN_RELOADS)?,
            events: build.counter(&table::CHAIN_EVENTS)?,
            dropped: build.counter(&table::CHAIN_LOGS_DROPPED)?,
            poll_errors: build.counter(&table::CHAIN_POLL_ERRORS)?,
        })
    }

    /// Makes the series of an end point, all at 0, so that its first failure is seen.
    pub fn declare_endpoint(&self, endpoint: &str) {
        for outcome in RpcOutcome::ALL {
            self.requests
                .with_label_values(&[endpoint, outcome.as_str()]);
        }
        self.calls.with_label_values(&[endpoint]);
        self.up.with_label_values(&[endpoint]).set(1);
        self.lag.with_label_values(&[endpoint]);
        self.unavailable.with_label_values::<&str>(&[]);
        self.reorgs.with_label_values::<&str>(&[]);
        self.poll_errors.with_label_values::<&str>(&[]);
        for reason in LogDrop::ALL {
            self.dropped.with_label_values(&[reason.as_str()]);
        }
        for cause in ChainReload::ALL {
            self.reloads.with_label_values(&[cause.as_str()]);
        }
    }

    /// A request of `calls` calls ended so after `took`.
    pub fn requested(&self, endpoint: &str, outcome: RpcOutcome, calls: u64, took: Duration) {
        self.requests
            .with_label_values(&[endpoint, outcome.as_str()])
            .inc();
        self.calls.with_label_values(&[endpoint]).inc_by(calls);
        self.time
            .with_label_values(&[endpoint])
            .observe(took.as_secs_f64());
    }

    /// Whether an end point is fit to be asked.
    pub fn endpoint_up(&self, endpoint: &str, up: bool) {
        self.up.with_label_values(&[endpoint]).set(i64::from(up));
    }

    /// Head of an end point, and by how much others are ahead.
    pub fn endpoint_head(&self, endpoint: &str, number: u64, lag: u64) {
        self.head.with_label_values(&[endpoint]).set(whole(number));
        self.lag.with_label_values(&[endpoint]).set(whole(lag));
    }

    /// No end point answered a question.
    pub fn unavailable(&self) {
        self.unavailable.with_label_values::<&str>(&[]).inc();
    }

    /// A call waited for the budget.
    pub fn budget_waited(&self) {
        self.budget_waits.with_label_values::<&str>(&[]).inc();
    }

    /// The events of blocks up to `number` were taken in; `behind` blocks are left.
    pub fn processed(&self, number: u64, behind: u64) {
        self.block.with_label_values::<&str>(&[]).set(whole(number));
        self.behind
            .with_label_values::<&str>(&[])
            .set(whole(behind));
    }

    /// Time of the newest block, seconds since 1970 by the chain's clock.
    pub fn head_time(&self, seconds: u64) {
        self.block_time
            .with_label_values::<&str>(&[])
            .set(whole(seconds));
    }

    /// Greatest L1 block number seen.
    pub fn l1_block(&self, number: u64) {
        self.l1_block
            .with_label_values::<&str>(&[])
            .set(whole(number));
    }

    /// The chain took back blocks whose events were taken in.
    pub fn reorged(&self) {
        self.reorgs.with_label_values::<&str>(&[]).inc();
    }

    /// State was read anew.
    pub fn reloaded(&self, cause: ChainReload) {
        self.reloads.with_label_values(&[cause.as_str()]).inc();
    }

    /// An event was taken in. `event` is its name in the contract.
    pub fn event(&self, event: &'static str) {
        self.events.with_label_values(&[event]).inc();
    }

    /// A log entry was not taken in.
    pub fn dropped(&self, reason: LogDrop) {
        self.dropped.with_label_values(&[reason.as_str()]).inc();
    }

    /// A poll failed.
    pub fn poll_failed(&self) {
        self.poll_errors.with_label_values::<&str>(&[]).inc();
    }
}
