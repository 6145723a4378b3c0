//! Laws over random histories: money adds up to the wei, no ticket counts twice, only paid use fixes a price, and a
//! gateway that does its own books as the reference's does is never refused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::FutureExt;
use proptest::prelude::*;
use protocol::money::{Amount, Credit, Payment, Price, U256, estimated_fee, tickets_needed};
use protocol::signature::Hash;
use tokio::time::Instant;

use super::super::check;
use super::super::session::CreditTerms;
use super::super::shard::{Arrival, Judged, Shard};
use super::super::{Books, PaymentRefusal};
use super::books::MemoryBooks;
use super::house::*;
use crate::quotes::Quote;

/// The state alone, with its books: what the actor does, without it.
struct Desk {
    house: House,
    shard: Shard,
    now: Instant,
}

impl Desk {
    fn new() -> Self {
        let books = Arc::new(MemoryBooks::default());
        let house = House::without_shards(Arc::clone(&books) as Arc<dyn Books>, books);
        Self {
            house,
            shard: Shard::default(),
            now: Instant::now(),
        }
    }

    fn terms(&self) -> CreditTerms {
        **self.house.terms.load()
    }

    fn quote(&self, gateway: &Gateway, key: &str) -> Quote {
        let fixed = self.fixed(gateway, key);
        let quote = self
            .house
            .quotes
            .renew(gateway.address, key, fixed, &self.house.purpose);
        quote.now_or_never().unwrap().unwrap()
    }

    fn fixed(&self, gateway: &Gateway, key: &str) -> Option<Price> {
        self.shard.session(gateway.address, key)?.fixed
    }

    fn balance(&self, gateway: &Gateway, key: &str) -> Credit {
        let session = self.shard.session(gateway.address, key);
        session.map_or(Credit::ZERO, |session| session.balance)
    }

    fn receive(
        &mut self,
        key: &str,
        message: &protocol::pb::Payment,
        units: Option<u64>,
    ) -> Judged {
        let payment = Payment::from_pb(message).unwrap();
        let batch = payment.batch.as_ref().map(|batch| {
            let checked = self
                .house
                .payments
                .check(&payment, batch, &self.house.purpose);
            futures::executor::block_on(checked).unwrap()
        });
        let list_price = self
            .house
            .quotes
            .list_price(payment.sender, &self.house.purpose);
        let arrival = Arrival {
            sender: payment.sender,
            key: key.to_owned(),
            stream: String::new(),
            sent_price: payment.expected_price,
            batch,
            units,
            list_price: list_price.ok(),
        };
        let l1_block = self.house.facts.rounds.load().l1_block;
        let metrics = &self.house.metrics.payments;
        let terms = self.terms();
        let mut judged = self
            .shard
            .receive(arrival, &terms, l1_block, self.now, metrics);
        if let Some(record) = judged.record.take() {
            self.house
                .books
                .apply(record)
                .now_or_never()
                .unwrap()
                .unwrap();
        }
        judged
    }

    fn debit(&mut self, gateway: &Gateway, key: &str, charge: Amount) {
        let balance = self
            .shard
            .debit(gateway.address, key, charge, false, self.now)
            .unwrap();
        let stored = self.house.books.set_balance(gateway.address, key, balance);
        stored.now_or_never().unwrap().unwrap();
    }

    fn restart(&mut self) {
        let books = &self.house.books;
        let credits = books.load_credits(std::time::Duration::ZERO, 0);
        let nonces = books.load_nonces(0);
        self.shard = Shard::from_books(
            credits.now_or_never().unwrap().unwrap(),
            nonces.now_or_never().unwrap().unwrap(),
            |_| true,
            self.now,
        );
    }
}

/// Cases of a usual run; `PROPTEST_CASES` asks for another number.
fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// So many tickets, with a bad signature at one place, perhaps.
    Pay {
        key: u8,
        tickets: u8,
        bad: Option<u8>,
    },
    /// An earlier payment again, under any key.
    Replay {
        key: u8,
        which: u16,
    },
    /// No tickets, any price that is one.
    Claim {
        key: u8,
        price: (u32, u32),
    },
    Debit {
        key: u8,
        charge: u64,
    },
    L1 {
        blocks: u8,
    },
    Price {
        wei: u16,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0u8..3;
    prop_oneof![
        4 => (key.clone(), 0u8..6, prop::option::weighted(0.2, 0u8..6))
            .prop_map(|(key, tickets, bad)| Step::Pay { key, tickets, bad }),
        3 => (key.clone(), any::<u16>()).prop_map(|(key, which)| Step::Replay { key, which }),
        2 => (key.clone(), (0u32..5, 1u32..5)).prop_map(|(key, price)| Step::Claim { key, price }),
        3 => (key, any::<u64>()).prop_map(|(key, charge)| Step::Debit { key, charge }),
        1 => (0u8..50).prop_map(|blocks| Step::L1 { blocks }),
        1 => (1u16..100).prop_map(|wei| Step::Price { wei }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn a_balance_is_credits_less_debits_to_the_wei_and_no_replay_credits(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let mut desk = Desk::new();
        let gateway = desk.house.gateway(1);
        let keys = ["a", "b", "c"];
        let mut expected: HashMap<&str, Credit> = HashMap::new();
        let mut paid: HashMap<&str, Price> = HashMap::new();
        let mut counted: HashSet<(Hash, u32)> = HashSet::new();
        let mut earlier: Vec<protocol::pb::Payment> = Vec::new();
        for step in steps {
            let (key, payment) = match step {
                Step::Pay { key, tickets, bad } => {
                    let key = keys[usize::from(key)];
                    let quote = desk.quote(&gateway, key);
                    let mut payment = gateway.pay(&quote, 1..=u32::from(tickets));
                    if let Some(bad) = bad
                        && let Some(ticket) = payment.ticket_sender_params.get_mut(usize::from(bad))
                    {
                        ticket.sig[7] ^= 1;
                    }
                    earlier.push(payment.clone());
                    (key, payment)
                }
                Step::Replay { key, which } => {
                    let Some(payment) = earlier.get(usize::from(which) % earlier.len().max(1)) else {
                        continue;
                    };
                    (keys[usize::from(key)], payment.clone())
                }
                Step::Claim { key, price: (wei, units) } => {
                    let claim = gateway.claim(Some((wei.into(), units.into())));
                    (keys[usize::from(key)], claim)
                }
                Step::Debit { key, charge } => {
                    let key = keys[usize::from(key)];
                    desk.debit(&gateway, key, Amount::wei(charge));
                    expected.entry(key).or_default().debit(Amount::wei(charge));
                    continue;
                }
                Step::L1 { blocks } => {
                    let l1_block = desk.house.facts.rounds.load().l1_block;
                    desk.house.l1_block(l1_block + u64::from(blocks));
                    continue;
                }
                Step::Price { wei } => {
                    desk.house.change_prices(|prices| prices.default = Some(price(wei.into())));
                    continue;
                }
                Step::Restart => {
                    desk.restart();
                    continue;
                }
            };
            let l1_block = desk.house.facts.rounds.load().l1_block;
            let fixed_before = desk.fixed(&gateway, key);
            let judged = desk.receive(key, &payment, Some(0));
            // the same by the rules: tickets before the first bad one, each once, at their value
            let mut value = Amount::ZERO;
            let mut sound = true;
            let checked = Payment::from_pb(&payment).unwrap();
            let too_low = fixed_before
                .zip(checked.expected_price)
                .is_some_and(|(fixed, sent)| sent < fixed);
            for batch in checked.batch.iter().filter(|_| !too_low) {
                let rand_hash = batch.params.recipient_rand_hash;
                for ticket in &batch.tickets {
                    let made = batch.params.ticket(checked.sender, ticket.nonce);
                    let signed = ticket.sig.is_some_and(|sig| made.is_signed_by_sender(&sig));
                    let fresh = signed && counted.insert((rand_hash, ticket.nonce));
                    sound &= fresh && l1_block < batch.params.expiration_block;
                    if sound {
                        value = value.plus(batch.params.ticket_value());
                    }
                }
            }
            prop_assert_eq!(judged.credited, value);
            expected.entry(key).or_default().credit(value);
            if !value.is_zero() {
                paid.entry(key).or_insert(checked.expected_price.unwrap());
            }
            for key in keys {
                let balance = expected.get(key).copied().unwrap_or_default();
                prop_assert_eq!(desk.balance(&gateway, key), balance);
                let stored = desk.house.books.balance(gateway.address, key).unwrap_or_default();
                prop_assert_eq!(stored, balance);
                prop_assert_eq!(desk.fixed(&gateway, key), paid.get(key).copied());
            }
        }
    }
}

/// The gateway's own mirror of a balance, kept as the reference keeps it.
struct Mirror {
    gateway: Gateway,
    key: String,
    credit: Credit,
    quote: Quote,
    nonce: u32,
}

#[derive(Debug, Clone)]
enum Turn {
    /// A segment: estimated pixels, encoded share of them in percent, and how it ends.
    Segment {
        pixels: u32,
        share: u8,
        end: End,
    },
    /// Two at once.
    Both {
        pixels: (u32, u32),
        first_ends_first: bool,
    },
    /// A new token, and so a new session.
    NewSession,
    L1 {
        blocks: u8,
    },
    Price {
        wei: u16,
    },
    Ev {
        billions: u8,
    },
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// The answer began and broke: the gateway writes its credit off.
    Broken,
    /// No answer was seen and no work was done: the gateway forgets the tickets.
    NoAnswer,
}

fn turn() -> impl Strategy<Value = Turn> {
    let pixels = 1u32..2_000_000_000;
    let end = prop_oneof![6 => Just(End::Done), 1 => Just(End::Broken), 1 => Just(End::NoAnswer)];
    prop_oneof![
        8 => (pixels.clone(), 0u8..=102, end).prop_map(|(pixels, share, end)| Turn::Segment { pixels, share, end }),
        2 => ((pixels.clone(), pixels), any::<bool>())
            .prop_map(|(pixels, first_ends_first)| Turn::Both { pixels, first_ends_first }),
        1 => Just(Turn::NewSession),
        1 => (0u8..30).prop_map(|blocks| Turn::L1 { blocks }),
        1 => (1u16..50).prop_map(|wei| Turn::Price { wei }),
        1 => (1u8..30).prop_map(|billions| Turn::Ev { billions }),
        1 => Just(Turn::Restart),
    ]
}

impl Mirror {
    /// Sets all credit aside and makes the payment for a segment.
    fn pay(&mut self, pixels: u32) -> (protocol::pb::Payment, Credit, Amount) {
        let fee = estimated_fee(&self.quote.price, pixels.into());
        let value = self.quote.params.ticket_value();
        let old = std::mem::take(&mut self.credit);
        let count = tickets_needed(fee, value, &old);
        let nonces = self.nonce + 1..=self.nonce + count;
        self.nonce += count;
        (
            self.gateway.pay(&self.quote, nonces),
            old,
            value.times(count),
        )
    }

    fn settle(&mut self, old: Credit, sent: Amount, charge: Amount) {
        let mut left = old;
        left.credit(sent);
        left.debit(charge);
        if left.is_negative() {
            self.credit.debit(left.magnitude());
        } else {
            self.credit.credit(left.magnitude());
        }
    }

    /// A new token: a session without history, for both.
    fn begin(&mut self, desk: &Desk, number: u32) {
        self.key = number.to_string();
        self.credit = Credit::ZERO;
        self.adopt(desk.quote(&self.gateway, &self.key));
    }

    fn adopt(&mut self, quote: Quote) {
        self.quote = quote;
        self.nonce = 0;
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn an_honest_gateway_is_never_refused(turns in prop::collection::vec(turn(), 1..30)) {
        let mut desk = Desk::new();
        let gateway = desk.house.gateway(1);
        let quote = desk.quote(&gateway, "0");
        let mut mirror = Mirror { gateway, key: "0".into(), credit: Credit::ZERO, quote, nonce: 0 };
        let mut sessions = 0u32;
        for turn in turns {
            // a gateway that fails so often under one set of parameters has left
            if mirror.nonce > 300 {
                sessions += 1;
                mirror.begin(&desk, sessions);
            }
            match turn {
                Turn::Segment { pixels, share, end } => {
                    let (payment, old, sent) = mirror.pay(pixels);
                    let judged = desk.receive(&mirror.key, &payment, Some(pixels.into()));
                    let accepted = judged.verdict.map_err(|refusal: PaymentRefusal| {
                        TestCaseError::fail(format!("{refusal} for {pixels} pixels"))
                    })?;
                    let done = u64::from(pixels) * u64::from(share) / 100;
                    let charge = Amount::charge(&accepted.price, done);
                    if let Some((reserved, amount)) = accepted.reserved {
                        let left = reserved.lock().minus(amount);
                        *reserved.lock() = left;
                    }
                    match end {
                        End::Done => {
                            prop_assert_eq!(accepted.price, mirror.quote.price);
                            desk.debit(&mirror.gateway, &mirror.key, charge);
                            mirror.settle(old, sent, charge);
                            let quote = desk.quote(&mirror.gateway, &mirror.key);
                            mirror.adopt(quote);
                        }
                        // old credit and new tickets are written off
                        End::Broken => mirror.settle(Credit::ZERO, Amount::ZERO, Amount::ZERO),
                        End::NoAnswer => mirror.settle(old, Amount::ZERO, Amount::ZERO),
                    }
                }
                Turn::Both { pixels: (one, two), first_ends_first } => {
                    let first = mirror.pay(one);
                    let second = mirror.pay(two);
                    let mut ends = Vec::new();
                    for ((payment, old, sent), pixels) in [(first, one), (second, two)] {
                        let judged = desk.receive(&mirror.key, &payment, Some(pixels.into()));
                        let accepted = judged.verdict.map_err(|refusal| {
                            TestCaseError::fail(format!("{refusal} for {pixels} pixels at once"))
                        })?;
                        ends.push((accepted, old, sent, pixels));
                    }
                    if !first_ends_first {
                        ends.reverse();
                    }
                    for (accepted, old, sent, pixels) in ends {
                        let charge = Amount::charge(&accepted.price, pixels.into());
                        if let Some((reserved, amount)) = accepted.reserved {
                            let left = reserved.lock().minus(amount);
                            *reserved.lock() = left;
                        }
                        desk.debit(&mirror.gateway, &mirror.key, charge);
                        mirror.settle(old, sent, charge);
                    }
                    let quote = desk.quote(&mirror.gateway, &mirror.key);
                    mirror.adopt(quote);
                }
                Turn::NewSession => {
                    sessions += 1;
                    mirror.begin(&desk, sessions);
                }
                Turn::L1 { blocks } => {
                    let l1_block = desk.house.facts.rounds.load().l1_block + u64::from(blocks);
                    desk.house.l1_block(l1_block);
                    // a gateway asks anew when its parameters are about to end, and gets a new session
                    if mirror.quote.params.expiration_block <= l1_block + 1 {
                        sessions += 1;
                        mirror.begin(&desk, sessions);
                    }
                }
                Turn::Price { wei } => {
                    desk.house.change_prices(|prices| prices.default = Some(price(wei.into())));
                }
                // another -ticketEV takes a restart; parameters that are out keep theirs
                Turn::Ev { billions } => {
                    let ev = U256::from(u64::from(billions) * 1_000_000_000);
                    let mut tickets = **desk.house.tickets.load();
                    tickets.ev = ev;
                    desk.house.tickets.store(Arc::new(tickets));
                    let mut terms = desk.terms();
                    terms.ev = Amount::wei(ev);
                    desk.house.terms.store(Arc::new(terms));
                    desk.restart();
                }
                Turn::Restart => desk.restart(),
            }
        }
    }
}

#[test]
fn a_restart_with_a_larger_ticket_refuses_nobody_who_paid_before_it() {
    let mut desk = Desk::new();
    let gateway = desk.house.gateway(1);
    let quote = desk.quote(&gateway, "s");
    assert!(
        desk.receive("s", &gateway.pay(&quote, [1]), Some(1))
            .verdict
            .is_ok()
    );
    let mut terms = desk.terms();
    terms.ev = Amount::wei(4 * EV);
    desk.house.terms.store(Arc::new(terms));
    desk.restart();
    // the gateway knows of one ticket's worth of credit, and that this was enough
    let claim = gateway.claim(Some((1, 1)));
    assert!(desk.receive("s", &claim, Some(EV / 2)).verdict.is_ok());
    let too_much = desk.receive("s", &claim, Some(EV)).verdict.unwrap_err();
    assert_eq!(too_much, PaymentRefusal::Balance);
}

#[test]
fn nonces_of_ended_parameters_are_dropped_by_the_clock_that_refuses_them_and_later() {
    let mut desk = Desk::new();
    let gateway = desk.house.gateway(1);
    for _ in 0..20 {
        let quote = desk.quote(&gateway, "s");
        let payment = gateway.pay(&quote, [1]);
        assert!(desk.receive("s", &payment, None).verdict.is_ok());
    }
    assert_eq!(desk.shard.nonce_sets(), 20);
    let ended = L1 + 40 + super::super::NONCES_KEPT_BLOCKS;
    desk.house.l1_block(ended - 1);
    desk.receive("s", &gateway.claim(None), None);
    assert_eq!(desk.shard.nonce_sets(), 20);
    desk.house.l1_block(ended);
    desk.receive("s", &gateway.claim(None), None);
    assert_eq!(desk.shard.nonce_sets(), 0);
}

/// `cargo test --release -- --ignored --nocapture tickets_per_second` prints the figure of this machine.
#[test]
#[ignore = "a measurement"]
fn tickets_per_second() {
    let desk = Desk::new();
    let gateway = desk.house.gateway(1);
    let quote = desk.quote(&gateway, "s");
    let payment = Payment::from_pb(&gateway.pay(&quote, 1..=600)).unwrap();
    let batch = payment.batch.as_ref().unwrap();
    let began = std::time::Instant::now();
    let mut checked = 0;
    while began.elapsed().as_secs() < 3 {
        let batch = futures::executor::block_on(check::tickets(
            gateway.address,
            batch,
            protocol::money::RecipientRand::from_bytes([1; 32]),
        ));
        checked += batch.tickets.len();
    }
    println!(
        "{:.0} tickets/s on one core",
        checked as f64 / began.elapsed().as_secs_f64()
    );
}
