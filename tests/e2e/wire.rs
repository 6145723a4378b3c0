//! Outside voices: Python's grpcio and curl in every way that HTTP can be spoken.

use std::path::Path;
use std::process::{Command, Output};

use prost::Message;
use protocol::{pb, result};

use super::gateway::{Gateway, Stream, segment_header, small};
use super::media;
use super::node::{Node, plain, scratch, shared};

/// The Python that has grpcio: the one on the path, or the system's.
pub fn python() -> &'static str {
    let has_grpc = |python: &&str| {
        let tried = Command::new(python)
            .args(["-c", "import grpc, grpc_tools"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(has_grpc)
        .expect("no Python with grpcio; `./setup.sh test` installs it")
}

async fn grpcio(node: &Node) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let work = scratch();
    let mut command = Command::new(python());
    command
        .arg(root.join("tests/e2e/wire.py"))
        .arg(&node.public)
        .arg(root.join("protocol/proto"))
        .arg(work.path());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("task")
        .expect("run Python");
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_speaks_with_the_node_over_tls() {
    grpcio(shared().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_speaks_with_the_node_in_plain_text() {
    grpcio(plain().await).await;
}

/// A call by curl.
struct Curl {
    status: String,
    version: String,
    headers: String,
    body: Vec<u8>,
}

async fn curl(node: &Node, mode: &str, path: &str, more: &[&str]) -> Curl {
    let directory = scratch();
    let (headers, body) = (
        directory.path().join("headers"),
        directory.path().join("body"),
    );
    let mut command = Command::new("curl");
    command.args([
        "-sS",
        "--insecure",
        "--noproxy",
        "*",
        "--max-time",
        "30",
        "-w",
        "%{http_code} %{http_version}",
        mode,
    ]);
    command
        .arg("-D")
        .arg(&headers)
        .arg("-o")
        .arg(&body)
        .args(more);
    command.arg(if path.starts_with("http") {
        path.to_owned()
    } else {
        format!("{}{path}", node.public)
    });
    let output: Output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("task")
        .expect("run curl");
    assert!(
        output.status.success(),
        "curl {mode} {path}: {}",
        text(&output.stderr)
    );
    let told = text(&output.stdout);
    let (status, version) = told.split_once(' ').expect("status and version");
    Curl {
        status: status.to_owned(),
        version: version.to_owned(),
        headers: std::fs::read_to_string(&headers)
            .unwrap_or_default()
            .to_ascii_lowercase(),
        body: std::fs::read(&body).unwrap_or_default(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn every_route(node: &Node, mode: &str, version: &str) {
    let stream = Gateway::of(node)
        .stream(&format!("curl {mode}"), small())
        .await;
    let healthz = curl(node, mode, "/healthz", &[]).await;
    assert_eq!(
        (healthz.status.as_str(), healthz.version.as_str()),
        ("200", version),
        "{mode}"
    );
    assert!(healthz.body.is_empty());
    let unknown = curl(node, mode, "/no/such/path", &[]).await;
    assert_eq!(unknown.status, "404", "{mode}");
    let refresh = curl(node, mode, "/refresh-payment", &[]).await;
    assert_eq!(refresh.status, "405", "{mode}");
    let refresh = curl(node, mode, "/refresh-payment", &["-d", r#"{"sender":"x"}"#]).await;
    assert_eq!(
        (refresh.status.as_str(), text(&refresh.body)),
        ("400", r#"{"error":{"message":"invalid sender"}}"#.into()),
        "{mode}"
    );
    let missing = curl(node, mode, "/stream/none/none/0.ts", &[]).await;
    assert_eq!(
        (missing.status.as_str(), text(&missing.body)),
        ("404", "ErrNotFound\n".into()),
        "{mode}"
    );
    segment(node, mode, &stream).await;
}

async fn segment(node: &Node, mode: &str, stream: &Stream) {
    let directory = scratch();
    let file = directory.path().join("segment.ts");
    std::fs::write(&file, &media::tiny().bytes).expect("write a segment");
    let data = format!("@{}", file.display());
    let header = format!(
        "Livepeer-Segment: {}",
        segment_header(&stream.seg_data(4, media::tiny()))
    );
    let sent = [
        "-H",
        "Livepeer-Payment;",
        "-H",
        "Content-Type: video/MP2T",
        "--data-binary",
        &data,
    ];

    let bad = curl(node, mode, "/segment", &sent).await;
    assert_eq!(
        (bad.status.as_str(), text(&bad.body)),
        ("403", "missing auth token\n".into()),
        "{mode}"
    );
    assert!(
        bad.headers.contains("x-content-type-options: nosniff"),
        "{mode}: {}",
        bad.headers
    );

    let payment = curl(node, mode, "/payment", &["-X", "POST", "-H", &header]).await;
    assert_eq!(payment.status, "200", "{mode}");
    let result = pb::PaymentResult::decode(&payment.body[..]).expect("PaymentResult");
    assert_eq!(
        result.info.expect("info").auth_token,
        stream.info.auth_token
    );

    let good = curl(
        node,
        mode,
        "/segment",
        &[&["-H", &header], &sent[..]].concat(),
    )
    .await;
    assert_eq!(good.status, "200", "{mode}");
    let answer = result::decode(&good.body).expect("result");
    let url = answer.outcome.expect("renditions").segments[0].url.clone();
    let rendition = curl(node, mode, &url, &[]).await;
    assert_eq!(rendition.status, "200", "{mode}");
    assert!(
        rendition.headers.contains("access-control-allow-origin: *"),
        "{mode}: {}",
        rendition.headers
    );
    assert!(
        rendition
            .headers
            .contains(&format!("content-length: {}", rendition.body.len())),
        "{mode}"
    );
    assert_eq!(rendition.body[0], 0x47, "a transport stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_reaches_every_route_over_tls_with_and_without_alpn() {
    for (mode, version) in [("--http1.1", "1.1"), ("--http2", "2"), ("--no-alpn", "1.1")] {
        every_route(shared().await, mode, version).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_reaches_every_route_in_plain_text_by_http1_and_by_prior_knowledge() {
    for (mode, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
        every_route(plain().await, mode, version).await;
    }
}
