//! Kill −9 while winners and credits are written: what was acknowledged is there afterwards, whatever the moment.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use ledger::{Ledger, NonceUse, PaymentRecord, TicketFilter};
use protocol::address::Address;
use protocol::money::{Amount, Credit};
use protocol::signature::keccak256;

use super::data::*;

/// Kills in a run of the test suite; `LEDGER_KILLS` sets more.
const KILLS: u32 = 60;

fn payment(run: u32, n: u32) -> PaymentRecord {
    let mut balance = Credit::ZERO;
    balance.credit(Amount::wei(n));
    PaymentRecord {
        sender: Address([7; 20]),
        key: format!("run {run}"),
        balance,
        fixed_price: None,
        nonces: vec![NonceUse {
            rand_hash: keccak256(run.to_be_bytes()),
            expiration_block: 1000,
            nonces: vec![n],
        }],
        // every eighth payment wins
        winners: match n % 8 {
            0 => vec![winner(run << 16 | n)],
            _ => Vec::new(),
        },
    }
}

/// Writes until it is killed, several payments in flight, and says what was acknowledged.
#[test]
#[ignore = "the process that acknowledged_work_survives_kill_9 kills"]
fn victim() {
    let file = std::env::var("LEDGER_FILE").expect("run by its parent");
    let run: u32 = std::env::var("LEDGER_RUN").unwrap().parse().unwrap();
    let ledger = Ledger::open(file, options()).unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready").unwrap();
    let mut flight = std::collections::VecDeque::new();
    for n in 1.. {
        flight.push_back((n, ledger.apply_payment(payment(run, n))));
        if flight.len() > 5
            && let Some((n, answer)) = flight.pop_front()
        {
            answer.wait().unwrap();
            writeln!(out, "ack {n}").unwrap();
            out.flush().unwrap();
        }
    }
}

#[test]
fn acknowledged_work_survives_kill_9() {
    let kills = std::env::var("LEDGER_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(KILLS);
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let mut acknowledged: HashMap<u32, u32> = HashMap::new();
    let mut random = 1_u64;
    let (mut crashes, mut total) = (0, 0_u64);
    for run in 1..=kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::victim", "--ignored", "--nocapture"])
            .env("LEDGER_FILE", &file)
            .env("LEDGER_RUN", run.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // a moment without a pattern: after so many acknowledgements, wherever the writer then is
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let until = 1 + (random >> 33) % 150;
        let mut last = 0;
        let mut heard = 0;
        for line in lines.by_ref() {
            if let Some(n) = line.unwrap().strip_prefix("ack ") {
                last = n.parse().unwrap();
                heard += 1;
                if heard == until {
                    break;
                }
            }
        }
        child.kill().unwrap();
        // what it still said before it died counts as well
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("ack ").and_then(|n| n.parse().ok()) {
                last = n;
            }
        }
        child.wait().unwrap();
        assert!(last > 0, "run {run} acknowledged nothing");
        acknowledged.insert(run, last);
        total += u64::from(last);
        // two of three times the next child recovers the file, else this process does
        if run % 3 == 0 || run == kills {
            let ledger = open(&file);
            crashes += u32::from(ledger.opened().after_crash);
            check(&ledger, &acknowledged);
            close(ledger);
        }
    }
    assert!(crashes > 0, "no file was found as a crash leaves it");
    println!("{kills} kills, {total} payments acknowledged, none lost");
}

fn check(ledger: &Ledger, acknowledged: &HashMap<u32, u32>) {
    let credits = ledger
        .load_credits(Duration::from_secs(86_400), u32::MAX)
        .wait()
        .unwrap();
    let balances: HashMap<_, _> = credits
        .entries
        .iter()
        .map(|e| (e.key.clone(), e.balance))
        .collect();
    let nonces = ledger.load_nonces(0).wait().unwrap();
    let nonces: HashMap<_, _> = nonces
        .into_iter()
        .map(|e| (e.rand_hash, e.nonces))
        .collect();
    let mut winners = HashSet::new();
    let mut after = Some(0);
    while let Some(place) = after {
        let page = ledger
            .tickets(TicketFilter::default().after(place))
            .wait()
            .unwrap();
        assert_eq!(page.unreadable, Vec::<String>::new());
        for ticket in page.tickets {
            assert!(winners.insert(ticket.winner.ticket.nonce), "stored twice");
        }
        after = page.next;
    }
    for (run, last) in acknowledged {
        let last = *last;
        let balance = balances[&format!("run {run}")]
            .magnitude()
            .whole_wei()
            .as_u32();
        // up to six were in flight: stored as a whole or not at all, in order
        assert!(
            (last..=last + 6).contains(&balance),
            "run {run}: {balance} after {last}"
        );
        let seen = &nonces[&keccak256(run.to_be_bytes())];
        for n in 1..=last {
            assert!(seen.contains(n), "run {run}: nonce {n} of {last}");
        }
        for n in (8..=balance).step_by(8) {
            assert!(
                winners.contains(&(run << 16 | n)),
                "run {run}: winner {n} of {last}"
            );
        }
        for n in (8..=last + 64).step_by(8).filter(|n| *n > balance) {
            assert!(
                !winners.contains(&(run << 16 | n)),
                "run {run}: half a payment at {n}"
            );
        }
    }
}
