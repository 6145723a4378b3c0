//! The exposition as Prometheus and the dashboards in use see it.

use std::time::Duration;

use super::label::*;
use super::*;

mod payments;

fn options() -> MetricsOptions {
    MetricsOptions {
        node_id: "0xAb-host".into(),
        node_type: NodeType::Orchestrator,
        version: "0.9.1-orchestrion".into(),
        runtime: "rustc 1.95.0".into(),
        per_stream: false,
        client_ip: false,
    }
}

fn page(metrics: &Metrics) -> String {
    metrics.encode().expect("encodes").1
}

fn has(metrics: &Metrics, line: &str) {
    let page = page(metrics);
    assert!(
        page.lines().any(|found| found == line),
        "no line {line}\nin\n{page}"
    );
}

const BASE: &str = r#"node_id="0xAb-host",node_type="orch""#;

#[test]
fn start_shows_what_the_reference_shows_at_start() {
    let metrics = Metrics::new(&options()).expect("table");
    has(
        &metrics,
        r#"livepeer_versions{compiler="rustc",goos="linux",goversion="rustc 1.95.0",livepeerversion="0.9.1-orchestrion",node_type="orch"} 1"#,
    );
    for name in [
        "current_sessions_total",
        "transcoders_number",
        "transcoders_capacity",
        "transcoders_load",
    ] {
        has(&metrics, &format!("livepeer_{name}{{{BASE}}} 0"));
    }
    has(&metrics, &format!("livepeer_success_rate{{{BASE}}} 1"));
    let page = page(&metrics);
    assert!(
        !page.contains("livepeer_segment_source_emerged"),
        "a series appears with its first record"
    );
    assert!(
        page.lines()
            .any(|line| line.starts_with("process_start_time_seconds "))
    );
    assert_eq!(
        metrics.encode().expect("encodes").0,
        "text/plain; version=0.0.4"
    );
}

#[test]
fn a_transcoded_segment_writes_the_lines_of_the_reference() {
    let metrics = Metrics::new(&options()).expect("table");
    metrics.node.set_max_sessions(10);
    let stream = metrics.video.stream("manifest", "10.0.0.1");
    stream.emerged(Duration::from_secs(2));
    stream.downloaded(Duration::from_millis(120));
    stream.transcoded(
        ["P720p", "P240p"],
        Duration::from_secs(2),
        Duration::from_millis(500),
    );
    stream.pixels(1_500_000);
    stream.failed(FailureCause::Timeout);
    let ladder = r#"profiles="P240p,P720p",trusted="trusted",verified="verified""#;
    for line in [
        format!("livepeer_max_sessions_total{{{BASE}}} 10"),
        format!(
            r#"livepeer_segment_source_emerged_unprocessed_total{{client_ip="",manifest_id="",{BASE}}} 1"#
        ),
        format!(
            r#"livepeer_source_segment_duration_seconds_bucket{{manifest_id="",{BASE},le="1.5"}} 0"#
        ),
        format!(
            r#"livepeer_source_segment_duration_seconds_bucket{{manifest_id="",{BASE},le="2"}} 1"#
        ),
        format!(r#"livepeer_source_segment_duration_seconds_sum{{manifest_id="",{BASE}}} 2"#),
        format!(r#"livepeer_segment_transcoded_downloaded_total{{manifest_id="",{BASE}}} 1"#),
        format!(r#"livepeer_download_time_seconds_bucket{{manifest_id="",{BASE},le="0.15"}} 1"#),
        format!("livepeer_segment_transcoded_total{{{BASE},{ladder}}} 1"),
        format!(r#"livepeer_transcode_time_seconds_bucket{{{BASE},{ladder},le="0.5"}} 1"#),
        format!("livepeer_transcode_score_sum{{{BASE},{ladder}}} 4"),
        format!(r#"livepeer_mil_pixels_processed{{client_ip="",manifest_id="",{BASE}}} 1.5"#),
        format!(
            r#"livepeer_segment_transcode_failed_total{{error_code="Timeout",manifest_id="",{BASE}}} 1"#
        ),
        format!("livepeer_success_rate{{{BASE}}} 0.5"),
        "# TYPE livepeer_mil_pixels_processed counter".to_owned(),
        "# TYPE livepeer_transcode_score histogram".to_owned(),
    ] {
        has(&metrics, &line);
    }
    drop(stream);
    has(
        &metrics,
        &format!(r#"livepeer_mil_pixels_processed{{client_ip="",manifest_id="",{BASE}}} 1.5"#),
    );
}

#[test]
fn bucket_bounds_are_the_reference_s() {
    let metrics = Metrics::new(&options()).expect("table");
    let stream = metrics.video.stream("", "");
    stream.emerged(Duration::from_secs(1));
    stream.downloaded(Duration::from_secs(1));
    stream.transcoded(["p"], Duration::from_secs(1), Duration::from_secs(1));
    let page = page(&metrics);
    let bounds = |name: &str| -> Vec<String> {
        page.lines()
            .filter(|line| line.starts_with(&format!("{name}_bucket{{")))
            .filter_map(|line| Some(line.split_once("le=\"")?.1.split_once('"')?.0.to_owned()))
            .collect()
    };
    assert_eq!(
        bounds("livepeer_download_time_seconds").join(" "),
        "0.1 0.15 0.2 0.5 10 +Inf"
    );
    assert_eq!(
        bounds("livepeer_source_segment_duration_seconds").join(" "),
        "0.5 1 1.5 2 2.5 3 3.5 4 4.5 5 10 15 20 +Inf"
    );
    assert_eq!(
        bounds("livepeer_transcode_time_seconds").join(" "),
        "0.25 0.5 0.75 1 1.25 1.5 2 2.5 3 3.5 4 4.5 5 10 +Inf"
    );
    assert_eq!(
        bounds("livepeer_transcode_score").join(" "),
        "0.5 1 1.5 2 2.5 3 3.5 4 4.5 5 10 15 20 40 +Inf"
    );
}

#[test]
fn series_of_a_stream_vanish_with_its_last_handle() {
    let metrics = Metrics::new(&MetricsOptions {
        per_stream: true,
        client_ip: true,
        ..options()
    })
    .expect("table");
    let first = metrics.video.stream("m1", "10.0.0.1");
    let renewed = metrics.video.stream("m1", "10.0.0.1");
    let elsewhere = metrics.video.stream("m1", "");
    let other = metrics.video.stream("m2", "10.0.0.2");
    for stream in [&first, &elsewhere, &other] {
        stream.emerged(Duration::from_secs(1));
        stream.failed(FailureCause::Transcode);
    }
    drop(first);
    renewed.emerged(Duration::from_secs(1));
    has(
        &metrics,
        &format!(
            r#"livepeer_segment_source_emerged_unprocessed_total{{client_ip="10.0.0.1",manifest_id="m1",{BASE}}} 2"#
        ),
    );
    has(
        &metrics,
        &format!(
            r#"livepeer_segment_source_emerged_unprocessed_total{{client_ip="not_tracked",manifest_id="m1",{BASE}}} 1"#
        ),
    );
    drop(renewed);
    assert!(!page(&metrics).contains("10.0.0.1"));
    assert!(
        page(&metrics).contains(r#"livepeer_source_segment_duration_seconds_sum{manifest_id="m1""#)
    );
    drop(elsewhere);
    assert!(!page(&metrics).contains("m1"), "{}", page(&metrics));
    assert!(page(&metrics).contains(r#"manifest_id="m2""#));
}

#[test]
fn a_label_value_cannot_break_the_page() {
    let metrics = Metrics::new(&MetricsOptions {
        per_stream: true,
        ..options()
    })
    .expect("table");
    let stream = metrics.video.stream("a\"b\\c\nd", "");
    stream.emerged(Duration::from_secs(1));
    assert!(page(&metrics).contains(r#"manifest_id="a\"b\\c\nd""#));
}

#[test]
fn profile_names_of_strangers_are_bounded() {
    let metrics = Metrics::new(&options()).expect("table");
    let stream = metrics.video.stream("", "");
    for number in 0..500 {
        let name = format!("p{number}");
        stream.transcoded(
            [name.as_str()],
            Duration::from_secs(1),
            Duration::from_secs(1),
        );
    }
    let long = "x".repeat(5000);
    stream.transcoded(
        [long.as_str()],
        Duration::from_secs(1),
        Duration::from_secs(1),
    );
    let page = page(&metrics);
    let series = page
        .lines()
        .filter(|line| line.starts_with("livepeer_segment_transcoded_total{"))
        .count();
    assert_eq!(series, 101);
    assert!(!page.contains(&long));
}

#[test]
fn guards_take_back_what_they_added() {
    let metrics = Metrics::new(&options()).expect("table");
    let session = metrics.node.session();
    let mut body = metrics.video.body_bytes(100);
    body.set(40);
    let connection = metrics.door.connection(Door::Public);
    let mut worker = metrics.worker.started("cpu");
    worker.set_state(WorkerState::Busy);
    worker.set_memory(1 << 20);
    let state = |state: &str, count: u8| {
        has(
            &metrics,
            &format!(r#"orchestrion_workers{{device="cpu",{BASE},state="{state}"}} {count}"#),
        );
    };
    state("starting", 0);
    state("busy", 1);
    has(
        &metrics,
        &format!("livepeer_current_sessions_total{{{BASE}}} 1"),
    );
    has(&metrics, &format!("orchestrion_body_bytes{{{BASE}}} 40"));
    worker.killed(WorkerEnd::Deadline);
    worker.ended(WorkerEnd::Deadline);
    drop((session, body, connection));
    state("busy", 0);
    for line in [
        format!(r#"orchestrion_worker_memory_bytes{{device="cpu",{BASE}}} 0"#),
        format!(r#"orchestrion_worker_ends_total{{cause="deadline",device="cpu",{BASE}}} 1"#),
        format!(r#"orchestrion_worker_kills_total{{cause="deadline",device="cpu",{BASE}}} 1"#),
        format!("livepeer_current_sessions_total{{{BASE}}} 0"),
        format!("orchestrion_body_bytes{{{BASE}}} 0"),
        format!(r#"orchestrion_connections{{door="public",{BASE}}} 0"#),
    ] {
        has(&metrics, &line);
    }
}

#[test]
fn what_the_gateway_did_wrong_leaves_the_success_rate_alone() {
    let metrics = Metrics::new(&options()).expect("table");
    let stream = metrics.video.stream("", "");
    for cause in FailureCause::ALL
        .iter()
        .filter(|cause| !cause.counts_against_node())
    {
        stream.failed(*cause);
    }
    assert_eq!(metrics.video.success_rate(), 1.0);
    stream.failed(FailureCause::WorkerLost);
    assert_eq!(metrics.video.success_rate(), 0.0);
}

/// The runner must live for as long as its series are looked for.
fn record_ai(ai: &AiMetrics) -> RunnerGauges {
    let model = ai.model("llm", "m");
    model.done(Duration::from_secs(2), 100);
    model.set_price(1.0);
    model.failed(AiFailure::Runner);
    model.downloaded(Duration::from_secs(1));
    model.not_saved();
    ai.refused(Refusal::Capped, "llm");
    drop(model.reserved());
    let mut runner = model.runner(RunnerKind::Native);
    runner.started();
    runner.set_state(RunnerState::Ready);
    runner.set_busy(true);
    runner.ended(RunnerEnd::Died);
    runner
}

#[test]
fn models_and_runners_are_counted_under_the_names_of_the_reference() {
    let metrics = Metrics::new(&options()).expect("table");
    let runner = record_ai(&metrics.ai);
    let labels = r#"model_name="m""#;
    for line in [
        format!(r#"livepeer_ai_models_requested{{{labels},{BASE},pipeline="llm"}} 1"#),
        format!(r#"livepeer_ai_request_latency_score{{{labels},{BASE},pipeline="llm"}} 0.02"#),
        format!(
            r#"livepeer_ai_request_errors{{error_code="runner",{labels},{BASE},pipeline="llm",sender=""}} 1"#
        ),
        format!(
            r#"livepeer_ai_container_in_use{{{labels},{BASE},orchestrator_uri="",pipeline="llm"}} 1"#
        ),
        format!(r#"orchestrion_ai_reserved{{{labels},{BASE},pipeline="llm"}} 0"#),
    ] {
        has(&metrics, &line);
    }
    drop(runner);
    has(
        &metrics,
        &format!(
            r#"livepeer_ai_container_in_use{{{labels},{BASE},orchestrator_uri="",pipeline="llm"}} 0"#
        ),
    );
}

#[test]
fn what_video_and_ai_take_of_the_machine_is_told_in_cores_and_bytes() {
    let metrics = Metrics::new(&options()).expect("table");
    metrics.machine.set(Work::Ai, 1500, 7);
    let line = |name: &str, value: &str| format!(r#"{name}{{{BASE},work="ai"}} {value}"#);
    has(&metrics, &line("orchestrion_machine_cpu_cores", "1.5"));
    has(&metrics, &line("orchestrion_machine_memory_bytes", "7"));
}

#[test]
fn every_exported_name_is_in_the_list_of_names() {
    let metrics = Metrics::new(&options()).expect("table");
    let stream = metrics.video.stream("", "");
    stream.emerged(Duration::from_secs(1));
    stream.downloaded(Duration::from_secs(1));
    stream.transcoded(["p"], Duration::from_secs(1), Duration::from_secs(1));
    stream.failed(FailureCause::Unknown);
    stream.pixels(1);
    metrics.worker.declare_device("cpu");
    metrics
        .node
        .actor_restarted("SessionManager", ActorEnd::Panic);
    metrics
        .door
        .answered(Door::Public, "/segment", 200, Duration::from_millis(3));
    payments::record_everything(&metrics);
    record_chain(&metrics.chain);
    let _runner = record_ai(&metrics.ai);
    metrics.machine.set(Work::Video, 1500, 1 << 20);
    metrics.machine.refused(Work::Ai, Resource::Cpu);
    metrics.video.uploaded(Store::Own, UploadEnd::Stored);
    let names = names();
    let page = page(&metrics);
    let mut exported: Vec<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    exported.sort_unstable();
    exported.dedup();
    assert_eq!(
        exported, names,
        "declared and never exported, or the reverse"
    );
}

/// Makes every series about the chain appear.
fn record_chain(chain: &ChainMetrics) {
    chain.declare_endpoint("rpc.example");
    chain.requested(
        "rpc.example",
        RpcOutcome::Answered,
        3,
        Duration::from_millis(5),
    );
    chain.endpoint_head("rpc.example", 5, 0);
    chain.unavailable();
    chain.budget_waited();
    chain.processed(5, 0);
    chain.head_time(1);
    chain.l1_block(5);
    chain.event("NewRound");
}
