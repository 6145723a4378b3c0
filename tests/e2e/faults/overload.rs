//! Ten times as much work is offered as the node takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::{load_time, percentile};
use crate::gateway::{Gateway, Stream, small};
use crate::media;
use crate::node::Node;

/// Streams that the node takes.
const TAKEN: usize = 4;
/// Streams offered beyond.
const BEYOND: usize = 40;
/// A segment of each stream comes so often.
const PACE: Duration = Duration::from_millis(500);

/// Does `once` with each sequence number at the pace of a stream until told to stop; how long each took.
async fn at_pace<F: Future<Output = Duration>>(
    stop: Arc<AtomicBool>,
    mut once: impl FnMut(i64) -> F,
) -> Vec<Duration> {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut took = Vec::new();
    for seq in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        pace.tick().await;
        took.push(once(seq).await);
    }
    took
}

/// A segment of a stream that runs.
async fn push(stream: Stream, seq: i64) -> Duration {
    let begun = Instant::now();
    let answer = stream.push(seq, media::tiny()).await;
    answer.outcome.expect("a segment of a stream that runs");
    begun.elapsed()
}

/// A segment of a stream that is not taken.
async fn offer(stream: Stream, seq: i64) -> Duration {
    let begun = Instant::now();
    let refused = stream.begin(seq, media::tiny()).await;
    let took = begun.elapsed();
    assert_eq!(refused.status(), 403);
    let text = refused.text().await.expect("text");
    assert_eq!(text, "OrchestratorCapped\n");
    took
}

struct Load {
    taken: Vec<Duration>,
    refused: Vec<Duration>,
}

/// Runs the streams that are taken and those that are not.
async fn load(taken: &[Stream], beyond: &[Stream], time: Duration) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let mut pushing = JoinSet::new();
    let mut offering = JoinSet::new();
    for stream in taken {
        let (stream, stop) = (stream.clone(), Arc::clone(&stop));
        pushing.spawn(at_pace(stop, move |seq| push(stream.clone(), seq)));
    }
    for stream in beyond {
        let (stream, stop) = (stream.clone(), Arc::clone(&stop));
        offering.spawn(at_pace(stop, move |seq| offer(stream.clone(), seq)));
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    Load {
        taken: pushing.join_all().await.concat(),
        refused: offering.join_all().await.concat(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_load_costs_the_streams_that_run_no_segment_and_no_memory() {
    let limit = TAKEN.to_string();
    let node = Node::start(&["-maxSessions", &limit, "-failureRatePerMinute", "1000000"]).await;
    let gateway = Gateway::of(&node);
    let streams = async |name: &str, count: usize| {
        let mut streams = Vec::new();
        for number in 0..count {
            streams.push(gateway.stream(&format!("{name}-{number}"), small()).await);
        }
        streams
    };
    let (taken, beyond) = (
        streams("taken", TAKEN).await,
        streams("beyond", BEYOND).await,
    );
    for stream in &taken {
        stream.transcode(0, media::tiny()).await.expect("room");
    }
    let mut full = load(&taken, &[], load_time() / 2).await;
    // once more than it takes has been offered, memory stands where it will stand
    load(&taken, &beyond, Duration::from_secs(2)).await;
    let before = Node::resident(node.pid());
    let mut over = load(&taken, &beyond, load_time()).await;
    let after = Node::resident(node.pid());

    assert!(over.taken.len() >= TAKEN && over.refused.len() >= BEYOND);
    let failed = node
        .metric("livepeer_segment_transcode_failed_total", &[])
        .await;
    assert_eq!(failed, 0.0);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "overload, {} segments taken and {} refused in {:?}: taken p99 {:.0} ms, full but not overloaded {:.0} ms; \
         refusals p50 {:.1} ms, p99 {:.1} ms; daemon {} KiB before, {} KiB after",
        over.taken.len(),
        over.refused.len(),
        load_time(),
        ms(percentile(&mut over.taken, 99)),
        ms(percentile(&mut full.taken, 99)),
        ms(percentile(&mut over.refused, 50)),
        ms(percentile(&mut over.refused, 99)),
        before >> 10,
        after >> 10,
    );
    // half as much again would be a leak, not noise
    assert!(after < before + before / 2, "{before} bytes became {after}");
}
