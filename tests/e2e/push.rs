//! `orchestrion push` against a node: what it says of a good stream, and of one that fails.

use std::path::Path;

use super::media;
use super::node::{Node, free_port, program, scratch, shared};

/// Exit code and report.
async fn push(orchestrator: &str, input: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = program(&[
        "push",
        "-json",
        "-fast",
        "-ladder",
        "P144p30fps16x9,P240p25fps16x9",
        "-orch",
        orchestrator,
    ]);
    command.args(more).arg(input);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("task")
        .expect("run push");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn folder(clips: impl IntoIterator<Item = impl AsRef<[u8]>>) -> tempfile::TempDir {
    let directory = scratch();
    for (number, clip) in clips.into_iter().enumerate() {
        std::fs::write(directory.path().join(format!("{number}.ts")), clip)
            .expect("write a segment");
    }
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_folder_comes_back_verified_and_saved() {
    let node: &Node = shared().await;
    let segments = folder(media::stream().iter().map(|clip| clip.bytes.clone()));
    let saved = scratch();
    let out = saved.path().to_str().expect("text");
    let (code, report, told) = push(
        &node.public,
        segments.path(),
        &["-streams", "2", "-out", out],
    )
    .await;
    assert_eq!(code, Some(0), "{report}{told}");
    let report: serde_json::Value = serde_json::from_str(&report).expect("a report in JSON");
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(report["verified"], true, "{report}");
    for (name, count) in [
        ("streams", 2),
        ("segments", 8),
        ("delivered", 8),
        ("lost", 0),
        ("retries", 0),
    ] {
        assert_eq!(report[name], count, "{name} in {report}");
    }
    assert!(
        saved.path().read_dir().expect("saved").next().is_some(),
        "renditions are saved"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_is_told_by_exit_code_and_report() {
    let node: &Node = shared().await;
    // A folder with a gap of nonsense is a stream that loses a segment.
    let good = |number: usize| media::stream()[number].bytes.to_vec();
    let segments = folder([good(0), media::second().bytes[..400].to_vec(), good(2)]);
    let (code, report, told) = push(&node.public, segments.path(), &[]).await;
    assert_eq!(code, Some(1), "{report}{told}");
    let nobody = format!("https://127.0.0.1:{}", free_port());
    let segments = folder([good(0)]);
    let (code, _, told) = push(&nobody, segments.path(), &[]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&nobody), "{told}");
    let (code, _, told) = push(&node.public, Path::new("/no/such/file.ts"), &[]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("/no/such/file.ts"), "{told}");
}
