//! A split node: an orchestrator whose transcoders are other processes, ours and an outside voice, which come, go and fail.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde::Deserialize;

use super::gateway::{Gateway, Stream, small};
use super::media;
use super::neighbour::Neighbour;
use super::node::{Node, PATIENCE, scratch};
use super::wire::python;

const SECRET: &str = "the secret of a split node";

/// An orchestrator that transcodes nothing itself.
async fn orchestrator(more: &[&str]) -> Node {
    let options = ["-orchestrator", "-orchSecret", SECRET];
    Node::start(&[&options, more].concat()).await
}

/// A transcoder of ours, registered with `orchestrator`.
async fn transcoder(orchestrator: &Node, more: &[&str]) -> Node {
    let address = orchestrator.public.trim_start_matches("https://");
    let options = ["-transcoder", "-orchSecret", SECRET, "-orchAddr", address];
    Node::start(&[&options, more].concat()).await
}

/// A transcoder that is none of ours; gone when dropped.
struct Outside {
    child: Child,
    _work: tempfile::TempDir,
}

impl Outside {
    fn start(orchestrator: &Node, mode: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let work = scratch();
        let child = Command::new(python())
            .arg(root.join("tests/e2e/transcoder.py"))
            .arg(&orchestrator.public)
            .arg(root.join("protocol/proto"))
            .arg(work.path())
            .args([SECRET, mode])
            .stdin(Stdio::null())
            .spawn()
            .expect("start Python");
        Self { child, _work: work }
    }

    /// Waits until it has ended by itself; its exit code.
    async fn end(mut self, orchestrator: &Node) -> Option<i32> {
        let ended = orchestrator.until("the end of the outside transcoder", async || {
            self.child.try_wait().expect("wait for Python")
        });
        ended.await.code()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    registered_transcoders_number: usize,
    local_transcoding: bool,
}

/// Waits until so many transcoders are registered.
async fn has(orchestrator: &Node, count: usize) {
    orchestrator
        .until("the transcoders", async || {
            let (_, text) = orchestrator.get("/status").await;
            let status: Status = serde_json::from_str(&text).expect("status");
            (status.registered_transcoders_number == count).then_some(())
        })
        .await;
}

async fn works_for(transcoder: &Node, stream: &Stream) -> bool {
    let (_, sessions) = transcoder.get("/api/v1/sessions").await;
    sessions.contains(stream.session())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outside_transcoder_is_spoken_to_as_the_reference_speaks() {
    let node = orchestrator(&["-maxSessions", "auto"]).await;
    let gateway = Gateway::of(&node);
    let refused = gateway
        .discover()
        .await
        .expect_err("no room without transcoders");
    assert!(
        refused.message.contains("OrchestratorCapped"),
        "{refused:?}"
    );
    let outside = Outside::start(&node, "echo");
    has(&node, 1).await;
    let (_, status) = node.get("/status").await;
    let status: Status = serde_json::from_str(&status).expect("status");
    assert!(!status.local_transcoding);
    assert_eq!(node.metric("livepeer_transcoders_capacity", &[]).await, 2.0);
    let mut stream = gateway.stream("outside", small()).await;
    stream
        .profiles
        .push(super::gateway::profile("second", 80, 46, 0));
    for seq in 0..4 {
        let renditions = stream.transcode(seq, media::tiny()).await.expect("echoed");
        for rendition in renditions {
            assert_eq!(rendition.pixels, 12345, "as the transcoder counted");
            assert_eq!(rendition.bytes, media::tiny().bytes);
        }
    }
    stream.end().await.expect("end");
    assert_eq!(outside.end(&node).await, Some(0));
    has(&node, 0).await;
    assert_eq!(node.metric("livepeer_transcoders_number", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_make_no_sense_are_refused_and_cost_no_segment() {
    let node = orchestrator(&[]).await;
    let liar = Outside::start(&node, "liar");
    has(&node, 1).await;
    let honest = Outside::start(&node, "echo");
    has(&node, 2).await;
    let (one, other) = (
        Gateway::of(&node).stream("one", small()).await,
        Gateway::of(&node).stream("other", small()).await,
    );
    // One of them meets the liar first.
    for stream in [&one, &other] {
        for seq in 0..2 {
            let renditions = stream.transcode(seq, media::tiny()).await;
            assert_eq!(renditions.expect("delivered")[0].pixels, 12345);
        }
    }
    assert_eq!(
        node.metric("orchestrion_segments_retried_total", &[]).await,
        1.0
    );
    let refused = node
        .metric("orchestrion_refusals_total", &[("stage", "workers")])
        .await;
    assert!(refused >= 7.0, "{refused} refusals are counted");
    one.end().await.expect("end");
    other.end().await.expect("end");
    drop((liar, honest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcoder_that_vanishes_with_a_job_loses_its_stream_no_segment() {
    let node = orchestrator(&[]).await;
    let quitter = Outside::start(&node, "quitter");
    has(&node, 1).await;
    let stream = Gateway::of(&node).stream("left alone", small()).await;
    let running = tokio::spawn({
        let stream = stream.clone();
        async move { stream.transcode(0, media::tiny()).await.map(|_| ()) }
    });
    assert_eq!(quitter.end(&node).await, Some(9));
    // Nobody is left: the segment waits for the next who comes.
    let _next = transcoder(&node, &[]).await;
    running.await.expect("task").expect("delivered by the next");
    stream
        .transcode(1, media::tiny())
        .await
        .expect("and goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcoder_that_never_answers_delays_a_stream_and_is_sent_away() {
    let node = orchestrator(&[]).await;
    let silent = Outside::start(&node, "silent");
    has(&node, 1).await;
    let _good = transcoder(&node, &[]).await;
    // The silent one is the first of equals; what it owes puts it last, so streams that find it come while the other is full.
    let mut streams = Vec::new();
    for number in 0..3 {
        let stream = Gateway::of(&node)
            .stream(&format!("stream {number}"), small())
            .await;
        let delivered = stream.transcode(0, media::tiny()).await;
        assert!(!delivered.expect("delivered").is_empty());
        streams.push(stream);
    }
    let workers = node.get("/api/v1/workers").await.1;
    assert!(workers.contains("suspected"), "{workers}");
    assert_eq!(
        node.metric("livepeer_segment_transcode_failed_total", &[])
            .await,
        0.0
    );
    drop(silent);
    has(&node, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transcoders_killed_at_random_cost_no_stream_a_segment() {
    let node = orchestrator(&[]).await;
    let victim = transcoder(&node, &["-maxSessions", "2"]).await;
    let other = transcoder(&node, &["-maxSessions", "4"]).await;
    has(&node, 2).await;
    let gateway = Gateway::of(&node);
    let mut running = Vec::new();
    let mut streams = Vec::new();
    for number in 0..3 {
        let stream = gateway.stream(&format!("stream {number}"), small()).await;
        streams.push(stream.clone());
        running.push(Neighbour::on(stream, Duration::from_millis(150)).await);
    }
    let mut on_victim = 0;
    for stream in &streams {
        on_victim += usize::from(works_for(&victim, stream).await);
    }
    assert!(
        (1..3).contains(&on_victim),
        "{on_victim} of 3 on the victim"
    );
    let before = running[0].delivered();
    // As a power switch does, in whatever moment of a segment.
    kill(victim.pid(), Signal::SIGKILL).expect("kill the transcoder");
    has(&node, 1).await;
    node.until("more segments", async || {
        (running[0].delivered() > before + 3).then_some(())
    })
    .await;
    let mut delivered = Vec::new();
    for one in running {
        delivered.push(one.finish().await);
    }
    for stream in &streams {
        assert!(works_for(&other, stream).await);
    }
    let failed = node
        .metric("livepeer_segment_transcode_failed_total", &[])
        .await;
    println!("delivered {delivered:?}, {on_victim} streams on the one that was killed");
    assert_eq!(failed, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcoder_that_stands_still_is_passed_over() {
    let node = orchestrator(&[]).await;
    let still = transcoder(&node, &[]).await;
    let stream = Gateway::of(&node).stream("stuck", small()).await;
    stream.transcode(0, media::tiny()).await.expect("before");
    let _other = transcoder(&node, &[]).await;
    kill(still.pid(), Signal::SIGSTOP).expect("stop the transcoder");
    let begun = std::time::Instant::now();
    stream
        .transcode(1, media::tiny())
        .await
        .expect("on the other one");
    let took = begun.elapsed();
    stream
        .transcode(2, media::tiny())
        .await
        .expect("and it stays there");
    println!("moved after {took:?}");
    kill(still.pid(), Signal::SIGCONT).expect("wake the transcoder");
    assert!(
        took < Duration::from_secs(8),
        "a gateway would have given up: {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_and_a_transcoder_serve_together() {
    let options = [
        "-orchestrator",
        "-transcoder",
        "-orchSecret",
        SECRET,
        "-maxSessions",
        "1",
    ];
    let node = Node::start(&options).await;
    let gateway = Gateway::of(&node);
    let first = gateway.stream("first", small()).await;
    first.transcode(0, media::tiny()).await.expect("first");
    let remote = transcoder(&node, &["-maxSessions", "1"]).await;
    has(&node, 1).await;
    let second = gateway.stream("second", small()).await;
    second.transcode(0, media::tiny()).await.expect("second");
    let (a, b) = (
        works_for(&remote, &first).await,
        works_for(&remote, &second).await,
    );
    assert_eq!((a, b), (false, true), "one each");
    let third = gateway.stream("third", small()).await;
    assert_eq!(
        third.begin(0, media::tiny()).await.status(),
        403,
        "both are full"
    );
    for seq in 1..4 {
        first
            .transcode(seq, media::tiny())
            .await
            .expect("first goes on");
        second
            .transcode(seq, media::tiny())
            .await
            .expect("second goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcoder_told_to_stop_posts_what_it_has_and_ends_well() {
    let node = orchestrator(&[]).await;
    let mut leaving = transcoder(&node, &["-drainTimeout", "50s"]).await;
    let stream = Gateway::of(&node).stream("moving", small()).await;
    stream.transcode(0, media::tiny()).await.expect("before");
    let _other = transcoder(&node, &[]).await;
    has(&node, 2).await;
    let running = Neighbour::on(stream.clone(), Duration::from_millis(50)).await;
    let status = leaving.stop().await;
    assert_eq!(status.code(), Some(0), "{}", leaving.log());
    assert!(leaving.log().contains("left the orchestrator"));
    running.finish().await;
    assert_eq!(
        node.metric("livepeer_segment_transcode_failed_total", &[])
            .await,
        0.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_transcoder_keeps_its_streams_and_gets_no_more() {
    let node = orchestrator(&[]).await;
    let drained = transcoder(&node, &[]).await;
    let old = Gateway::of(&node).stream("old", small()).await;
    old.transcode(0, media::tiny()).await.expect("old");
    let workers = node.get("/api/v1/workers").await.1;
    let workers: Vec<super::node::Worker> = serde_json::from_str(&workers).expect("workers");
    let body = serde_json::json!({ "worker": workers[0].name, "draining": true });
    let asked = super::gateway::builder().build().expect("client");
    let answer = asked
        .post(format!("{}/api/v1/workers/drain", node.operator))
        .json(&body)
        .send()
        .await
        .expect("operator port");
    assert_eq!(answer.status(), 200);
    let new = Gateway::of(&node).stream("new", small()).await;
    let refused = new.transcode(0, media::tiny()).await.err();
    assert_eq!(refused.as_deref(), Some("no transcoders available"));
    let _other = transcoder(&node, &[]).await;
    new.transcode(1, media::tiny())
        .await
        .expect("on the other one");
    old.transcode(1, media::tiny()).await.expect("where it was");
    assert!(works_for(&drained, &old).await && !works_for(&drained, &new).await);
}

/// Changes something at a node's operator port.
async fn change(node: &Node, path: &str, body: serde_json::Value) {
    let client = super::gateway::builder().build().expect("client");
    let request = client.post(format!("{}{path}", node.operator)).json(&body);
    let answer = request.send().await.expect("operator port");
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcoder_drained_at_its_own_port_leaves_and_comes_back_with_what_it_carries() {
    let node = orchestrator(&["-maxSessions", "auto"]).await;
    let one = transcoder(&node, &["-maxSessions", "3"]).await;
    let capacity = async |sessions: f64| {
        node.until("the transcoder's capacity", async || {
            let found = node.metric("livepeer_transcoders_capacity", &[]).await;
            (found == sessions).then_some(())
        })
        .await;
    };
    capacity(3.0).await;
    change(&one, "/api/v1/drain", serde_json::json!({"draining": true})).await;
    has(&node, 0).await;
    change(
        &one,
        "/api/v1/drain",
        serde_json::json!({"draining": false}),
    )
    .await;
    has(&node, 1).await;
    let limit = super::gateway::builder().build().expect("client");
    let limit = limit.post(format!("{}/setMaxSessions?maxSessions=5", one.operator));
    assert_eq!(limit.send().await.expect("operator port").status(), 200);
    capacity(5.0).await;
    let stream = Gateway::of(&node).stream("after", small()).await;
    stream.transcode(0, media::tiny()).await.expect("served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcoder_with_a_wrong_secret_says_so_and_ends() {
    let node = orchestrator(&[]).await;
    let home = super::node::Home::with_tls();
    let address = node.public.trim_start_matches("https://");
    let options = ["-transcoder", "-orchSecret", "guess", "-orchAddr", address];
    let mut command = home.command(&options);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(PATIENCE, output);
    let output = output.await.expect("it ends").expect("task").expect("run");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("invalid secret"), "{told}");
    let refused = [("stage", "workers"), ("reason", "authentication")];
    assert_eq!(
        node.metric("orchestrion_refusals_total", &refused).await,
        1.0
    );
}
