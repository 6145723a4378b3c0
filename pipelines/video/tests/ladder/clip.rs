//! A part of a segment: counted from the first frame, shifted to zero if it has a start.

use host::job::Blame;
use protocol::profile::VideoProfile;

use crate::media::{Parts, clipped, profile, segments};

#[test]
fn a_start_shifts_video_and_audio_to_zero() {
    for fps in [0, 30] {
        let (renditions, stats) =
            clipped(VideoProfile { fps, ..profile() }, &segments()[1], 200, 700).unwrap();
        let parts = Parts::of(&renditions[0].1);
        assert_eq!((renditions[0].0.frames, stats.decoded_frames), (16, 30));
        let pts = parts.pts();
        // TS cannot say negative decoding times, so everything moves by the reordering delay
        let shift = pts[0];
        assert!((0..=9000).contains(&shift), "{shift}");
        assert_eq!(pts[15] - shift, 45_000);
        let audio: Vec<i64> = parts
            .audio
            .iter()
            .map(|packet| packet.pts - shift)
            .collect();
        assert!(
            !audio.is_empty() && audio.iter().all(|pts| (0..=45_000).contains(pts)),
            "{audio:?}"
        );
    }
}

#[test]
fn an_end_alone_cuts_without_a_shift() {
    let source = Parts::of(&segments()[1]);
    let (renditions, _) = clipped(profile(), &segments()[1], 0, 300).unwrap();
    let parts = Parts::of(&renditions[0].1);
    assert_eq!(parts.pts(), source.pts()[..10]);
    assert!(parts.audio.len() < source.audio.len());
    assert_eq!(parts.audio[0], source.audio[0]);
}

#[test]
fn a_clip_beyond_the_end_is_refused() {
    let error = clipped(profile(), &segments()[1], 5000, 0).unwrap_err();
    assert_eq!(
        (error.text.as_str(), error.blame),
        ("TranscoderInvalidClipConfig", Blame::Input)
    );
}
