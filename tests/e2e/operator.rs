//! The operator port of a running node: the reference's routes, health, and what an operator may change.

use super::gateway::{Gateway, small};
use super::media;
use super::node::{Node, shared};

#[tokio::test(flavor = "multi_thread")]
async fn status_has_the_keys_of_the_reference() {
    let (status, text) = shared().await.get("/status").await;
    assert_eq!(status, 200);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for key in [
        "Manifests",
        "InternalManifests",
        "StreamInfo",
        "OrchestratorPool",
        "OrchestratorPoolInfos",
        "Version",
        "GolangRuntimeVersion",
        "GOArch",
        "GOOS",
        "RegisteredTranscodersNumber",
        "RegisteredTranscoders",
        "LocalTranscoding",
        "BroadcasterPrices",
    ] {
        assert!(value.get(key).is_some(), "{key} is missing in {text}");
    }
    assert_eq!(value["LocalTranscoding"], true);
    assert_eq!(
        shared().await.get("/IsOrchestrator").await,
        (200, "true".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_answer() {
    let node = shared().await;
    assert_eq!(node.get("/livez").await.0, 200);
    let (status, text) = node.get("/readyz").await;
    assert_eq!(status, 200, "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["ready"], true);
    let stream = Gateway::of(node).stream("measured", small()).await;
    let before = node.metric("livepeer_segment_transcoded_total", &[]).await;
    stream.transcode(0, media::tiny()).await.expect("a segment");
    assert!(node.metric("livepeer_segment_transcoded_total", &[]).await > before);
    for name in [
        "livepeer_versions",
        "livepeer_max_sessions_total",
        "livepeer_current_sessions_total",
        "livepeer_mil_pixels_processed",
        "orchestrion_ready",
        "orchestrion_discovery_requests_total",
        "orchestrion_worker_starts_total",
        "process_resident_memory_bytes",
    ] {
        assert!(node.metric(name, &[]).await > 0.0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_session_limit_holds_at_once() {
    let node = Node::start(&["-maxSessions", "7"]).await;
    let gateway = Gateway::of(&node);
    let (first, second) = (
        gateway.stream("first", small()).await,
        gateway.stream("second", small()).await,
    );
    first.transcode(0, media::tiny()).await.expect("first");
    let (status, text) = node.get("/setMaxSessions?maxSessions=1").await;
    assert_eq!((status, text.as_str()), (200, "Max sessions set to 1\n"));
    assert_eq!(node.metric("livepeer_max_sessions_total", &[]).await, 1.0);
    let answer = second.begin(0, media::tiny()).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.text().await.expect("text"), "OrchestratorCapped\n");
    first
        .transcode(1, media::tiny())
        .await
        .expect("a running stream goes on");
    let (status, text) = node.get("/setMaxSessions?maxSessions=0").await;
    assert_eq!(
        (status, text.trim()),
        (400, "Max Sessions must be 'auto' or greater than zero")
    );
    node.get("/setMaxSessions?maxSessions=2").await;
    second.transcode(0, media::tiny()).await.expect("second");
}

#[tokio::test(flavor = "multi_thread")]
async fn which_walls_stand_around_workers_is_told() {
    let node = shared().await;
    let (_, text) = node.get("/api/v1/status").await;
    let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let walls = status["walls"].as_array().expect("a list");
    let seccomp = walls.iter().find(|wall| wall["name"] == "seccomp");
    assert!(
        seccomp.is_some_and(|wall| wall["missing"].is_null()),
        "{text}"
    );
    assert!(
        node.log().contains("walls around workers"),
        "{}",
        node.log()
    );
}
