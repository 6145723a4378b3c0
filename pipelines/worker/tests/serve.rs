//! The real worker behind its walls: a segment goes in by the link and its renditions come out.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use host::job::{Device, EncoderSettings, JobId, SegmentJob};
use host::message::{Command, Report};
use host::process::{Exit, WorkerLauncher, WorkerLimits, write_registry};
use protocol::profile::{Format, Gop, H264Profile, VideoCodec, VideoProfile};

const JOB: JobId = JobId(1);

fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_orchestrion-worker").into()
}

fn launcher(registry: Option<PathBuf>) -> WorkerLauncher {
    let limits = WorkerLimits {
        hello: Duration::from_secs(60),
        ..WorkerLimits::default()
    };
    WorkerLauncher::new(binary(), limits, registry)
}

fn settings() -> EncoderSettings {
    EncoderSettings {
        device: Device::Cpu,
        x264_preset: "ultrafast".into(),
        x264_lookahead: None,
        x264_threads: 1,
    }
}

fn profile(width: u32, height: u32, format: Format) -> VideoProfile {
    VideoProfile {
        name: format!("{width}x{height}"),
        width,
        height,
        bitrate: 200_000,
        fps: 0,
        fps_den: 1,
        format,
        codec: VideoCodec::H264,
        h264_profile: H264Profile::Default,
        gop: Gop::Default,
        quality: 0,
    }
}

#[tokio::test]
async fn a_segment_is_transcoded_inside_the_sandbox() {
    let directory = tempfile::tempdir().unwrap();
    let registry = directory.path().join("registry.bin");
    write_registry(&binary(), &registry).unwrap();
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/assembly/clips/h264.ts");
    let input = Bytes::from(std::fs::read(clip).unwrap());

    let mut worker = launcher(Some(registry)).launch(settings()).await.unwrap();
    let send = |command, bytes| worker.sender.send(command, bytes);
    let spec = SegmentJob {
        stream: "test".into(),
        seq: 0,
        profiles: vec![
            profile(146, 146, Format::MpegTs),
            profile(160, 160, Format::Mp4),
        ],
        duration_ms: 200,
        clip: None,
        provider: "test".into(),
        perceptual_hash: false,
    };
    send(Command::Segment { job: JOB, spec }, None)
        .await
        .unwrap();
    send(Command::Input { job: JOB }, Some(input))
        .await
        .unwrap();
    send(Command::InputEnd { job: JOB }, None).await.unwrap();
    let mut renditions = Vec::new();
    let stats = loop {
        match worker.receiver.recv().await.unwrap() {
            (Report::Rendition { rendition, .. }, bytes) => renditions.push((rendition, bytes)),
            (Report::Done { stats, .. }, _) => break stats,
            (Report::Failed { error, .. }, _) => panic!("{error}"),
            _ => {}
        }
    };
    assert!(stats.decoded_frames > 0);
    assert_eq!(renditions.len(), 2);
    for (index, (rendition, bytes)) in renditions.iter().enumerate() {
        assert_eq!(rendition.index, index);
        assert_eq!(rendition.frames, stats.decoded_frames);
        assert!(!bytes.is_empty());
    }

    send(Command::Shutdown, None).await.unwrap();
    assert_eq!(worker.handle.exit().await, Exit::Clean);
}

#[tokio::test]
async fn a_start_with_a_written_registry_needs_no_scan() {
    let directory = tempfile::tempdir().unwrap();
    let registry = directory.path().join("registry.bin");
    write_registry(&binary(), &registry).unwrap();
    let written = std::fs::metadata(&registry).unwrap().modified().unwrap();
    let start = async |registry| {
        let begun = Instant::now();
        let worker = launcher(registry).launch(settings()).await.unwrap();
        let took = begun.elapsed();
        assert!(worker.walls.len() >= 8);
        took
    };
    let cold = start(None).await;
    let mut warm: Vec<_> = Vec::new();
    for _ in 0..5 {
        warm.push(start(Some(registry.clone())).await);
    }
    warm.sort();
    println!("start without a registry {cold:?}, with one {warm:?}");
    assert!(warm[0] < cold);
    let after = std::fs::metadata(&registry).unwrap().modified().unwrap();
    assert_eq!(after, written);
}
