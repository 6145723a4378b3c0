//! The life of the process: ready, draining, ended; what it takes while idle.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use nix::sys::signal::Signal;
use protocol::texts;

use super::gateway::{Gateway, small};
use super::media;
use super::node::{Node, free_port, program, scratch};

/// What an idle node may take: a goal, measured where code is optimised.
const IDLE_BYTES: u64 = 80 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_is_small_and_soon_ready() {
    let node = Node::start(&[]).await;
    let daemon = Node::resident(node.pid());
    let workers: Vec<u64> = node
        .worker_processes()
        .into_iter()
        .map(|pid| Node::resident(pid) >> 20)
        .collect();
    println!(
        "ready after {:?}, resident: daemon {} MiB, workers {workers:?} MiB",
        node.ready_after,
        daemon >> 20
    );
    // Beside other tests on a small machine only the order of magnitude can be held.
    assert!(node.ready_after < Duration::from_secs(20));
    assert!(
        daemon
            < if cfg!(debug_assertions) {
                2 * IDLE_BYTES
            } else {
                IDLE_BYTES
            }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_told_to_stop_takes_no_new_streams_finishes_the_running_ones_and_ends_well() {
    let mut node = Node::start(&["-drainTimeout", "50s"]).await;
    let stream = Gateway::of(&node).stream("running", small()).await;
    let late = Gateway::of(&node).stream("late", small()).await;
    stream.transcode(0, media::tiny()).await.expect("before");
    let stranger = Gateway::from_address(&node, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 8)));
    assert!(stranger.discover().await.is_ok());
    node.signal(Signal::SIGTERM);
    node.until("unreadiness", async || {
        (node.get("/readyz").await.0 == 503).then_some(())
    })
    .await;
    assert!(node.get("/readyz").await.1.contains("draining"));
    let refused = stranger.discover().await.expect_err("no new gateways");
    assert_eq!(refused.message, texts::DISCOVERY_CAPPED);
    assert_eq!(
        late.begin(0, media::tiny()).await.status(),
        403,
        "no new streams"
    );
    for seq in 1..4 {
        stream
            .transcode(seq, media::tiny())
            .await
            .expect("while draining");
    }
    stream.end().await.expect("end");
    let status = node.exit().await;
    assert_eq!(status.code(), Some(0), "{}", node.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_end_delays_the_stop_for_the_given_time_only() {
    let mut node = Node::start(&["-drainTimeout", "1s"]).await;
    Gateway::of(&node)
        .stream("lasting", small())
        .await
        .transcode(0, media::tiny())
        .await
        .expect("a segment");
    node.signal(Signal::SIGTERM);
    assert_eq!(node.exit().await.code(), Some(0), "{}", node.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_drain() {
    let mut node = Node::start(&["-drainTimeout", "10m"]).await;
    Gateway::of(&node)
        .stream("lasting", small())
        .await
        .transcode(0, media::tiny())
        .await
        .expect("a segment");
    node.signal(Signal::SIGTERM);
    node.until("the drain", async || {
        (node.get("/readyz").await.0 == 503).then_some(())
    })
    .await;
    node.signal(Signal::SIGTERM);
    assert_eq!(node.exit().await.code(), Some(0), "{}", node.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_of_options_is_applied_on_sighup_and_a_mistake_changes_nothing() {
    let directory = scratch();
    let file = directory.path().join("options");
    std::fs::write(&file, "maxSessions 5\n").expect("write options");
    let node = Node::start(&["-config", file.to_str().expect("text")]).await;
    let limit = async || node.metric("livepeer_max_sessions_total", &[]).await;
    assert_eq!(limit().await, 5.0);
    std::fs::write(&file, "maxSessions none\n").expect("write a mistake");
    node.signal(Signal::SIGHUP);
    node.until("the mistake in the log", async || {
        node.log().contains("were not reloaded").then_some(())
    })
    .await;
    assert_eq!(limit().await, 5.0);
    std::fs::write(&file, "maxSessions 3\n").expect("write options");
    node.signal(Signal::SIGHUP);
    node.until("the new limit", async || {
        (limit().await == 3.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_has_one_user() {
    let node = Node::start(&[]).await;
    let public = format!("127.0.0.1:{}", free_port());
    let operator = format!("127.0.0.1:{}", free_port());
    let second = program(&[
        "run",
        "-serviceAddr",
        &public,
        "-cliAddr",
        &operator,
        "-dataDir",
    ])
    .arg(&node.data_dir)
    .output()
    .expect("start a second node");
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(2), "{told}");
    assert!(told.contains("in use by another process"), "{told}");
    assert_eq!(node.get("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_drains_a_node_and_takes_that_back_without_a_stream_noticing() {
    let node = Node::start(&[]).await;
    let address = node.operator.trim_start_matches("http://").to_owned();
    let order = async |words: &'static [&'static str]| {
        let address = address.clone();
        let run = move || program(&[words, &["-cliAddr", &address]].concat()).output();
        tokio::task::spawn_blocking(run)
            .await
            .expect("no panic")
            .expect("run the command")
    };
    let gateway = Gateway::of(&node);
    let running = gateway.stream("running", small()).await;
    let late = gateway.stream("late", small()).await;
    running.transcode(0, media::tiny()).await.expect("before");

    let told = order(&["drain"]).await;
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(said.contains("running: 1"), "{said}");
    assert!(node.get("/readyz").await.1.contains("draining"));
    assert_eq!(late.begin(0, media::tiny()).await.status(), 403);
    running.transcode(1, media::tiny()).await.expect("drained");

    let (waiting, ended) = tokio::join!(order(&["drain", "-wait"]), running.end());
    ended.expect("end");
    assert_eq!(waiting.status.code(), Some(0), "{waiting:?}");
    assert!(String::from_utf8_lossy(&waiting.stdout).contains("the last stream has ended"));

    assert_eq!(order(&["undrain"]).await.status.code(), Some(0));
    assert_eq!(node.get("/readyz").await.0, 200);
    late.transcode(0, media::tiny()).await.expect("after");
}
