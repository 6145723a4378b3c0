//! The node itself: discovery with a new TLS connection for each call, what a segment costs beside its transcode, memory at rest,
//! time to start. The client runs on the same machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a benchmark ends at the first thing that fails"
)]

#[allow(dead_code)]
mod client;
mod histogram;
#[path = "../support/mod.rs"]
mod support;

// the gateway and the node of the end-to-end tests
#[allow(dead_code)]
#[path = "../../tests/e2e/gateway.rs"]
mod gateway;
#[allow(dead_code)]
#[path = "../../tests/e2e/media.rs"]
mod media;
#[allow(dead_code)]
#[path = "../../tests/e2e/node.rs"]
mod node;

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use client::Caller;
use gateway::Gateway;
use histogram::Histogram;
use node::Node;
use support::{GOALS, goal, percentile, results};

/// Callers at once.
const CALLERS: usize = 16;
/// How long they call.
const CALLING: Duration = Duration::from_secs(10);
/// Segments pushed to learn what the node adds; enough that five of them are above the last percentile.
const SEGMENTS: usize = 500;
/// Starts of a fresh node.
const STARTS: usize = 5;
/// How long a node is left alone before its memory is read: the spare worker comes after readiness.
const REST: Duration = Duration::from_secs(3);
/// No limit on callers who have delivered nothing yet; logs as the node keeps them by default.
const OPTIONS: [&str; 4] = ["-failureRatePerMinute", "1000000", "-v", "3"];

/// Calls of one kind.
#[derive(Debug, Serialize)]
struct Calls {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    calls: usize,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Figures {
    callers: usize,
    new_connection: Calls,
    open_connection: Calls,
    overhead_segments: usize,
    overhead_mean_ms: f64,
    overhead_p50_below_ms: f64,
    overhead_share_within_5_ms: f64,
    overhead_p99_below_ms: f64,
    answer_p50_ms: f64,
    answer_p99_ms: f64,
    idle_daemon_mib: f64,
    idle_workers_mib: Vec<f64>,
    used_daemon_mib: f64,
    ready_ms: Vec<f64>,
}

#[tokio::main]
async fn main() {
    let mut ready_ms = Vec::new();
    for _ in 0..STARTS {
        ready_ms.push(ms(Node::start(&OPTIONS).await.ready_after));
    }
    eprintln!("starts: {ready_ms:.0?} ms");

    let node = Node::start(&OPTIONS).await;
    let fresh = rest(&node).await;
    let caller = Caller::new(&node.public);
    let new_connection = calls(&caller, true).await;
    let open_connection = calls(&caller, false).await;
    eprintln!("{new_connection:?}\n{open_connection:?}");

    let answers = push(&node).await;
    let (_, page) = node.get("/metrics").await;
    let overhead = Histogram::read(&page, "orchestrion_node_overhead_seconds");
    assert_eq!(overhead.count() as usize, SEGMENTS, "segments counted");
    let figures = Figures {
        callers: CALLERS,
        new_connection,
        open_connection,
        overhead_segments: SEGMENTS,
        overhead_mean_ms: overhead.mean() * 1000.0,
        overhead_p50_below_ms: overhead.bound(0.5) * 1000.0,
        overhead_share_within_5_ms: overhead.share(0.005),
        overhead_p99_below_ms: overhead.bound(0.99) * 1000.0,
        answer_p50_ms: percentile(&answers, 0.5),
        answer_p99_ms: percentile(&answers, 0.99),
        idle_daemon_mib: fresh.0,
        idle_workers_mib: fresh.1,
        used_daemon_mib: rest(&node).await.0,
        ready_ms,
    };
    results::publish("discovery", &figures, &figures.markdown());
}

/// Callers ask one after the other, each call on a connection of its own or all on one.
async fn calls(caller: &Caller, anew: bool) -> Calls {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..CALLERS {
        let caller = caller.clone();
        running.spawn(async move {
            let mut times = Vec::new();
            let mut open = caller.connect().await;
            while begun.elapsed() < CALLING {
                let asked = Instant::now();
                if anew {
                    open = caller.connect().await;
                }
                let info = caller.ask(&mut open).await;
                times.push(ms(asked.elapsed()));
                assert!(info.auth_token.is_some(), "an answer without a token");
            }
            times
        });
    }
    let times = running.join_all().await.concat();
    Calls {
        per_second: times.len() as f64 / begun.elapsed().as_secs_f64(),
        p50_ms: percentile(&times, 0.5),
        p99_ms: percentile(&times, 0.99),
        calls: times.len(),
    }
}

/// Pushes small segments one after the other; ms from the first byte sent to the whole answer.
async fn push(node: &Node) -> Vec<f64> {
    let stream = Gateway::of(node).stream("bench", gateway::small()).await;
    let clips = media::stream();
    let mut times = Vec::new();
    for (seq, clip) in clips.iter().cycle().take(SEGMENTS).enumerate() {
        let asked = Instant::now();
        let answer = stream.push(seq as i64, clip).await;
        times.push(ms(asked.elapsed()));
        answer.outcome.expect("a transcoded segment");
    }
    times
}

/// Resident MiB of the daemon and of the workers it keeps, after a rest.
async fn rest(node: &Node) -> (f64, Vec<f64>) {
    tokio::time::sleep(REST).await;
    let mib = |pid| Node::resident(pid) as f64 / f64::from(1 << 20);
    let workers = node.worker_processes().into_iter().map(mib).collect();
    (mib(node.pid()), workers)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

impl Figures {
    fn markdown(&self) -> String {
        let mut text = format!(
            "### The node\n\n| GetOrchestrator, {} callers | calls/s | p50 ms | p99 ms |\n|---|---|---|---|\n",
            self.callers
        );
        for (name, calls) in [
            ("a new TLS connection each", &self.new_connection),
            ("one open connection per caller", &self.open_connection),
        ] {
            let _ = writeln!(
                text,
                "| {name} | {:.0} | {:.2} | {:.2} |",
                calls.per_second, calls.p50_ms, calls.p99_ms
            );
        }
        let slowest = self.ready_ms.iter().copied().fold(0.0, f64::max);
        let ready: Vec<String> = self
            .ready_ms
            .iter()
            .map(|time| format!("{time:.0}"))
            .collect();
        let workers: Vec<String> = self
            .idle_workers_mib
            .iter()
            .map(|mib| format!("{mib:.0}"))
            .collect();
        let _ = write!(
            text,
            "\n{} segments of 320x180, one rendition of 160x90, one after the other: answer after {:.0} ms (p50), {:.0} ms (p99).\n\
             What the node adds to the worker's time: mean {:.2} ms. Ready after {} ms in {STARTS} starts. At rest the daemon takes \
             {:.0} MiB, its spare worker {} MiB; after all calls and segments the daemon {:.0} MiB.\n\n",
            self.overhead_segments,
            self.answer_p50_ms,
            self.answer_p99_ms,
            self.overhead_mean_ms,
            ready.join(", "),
            self.idle_daemon_mib,
            workers.join(", "),
            self.used_daemon_mib
        );
        let idle = self.idle_daemon_mib + self.idle_workers_mib.iter().sum::<f64>();
        text.push_str(GOALS);
        let rate = self.new_connection.per_second;
        text.push_str(&goal(
            "GetOrchestrator, a new TLS connection each",
            "≥ 1500/s, client beside it",
            &format!("{rate:.0}/s"),
            rate >= 1500.0,
        ));
        text.push_str(&goal(
            "node overhead per segment",
            "p99 ≤ 5 ms",
            &format!(
                "p50 ≤ {:.1} ms, p99 ≤ {:.1} ms, {:.1} % within 5 ms",
                self.overhead_p50_below_ms,
                self.overhead_p99_below_ms,
                self.overhead_share_within_5_ms * 100.0
            ),
            self.overhead_p99_below_ms <= 5.0,
        ));
        text.push_str(&goal(
            "memory at rest, daemon and spare worker",
            "< 80 MiB",
            &format!("{idle:.0} MiB"),
            idle < 80.0,
        ));
        text.push_str(&goal(
            "ready after start",
            "< 1 s",
            &format!("{slowest:.0} ms, the slowest of {STARTS}"),
            slowest < 1000.0,
        ));
        text
    }
}
