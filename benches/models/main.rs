//! AI: what the node adds to a runner's answer, the native language model beside llama.cpp, a native model's start and memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a benchmark ends at the first thing that fails"
)]

mod overhead;
mod rival;
mod speed;
#[path = "../support/mod.rs"]
mod support;

// the gateway and the node of the end-to-end tests
#[allow(dead_code)]
#[path = "../../tests/e2e/ai/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../../tests/e2e/gateway.rs"]
mod gateway;
#[allow(dead_code)]
#[path = "../../tests/e2e/media.rs"]
mod media;
#[allow(dead_code)]
#[path = "../../tests/e2e/node.rs"]
mod node;

use serde::Serialize;

use overhead::Overhead;
use speed::Speed;
use support::{GOALS, goal, results};

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Figures {
    text: Overhead,
    picture: Overhead,
    speed: Speed,
}

#[tokio::main]
async fn main() {
    let [text, picture] = overhead::measure().await;
    let speed = speed::measure().await;
    let figures = Figures {
        text,
        picture,
        speed,
    };
    results::publish("models", &figures, &figures.markdown());
}

impl Figures {
    fn markdown(&self) -> String {
        let speed = &self.speed;
        let mut text = format!(
            "### AI\n\n| {} requests, one after the other | runner p50 ms | p99 ms | through the node p50 ms | p99 ms |\n|---|---|---|---|---|\n{}{}\n",
            self.text.requests,
            self.text.row("a short text"),
            self.picture.row("a picture of 1 MB"),
        );
        text.push_str(&format!(
            "SmolLM2 135M (Q4_1), {} threads, {} tokens, {} rounds in turn: the node {:.1} tokens/s, llama.cpp {:.1} (medians), first \
             token after {:.0} and {:.0} ms. The model is ready {:.0} ms after its process was killed (median of {}), and held {:.0} \
             MiB at most.\n\n",
            speed.threads,
            speed.tokens,
            speed.rounds,
            speed.ours,
            speed.theirs,
            speed.our_first_ms,
            speed.their_first_ms,
            speed.start_ms,
            speed.starts,
            speed.peak_mib,
        ));
        text.push_str(GOALS);
        for (what, overhead) in [("a short text", &self.text), ("a picture", &self.picture)] {
            text.push_str(&goal(
                &format!("what the node adds to {what}"),
                "p99 ≤ 3 ms",
                &format!(
                    "p50 {:.2} ms, p99 {:.2} ms",
                    overhead.added(0.5),
                    overhead.added(0.99)
                ),
                overhead.added(0.99) <= 3.0,
            ));
        }
        text.push_str(&goal(
            "tokens/s beside llama.cpp",
            "≥ 0.8",
            &format!("{:.2}", speed.ours / speed.theirs),
            speed.ours >= 0.8 * speed.theirs,
        ));
        text
    }
}
