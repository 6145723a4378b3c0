//! A worker process that is killed, hangs or vanishes: its stream gets every segment, and the others notice nothing.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::gateway::{Gateway, Stream, finish, small};
use super::media;
use super::neighbour::Neighbour;
use super::node::Node;

/// Streams in the kill test.
const STREAMS: usize = 4;

/// A segment of a stream in the kill test begins so soon after the one before, so that kills meet work.
const BRISK: Duration = Duration::from_millis(20);

/// How often a worker is killed; `ORCHESTRION_KILLS` asks for more.
fn kills() -> usize {
    std::env::var("ORCHESTRION_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12)
}

async fn streams(node: &Node) -> Vec<Stream> {
    let gateway = Gateway::of(node);
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        streams.push(gateway.stream(&format!("stream-{number}"), small()).await);
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_at_random_cost_no_stream_a_segment() {
    let node = Node::start(&[]).await;
    let streams = streams(&node).await;
    let mut running = Vec::new();
    for stream in &streams {
        running.push(Neighbour::on(stream.clone(), BRISK).await);
    }
    let kills = kills();
    let mut hit = [0; STREAMS];
    for number in 0..kills {
        let choice = rand::random_range(0..STREAMS);
        let session = streams[choice].session();
        let worker = node.worker_of(session).await;
        // At a random moment of a segment, or between two.
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        if kill(worker, Signal::SIGKILL).is_ok() {
            hit[choice] += 1;
        }
        node.until(&format!("a new worker after kill {number}"), async || {
            (node.worker_of(session).await != worker).then_some(())
        })
        .await;
    }
    let mut delivered = Vec::new();
    for one in running {
        delivered.push(one.finish().await);
    }
    let lost = node
        .metric("livepeer_segment_transcode_failed_total", &[])
        .await;
    let retried = node.metric("orchestrion_segments_retried_total", &[]).await;
    let outside = node
        .metric(
            "orchestrion_worker_ends_total",
            &[("cause", "killed_from_outside")],
        )
        .await;
    println!(
        "kills {hit:?}, delivered {delivered:?}, lost {lost}, retried {retried}, counted as outside {outside}"
    );
    assert_eq!(hit.iter().sum::<usize>(), kills);
    assert_eq!(lost, 0.0);
    assert_eq!(
        outside, kills as f64,
        "each kill is counted, and as nobody's guilt"
    );
    let restarts = node
        .metric(
            "orchestrion_worker_restarts_total",
            &[("cause", "killed_from_outside")],
        )
        .await;
    assert!(
        restarts > 0.0 && restarts <= outside,
        "{restarts} workers were given a fresh process after {outside} kills"
    );
    assert_eq!(node.metric("livepeer_success_rate", &[]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_a_segment_is_replaced_and_the_segment_delivered() {
    let node = Node::start(&[]).await;
    let neighbour = Neighbour::beside(&node).await;
    let stream = Gateway::of(&node).stream("killed", small()).await;
    stream
        .transcode(0, media::tiny())
        .await
        .expect("first segment");
    for seq in 1..=3 {
        let worker = node.worker_of(stream.session()).await;
        // Standing still, it cannot be done before it is killed.
        kill(worker, Signal::SIGSTOP).expect("stop the worker");
        let head = stream.begin(seq, media::tiny()).await;
        // The head does not wait for the session, and a worker that dies before its turn costs no try.
        node.is_at_work(worker).await;
        kill(worker, Signal::SIGKILL).expect("kill the worker");
        assert!(finish(head).await.outcome.is_ok(), "segment {seq}");
        assert_ne!(node.worker_of(stream.session()).await, worker);
    }
    assert_eq!(
        node.metric("orchestrion_segments_retried_total", &[]).await,
        3.0
    );
    let outside = node
        .metric(
            "orchestrion_worker_ends_total",
            &[("cause", "killed_from_outside")],
        )
        .await;
    assert_eq!(outside, 3.0);
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_is_given_up_while_the_gateway_still_waits() {
    let node = Node::start(&[]).await;
    let neighbour = Neighbour::beside(&node).await;
    let stream = Gateway::of(&node).stream("hangs", small()).await;
    stream
        .transcode(0, media::tiny())
        .await
        .expect("first segment");
    let worker = node.worker_of(stream.session()).await;
    kill(worker, Signal::SIGSTOP).expect("stop the worker");
    let begun = Instant::now();
    stream
        .transcode(1, media::tiny())
        .await
        .expect("delivered by another worker");
    // A gateway waits 8 s for a segment of a second.
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert!(node.metric("orchestrion_worker_kills_total", &[]).await >= 1.0);
    node.until("its end", async || (!is_running(worker)).then_some(()))
        .await;
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_killed_at_once_spare_included_cost_nothing() {
    let node = Node::start(&[]).await;
    let streams = streams(&node).await;
    for stream in &streams {
        stream
            .transcode(0, media::tiny())
            .await
            .expect("first segment");
    }
    let workers = node.worker_processes();
    assert!(workers.len() >= STREAMS, "{workers:?}");
    for worker in workers {
        // The spare one may be on its way out or in.
        let _ = kill(worker, Signal::SIGKILL);
    }
    for stream in &streams {
        stream
            .transcode(1, media::tiny())
            .await
            .expect("second segment");
    }
    let fresh = Gateway::of(&node).stream("fresh", small()).await;
    fresh
        .transcode(0, media::tiny())
        .await
        .expect("a new stream needs a spare");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_end_with_the_node_even_when_it_is_killed() {
    let mut node = Node::start(&[]).await;
    Gateway::of(&node)
        .stream("orphan", small())
        .await
        .transcode(0, media::tiny())
        .await
        .expect("a segment");
    let workers = node.worker_processes();
    assert!(!workers.is_empty());
    node.signal(Signal::SIGKILL);
    node.exit().await;
    node.until("the end of all workers", async || {
        (!workers.iter().copied().any(is_running)).then_some(())
    })
    .await;
}

fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_worker_of_a_node_that_root_started_is_root_or_its_neighbours_user() {
    if !nix::unistd::geteuid().is_root() {
        println!("these tests do not run as root: workers keep the daemon's user");
        return;
    }
    let node = Node::start(&[]).await;
    let streams = streams(&node).await;
    let mut users = std::collections::BTreeSet::new();
    for stream in &streams[..2] {
        stream.transcode(0, media::tiny()).await.expect("a segment");
        let worker = node.worker_of(stream.session()).await;
        users.insert(owner(worker));
    }
    assert_eq!(users.len(), 2, "{users:?}");
    assert!(!users.contains(&0), "{users:?}");
}

/// The user as whom a process acts.
fn owner(process: Pid) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1))
        .and_then(|user| user.parse().ok())
        .expect("a user")
}
