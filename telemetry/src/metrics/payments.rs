//! What is counted about tickets, prices and the senders who pay.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, IntCounterVec, IntGauge, IntGaugeVec,
};

use super::amount::{count, gwei, signed_gwei};
use super::build::Builder;
use super::label::{PaymentRefusal, QuoteRefusal, StaleFact};
use super::{MetricsOptions, table};
use crate::TelemetryError;

/// Anybody can ask for a quote under any number of addresses: so many get series of their own, the rest none.
const MOST_SENDERS: usize = 500;

/// Name of the base price among the gateways.
const DEFAULT: &str = "default";

/// Tickets, prices, senders. Cheap to clone; clones share the series.
#[derive(Debug, Clone)]
pub struct PaymentMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    per_stream: bool,
    value: CounterVec,
    tickets: IntCounterVec,
    winners: IntCounterVec,
    errors: IntCounterVec,
    refusals: IntCounterVec,
    time: Histogram,
    quote_refusals: IntCounterVec,
    quoted: GaugeVec,
    funds: Funds,
    max_float: GaugeVec,
    face_value: GaugeVec,
    quoted_senders: RwLock<HashSet<String>>,
    work: Counter,
    credit: Gauge,
    exposure: Gauge,
    price: GaugeVec,
    priced: Mutex<HashSet<String>>,
    surcharge: Gauge,
    currency: GaugeVec,
    senders: IntGauge,
    exhausted: IntGauge,
    stale: IntGaugeVec,
    /// How many payers now use a pair of (manifest id, sender), so that the last one removes the series.
    payers: Mutex<HashMap<(String, String), usize>>,
}

/// Deposits and reserves under their new and old names.
#[derive(Debug)]
struct Funds {
    deposits: [GaugeVec; 2],
    reserves: [GaugeVec; 2],
    /// Deposit and reserve of each sender, in wei.
    known: Mutex<BTreeMap<String, (u128, u128)>>,
}

impl PaymentMetrics {
    pub(super) fn new(
        build: &Builder<'_>,
        options: &MetricsOptions,
    ) -> Result<Self, TelemetryError> {
        let none: &[&str] = &[];
        let inner = Inner {
            per_stream: options.per_stream || options.client_ip,
            value: build.amount(&table::TICKET_VALUE)?,
            tickets: build.counter(&table::TICKETS_RECEIVED)?,
            winners: build.counter(&table::WINNERS)?,
            errors: build.counter(&table::PAYMENT_ERRORS)?,
            refusals: build.counter(&table::PAYMENT_REFUSALS)?,
            time: build
                .histogram(&table::PAYMENT_TIME)?
                .with_label_values(none),
            quote_refusals: build.counter(&table::QUOTE_REFUSALS)?,
            quoted: build.ratio(&table::PRICE_QUOTED)?,
            funds: Funds {
                deposits: [
                    build.ratio(&table::GATEWAY_DEPOSIT)?,
                    build.ratio(&table::BROADCASTER_DEPOSIT)?,
                ],
                reserves: [
                    build.ratio(&table::GATEWAY_RESERVE)?,
                    build.ratio(&table::BROADCASTER_RESERVE)?,
                ],
                known: Mutex::default(),
            },
            max_float: build.ratio(&table::MAX_FLOAT)?,
            face_value: build.ratio(&table::FACE_VALUE)?,
            quoted_senders: RwLock::default(),
            work: build.amount(&table::WORK_VALUE)?.with_label_values(none),
            credit: build.ratio(&table::CREDIT)?.with_label_values(none),
            exposure: build.ratio(&table::EXPOSURE)?.with_label_values(none),
            price: build.ratio(&table::PRICE)?,
            priced: Mutex::default(),
            surcharge: build.ratio(&table::SURCHARGE)?.with_label_values(none),
            currency: build.ratio(&table::CURRENCY)?,
            senders: build.gauge(&table::SENDERS)?.with_label_values(none),
            exhausted: build
                .gauge(&table::SENDERS_EXHAUSTED)?
                .with_label_values(none),
            stale: build.gauge(&table::STALE)?,
            payers: Mutex::default(),
        };
        // A series that begins at 0 lets `rate` and `increase` see the first event.
        inner.winners.with_label_values(&["", ""]);
        for reason in PaymentRefusal::ALL {
            inner.refusals.with_label_values(&[reason.as_str()]);
        }
        for reason in QuoteRefusal::ALL {
            inner.quote_refusals.with_label_values(&[reason.as_str()]);
        }
        for fact in StaleFact::ALL {
            inner.stale.with_label_values(&[fact.as_str()]);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// The counters of one sender's stream; with per-stream labels its series vanish when the last handle is dropped.
    pub fn payer(&self, manifest_id: &str, sender: &str) -> PayerMetrics {
        let label = |text: &str| {
            if self.0.per_stream {
                text.to_owned()
            } else {
                String::new()
            }
        };
        let key = (label(manifest_id), label(sender));
        if self.0.per_stream {
            *self.0.payers.lock().entry(key.clone()).or_default() += 1;
        }
        PayerMetrics(Arc::new(Payer {
            all: Arc::clone(&self.0),
            key,
        }))
    }

    /// A payment or ticket was refused before its stream was known.
    pub fn refused(&self, reason: PaymentRefusal) {
        self.0.refuse(reason, ["", ""]);
    }

    /// A payment was checked in so long, whatever came of it.
    pub fn checked(&self, took: Duration) {
        self.0.time.observe(took.as_secs_f64());
    }

    /// A sender got no ticket parameters.
    pub fn quote_refused(&self, reason: QuoteRefusal) {
        self.0
            .quote_refusals
            .with_label_values(&[reason.as_str()])
            .inc();
    }

    /// A sender got ticket parameters: its float, which may be below zero, and the face value, in wei.
    pub fn quoted(&self, sender: &str, max_float: i128, face_value: u128) {
        if !self.0.may_label(sender) {
            return;
        }
        self.0
            .max_float
            .with_label_values(&[sender])
            .set(signed_gwei(max_float));
        self.0
            .face_value
            .with_label_values(&[sender])
            .set(gwei(face_value));
    }

    /// The price of video was told to a sender, in wei per pixel.
    pub fn price_told(&self, sender: &str, wei_per_pixel: f64) {
        let sender = match self.0.per_stream {
            true if self.0.may_label(sender) => sender,
            true => return,
            false => "",
        };
        self.0
            .quoted
            .with_label_values(&[sender])
            .set(wei_per_pixel);
    }

    /// The prices of video before the surcharge, in wei per pixel; the base price is without an address. Replaces those set before.
    pub fn set_prices<'p>(&self, prices: impl IntoIterator<Item = (Option<&'p str>, f64)>) {
        let mut before = self.0.priced.lock();
        let mut now = HashSet::new();
        for (gateway, price) in prices {
            let gateway = gateway.unwrap_or(DEFAULT);
            self.0.price.with_label_values(&[gateway]).set(price);
            now.insert(gateway.to_owned());
        }
        for gone in before.difference(&now) {
            // Each was set once, so it is there.
            let _ = self.0.price.remove_label_values(&[gone]);
        }
        *before = now;
    }

    /// Share added to the last price for what redeeming costs; 0.01 is one percent.
    pub fn set_surcharge(&self, ratio: f64) {
        self.0.surcharge.set(ratio);
    }

    /// What one ETH costs in a currency that prices are set in.
    pub fn set_currency(&self, currency: &str, per_eth: f64) {
        self.0.currency.with_label_values(&[currency]).set(per_eth);
    }

    /// Funds of a sender as the chain tells them, in wei.
    pub fn set_funds(&self, sender: &str, deposit: u128, reserve: u128) {
        let funds = &self.0.funds;
        let mut known = funds.known.lock();
        known.insert(sender.to_owned(), (deposit, reserve));
        if self.0.per_stream {
            funds.show(sender, deposit, reserve);
        } else {
            funds.show_sum(&known);
        }
        self.0.senders.set(count(known.len() as u64));
    }

    /// A sender is not followed any more; its series vanish.
    pub fn forget_sender(&self, sender: &str) {
        let funds = &self.0.funds;
        let mut known = funds.known.lock();
        known.remove(sender);
        self.0.senders.set(count(known.len() as u64));
        if self.0.per_stream {
            funds.hide(sender);
            let _ = self.0.quoted.remove_label_values(&[sender]);
        } else {
            funds.show_sum(&known);
        }
        drop(known);
        self.0.quoted_senders.write().remove(sender);
        let _ = self.0.max_float.remove_label_values(&[sender]);
        let _ = self.0.face_value.remove_label_values(&[sender]);
    }

    /// How many senders with funds have a float that does not carry another ticket.
    pub fn set_exhausted(&self, senders: u64) {
        self.0.exhausted.set(count(senders));
    }

    /// Credit not worked off and work not paid, of all senders, in wei.
    pub fn set_balances(&self, credit: u128, exposure: u128) {
        self.0.credit.set(gwei(credit));
        self.0.exposure.set(gwei(exposure));
    }

    /// Whether the last good value of a fact is used because it cannot be renewed.
    pub fn set_stale(&self, fact: StaleFact, stale: bool) {
        self.0
            .stale
            .with_label_values(&[fact.as_str()])
            .set(i64::from(stale));
    }
}

impl Funds {
    fn show(&self, sender: &str, deposit: u128, reserve: u128) {
        for (gauges, wei) in [(&self.deposits, deposit), (&self.reserves, reserve)] {
            for gauge in gauges {
                gauge.with_label_values(&[sender]).set(gwei(wei));
            }
        }
    }

    fn show_sum(&self, known: &BTreeMap<String, (u128, u128)>) {
        let (deposit, reserve) = known.values().fold((0_u128, 0_u128), |sum, one| {
            (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1))
        });
        self.show("", deposit, reserve);
    }

    fn hide(&self, sender: &str) {
        for gauge in self.deposits.iter().chain(&self.reserves) {
            // One that was never shown has no series; that is no error.
            let _ = gauge.remove_label_values(&[sender]);
        }
    }
}

impl Inner {
    /// Whether a sender has series of its own, or may get them.
    fn may_label(&self, sender: &str) -> bool {
        if self.quoted_senders.read().contains(sender) {
            return true;
        }
        let mut senders = self.quoted_senders.write();
        if senders.len() >= MOST_SENDERS && !senders.contains(sender) {
            return false;
        }
        senders.insert(sender.to_owned());
        true
    }

    fn refuse(&self, reason: PaymentRefusal, [manifest_id, sender]: [&str; 2]) {
        self.refusals.with_label_values(&[reason.as_str()]).inc();
        self.errors
            .with_label_values(&[reason.error_code(), manifest_id, sender])
            .inc();
    }
}

/// Counters of one sender's stream. Cheap to clone; clones share the series.
#[derive(Debug, Clone)]
pub struct PayerMetrics(Arc<Payer>);

#[derive(Debug)]
struct Payer {
    all: Arc<Inner>,
    key: (String, String),
}

impl Payer {
    fn labels(&self) -> [&str; 2] {
        [&self.key.0, &self.key.1]
    }
}

impl PayerMetrics {
    /// Tickets were credited: how many, how many of them won, and their expected value in wei. Call it once per payment, also when
    /// some of its tickets were refused.
    pub fn credited(&self, tickets: u64, winners: u64, value: u128) {
        let (all, labels) = (&self.0.all, &self.0.labels());
        if tickets > 0 {
            all.tickets.with_label_values(labels).inc_by(tickets);
            all.value.with_label_values(labels).inc_by(gwei(value));
        }
        if winners > 0 {
            all.winners.with_label_values(labels).inc_by(winners);
        }
    }

    /// The payment, or one of its tickets, was refused.
    pub fn refused(&self, reason: PaymentRefusal) {
        self.0.all.refuse(reason, self.0.labels());
    }

    /// Work was done and debited, in wei.
    pub fn debited(&self, wei: u128) {
        self.0.all.work.inc_by(gwei(wei));
    }
}

impl Drop for Payer {
    fn drop(&mut self) {
        if !self.all.per_stream {
            return;
        }
        let mut payers = self.all.payers.lock();
        match payers.get_mut(&self.key) {
            Some(number) if *number > 1 => {
                *number -= 1;
                return;
            }
            _ => payers.remove(&self.key),
        };
        let [manifest_id, sender] = self.labels();
        // What was never recorded has no series; that is no error here.
        let _ = self.all.value.remove_label_values(&[manifest_id, sender]);
        let _ = self.all.tickets.remove_label_values(&[manifest_id, sender]);
        let _ = self.all.winners.remove_label_values(&[manifest_id, sender]);
        let codes: HashSet<_> = PaymentRefusal::ALL
            .iter()
            .map(|reason| reason.error_code())
            .collect();
        for code in codes {
            let _ = self
                .all
                .errors
                .remove_label_values(&[code, manifest_id, sender]);
        }
    }
}
