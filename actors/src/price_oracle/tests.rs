//! The oracle over feeds and gas that answer as ordered, on a paused clock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::Actor;
use parking_lot::Mutex;
use protocol::money::Price;
use tokio::sync::watch;

use super::*;
use crate::facts::Prices;
use crate::supervisor::{Supervise, Supervisor};

/// 3000 USD with 8 decimals.
const USD_3000: u64 = 300_000_000_000;
const START_S: u64 = 1_700_000_000;

#[derive(Default)]
struct FakePrices {
    gas: Mutex<VecDeque<Option<u64>>>,
    feed: Mutex<Option<FeedAnswer>>,
    readings: AtomicU64,
}

fn down() -> chain::Error {
    chain::Error::Unavailable {
        method: "eth_call".into(),
        failures: "ordered by a test".into(),
    }
}

impl ReadsPrices for FakePrices {
    fn gas(&self) -> BoxFuture<'static, chain::Result<(U256, Option<U256>)>> {
        let mut polls = self.gas.lock();
        let poll = match polls.len() {
            0 | 1 => polls.front().copied().flatten(),
            _ => polls.pop_front().flatten(),
        };
        let answer = poll.map(|wei| (U256::from(wei), None));
        std::future::ready(answer.ok_or_else(down)).boxed()
    }

    fn feed(&self) -> BoxFuture<'static, chain::Result<FeedAnswer>> {
        self.readings.fetch_add(1, Ordering::Relaxed);
        std::future::ready(self.feed.lock().clone().ok_or_else(down)).boxed()
    }
}

#[derive(Default)]
struct Drawer {
    kept: Mutex<BTreeMap<String, String>>,
    full: Mutex<bool>,
}

impl KeepsSettings for Drawer {
    fn all(&self) -> BoxFuture<'static, Result<BTreeMap<String, String>, ledger::LedgerError>> {
        std::future::ready(Ok(self.kept.lock().clone())).boxed()
    }

    fn set(
        &self,
        name: String,
        value: Option<String>,
    ) -> BoxFuture<'static, Result<(), ledger::LedgerError>> {
        if *self.full.lock() {
            return std::future::ready(Err(ledger::LedgerError::Busy)).boxed();
        }
        match value {
            Some(value) => self.kept.lock().insert(name, value),
            None => self.kept.lock().remove(&name),
        };
        std::future::ready(Ok(())).boxed()
    }
}

struct House {
    fake: Arc<FakePrices>,
    drawer: Arc<Drawer>,
    facts: PaymentFacts,
    board: PriceBoard,
    addr: AddrCell<PriceOracle>,
    parts: OracleParts,
}

fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce(House) -> F) {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(async {
        let (fake, drawer) = (Arc::new(FakePrices::default()), Arc::new(Drawer::default()));
        fake.gas.lock().push_back(Some(100));
        let facts = PaymentFacts::default();
        let began = Instant::now();
        let parts = OracleParts {
            reader: Arc::clone(&fake) as Arc<dyn ReadsPrices>,
            settings: Arc::clone(&drawer) as Arc<dyn KeepsSettings>,
            facts: facts.clone(),
            metrics: crate::test_metrics(),
            now_ms: Arc::new(move || START_S * 1000 + began.elapsed().as_millis() as u64),
        };
        let addr = AddrCell::default();
        test(House {
            fake,
            drawer,
            facts,
            board: PriceBoard::new(Arc::clone(&addr)),
            addr,
            parts,
        })
        .await;
    });
}

impl House {
    async fn start(&self, base: &str) {
        let options = OracleOptions {
            plan: PricePlan {
                base: Some(base.parse().unwrap()),
                adjust: true,
                surcharge_percent: 20,
                ..PricePlan::default()
            },
            poll: Duration::from_secs(5),
            min_gas: U256::zero(),
            smoothing: Duration::from_secs(600),
            feed_max_age: Duration::from_secs(26 * 3600),
            feed_max_change: 50,
        };
        let (fatal, _) = watch::channel(None);
        let supervisor = Supervisor::new(fatal, Arc::clone(&self.parts.metrics)).start();
        let (parts, addr) = (self.parts.clone(), Arc::clone(&self.addr));
        let factory: crate::supervisor::Factory = Box::new(move |notice| {
            let oracle = PriceOracle::new(options.clone(), parts.clone(), notice);
            addr.store(Some(Arc::new(oracle.start())));
        });
        let name = "price_oracle";
        supervisor.send(Supervise { name, factory }).await.unwrap();
        std::mem::forget(supervisor);
        self.settle().await;
    }

    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn answer(&self, usd: u64, updated_at: u64) {
        *self.fake.feed.lock() = Some(FeedAnswer {
            description: "ETH / USD".into(),
            decimals: 8,
            answer: Some(usd.into()),
            updated_at,
        });
    }

    fn prices(&self) -> Arc<Prices> {
        self.facts.prices.get()
    }

    fn base(&self) -> Option<Price> {
        self.prices().default
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.settle().await;
    }
}

/// 50 USD at 3000 USD per ETH, in wei.
fn fifty_usd() -> Option<Price> {
    Price::new(50_000_000_000_000_000u64, 3u64)
}

#[test]
fn a_price_in_a_currency_waits_for_the_feed_and_keeps_the_last_rate() {
    run(|house| async move {
        house.start("50USD").await;
        assert_eq!(house.base(), None);
        // tried again after 30 s
        house.answer(USD_3000, START_S);
        house.pass(30).await;
        assert_eq!(house.base(), fifty_usd());
        assert!(!house.prices().feed.as_ref().unwrap().stale);
        // the feed goes away: the rate stays, and in time it is told that it is old
        *house.fake.feed.lock() = None;
        house.pass(27 * 3600).await;
        assert_eq!(house.base(), fifty_usd());
        assert!(house.prices().feed.as_ref().unwrap().stale);
    });
}

#[test]
fn readings_that_cannot_be_are_refused_and_the_rate_stays() {
    run(|house| async move {
        house.answer(USD_3000, START_S);
        house.start("50USD").await;
        assert_eq!(house.base(), fifty_usd());
        for usd in [0, 1, USD_3000 * 16 / 10, USD_3000 / 2, u64::MAX] {
            let now = (house.parts.now_ms)() / 1000;
            house.answer(usd, now + 1);
            house.pass(3600).await;
            assert_eq!(house.base(), fifty_usd(), "{usd}");
            assert!(house.prices().feed.as_ref().unwrap().stale);
        }
        let now = (house.parts.now_ms)() / 1000;
        house.answer(USD_3000 * 2 / 3 * 2, now + 1);
        house.pass(3600).await;
        assert!(house.base() < fifty_usd());
        assert!(!house.prices().feed.as_ref().unwrap().stale);
    });
}

#[test]
fn the_feed_is_read_at_full_hours_and_after_failures_five_times() {
    run(|house| async move {
        house.start("50USD").await;
        let readings = || house.fake.readings.load(Ordering::Relaxed);
        assert_eq!(readings(), 1);
        house.pass(30 + 60 + 120 + 240 + 10).await;
        assert_eq!(readings(), 5);
        let to_hour = 3600 - (house.parts.now_ms)() / 1000 % 3600;
        house.pass(to_hour - 1).await;
        assert_eq!(readings(), 5);
        house.answer(USD_3000, START_S);
        house.pass(2).await;
        assert_eq!(readings(), 6);
        house.pass(3500).await;
        assert_eq!(readings(), 6);
        // a price in wei needs none
        assert_eq!(house.base(), fifty_usd());
    });
}

#[test]
fn a_price_in_wei_reads_no_feed() {
    run(|house| async move {
        house.start("7").await;
        house.pass(8000).await;
        assert_eq!(house.fake.readings.load(Ordering::Relaxed), 0);
        assert_eq!(house.base(), Price::new(7u64, 1u64));
    });
}

#[test]
fn changes_and_the_rate_outlive_the_oracle() {
    run(|house| async move {
        house.answer(USD_3000, START_S);
        house.start("50USD").await;
        let gateway = Address([4; 20]);
        for change in [
            PriceChange::Base(Some("100USD".parse().unwrap())),
            PriceChange::Gateway(gateway, Some("9".parse().unwrap())),
            PriceChange::Adjust(Some(false)),
        ] {
            house.board.change(change).await.unwrap();
        }
        let before = house.prices();
        assert_eq!(before.video(gateway), Price::new(9u64, 1u64));
        // the next run starts while the feed is away
        *house.fake.feed.lock() = None;
        house.facts.prices.publish(Prices::default());
        house.start("50USD").await;
        let after = house.prices();
        assert_eq!((after.default, after.adjust), (before.default, false));
        assert_eq!(after.by_gateway, before.by_gateway);
        house.board.change(PriceChange::Base(None)).await.unwrap();
        assert_eq!(house.base(), fifty_usd());
    });
}

#[test]
fn a_change_that_cannot_be_stored_is_not_made() {
    run(|house| async move {
        house.start("7").await;
        *house.drawer.full.lock() = true;
        let change = || PriceChange::Base(Some("8".parse().unwrap()));
        let refused = house.board.change(change()).await.unwrap_err();
        assert!(matches!(refused, PriceBoardError::Ledger(_)), "{refused}");
        assert_eq!(house.base(), Price::new(7u64, 1u64));
        *house.drawer.full.lock() = false;
        let foreign = PriceChange::Base(Some("1GBP".parse().unwrap()));
        let refused = house.board.change(foreign).await.unwrap_err();
        assert!(matches!(refused, PriceBoardError::Currency(_)), "{refused}");
        house.board.change(change()).await.unwrap();
        assert_eq!(house.base(), Price::new(8u64, 1u64));
    });
}

#[test]
fn gas_is_polled_smoothed_and_told_to_be_old() {
    run(|house| async move {
        house
            .fake
            .gas
            .lock()
            .extend([Some(100_000), Some(100), None]);
        house.start("7").await;
        assert_eq!(house.facts.gas.load().last, 100.into());
        house.pass(6).await;
        let gas = house.facts.gas.get();
        assert_eq!(gas.last, 100_000.into());
        assert!(gas.smoothed < 1000.into(), "{}", gas.smoothed);
        house.pass(6).await;
        assert!(!house.facts.gas.load().stale);
        house.pass(120).await;
        let gas = house.facts.gas.get();
        assert_eq!((gas.last, gas.stale), (100.into(), true));
    });
}
