//! How many winners a second, alone and grouped, on the disk of the temporary directory: printed, run by hand with
//! `cargo test -p orchestrion-ledger --release -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use ledger::PaymentRecord;
use protocol::address::Address;
use protocol::money::Credit;

use super::data::*;

#[test]
#[ignore = "a measurement"]
fn durable_winners_and_committed_credits_per_second() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    let began = Instant::now();
    let mut alone = 0;
    while began.elapsed() < Duration::from_secs(3) {
        ledger.add_winners(vec![winner(alone)]).wait().unwrap();
        alone += 1;
    }
    println!("alone: {:.0} durable winners/s", f64::from(alone) / 3.0);

    let began = Instant::now();
    let mut flight = std::collections::VecDeque::new();
    let count = 40_000;
    for n in 0..count {
        flight.push_back(ledger.add_winners(vec![winner(1_000_000 + n)]));
        if flight.len() >= 1000
            && let Some(answer) = flight.pop_front()
        {
            answer.wait().unwrap();
        }
    }
    flight
        .into_iter()
        .for_each(|answer| assert_eq!(answer.wait().unwrap().new, 1));
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    println!("grouped (1000 in flight): {rate:.0} durable winners/s");

    let mut times = Vec::new();
    for n in 0..20_000_u32 {
        let payment = PaymentRecord {
            sender: Address([1; 20]),
            key: format!("{}", n % 500),
            balance: Credit::ZERO,
            ..PaymentRecord::default()
        };
        let began = Instant::now();
        ledger.apply_payment(payment).wait().unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    println!(
        "credits alone: p50 {:?}, p99 {:?}, p99.9 {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        times[times.len() * 999 / 1000]
    );
}
