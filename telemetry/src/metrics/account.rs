//! What is measured about the account that pays for gas: gas prices, balances, transactions.

use std::time::Duration;

use prometheus::{CounterVec, Gauge, HistogramVec, IntCounterVec, IntGauge};

use super::amount::{gwei, whole_tokens};
use super::build::Builder;
use super::guard::GaugeGuard;
use super::label::{Purpose, TransactionEnd};
use super::table;
use crate::TelemetryError;

/// Gas prices, balances and transactions.
#[derive(Debug, Clone)]
pub struct AccountMetrics {
    suggested: Gauge,
    smoothed: Gauge,
    least: Gauge,
    most: Gauge,
    eth: Gauge,
    lpt: Gauge,
    stake: Gauge,
    fees: Gauge,
    ended: IntCounterVec,
    pending: IntGauge,
    replaced: IntCounterVec,
    paid: CounterVec,
    time: HistogramVec,
}

impl AccountMetrics {
    pub(super) fn new(build: &Builder<'_>) -> Result<Self, TelemetryError> {
        let amount = |metric| -> Result<Gauge, TelemetryError> {
            Ok(build.ratio(metric)?.with_label_values::<&str>(&[]))
        };
        Ok(Self {
            suggested: amount(&table::SUGGESTED_GAS)?,
            smoothed: amount(&table::SMOOTHED_GAS)?,
            least: amount(&table::MIN_GAS)?,
            most: amount(&table::MAX_GAS)?,
            eth: amount(&table::ACCOUNT_ETH)?,
            lpt: amount(&table::ACCOUNT_LPT)?,
            stake: amount(&table::STAKE)?,
            fees: amount(&table::PENDING_FEES)?,
            ended: build.counter(&table::TRANSACTIONS)?,
            pending: build
                .gauge(&table::TRANSACTIONS_PENDING)?
                .with_label_values::<&str>(&[]),
            replaced: build.counter(&table::TRANSACTION_REPLACEMENTS)?,
            paid: build.amount(&table::TRANSACTION_FEES)?,
            time: build.histogram(&table::TRANSACTION_TIME)?,
        })
    }

    /// Makes the series of transactions, all at 0, so that the first failure is seen. For nodes on a chain.
    pub fn declare(&self) {
        for purpose in Purpose::ALL {
            for end in TransactionEnd::ALL {
                self.ended
                    .with_label_values(&[purpose.as_str(), end.as_str()]);
            }
            self.replaced.with_label_values(&[purpose.as_str()]);
            self.paid.with_label_values(&[purpose.as_str()]);
        }
    }

    /// Gas price as read, and the smoothed one, in wei per gas.
    pub fn set_gas_price(&self, read: u128, smoothed: u128) {
        self.suggested.set(gwei(read));
        self.smoothed.set(gwei(smoothed));
    }

    /// Least gas price that counts and highest fee per gas that is paid, in wei per gas.
    pub fn set_gas_bounds(&self, least: u128, most: Option<u128>) {
        self.least.set(gwei(least));
        self.most.set(gwei(most.unwrap_or_default()));
    }

    /// What the account holds: wei, and the smallest unit of LPT.
    pub fn set_balances(&self, wei: u128, lpt_units: u128) {
        self.eth.set(whole_tokens(wei));
        self.lpt.set(whole_tokens(lpt_units));
    }

    /// What the orchestrator has at stake, in the smallest unit of LPT, and the fees it can withdraw, in wei.
    pub fn set_stake(&self, lpt_units: u128, pending_fees_wei: u128) {
        self.stake.set(whole_tokens(lpt_units));
        self.fees.set(whole_tokens(pending_fees_wei));
    }

    /// A transaction is out while the guard lives.
    pub fn transaction(&self) -> GaugeGuard {
        GaugeGuard::new(self.pending.clone(), 1)
    }

    /// A transaction was sent again at a higher price.
    pub fn replaced(&self, purpose: Purpose) {
        self.replaced.with_label_values(&[purpose.as_str()]).inc();
    }

    /// A transaction has its receipt: it took so long and so many wei of gas.
    pub fn mined(&self, purpose: Purpose, success: bool, took: Duration, fee_wei: u128) {
        let purpose_label = [purpose.as_str()];
        self.paid
            .with_label_values(&purpose_label)
            .inc_by(gwei(fee_wei));
        self.time
            .with_label_values(&purpose_label)
            .observe(took.as_secs_f64());
        self.ended(
            purpose,
            if success {
                TransactionEnd::Mined
            } else {
                TransactionEnd::Reverted
            },
        );
    }

    /// A transaction ended without a receipt, or was not sent.
    pub fn ended(&self, purpose: Purpose, end: TransactionEnd) {
        self.ended
            .with_label_values(&[purpose.as_str(), end.as_str()])
            .inc();
    }
}
