//! MP4 in and out, audio other than AAC or none, and the provider's name.

use protocol::profile::{Format, VideoProfile};

use crate::media::{AAC, H264, KEEP, OnDisk, Parts, make, one, profile, segments, source};

#[test]
fn an_mp4_rendition_holds_the_same_times_and_names_its_maker() {
    let source = Parts::of(&segments()[1]);
    let bytes = one(
        VideoProfile {
            format: Format::Mp4,
            ..profile()
        },
        &segments()[1],
    )
    .1;
    assert_eq!(Parts::of(&bytes).pts(), source.pts());
    let file = OnDisk::new(&bytes, "out.mp4");
    assert_eq!(file.video("nb_read_frames"), ["30"]);
    assert_eq!(
        file.ffprobe(&["-show_entries", "format_tags=comment"]),
        ["Processed by Test Provider"]
    );
    let starts = |file: &OnDisk| file.ffprobe(&["-show_entries", "stream=start_time"]);
    let close =
        |a: &str, b: &str| (a.parse::<f64>().unwrap() - b.parse::<f64>().unwrap()).abs() < 0.002;
    let (told, wanted) = (starts(&file), starts(&OnDisk::new(&segments()[1], "in.ts")));
    assert!(
        told.len() == 2 && told.iter().zip(&wanted).all(|(a, b)| close(a, b)),
        "{told:?} {wanted:?}"
    );
}

#[test]
fn an_mp4_segment_is_transcoded_like_a_ts_segment() {
    let input = make(
        &format!("{} {H264} {AAC} -movflags +faststart", source(1)),
        "in.mp4",
    );
    let (rendition, bytes) = one(profile(), &input);
    assert_eq!(
        (rendition.width, rendition.height, rendition.frames),
        (160, 90, 30)
    );
    let parts = Parts::of(&bytes);
    let steps: Vec<i64> = parts.pts().windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!(steps, [3000; 29]);
    assert!(!parts.audio.is_empty());
}

#[test]
fn a_ts_rendition_names_its_provider() {
    let bytes = one(profile(), &segments()[0]).1;
    let told =
        OnDisk::new(&bytes, "out.ts").ffprobe(&["-show_entries", "program_tags=service_provider"]);
    assert_eq!(told, ["Test Provider"]);
}

#[test]
fn audio_of_another_codec_is_copied_and_no_audio_stays_none() {
    let mp2 = make(&format!("{} {H264} -c:a mp2 {KEEP}", source(1)), "mp2.ts");
    let output = Parts::of(&one(profile(), &mp2).1);
    assert_eq!(output.audio, Parts::of(&mp2).audio);
    let silent = make(
        &format!("-f lavfi -i testsrc2=s=320x180:r=30:d=1 {H264}"),
        "silent.ts",
    );
    let bytes = one(profile(), &silent).1;
    assert!(Parts::of(&bytes).audio.is_empty());
    assert_eq!(
        OnDisk::new(&bytes, "out.ts").ffprobe(&["-show_entries", "stream=codec_type"]),
        ["video"]
    );
}
