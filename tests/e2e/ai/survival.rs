//! Models die and come back: nothing leaks, discovery tells the truth, the next request is served.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::ai::Pipeline;
use serde::Deserialize;
use serde_json::json;

use super::client::{LLM, drained, kills, native, options, print_absences, start};
use crate::node::{Home, Node};

/// A runner as the operator sees it.
#[derive(Debug, Deserialize)]
struct Runner {
    model: String,
    state: String,
    name: String,
    in_use: usize,
}

async fn runner(node: &Node, model: &str) -> Runner {
    let runners: Vec<Runner> = node.json("/api/v1/models").await;
    let mut runners = runners.into_iter();
    runners
        .find(|runner| runner.model == model)
        .expect("the model's runner")
}

async fn process(node: &Node) -> Pid {
    let found = node.until("a ready runner", async || {
        let runner = runner(node, LLM).await;
        let pid = runner.name.strip_prefix("process ")?.parse().ok()?;
        (runner.state == "ready").then_some(pid)
    });
    Pid::from_raw(found.await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_model_comes_back_under_load_with_every_place() {
    let home = Home::with_tls();
    let (node, asker) = start(&home, &native(2)).await;
    let mut away = Vec::new();
    for _ in 0..kills(5) {
        let pid = process(&node).await;
        let held = asker.long().await;
        kill(pid, Signal::SIGKILL).expect("killed");
        let killed = Instant::now();
        drained(held).await;
        let fresh = node.until("a fresh process with all places", async || {
            let runner = runner(&node, LLM).await;
            let other = runner.name != format!("process {pid}");
            (other && runner.state == "ready" && runner.in_use == 0).then_some(())
        });
        fresh.await;
        assert_eq!(asker.free(Pipeline::Llm, LLM).await, Some(2));
        assert!(!asker.says("Hello", 3).await.is_empty());
        away.push(killed.elapsed());
    }
    print_absences("a native model", away);
    assert_eq!(node.metric("orchestrion_ai_reserved", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_tells_of_a_death_before_two_seconds_are_over() {
    let home = Home::with_tls();
    let (node, asker) = start(&home, &native(1)).await;
    let pid = process(&node).await;
    kill(pid, Signal::SIGKILL).expect("killed");
    let killed = Instant::now();
    node.until(
        "a model that is not advertised, or a fresh one",
        async || {
            let gone = asker.free(Pipeline::Llm, LLM).await.is_none();
            let fresh = runner(&node, LLM).await.name != format!("process {pid}");
            (gone || fresh).then_some(())
        },
    )
    .await;
    assert!(killed.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn models_follow_their_file_while_the_node_runs() {
    let home = Home::with_tls();
    let (node, asker) = start(&home, &native(1)).await;
    let before = process(&node).await;
    options(&home, &json!([native(1)[0]]));
    let (status, text) = node.get("/readyz").await;
    assert_eq!(status, 200, "{text}");
    node.until("an upscaler that is served no more", async || {
        let free = asker.free(Pipeline::Upscale, super::client::UPSCALER).await;
        free.is_none().then_some(())
    })
    .await;
    assert_eq!(
        process(&node).await,
        before,
        "what did not change was left alone"
    );
    assert!(!asker.says("Hello", 3).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_conversations_at_once_take_turns_and_do_not_mix() {
    let home = Home::with_tls();
    let (_node, asker) = start(&home, &native(2)).await;
    let alone = [
        asker.says("List the months of the year.", 24).await,
        asker.says("What is the capital of France?", 24).await,
    ];
    let together = tokio::join!(
        asker.says("List the months of the year.", 24),
        asker.says("What is the capital of France?", 24)
    );
    assert_eq!([together.0, together.1], alone);
}
