//! Input that cannot be transcoded, and the exact text the gateway is told; cancelling.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use host::job::{Blame, JobError};
use orchestrion_video::SegmentRun;
use protocol::profile::{VideoCodec, VideoProfile};

use crate::media::{
    AAC, H264, OnDisk, ffmpeg, job, make, profile, run, segments, settings, source,
};

fn refused(input: &[u8]) -> String {
    let JobError {
        text,
        blame,
        detail,
    } = run(job(vec![profile()]), input).unwrap_err();
    assert_eq!(blame, Blame::Input, "{text}: {detail}");
    text
}

#[test]
fn bytes_that_are_no_media_are_invalid_data() {
    let noise: Vec<u8> = (0u32..200_000)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80)
        .collect();
    for input in [&b""[..], b"hello", &[0; 100_000], &noise] {
        assert_eq!(
            refused(input),
            "Invalid data found when processing input",
            "{} bytes",
            input.len()
        );
    }
}

#[test]
fn input_without_video_is_invalid_video() {
    assert_eq!(
        refused(&make(
            &format!("-f lavfi -i sine=r=48000:d=1 {AAC}"),
            "audio.ts"
        )),
        "TranscoderInvalidVideo"
    );
}

#[test]
fn input_without_key_frames_says_so() {
    let file = OnDisk::new(&segments()[0], "in.ts");
    ffmpeg(
        file.folder.path(),
        "-i in.ts -c copy -bsf:v noise=drop=key out.ts",
    );
    assert_eq!(
        refused(&std::fs::read(file.folder.path().join("out.ts")).unwrap()),
        "No keyframes in input"
    );
}

#[test]
fn a_codec_that_nothing_here_decodes_has_no_decoder() {
    let arguments = "-f lavfi -i testsrc2=s=320x180:r=30:d=0.5 -c:v mpeg2video -g 15";
    assert_eq!(refused(&make(arguments, "in.ts")), "Decoder not found");
}

#[test]
fn more_than_five_minutes_are_refused() {
    let arguments = "-f lavfi -i color=s=160x96:r=1:d=303 -c:v libx264 -preset ultrafast -g 30";
    assert_eq!(
        refused(&make(arguments, "long.ts")),
        "TranscoderInvalidDuration"
    );
}

#[test]
fn profiles_that_no_input_can_satisfy_are_refused_before_it_comes() {
    let start = |profiles| {
        SegmentRun::start(job(profiles), &settings("superfast"), Arc::new(|_| {}))
            .err()
            .map(|error| error.text)
    };
    assert_eq!(
        start(vec![profile(); 11]).as_deref(),
        Some("Too many outputs")
    );
    let hevc = VideoProfile {
        codec: VideoCodec::H265,
        ..profile()
    };
    assert_eq!(
        start(vec![profile(), hevc]).as_deref(),
        Some("Encoder not found")
    );
    assert_eq!(start(vec![profile()]), None);
}

#[test]
fn frames_far_apart_at_a_high_rate_are_a_runaway() {
    let apart = "-f lavfi -i testsrc2=s=320x180:r=1:d=3 -vf setpts=N*40/TB -fps_mode passthrough";
    let input = make(
        &format!("{apart} -c:v libx264 -preset ultrafast -g 1"),
        "apart.ts",
    );
    let error = run(
        job(vec![VideoProfile {
            fps: 30,
            ..profile()
        }]),
        &input,
    )
    .unwrap_err();
    assert_eq!(
        (error.text.as_str(), error.blame),
        ("Encoded frames runaway", Blame::Input)
    );
}

#[test]
fn a_run_dropped_in_the_middle_ends() {
    let input = make(&format!("{} {H264} {AAC}", source(3)), "in.ts");
    let decoded = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&decoded);
    let profiles = vec![
        VideoProfile {
            fps: 60,
            ..profile()
        },
        profile(),
    ];
    let progress = Arc::new(move |frames| count.store(frames, Ordering::SeqCst));
    let mut run = SegmentRun::start(job(profiles), &settings("veryslow"), progress).unwrap();
    run.push(&input[..input.len() / 2]).unwrap();
    while decoded.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    drop(run);
}
