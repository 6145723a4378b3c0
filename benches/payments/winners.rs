//! Winners made durable, one after the other and many at once, beside what the disk gives for single commits.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use ledger::{Ledger, Options, PaymentRecord};
use protocol::address::Address;
use protocol::money::{Credit, ExpirationParams, RecipientRand, Ticket, U256, WinningTicket};
use protocol::signature::keccak256;
use serde::Serialize;

/// How long each is measured.
const MEASURING: Duration = Duration::from_secs(3);
/// Payments under way at once.
const AT_ONCE: usize = 1000;
/// Payments measured so.
const MANY: u32 = 40_000;
/// Bytes of a commit: a page of the database.
const PAGE: usize = 4096;

/// Per second.
#[derive(Debug, Serialize)]
pub struct Rates {
    /// Pages written and synced, each before the next.
    pub disk: f64,
    /// Payments with a winner, each answered before the next.
    pub alone: f64,
    /// The same with [`AT_ONCE`] under way.
    pub grouped: f64,
}

/// Measures in a fresh directory inside `directory`.
pub async fn rates(directory: &Path) -> Rates {
    let fresh = tempfile::tempdir_in(directory).expect("directory");
    let disk = disk(&fresh.path().join("pages"));
    let ledger = Ledger::open(fresh.path().join(ledger::FILE_NAME), Options::default());
    let ledger = ledger.expect("database");
    let (begun, mut number) = (Instant::now(), 0);
    while begun.elapsed() < MEASURING {
        ledger.apply_payment(paid(number)).await.expect("stored");
        number += 1;
    }
    let alone = f64::from(number) / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut under_way = VecDeque::new();
    for number in number..number + MANY {
        under_way.push_back(ledger.apply_payment(paid(number)));
        if under_way.len() >= AT_ONCE
            && let Some(first) = under_way.pop_front()
        {
            first.await.expect("stored");
        }
    }
    for rest in under_way {
        rest.await.expect("stored");
    }
    let grouped = f64::from(MANY) / begun.elapsed().as_secs_f64();
    ledger.close().await.expect("closed");
    Rates {
        disk,
        alone,
        grouped,
    }
}

fn disk(file: &Path) -> f64 {
    let file = File::create(file).expect("file");
    let page = [7; PAGE];
    let (begun, mut times) = (Instant::now(), 0);
    while begun.elapsed() < MEASURING {
        file.write_all_at(&page, times * PAGE as u64)
            .expect("write");
        file.sync_data().expect("sync");
        times += 1;
    }
    times as f64 / begun.elapsed().as_secs_f64()
}

/// A payment whose one ticket won.
fn paid(number: u32) -> PaymentRecord {
    let sender = Address([1; 20]);
    let recipient_rand = RecipientRand::from_bytes(keccak256(number.to_be_bytes()));
    let mut sig = [27; 65];
    sig[..32].copy_from_slice(&keccak256(format!("signature {number}")));
    let ticket = Ticket {
        recipient: Address([2; 20]),
        sender,
        face_value: U256::from(1_200_000_000_000_000_u64),
        win_prob: U256::MAX,
        nonce: number,
        recipient_rand_hash: recipient_rand.hash(),
        expiration: ExpirationParams {
            creation_round: 3333,
            creation_round_block_hash: [5; 32],
        },
    };
    PaymentRecord {
        sender,
        key: format!("{}", number % 500),
        balance: Credit::ZERO,
        winners: vec![WinningTicket {
            ticket,
            sig,
            recipient_rand,
            expiration_block: 19_000_040,
        }],
        ..PaymentRecord::default()
    }
}
