//! A node's payment side with everything around it faked, and gateways that pay it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::Actor;
use arc_swap::ArcSwap;
use protocol::address::Address;
use protocol::money::{Amount, Payment, Price, QuoteSecret, SenderFunds, U256, payment_message};
use protocol::pb;
use protocol::signature::SecretKey;
use tokio::sync::watch;

use super::super::*;
use super::books::MemoryBooks;
use crate::facts::{Gas, Prices, Rounds};
use crate::price_webhook::WebhookPrices;
use crate::quotes::{Quote, QuotesSetup, TicketTerms};
use crate::supervisor::{Supervise, Supervisor};

/// Expected value of a ticket, wei.
pub const EV: u64 = 8_000_000_000;
pub const ROUND: u64 = 100;
pub const L1: u64 = 19_000_000;
pub const RECIPIENT: Address = Address([0x0e; 20]);

pub struct House {
    pub facts: PaymentFacts,
    pub senders: Senders,
    pub quotes: Quotes,
    pub payments: Payments,
    pub books: Arc<MemoryBooks>,
    pub terms: Arc<ArcSwap<CreditTerms>>,
    pub tickets: Arc<ArcSwap<TicketTerms>>,
    pub metrics: Arc<Metrics>,
    pub purpose: Purpose,
}

/// Runs a test on a paused clock, as actors need it.
pub fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F) {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(test());
}

pub fn rounds() -> Rounds {
    Rounds {
        current: ROUND,
        last_initialized: ROUND,
        initialized: true,
        hash: [7; 32],
        previous_hash: [6; 32],
        start_block: L1 - 10,
        length: 5760,
        l1_block: L1,
        pool_size: 10,
        recipient_active: true,
        stale: false,
        ..Rounds::unknown()
    }
}

pub fn funds() -> SenderFunds {
    let ether = U256::from(1_000_000_000_000_000_000u64);
    SenderFunds {
        deposit: ether,
        reserve_remaining: ether,
        ..SenderFunds::default()
    }
}

pub fn price(wei: u64) -> Price {
    Price::new(wei, 1u64).unwrap()
}

impl House {
    /// Over books in memory, with shards.
    pub fn open() -> Self {
        let books = Arc::new(MemoryBooks::default());
        Self::over(Arc::clone(&books) as Arc<dyn Books>, books)
    }

    /// Over any books.
    pub fn over(dyn_books: Arc<dyn Books>, books: Arc<MemoryBooks>) -> Self {
        let house = Self::without_shards(dyn_books, books);
        let (fatal, _) = watch::channel(None);
        let supervisor = Supervisor::new(fatal, Arc::clone(&house.metrics)).start();
        for (number, name) in SHARDS.iter().enumerate() {
            let factory = house.payments.factory(number, actix_rt::Arbiter::current());
            supervisor.try_send(Supervise { name, factory }).unwrap();
        }
        // it lives as long as its children tell it of their ends
        std::mem::forget(supervisor);
        house
    }

    /// The pieces, for tests of the state alone.
    pub fn without_shards(dyn_books: Arc<dyn Books>, books: Arc<MemoryBooks>) -> Self {
        let metrics = crate::test_metrics();
        let facts = PaymentFacts::default();
        facts.rounds.publish(rounds());
        facts.gas.publish(Gas {
            last: 10_000_000u64.into(),
            smoothed: 10_000_000u64.into(),
            ..Gas::default()
        });
        facts.prices.publish(Prices {
            default: Some(price(1)),
            ..Prices::default()
        });
        let senders = Senders::new(AddrCell::default(), Arc::clone(&metrics));
        let secret = Arc::new(ArcSwap::from_pointee(QuoteSecret::new([5; 32])));
        let tickets = Arc::new(ArcSwap::from_pointee(TicketTerms {
            ev: EV.into(),
            redeem_gas: 1_200_000,
            max_face_value: U256::zero(),
        }));
        let counter = AtomicU64::new(1);
        let quotes = Quotes::new(QuotesSetup {
            recipient: RECIPIENT,
            secret: Arc::clone(&secret),
            facts: facts.clone(),
            senders: senders.clone(),
            webhook: WebhookPrices::default(),
            terms: Arc::clone(&tickets),
            random: Arc::new(move || {
                let mut seed = [0; 32];
                let number = counter.fetch_add(1, Ordering::Relaxed);
                seed[24..].copy_from_slice(&number.to_be_bytes());
                seed
            }),
            metrics: Arc::clone(&metrics),
        });
        let terms = Arc::new(ArcSwap::from_pointee(CreditTerms {
            ev: Amount::wei(EV),
            by_estimate: true,
            max_exposure: None,
        }));
        let payments = Payments::new(PaymentsSetup {
            recipient: RECIPIENT,
            secret,
            facts: facts.clone(),
            senders: senders.clone(),
            quotes: quotes.clone(),
            terms: Arc::clone(&terms),
            books: dyn_books,
            metrics: Arc::clone(&metrics),
        });
        Self {
            facts,
            senders,
            quotes,
            payments,
            books,
            terms,
            tickets,
            metrics,
            purpose: Purpose::video(),
        }
    }

    /// A gateway with funds on chain.
    pub fn gateway(&self, number: u8) -> Gateway {
        let gateway = Gateway::new(number);
        self.senders.put(gateway.address, funds());
        gateway
    }

    pub async fn quote(&self, gateway: &Gateway) -> Quote {
        self.quotes
            .offer(gateway.address, &self.purpose)
            .await
            .unwrap()
    }

    /// A payment that opens `units` of work.
    pub async fn open_work(
        &self,
        key: &str,
        payment: &pb::Payment,
        units: u64,
    ) -> Result<Receipt, PaymentRefusal> {
        let payment = Payment::from_pb(payment)?;
        let work = Work {
            purpose: &self.purpose,
            stream: "stream",
            units: Some(units),
        };
        self.payments.receive(key, &payment, work).await
    }

    /// A payment that only pays ahead.
    pub async fn pay_ahead(
        &self,
        key: &str,
        payment: &pb::Payment,
    ) -> Result<Receipt, PaymentRefusal> {
        let payment = Payment::from_pb(payment)?;
        let work = Work {
            purpose: &self.purpose,
            stream: "stream",
            units: None,
        };
        self.payments.receive(key, &payment, work).await
    }

    pub async fn refused(&self, key: &str, payment: &pb::Payment) -> String {
        let refusal = self.open_work(key, payment, 0).await.unwrap_err();
        let refusal = protocol::refusal::Refusal::from(refusal);
        assert_eq!(refusal.status(), 400, "{refusal}");
        refusal.wire_text().into_owned()
    }

    pub fn l1_block(&self, l1_block: u64) {
        self.change_rounds(|rounds| rounds.l1_block = l1_block);
    }

    pub fn change_rounds(&self, change: impl FnOnce(&mut Rounds)) {
        let mut rounds = (*self.facts.rounds.get()).clone();
        change(&mut rounds);
        self.facts.rounds.publish(rounds);
    }

    pub fn change_prices(&self, change: impl FnOnce(&mut Prices)) {
        let mut prices = (*self.facts.prices.get()).clone();
        change(&mut prices);
        self.facts.prices.publish(prices);
    }
}

/// Who pays.
pub struct Gateway {
    pub key: SecretKey,
    pub address: Address,
}

impl Gateway {
    pub fn new(number: u8) -> Self {
        let key = SecretKey::from_bytes([number; 32]).unwrap();
        Self {
            address: key.address(),
            key,
        }
    }

    /// Signed tickets under a quote.
    pub fn pay(&self, quote: &Quote, nonces: impl IntoIterator<Item = u32>) -> pb::Payment {
        payment_message(&self.key, &quote.params, quote.price, nonces)
    }

    /// A payment without tickets.
    pub fn claim(&self, price: Option<(i64, i64)>) -> pb::Payment {
        pb::Payment {
            sender: self.address.0.to_vec(),
            expected_price: price.map(|(price_per_unit, pixels_per_unit)| pb::PriceInfo {
                price_per_unit,
                pixels_per_unit,
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}
