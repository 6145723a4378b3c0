//! What the encoder is told: read from x264's own record of its options, from key frames and reordering.

use protocol::profile::{Gop, H264Profile, VideoProfile};

use crate::media::{OnDisk, Parts, job, one, profile, run_with, segments, settings};

/// The reference's options at its preset, of which only the thread count depends on the machine.
const REFERENCE: &str = "cabac=1 ref=3 deblock=1:0:0 analyse=0x3:0x113 me=hex subme=7 psy=1 psy_rd=1.00:0.00 \
    mixed_ref=1 me_range=16 chroma_me=1 trellis=1 8x8dct=1 cqm=0 deadzone=21,11 fast_pskip=1 chroma_qp_offset=-2 \
    threads=1 lookahead_threads=1 sliced_threads=0 nr=0 decimate=1 interlaced=0 bluray_compat=0 constrained_intra=0 \
    bframes=3 b_pyramid=2 b_adapt=1 b_bias=0 direct=1 weightb=1 open_gop=0 weightp=2 keyint=250 keyint_min=25 \
    scenecut=40 intra_refresh=0 rc_lookahead=40 rc=cbr mbtree=1 bitrate=300 ratetol=1.0 qcomp=0.60 qpmin=0 qpmax=69 \
    qpstep=4 vbv_maxrate=300 vbv_bufsize=300 nal_hrd=none filler=0 ip_ratio=1.40 aq=1:1.00";

/// x264's record of its options, from the SEI of the first unit.
fn options(bytes: &[u8]) -> String {
    let parts = Parts::of(bytes);
    let data = &parts.units[0].data;
    let mark = b"options: ";
    let start = data
        .windows(mark.len())
        .position(|w| w == mark)
        .expect("no options in the stream")
        + mark.len();
    data[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_graphic() || **byte == b' ')
        .map(|b| *b as char)
        .collect()
}

fn option(bytes: &[u8], name: &str) -> Option<String> {
    options(bytes).split(' ').find_map(|pair| {
        pair.strip_prefix(name)?
            .strip_prefix('=')
            .map(str::to_owned)
    })
}

#[test]
fn options_at_medium_equal_the_reference() {
    let mut settings = settings("medium");
    settings.x264_threads = 1;
    let (renditions, _) = run_with(job(vec![profile()]), &segments()[0], &settings).unwrap();
    assert_eq!(options(&renditions[0].1), REFERENCE);
}

#[test]
fn preset_threads_and_lookahead_come_from_the_settings() {
    let mut settings = settings("veryfast");
    settings.x264_threads = 2;
    settings.x264_lookahead = Some(12);
    let (renditions, _) = run_with(job(vec![profile()]), &segments()[0], &settings).unwrap();
    let told = ["threads", "rc_lookahead", "subme", "bframes"]
        .map(|name| option(&renditions[0].1, name).unwrap());
    assert_eq!(told, ["2", "12", "2", "3"]);
}

#[test]
fn profiles_without_b_frames_do_not_reorder() {
    for (wanted, name, reorders) in [
        (H264Profile::Baseline, "Constrained Baseline", false),
        (H264Profile::ConstrainedHigh, "High", false),
        (H264Profile::Main, "Main", true),
        (H264Profile::High, "High", true),
        (H264Profile::Default, "High", true),
    ] {
        let bytes = one(
            VideoProfile {
                h264_profile: wanted,
                ..profile()
            },
            &segments()[0],
        )
        .1;
        let parts = Parts::of(&bytes);
        let in_order = parts.units.windows(2).all(|w| w[0].pts < w[1].pts);
        assert_eq!(in_order, !reorders, "{wanted:?}");
        assert_eq!(
            OnDisk::new(&bytes, "out.ts").video("profile"),
            [name],
            "{wanted:?}"
        );
    }
}

#[test]
fn key_frames_come_where_the_profile_asks() {
    for (gop, fps, expected) in [
        (Gop::Default, 0, vec![0]),
        (Gop::IntraOnly, 0, (0..30).collect()),
        (Gop::Millis(500), 30, vec![0, 15]),
        (Gop::Millis(500), 0, vec![0, 15]),
        (Gop::Millis(300), 0, vec![0, 9, 18, 27]),
    ] {
        let bytes = one(
            VideoProfile {
                gop,
                fps,
                ..profile()
            },
            &segments()[0],
        )
        .1;
        assert_eq!(Parts::of(&bytes).keys(), expected, "{gop:?} at {fps}");
    }
}

#[test]
fn quality_replaces_the_bitrate_and_keeps_it_as_its_cap() {
    let told = |quality, bitrate, name| {
        let bytes = one(
            VideoProfile {
                quality,
                bitrate,
                ..profile()
            },
            &segments()[0],
        )
        .1;
        option(&bytes, name).unwrap_or_default()
    };
    assert_eq!(
        (told(30, 300_000, "rc"), told(30, 300_000, "crf")),
        ("crf".into(), "30.0".into())
    );
    assert_eq!(told(30, 300_000, "vbv_maxrate"), "300");
    assert_eq!(
        (told(0, 0, "crf"), told(0, 0, "vbv_maxrate")),
        ("23.0".into(), String::new())
    );
}
