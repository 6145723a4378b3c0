//! What is measured about rounds and reward.

use prometheus::{Gauge, IntCounter, IntGauge, IntGaugeVec};

use super::amount::count;
use super::build::Builder;
use super::label::RewardState;
use super::table;
use crate::TelemetryError;

/// Where the chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RoundFigures {
    /// Round by block height.
    pub current: u64,
    /// Last round that was initialised.
    pub initialized: u64,
    /// Percent of the current round that is over.
    pub percent_over: u64,
    /// Orchestrators active in the current round.
    pub pool_size: u64,
    /// Whether this node's is one of them.
    pub active: bool,
}

/// Rounds and reward.
#[derive(Debug, Clone)]
pub struct RoundMetrics {
    current: IntGauge,
    initialized: IntGauge,
    progress: Gauge,
    pool_size: IntGauge,
    active: IntGauge,
    reward_state: IntGaugeVec,
    reward_alarm: IntGauge,
    reward_round: IntGauge,
    rewards: IntCounter,
    rewards_missed: IntCounter,
    reward_errors: IntCounter,
    started: IntCounter,
}

impl RoundMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        let gauge = |metric| -> Result<IntGauge, TelemetryError> {
            Ok(build.gauge(metric)?.with_label_values::<&str>(&[]))
        };
        let counter = |metric| -> Result<IntCounter, TelemetryError> {
            Ok(build.counter(metric)?.with_label_values::<&str>(&[]))
        };
        let metrics = Self {
            current: gauge(&table::ROUND)?,
            initialized: gauge(&table::ROUND_INITIALIZED)?,
            progress: build
                .ratio(&table::ROUND_PROGRESS)?
                .with_label_values::<&str>(&[]),
            pool_size: gauge(&table::POOL_SIZE)?,
            active: gauge(&table::ACTIVE)?,
            reward_state: build.gauge(&table::REWARD_STATE)?,
            reward_alarm: gauge(&table::REWARD_ALARM)?,
            reward_round: gauge(&table::REWARD_ROUND)?,
            rewards: counter(&table::REWARDS)?,
            rewards_missed: counter(&table::REWARDS_MISSED)?,
            reward_errors: counter(&table::REWARD_ERRORS)?,
            started: counter(&table::ROUNDS_STARTED)?,
        };
        metrics.set_reward_state(RewardState::Off);
        Ok(metrics)
    }

    /// Where the chain stands.
    pub fn set(&self, figures: RoundFigures) {
        self.current.set(count(figures.current));
        self.initialized.set(count(figures.initialized));
        self.progress
            .set(figures.percent_over.min(100) as f64 / 100.0);
        self.pool_size.set(count(figures.pool_size));
        self.active.set(i64::from(figures.active));
    }

    /// Where this round's reward stands.
    pub fn set_reward_state(&self, state: RewardState) {
        for other in RewardState::ALL {
            self.reward_state
                .with_label_values(&[other.as_str()])
                .set(i64::from(*other == state));
        }
    }

    /// How overdue reward is: 0, 25, 50 or 75 percent of the round.
    pub fn set_reward_alarm(&self, percent: u8) {
        self.reward_alarm.set(i64::from(percent));
    }

    /// Last round for which reward was called, by whomever.
    pub fn set_reward_round(&self, round: u64) {
        self.reward_round.set(count(round));
    }

    /// This node called reward for a round.
    pub fn rewarded(&self) {
        self.rewards.inc();
    }

    /// A try at calling reward failed.
    pub fn reward_failed(&self) {
        self.reward_errors.inc();
    }

    /// A round ended without reward although the orchestrator was active.
    pub fn reward_missed(&self) {
        self.rewards_missed.inc();
    }

    /// This node initialised a round.
    pub fn round_started(&self) {
        self.started.inc();
    }
}
