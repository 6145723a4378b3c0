//! Signatures beside those of ffmpeg's `signature` filter, from the same raw frames: byte for byte.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::process::Command;

use orchestrion_video::Signature;

/// Pictures with edges, movement, noise and fades.
const SOURCES: [&str; 4] = ["testsrc2", "mandelbrot", "life", "gradients"];

/// Sizes that fall on the grid of cells in every way, and lengths around the borders of coarse signatures.
const CASES: [(u32, u32, usize); 22] = [
    (32, 32, 1),
    (34, 46, 2),
    (64, 64, 44),
    (62, 66, 45),
    (100, 70, 46),
    (146, 146, 89),
    (144, 176, 90),
    (160, 90, 91),
    (176, 144, 134),
    (256, 144, 135),
    (320, 136, 136),
    (320, 180, 180),
    (322, 182, 60),
    (426, 240, 181),
    (352, 288, 30),
    (480, 270, 48),
    (640, 272, 30),
    (640, 360, 60),
    (854, 480, 10),
    (1280, 720, 8),
    (1918, 1078, 3),
    (1920, 1080, 4),
];

#[test]
fn signatures_are_those_of_the_reference_filter_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    for (number, (width, height, frames)) in CASES.into_iter().enumerate() {
        let source = SOURCES[number % SOURCES.len()];
        let raw = directory.path().join("raw");
        let filtered = format!("{source}=size={width}x{height}:rate=30,noise=alls=9:allf=t");
        ffmpeg(&[
            "-f",
            "lavfi",
            "-i",
            &filtered,
            "-frames:v",
            &frames.to_string(),
            "-pix_fmt",
            "yuv420p",
            "-f",
            "rawvideo",
            text(&raw),
        ]);
        let reference = directory.path().join("reference");
        ffmpeg(&[
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-framerate",
            "30",
            "-video_size",
            &format!("{width}x{height}"),
            "-i",
            text(&raw),
            "-vf",
            &format!("signature=format=binary:filename={}", text(&reference)),
            "-f",
            "null",
            "-",
        ]);
        let picture = (width * height + 2 * width.div_ceil(2) * height.div_ceil(2)) as usize;
        let mut signature = Signature::new(width, height).unwrap();
        let samples = std::fs::read(&raw).unwrap();
        for (time, picture) in (0..).zip(samples.chunks_exact(picture)) {
            signature.add(picture, width as usize, time);
        }
        assert_eq!(signature.frames(), frames, "{source} {width}x{height}");
        let ours = signature.write(30).unwrap();
        let theirs = std::fs::read(&reference).unwrap();
        assert_eq!(
            ours.len(),
            theirs.len(),
            "{source} {width}x{height}, {frames} frames"
        );
        let differs = ours
            .iter()
            .zip(&theirs)
            .position(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None, "{source} {width}x{height}, {frames} frames");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
