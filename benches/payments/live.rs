//! The running node on a chain: payments at a fixed rate, and discovery by gateways with an account.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::client::Caller;
use crate::histogram::Histogram;
use crate::node::{Home, Node};
use crate::payer::{Answer, Payer};
use crate::support::percentile;
use crate::world::{Stakes, World};

/// Gateways, each with so many sessions.
const PAYERS: u8 = 4;
const SESSIONS: u8 = 5;
/// Payments per second of all together.
const RATE: u32 = 1000;
/// How long they pay.
const PAYING: Duration = Duration::from_secs(10);
/// Callers of discovery at once.
const CALLERS: usize = 16;
/// How long they call.
const CALLING: Duration = Duration::from_secs(10);
/// One ticket of a quarter of a million wins: a winner's sync is measured apart.
const RARELY: Stakes = Stakes {
    ev: 8_000_000_000,
    face: 2_000_000_000_000_000,
};

/// What the node did.
#[derive(Debug, Serialize)]
pub struct Seen {
    /// Payments that were answered per second.
    pub payments_per_second: f64,
    /// By the node's own clock: bounds of the buckets that hold the quantiles, ms.
    pub check_p50_below_ms: f64,
    /// See above.
    pub check_p99_below_ms: f64,
    /// Whole requests as gateways see them, ms.
    pub request_p50_ms: f64,
    /// See above.
    pub request_p99_ms: f64,
    /// GetOrchestrator on-chain, a new TLS connection each.
    pub discovery_per_second: f64,
    /// See above.
    pub discovery_p50_ms: f64,
    /// See above.
    pub discovery_p99_ms: f64,
}

/// Starts chain and node, and measures.
pub async fn seen() -> Seen {
    let mut world = World::new(RARELY).await;
    world.home = Home::with_tls();
    let node = world.node(&["-reward=false", "-v", "3"]).await;
    let mut payers = Vec::new();
    for number in 1..=PAYERS {
        payers.push(world.payer(number).await);
    }
    let discovery = discover(&node, &payers).await;
    let (payments_per_second, requests) = pay(&node, &payers).await;
    let (_, page) = node.get("/metrics").await;
    let checks = Histogram::read(&page, "orchestrion_payment_seconds");
    Seen {
        payments_per_second,
        check_p50_below_ms: checks.bound(0.5) * 1000.0,
        check_p99_below_ms: checks.bound(0.99) * 1000.0,
        request_p50_ms: percentile(&requests, 0.5),
        request_p99_ms: percentile(&requests, 0.99),
        discovery_per_second: discovery.0,
        discovery_p50_ms: percentile(&discovery.1, 0.5),
        discovery_p99_ms: percentile(&discovery.1, 0.99),
    }
}

/// Calls per second, and the time of each in ms.
async fn discover(node: &Node, payers: &[Payer]) -> (f64, Vec<f64>) {
    let begun = Instant::now();
    let mut calling = JoinSet::new();
    for payer in payers.iter().cycle().take(CALLERS) {
        let caller = Caller::signed(&node.public, payer.key());
        calling.spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < CALLING {
                let asked = Instant::now();
                let mut connection = caller.connect().await;
                let info = caller.ask(&mut connection).await;
                times.push(asked.elapsed().as_secs_f64() * 1000.0);
                assert!(info.ticket_params.is_some(), "an answer without a quote");
            }
            times
        });
    }
    let times = calling.join_all().await.concat();
    (times.len() as f64 / begun.elapsed().as_secs_f64(), times)
}

/// Payments per second, and the time of each in ms.
async fn pay(node: &Node, payers: &[Payer]) -> (f64, Vec<f64>) {
    let sessions = u32::from(PAYERS) * u32::from(SESSIONS);
    let pace = Duration::from_secs(1) * sessions / RATE;
    let mut paying = JoinSet::new();
    for payer in payers {
        for number in 0..SESSIONS {
            let mut session = payer.session(node, &format!("bench {number}")).await;
            paying.spawn(async move {
                let mut times = Vec::new();
                let mut pace = tokio::time::interval(pace);
                pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let begun = Instant::now();
                while begun.elapsed() < PAYING {
                    pace.tick().await;
                    let payment = session.payment(1);
                    let sent = Instant::now();
                    assert_eq!(session.send(&payment).await, Answer::Taken);
                    times.push(sent.elapsed().as_secs_f64() * 1000.0);
                }
                times
            });
        }
    }
    let times = paying.join_all().await.concat();
    (times.len() as f64 / PAYING.as_secs_f64(), times)
}
