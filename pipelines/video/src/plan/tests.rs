//! What each profile field asks of the encoder, and which profiles are refused with which text.

use host::job::{Blame, Clip};

use super::*;

fn profile() -> VideoProfile {
    VideoProfile {
        name: "P240p30fps16x9".into(),
        width: 426,
        height: 240,
        bitrate: 600_000,
        fps: 30,
        fps_den: 0,
        format: Format::MpegTs,
        h264_profile: H264Profile::Default,
        gop: Gop::Default,
        codec: VideoCodec::H264,
        quality: 0,
    }
}

fn job(profiles: Vec<VideoProfile>) -> SegmentJob {
    SegmentJob {
        stream: "s".into(),
        seq: 0,
        profiles,
        duration_ms: 2000,
        clip: None,
        provider: "p".into(),
        perceptual_hash: false,
    }
}

fn one(profile: VideoProfile) -> BranchPlan {
    plan(&job(vec![profile])).unwrap().remove(0)
}

fn refused(job: &SegmentJob) -> String {
    let error = plan(job).unwrap_err();
    assert_eq!(error.blame, Blame::Input);
    error.text
}

#[test]
fn refusals_carry_the_text_the_gateway_knows() {
    assert_eq!(refused(&job(vec![profile(); 11])), "Too many outputs");
    assert_eq!(
        refused(&job(vec![VideoProfile {
            gop: Gop::Invalid(-2),
            ..profile()
        }])),
        "TranscoderInvalidGOP"
    );
    assert_eq!(
        refused(&job(vec![VideoProfile {
            codec: VideoCodec::Vp9,
            ..profile()
        }])),
        "Encoder not found"
    );
    let clipped = SegmentJob {
        clip: Some(Clip {
            from_ms: 2,
            to_ms: 1,
        }),
        ..job(vec![profile()])
    };
    assert_eq!(refused(&clipped), "TranscoderInvalidClipConfig");
}

#[test]
fn open_clips_and_ten_outputs_are_allowed() {
    assert_eq!(plan(&job(vec![profile(); 10])).unwrap().len(), 10);
    let open = SegmentJob {
        clip: Some(Clip {
            from_ms: 2,
            to_ms: 0,
        }),
        ..job(vec![profile()])
    };
    assert!(plan(&open).is_ok());
}

#[test]
fn bitrate_is_rounded_to_kilobits_and_never_zero() {
    for (bitrate, kbit) in [(600_000, 600), (600_499, 600), (600_500, 601), (1, 1)] {
        let plan = one(VideoProfile {
            bitrate,
            ..profile()
        });
        assert_eq!(plan.control, RateControl::Constant { kbit });
    }
}

#[test]
fn quality_keeps_the_bitrate_as_its_cap() {
    let plan = one(VideoProfile {
        quality: 30,
        ..profile()
    });
    assert_eq!(
        plan.control,
        RateControl::Quality {
            crf: 30,
            cap_kbit: Some(600)
        }
    );
    let plan = one(VideoProfile {
        quality: 30,
        bitrate: 0,
        ..profile()
    });
    assert_eq!(
        plan.control,
        RateControl::Quality {
            crf: 30,
            cap_kbit: None
        }
    );
    let plan = one(VideoProfile {
        quality: 64,
        ..profile()
    });
    assert_eq!(plan.control, RateControl::Constant { kbit: 600 });
    let plan = one(VideoProfile {
        bitrate: 0,
        ..profile()
    });
    assert_eq!(
        plan.control,
        RateControl::Quality {
            crf: 23,
            cap_kbit: None
        }
    );
}

#[test]
fn profiles_without_reordering_have_no_b_frames() {
    for (wanted, name, b_frames) in [
        (H264Profile::Default, None, 3),
        (H264Profile::Baseline, Some("baseline"), 0),
        (H264Profile::Main, Some("main"), 3),
        (H264Profile::High, Some("high"), 3),
        (H264Profile::ConstrainedHigh, Some("high"), 0),
    ] {
        let plan = one(VideoProfile {
            h264_profile: wanted,
            ..profile()
        });
        assert_eq!((plan.profile, plan.b_frames), (name, b_frames));
    }
}

#[test]
fn key_frame_distance_follows_the_reference() {
    let with = |gop, fps, fps_den| {
        let plan = one(VideoProfile {
            gop,
            fps,
            fps_den,
            ..profile()
        });
        (plan.key_interval, plan.force_key_after)
    };
    assert_eq!(with(Gop::Default, 30, 1), (250, None));
    assert_eq!(with(Gop::IntraOnly, 0, 0), (1, None));
    assert_eq!(with(Gop::Millis(2000), 30, 1), (60, None));
    assert_eq!(with(Gop::Millis(1250), 25, 1), (31, None));
    assert_eq!(with(Gop::Millis(2000), 30_000, 1001), (60_000, None));
    assert_eq!(with(Gop::Millis(10), 30, 1), (1, None));
    assert_eq!(with(Gop::Millis(500), 0, 0), (250, Some(45_000)));
}
