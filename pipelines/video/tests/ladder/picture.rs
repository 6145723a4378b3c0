//! What the pictures look like: scaling, colours, colour tags.

use std::process::Command;

use protocol::profile::VideoProfile;

use crate::media::{H264, OnDisk, job, make, one, profile, run};

/// Mean PSNR in dB of a rendition against the source scaled by ffmpeg.
fn psnr(source: &[u8], output: &[u8], (width, height): (u32, u32)) -> f64 {
    let source = OnDisk::new(source, "source.ts");
    let output = OnDisk::new(output, "output.ts");
    let graph = format!("[1:v]scale={width}:{height}:flags=bicubic[r];[0:v][r]psnr=stats_file=-");
    let run = Command::new("ffmpeg")
        .args(["-hide_banner", "-v", "error", "-nostdin", "-i"])
        .arg(&output.path)
        .arg("-i")
        .arg(&source.path)
        .args(["-lavfi", &graph, "-f", "null", "-"])
        .output()
        .expect("these tests need ffmpeg; install the Debian package ffmpeg");
    let text = String::from_utf8(run.stdout).unwrap();
    let values: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("psnr_avg:"))
        .map(|value| value.parse().unwrap_or(100.0))
        .collect();
    assert_eq!(values.len(), 10, "{}", String::from_utf8_lossy(&run.stderr));
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn pictures_are_those_of_the_source_unscaled_and_scaled_in_and_out_of_aspect() {
    // saturated colours and 720 lines: a conversion between BT.709 and BT.601 would cost 10 dB
    let source = make(
        &format!("-f lavfi -i testsrc2=s=1280x720:r=25:d=0.4 {H264} -crf 12"),
        "hd.ts",
    );
    let sizes = [(1280, 720), (640, 360), (426, 240)];
    let profiles = sizes.map(|(width, height)| VideoProfile {
        width,
        height,
        bitrate: 20_000_000,
        ..profile()
    });
    let (renditions, _) = run(job(profiles.to_vec()), &source).unwrap();
    for (size, (rendition, bytes)) in sizes.into_iter().zip(renditions) {
        assert_eq!((rendition.width, rendition.height), size);
        let psnr = psnr(&source, &bytes, size);
        assert!(psnr > 33.0, "{size:?}: {psnr} dB");
    }
}

#[test]
fn colour_tags_are_those_of_the_source_or_none() {
    let input = "-f lavfi -i testsrc2=s=1280x720:r=25:d=0.4";
    let bt709 = "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv";
    for (tags, expected) in [("", "unknown"), (bt709, "bt709")] {
        let source = make(&format!("{input} {H264} {tags}"), "tagged.ts");
        let bytes = one(profile(), &source).1;
        let told =
            OnDisk::new(&bytes, "out.ts").video("color_space,color_transfer,color_primaries");
        assert_eq!(told, [expected; 3], "source tagged {tags:?}");
    }
}

#[test]
fn full_range_stays_full_range() {
    let source = make(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=0.4 -c:v libx264 -pix_fmt yuvj420p",
        "full.ts",
    );
    let bytes = one(profile(), &source).1;
    assert_eq!(OnDisk::new(&bytes, "out.ts").video("color_range"), ["pc"]);
}
