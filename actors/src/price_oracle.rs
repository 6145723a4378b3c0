//! Owns gas prices and prices in wei: polls gas, reads the currency feed, and publishes what quotes are made from.
//!
//! A value that cannot be renewed stays in use and is marked stale. Prices that the operator changes at run time are
//! stored before they are published, and so is the last exchange rate.

mod gas;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture,
};
use chain::ChainClient;
use chain::price_feed::{FeedAnswer, FeedBounds, FeedPrice, FeedRefusal, judge};
use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::Ledger;
use protocol::address::Address;
use protocol::money::{Feed, Rational, U256};
use telemetry::metrics::Metrics;
use telemetry::metrics::label::StaleFact;
use tokio::time::Instant;

pub use self::plan::{AskedPrice, NoPrice, PriceChange, PricePlan};

use self::gas::Smoother;
use self::plan::Board;
use crate::death::DeathNotice;
use crate::facts::{FeedFact, PaymentFacts};
use crate::supervisor::AddrCell;

/// Pauses after failed readings of the feed; then the next full hour is waited for.
const FEED_RETRIES: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(240),
];
/// The feed is read at each full hour, so that the prices of all nodes move together.
const HOUR_S: u64 = 3600;
/// Name of the last exchange rate among the settings.
const RATE: &str = "price.rate";
/// Pause after a failed look at the stored changes.
const RETRY: Duration = Duration::from_secs(1);

/// What the oracle asks of the chain.
pub trait ReadsPrices: Send + Sync + 'static {
    /// Suggested gas price and tip, wei.
    fn gas(&self) -> BoxFuture<'static, chain::Result<(U256, Option<U256>)>>;

    /// One reading of the currency feed.
    fn feed(&self) -> BoxFuture<'static, chain::Result<FeedAnswer>>;
}

/// Reads from the chain.
pub struct ChainPrices {
    /// Asks the chain.
    pub client: Arc<dyn ChainClient>,
    /// Contract of the feed (`-priceFeedAddr`).
    pub feed: Address,
}

impl ReadsPrices for ChainPrices {
    fn gas(&self) -> BoxFuture<'static, chain::Result<(U256, Option<U256>)>> {
        let client = Arc::clone(&self.client);
        Box::pin(async move {
            let price = client.gas_price().await?;
            // a node that knows no tips has none
            let tip = client.max_priority_fee().await.unwrap_or_default();
            Ok((price, tip))
        })
    }

    fn feed(&self) -> BoxFuture<'static, chain::Result<FeedAnswer>> {
        let (client, feed) = (Arc::clone(&self.client), self.feed);
        Box::pin(async move { client.price_feed(feed).await })
    }
}

/// Where changes and the last exchange rate survive a restart.
pub trait KeepsSettings: Send + Sync + 'static {
    /// Everything that was kept.
    fn all(&self) -> BoxFuture<'static, Result<BTreeMap<String, String>, ledger::LedgerError>>;

    /// Keeps a value, or forgets it.
    fn set(
        &self,
        name: String,
        value: Option<String>,
    ) -> BoxFuture<'static, Result<(), ledger::LedgerError>>;
}

impl KeepsSettings for Ledger {
    fn all(&self) -> BoxFuture<'static, Result<BTreeMap<String, String>, ledger::LedgerError>> {
        self.settings().boxed()
    }

    fn set(
        &self,
        name: String,
        value: Option<String>,
    ) -> BoxFuture<'static, Result<(), ledger::LedgerError>> {
        self.set_setting(name, value).boxed()
    }
}

/// How prices are made.
#[derive(Debug, Clone)]
pub struct OracleOptions {
    /// Prices as configured.
    pub plan: PricePlan,
    /// Time between two polls of gas (`-blockPollingInterval`).
    pub poll: Duration,
    /// Gas prices below are discarded, wei (`-minGasPrice`).
    pub min_gas: U256,
    /// Time over which gas is averaged (`-gasPriceSmoothing`).
    pub smoothing: Duration,
    /// Age from which the feed is not believed (`-priceFeedMaxAge`).
    pub feed_max_age: Duration,
    /// Percent by which the feed may move between two readings (`-priceFeedMaxChange`).
    pub feed_max_change: u64,
}

/// What it works with.
#[derive(Clone)]
pub struct OracleParts {
    /// Asks the chain.
    pub reader: Arc<dyn ReadsPrices>,
    /// Keeps changes.
    pub settings: Arc<dyn KeepsSettings>,
    /// What it publishes: gas and prices.
    pub facts: PaymentFacts,
    /// Gauges.
    pub metrics: Arc<Metrics>,
    /// Tells ms since 1970.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// How operators change prices. Cheap to clone.
#[derive(Clone)]
pub struct PriceBoard(AddrCell<PriceOracle>);

/// Why a price was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PriceBoardError {
    /// The oracle is being started again.
    #[error("prices cannot be changed just now: try again")]
    Restarting,
    /// The change could not be stored, so it was not made.
    #[error("the price was not changed: {0}")]
    Ledger(#[from] ledger::LedgerError),
    /// The node was started without a feed for this currency.
    #[error(
        "the price was not changed: the exchange rate of {0} is not known, set -priceFeedAddr to a feed between ETH and {0}"
    )]
    Currency(String),
}

impl PriceBoard {
    /// A front for the oracle whose address is published in `addr`.
    pub fn new(addr: AddrCell<PriceOracle>) -> Self {
        Self(addr)
    }

    /// Changes a price: new quotes at once, running sessions keep theirs. Stored before it holds.
    ///
    /// # Errors
    /// [`PriceBoardError`]; then nothing has changed.
    pub async fn change(&self, change: PriceChange) -> Result<(), PriceBoardError> {
        let addr = self.0.load_full().ok_or(PriceBoardError::Restarting)?;
        let changed = addr.send(Change(change)).await;
        changed.map_err(|_| PriceBoardError::Restarting)?
    }

    /// Replaces the configured prices, as after a reload of the settings.
    pub async fn configure(&self, plan: PricePlan) {
        if let Some(addr) = self.0.load_full() {
            // one that is being started again reads the settings of now
            let _ = addr.send(Configure(plan)).await;
        }
    }
}

// ---- messages: asked by the front ----

#[derive(Message)]
#[rtype(result = "Result<(), PriceBoardError>")]
struct Change(PriceChange);

#[derive(Message)]
#[rtype(result = "()")]
struct Configure(PricePlan);

/// See the module.
pub struct PriceOracle {
    options: OracleOptions,
    parts: OracleParts,
    board: Board,
    smoother: Smoother,
    rate: Option<FeedPrice>,
    refused: bool,
    reading: bool,
    _notice: DeathNotice<&'static str>,
}

impl PriceOracle {
    /// An oracle that publishes nothing before it has read the stored changes.
    pub fn new(
        options: OracleOptions,
        parts: OracleParts,
        notice: DeathNotice<&'static str>,
    ) -> Self {
        Self {
            board: Board::new(options.plan.clone()),
            smoother: Smoother::new(options.min_gas, options.smoothing),
            options,
            parts,
            rate: None,
            refused: false,
            reading: false,
            _notice: notice,
        }
    }

    fn now_s(&self) -> u64 {
        (self.parts.now_ms)() / 1000
    }

    fn restore(&mut self, settings: &BTreeMap<String, String>) {
        let (changes, unreadable) = PriceChange::from_settings(settings);
        for name in unreadable {
            tracing::error!(name, "a stored price cannot be read and is left out");
        }
        changes
            .into_iter()
            .for_each(|change| self.board.change(change));
        self.rate = settings.get(RATE).and_then(|text| rate_from(text));
    }

    fn publish_prices(&self) {
        let mut prices = self.board.in_wei(self.rate.as_ref().map(|rate| &rate.feed));
        let stale = self.rate_is_stale();
        prices.feed = self.rate.as_ref().map(|rate| FeedFact {
            currency: rate.feed.currency.clone(),
            per_eth: rate.feed.per_eth,
            updated_at: rate.updated_at,
            stale,
        });
        let metrics = &self.parts.metrics.payments;
        let gateways: Vec<_> = prices
            .by_gateway
            .iter()
            .map(|(gateway, price)| (gateway.to_string(), price.to_f64()))
            .collect();
        let named = gateways
            .iter()
            .map(|(gateway, price)| (Some(gateway.as_str()), *price));
        let base = prices.default.map(|price| (None, price.to_f64()));
        metrics.set_prices(named.chain(base));
        if let Some(rate) = &self.rate {
            metrics.set_currency(&rate.feed.currency, rate.feed.per_eth.to_f64());
        }
        metrics.set_stale(StaleFact::PriceFeed, self.board.needs_feed() && stale);
        self.parts.facts.prices.publish(prices);
    }

    fn rate_is_stale(&self) -> bool {
        let age = |rate: &FeedPrice| self.now_s().saturating_sub(rate.updated_at);
        self.refused
            || self
                .rate
                .as_ref()
                .is_none_or(|rate| age(rate) > self.options.feed_max_age.as_secs())
    }

    fn publish_gas(&self) {
        let gas = self.smoother.at(Instant::now());
        self.parts
            .metrics
            .payments
            .set_stale(StaleFact::Gas, gas.stale);
        if *self.parts.facts.gas.load().as_ref() != gas {
            self.parts.facts.gas.publish(gas);
        }
    }

    fn poll_gas(&mut self, ctx: &mut Context<Self>) {
        let read = self.parts.reader.gas().into_actor(self);
        let pause = self.options.poll;
        ctx.spawn(read.map(move |read, oracle, ctx| {
            match read {
                Ok((price, tip)) => oracle.smoother.polled(price, tip, Instant::now()),
                Err(error) => tracing::warn!(%error, "gas price cannot be read"),
            }
            oracle.publish_gas();
            ctx.run_later(pause, Self::poll_gas);
        }));
    }

    /// Reads the feed after `failures` failed tries in a row.
    fn read_feed(&mut self, failures: usize, ctx: &mut Context<Self>) {
        self.reading = true;
        let read = self.parts.reader.feed().into_actor(self);
        ctx.spawn(read.map(move |read, oracle, ctx| {
            let next = match oracle.take_reading(read) {
                true => None,
                false => FEED_RETRIES.get(failures).copied(),
            };
            let hour = Duration::from_secs(HOUR_S - oracle.now_s() % HOUR_S);
            let (pause, failures) = next.map_or((hour, 0), |pause| (pause, failures + 1));
            oracle.publish_prices();
            ctx.run_later(pause, move |oracle, ctx| oracle.read_feed(failures, ctx));
        }));
    }

    /// Whether the reading is good, or says nothing new.
    fn take_reading(&mut self, read: chain::Result<FeedAnswer>) -> bool {
        let answer = match read {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "price feed cannot be read, the last exchange rate stays");
                return false;
            }
        };
        let bounds = FeedBounds {
            max_age: self.options.feed_max_age,
            ..FeedBounds::default()
        };
        let judged = judge(&answer, self.rate.as_ref(), self.now_s(), bounds)
            .and_then(|rate| self.within_change(rate));
        match judged {
            Ok(rate) => {
                self.refused = false;
                let kept = self
                    .parts
                    .settings
                    .set(RATE.to_owned(), Some(rate_text(&rate)));
                // without it the next start has to wait for the feed, no more
                actix_rt::spawn(kept.map(drop));
                self.rate = Some(rate);
                true
            }
            Err(FeedRefusal::NotNewer) => true,
            Err(refusal) => {
                self.refused = true;
                tracing::error!(%refusal, "price feed is not believed, the last exchange rate stays");
                false
            }
        }
    }

    /// A finer bound than a factor, while there is a rate of this age to compare with.
    fn within_change(&self, rate: FeedPrice) -> Result<FeedPrice, FeedRefusal> {
        let max_age = self.options.feed_max_age.as_secs();
        let last = self.rate.as_ref().filter(|last| {
            last.feed.currency == rate.feed.currency
                && self.now_s().saturating_sub(last.updated_at) <= max_age
        });
        let most = Rational::new(100 + self.options.feed_max_change, 100u64).unwrap_or_default();
        match last {
            Some(last) => {
                let (from, to) = (last.feed.per_eth, rate.feed.per_eth);
                if to > from.times(&most) || from > to.times(&most) {
                    return Err(FeedRefusal::Jump {
                        from: Box::new(from),
                        to: Box::new(to),
                        factor: FeedBounds::default().max_jump,
                    });
                }
                Ok(rate)
            }
            None => Ok(rate),
        }
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        self.publish_prices();
        self.poll_gas(ctx);
        if self.board.needs_feed() {
            self.read_feed(0, ctx);
        }
    }
}

/// Currency, price per ETH, and when, as it is stored.
fn rate_text(rate: &FeedPrice) -> String {
    let feed = &rate.feed;
    format!("{} {} {}", feed.currency, feed.per_eth, rate.updated_at)
}

fn rate_from(text: &str) -> Option<FeedPrice> {
    let mut parts = text.split(' ');
    let (currency, per_eth, updated_at) = (parts.next()?, parts.next()?, parts.next()?);
    let per_eth: Rational = per_eth.parse().ok()?;
    (!per_eth.is_zero()).then_some(FeedPrice {
        feed: Feed {
            currency: currency.to_owned(),
            per_eth,
        },
        updated_at: updated_at.parse().ok()?,
    })
}

impl Actor for PriceOracle {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(64);
        let settings = Arc::clone(&self.parts.settings);
        let stored = async move {
            loop {
                match settings.all().await {
                    Ok(stored) => return stored,
                    Err(error) => {
                        tracing::error!(%error, "stored prices cannot be read");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        };
        ctx.wait(stored.into_actor(self).map(|stored, oracle, ctx| {
            oracle.restore(&stored);
            oracle.begin(ctx);
        }));
    }
}

impl Handler<Change> for PriceOracle {
    type Result = ResponseActFuture<Self, Result<(), PriceBoardError>>;

    fn handle(&mut self, message: Change, _: &mut Self::Context) -> Self::Result {
        let change = message.0;
        if let PriceChange::Base(Some(price)) | PriceChange::Gateway(_, Some(price)) = &change
            && price
                .in_wei(self.rate.as_ref().map(|rate| &rate.feed))
                .is_none()
        {
            let error = PriceBoardError::Currency(price.currency().to_string());
            return Box::pin(std::future::ready(Err(error)).into_actor(self));
        }
        let (name, value) = change.to_setting();
        let stored = self.parts.settings.set(name, value).into_actor(self);
        Box::pin(stored.map(move |stored, oracle, ctx| {
            stored?;
            oracle.board.change(change);
            oracle.publish_prices();
            if oracle.board.needs_feed() && !oracle.reading {
                oracle.read_feed(0, ctx);
            }
            Ok(())
        }))
    }
}

impl Handler<Configure> for PriceOracle {
    type Result = ();

    fn handle(&mut self, message: Configure, ctx: &mut Self::Context) {
        self.board.configure(message.0);
        self.publish_prices();
        if self.board.needs_feed() && !self.reading {
            self.read_feed(0, ctx);
        }
    }
}
