//! Payments: tickets per core, winners per disk, checks of the running node at a steady rate, discovery of paying gateways. Chain,
//! gateways and node are on the same machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a benchmark ends at the first thing that fails"
)]

mod live;
mod validation;
mod winners;

#[allow(dead_code)]
#[path = "../discovery/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../discovery/histogram.rs"]
mod histogram;
#[path = "../support/mod.rs"]
mod support;

// the gateway, the node and the chain of the end-to-end tests
#[allow(dead_code)]
#[path = "../../tests/e2e/gateway.rs"]
mod gateway;
#[allow(dead_code)]
#[path = "../../tests/e2e/media.rs"]
mod media;
#[allow(dead_code)]
#[path = "../../tests/e2e/node.rs"]
mod node;
#[allow(dead_code)]
#[path = "../../tests/e2e/paid/payer.rs"]
mod payer;
#[allow(dead_code)]
#[path = "../../tests/e2e/paid/world.rs"]
mod world;

use std::fmt::Write;

use serde::Serialize;

use support::{GOALS, goal, results};

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Figures {
    per_core: validation::Rates,
    durable: winners::Rates,
    node: live::Seen,
}

#[tokio::main]
async fn main() {
    let per_core = validation::rates();
    eprintln!("{per_core:?}");
    let durable = winners::rates(&results::directory()).await;
    eprintln!("{durable:?}");
    let node = live::seen().await;
    let figures = Figures {
        per_core,
        durable,
        node,
    };
    results::publish("payments", &figures, &figures.markdown());
}

impl Figures {
    fn markdown(&self) -> String {
        let (core, disk, node) = (&self.per_core, &self.durable, &self.node);
        let mut text = format!(
            "### Payments\n\n| | per second |\n|---|---|\n\
             | tickets validated, one core | {:.0} |\n\
             | public keys recovered by libsecp256k1 alone, one core | {:.0} |\n\
             | pages synced by this disk, each before the next | {:.0} |\n\
             | durable winners, each answered before the next | {:.0} |\n\
             | durable winners, 1000 payments under way | {:.0} |\n\n",
            core.tickets, core.recoveries, disk.disk, disk.alone, disk.grouped
        );
        let _ = write!(
            text,
            "{:.0} payments per second to the running node: checked and booked within {:.2} ms (p50) and {:.2} ms (p99) by its \
             own clock, answered after {:.2} ms (p50) and {:.2} ms (p99) as gateways see it. GetOrchestrator of gateways with an \
             account, a new TLS connection each: {:.0}/s, {:.2} ms (p50), {:.2} ms (p99).\n\n",
            node.payments_per_second,
            node.check_p50_below_ms,
            node.check_p99_below_ms,
            node.request_p50_ms,
            node.request_p99_ms,
            node.discovery_per_second,
            node.discovery_p50_ms,
            node.discovery_p99_ms
        );
        text.push_str(GOALS);
        text.push_str(&goal(
            "tickets validated per core",
            "≥ 12000/s",
            &format!(
                "{:.0}/s, {:.0} % of the recoveries alone",
                core.tickets,
                100.0 * core.tickets / core.recoveries
            ),
            core.tickets >= 12_000.0,
        ));
        // the goals are for a disk of 281 commits per second
        let scale = disk.disk / 281.0;
        for (what, seen, wanted) in [
            ("durable winners, alone", disk.alone, 200.0),
            ("durable winners, grouped", disk.grouped, 10_000.0),
        ] {
            text.push_str(&goal(
                what,
                &format!("≥ {wanted:.0}/s where a disk gives 281 commits/s"),
                &format!("{seen:.0}/s, this disk gives {:.0}", disk.disk),
                seen >= wanted * scale.min(1.0),
            ));
        }
        text.push_str(&goal(
            "payment check at 1000/s",
            "p99 < 1 ms",
            &format!(
                "p99 ≤ {:.2} ms at {:.0}/s",
                node.check_p99_below_ms, node.payments_per_second
            ),
            node.check_p99_below_ms <= 1.0 && node.payments_per_second >= 950.0,
        ));
        text.push_str(&goal(
            "GetOrchestrator on-chain, a new TLS connection each",
            "≥ 1200/s, client beside it",
            &format!("{:.0}/s", node.discovery_per_second),
            node.discovery_per_second >= 1200.0,
        ));
        text
    }
}
