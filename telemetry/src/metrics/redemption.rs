//! What is counted about winning tickets on their way to money.

use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};

use super::amount::{count, gwei};
use super::build::Builder;
use super::label::{Deferral, RedemptionEnd, TicketState};
use super::{MetricsOptions, table};
use crate::TelemetryError;

/// The queue as a whole, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueFigures {
    /// Number and face value, in wei, by state; states that are absent count as empty.
    pub by_state: Vec<(TicketState, u64, u128)>,
    /// Number of tickets put off, by reason.
    pub deferred: Vec<(Deferral, u64)>,
    /// Age of the oldest ticket that is not settled, in seconds.
    pub oldest_s: Option<u64>,
    /// Fewest rounds left of a ticket that is not settled, the current one included.
    pub rounds_left: Option<u64>,
    /// Tickets that are not settled and expire with the current round.
    pub in_last_round: u64,
}

/// Redemption.
#[derive(Debug, Clone)]
pub struct RedemptionMetrics {
    per_sender: bool,
    tickets: IntGaugeVec,
    value: GaugeVec,
    deferred: IntGaugeVec,
    oldest: IntGauge,
    rounds_left: Gauge,
    last_round: IntGauge,
    ended: IntCounterVec,
    attempts: IntCounter,
    errors: IntCounter,
    deferrals: IntCounterVec,
    paid: CounterVec,
    face: Counter,
    cost: Counter,
    gas: IntGauge,
    outbox: IntGauge,
    redeemer_errors: IntCounter,
}

impl RedemptionMetrics {
    pub(super) fn new(
        build: &Builder<'_>,
        options: &MetricsOptions,
    ) -> Result<Self, TelemetryError> {
        let none: &[&str] = &[];
        let metrics = Self {
            per_sender: options.per_stream || options.client_ip,
            tickets: build.gauge(&table::TICKETS)?,
            value: build.ratio(&table::TICKETS_VALUE)?,
            deferred: build.gauge(&table::TICKETS_DEFERRED)?,
            oldest: build.gauge(&table::TICKET_OLDEST)?.with_label_values(none),
            rounds_left: build
                .ratio(&table::TICKET_ROUNDS_LEFT)?
                .with_label_values(none),
            last_round: build
                .gauge(&table::TICKETS_LAST_ROUND)?
                .with_label_values(none),
            ended: build.counter(&table::REDEMPTIONS)?,
            attempts: build
                .counter(&table::REDEMPTION_ATTEMPTS)?
                .with_label_values(none),
            errors: build
                .counter(&table::REDEMPTION_ERRORS)?
                .with_label_values(none),
            deferrals: build.counter(&table::REDEMPTION_DEFERRALS)?,
            paid: build.amount(&table::VALUE_REDEEMED)?,
            face: build.amount(&table::REDEEMED_FACE)?.with_label_values(none),
            cost: build
                .amount(&table::REDEMPTION_COST)?
                .with_label_values(none),
            gas: build.gauge(&table::REDEEM_GAS)?.with_label_values(none),
            outbox: build
                .gauge(&table::REDEEMER_OUTBOX)?
                .with_label_values(none),
            redeemer_errors: build
                .counter(&table::REDEEMER_ERRORS)?
                .with_label_values(none),
        };
        for end in RedemptionEnd::ALL {
            metrics.ended.with_label_values(&[end.as_str()]);
        }
        for reason in Deferral::ALL {
            metrics.deferrals.with_label_values(&[reason.as_str()]);
        }
        metrics.paid.with_label_values(&[""]);
        metrics.set_queue(&QueueFigures::default());
        Ok(metrics)
    }

    /// The queue as it stands. What the figures do not name is empty.
    pub fn set_queue(&self, queue: &QueueFigures) {
        for state in TicketState::ALL {
            let found = queue.by_state.iter().find(|(named, ..)| named == state);
            let (number, face) = found.map_or((0, 0), |(_, number, face)| (*number, *face));
            let label = [state.as_str()];
            self.tickets.with_label_values(&label).set(count(number));
            self.value.with_label_values(&label).set(gwei(face));
        }
        for reason in Deferral::ALL {
            let found = queue.deferred.iter().find(|(named, _)| named == reason);
            self.deferred
                .with_label_values(&[reason.as_str()])
                .set(count(found.map_or(0, |(_, number)| *number)));
        }
        self.oldest.set(count(queue.oldest_s.unwrap_or_default()));
        self.rounds_left
            .set(queue.rounds_left.map_or(f64::NAN, |rounds| rounds as f64));
        self.last_round.set(count(queue.in_last_round));
    }

    /// A try at redeeming a ticket begins.
    pub fn attempted(&self) {
        self.attempts.inc();
    }

    /// A try failed: the chain could not be asked, the transaction was refused or reverted. A ticket put off is no failure.
    pub fn failed(&self) {
        self.errors.inc();
    }

    /// A ticket was put off.
    pub fn deferred(&self, reason: Deferral) {
        self.deferrals.with_label_values(&[reason.as_str()]).inc();
    }

    /// A ticket was redeemed: its sender, its face value and what it really paid, in wei.
    pub fn redeemed(&self, sender: &str, face_value: u128, paid: u128) {
        let end = if paid < face_value {
            RedemptionEnd::PaidShort
        } else {
            RedemptionEnd::Paid
        };
        self.ended(end);
        let sender = if self.per_sender { sender } else { "" };
        self.paid.with_label_values(&[sender]).inc_by(gwei(paid));
        self.face.inc_by(gwei(face_value));
    }

    /// A redemption ended in another way than [`Self::redeemed`].
    pub fn ended(&self, end: RedemptionEnd) {
        self.ended.with_label_values(&[end.as_str()]).inc();
    }

    /// So many wei of gas were paid for redeeming, whatever came of it.
    pub fn cost(&self, wei: u128) {
        self.cost.inc_by(gwei(wei));
    }

    /// Gas that redeeming a ticket is reckoned with.
    pub fn set_gas(&self, gas: u64) {
        self.gas.set(count(gas));
    }

    /// Winning tickets not yet handed over to the redeemer.
    pub fn set_outbox(&self, tickets: u64) {
        self.outbox.set(count(tickets));
    }

    /// A call to the redeemer failed.
    pub fn redeemer_failed(&self) {
        self.redeemer_errors.inc();
    }
}
