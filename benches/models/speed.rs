//! The native language model beside llama.cpp: the same file, question, threads and number of tokens, in turn.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::{Asker, LLM, native, options, question_of};
use crate::node::{Home, Node};
use crate::rival;
use crate::support::percentile;

const ROUNDS: usize = 5;
const TOKENS: usize = 200;
const STARTS: usize = 5;
const QUESTION: &str = "Write a long story about a dog who finds a treasure.";

#[derive(Debug, Serialize)]
pub struct Speed {
    pub threads: usize,
    pub tokens: usize,
    pub rounds: usize,
    /// Tokens a second, medians.
    pub ours: f64,
    pub theirs: f64,
    pub our_first_ms: f64,
    pub their_first_ms: f64,
    pub starts: usize,
    pub start_ms: f64,
    pub peak_mib: f64,
}

pub async fn measure() -> Speed {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let home = Home::with_tls();
    let mut options = options(&home, &json!([native(1)[0]]));
    options.extend(["-aiThreads".to_owned(), threads.to_string()]);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let node = home.start(&options).await;
    let asker = Asker::of(&node);
    let mut pid = ready(&node, None).await;
    ask(&asker, 8).await;
    let (mut ours, mut theirs, mut our_first, mut their_first) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let (first, rate) = ask(&asker, TOKENS).await;
        ours.push(rate);
        our_first.push(first);
        let answer = rival::ask(threads, TOKENS, QUESTION);
        theirs.push(answer.per_second());
        their_first.push(answer.first_ms());
    }
    let peak_mib = peak(pid);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        kill(pid, Signal::SIGKILL).expect("killed");
        pid = ready(&node, Some(pid)).await;
        starts.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Speed {
        threads,
        tokens: TOKENS,
        rounds: ROUNDS,
        ours: percentile(&ours, 0.5),
        theirs: percentile(&theirs, 0.5),
        our_first_ms: percentile(&our_first, 0.5),
        their_first_ms: percentile(&their_first, 0.5),
        starts: STARTS,
        start_ms: percentile(&starts, 0.5),
        peak_mib,
    }
}

/// The process of the model, once it is ready and not `old`.
async fn ready(node: &Node, old: Option<Pid>) -> Pid {
    loop {
        let runners: Vec<Value> = node.json("/api/v1/models").await;
        let pid = runners.iter().find_map(|runner| {
            let ready = runner["state"] == "ready";
            let name = runner["name"].as_str()?.strip_prefix("process ")?;
            ready.then(|| name.parse().ok().map(Pid::from_raw))?
        });
        match pid {
            Some(pid) if Some(pid) != old => return pid,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Milliseconds to the first token, and tokens a second after it.
async fn ask(asker: &Asker, tokens: usize) -> (f64, f64) {
    let begun = Instant::now();
    let mut answer = asker.chat(question_of(QUESTION, tokens, true)).await;
    assert_eq!(answer.status(), 200);
    let (mut first, mut parts) = (None, 0);
    while let Some(chunk) = answer.chunk().await.expect("the stream goes on") {
        first.get_or_insert_with(Instant::now);
        parts += chunk.windows(6).filter(|six| six == b"data: ").count();
    }
    let first = first.expect("a part");
    // The last part tells the reason of the end.
    assert!(
        parts > tokens / 2,
        "{parts} parts of {tokens} tokens of {LLM}"
    );
    let rate = (tokens - 1) as f64 / first.elapsed().as_secs_f64();
    ((first - begun).as_secs_f64() * 1000.0, rate)
}

/// The most that a process has held, MiB.
fn peak(pid: Pid) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.expect("VmHWM").trim().trim_end_matches(" kB");
    kib.parse::<f64>().expect("a number") / 1024.0
}
