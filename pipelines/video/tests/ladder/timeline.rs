//! Times, frame counts, audio and pixels of consecutive segments.

use containers::grid::FrameGrid;
use protocol::profile::VideoProfile;

use crate::media::{OnDisk, Parts, job, one, profile, run, segments};

#[test]
fn pass_through_keeps_every_time_frame_and_audio_packet() {
    for segment in segments() {
        let source = Parts::of(segment);
        let (renditions, stats) = run(job(vec![profile()]), segment).unwrap();
        let output = Parts::of(&renditions[0].1);
        assert_eq!(output.pts(), source.pts());
        assert_eq!(output.audio, source.audio);
        assert_eq!(
            (stats.decoded_frames, stats.decoded_pixels),
            (30, 30 * 320 * 180)
        );
        assert_eq!(stats.input_codec, "H264");
        assert!(
            stats.cpu_us > 0 && stats.after_input_us <= stats.total_us && stats.peak_rss > 1 << 20
        );
    }
}

#[test]
fn reported_pixels_are_those_a_decoder_counts() {
    let profiles =
        [(160, 90, 0), (320, 180, 15), (240, 134, 50)].map(|(width, height, fps)| VideoProfile {
            width,
            height,
            fps,
            ..profile()
        });
    let (renditions, _) = run(job(profiles.to_vec()), &segments()[1]).unwrap();
    for (rendition, bytes) in renditions {
        let told: Vec<u64> = OnDisk::new(&bytes, "out.ts")
            .video("width,height,nb_read_frames")
            .iter()
            .map(|value| value.parse().unwrap())
            .collect();
        assert_eq!(
            told.iter().product::<u64>(),
            rendition.pixels(),
            "{rendition:?}"
        );
    }
}

#[test]
fn a_changed_rate_joins_over_segments_without_gap_or_overlap() {
    let rates = [(15, 1), (24, 1), (50, 1), (30_000, 1001), (7, 1)];
    let profiles: Vec<VideoProfile> = rates
        .iter()
        .map(|(fps, fps_den)| VideoProfile {
            fps: *fps,
            fps_den: *fps_den,
            ..profile()
        })
        .collect();
    let mut joined = vec![Vec::new(); rates.len()];
    for segment in segments() {
        let (renditions, _) = run(job(profiles.clone()), segment).unwrap();
        for (pts, (rendition, bytes)) in joined.iter_mut().zip(renditions) {
            let parts = Parts::of(&bytes);
            assert_eq!(parts.units.len() as u64, rendition.frames);
            pts.extend(parts.pts());
        }
    }
    let source = Parts::of(&segments()[0]).pts();
    for (pts, (num, den)) in joined.iter().zip(rates) {
        let grid = FrameGrid::new(num, den).unwrap();
        let first = grid.slot(source[0]);
        let end = grid.slot(source[0] + 90 * 3000);
        let expected: Vec<i64> = (first..end).map(|slot| grid.slot_ticks(slot)).collect();
        assert_eq!(*pts, expected, "{num}/{den}");
    }
}

#[test]
fn renditions_keep_the_order_asked_even_with_equal_names_and_sizes() {
    let profiles = vec![
        profile(),
        VideoProfile {
            fps: 10,
            ..profile()
        },
        VideoProfile {
            width: 240,
            height: 134,
            ..profile()
        },
        profile(),
    ];
    let (renditions, _) = run(job(profiles), &segments()[0]).unwrap();
    let told: Vec<_> = renditions
        .iter()
        .map(|(r, _)| (r.index, r.width, r.height, r.frames))
        .collect();
    assert_eq!(
        told,
        [
            (0, 160, 90, 30),
            (1, 160, 90, 10),
            (2, 240, 136, 30),
            (3, 160, 90, 30)
        ]
    );
    assert_eq!(renditions[0].1, renditions[3].1);
}

#[test]
fn a_stream_late_in_its_life_keeps_its_times() {
    let late = crate::media::make(
        &format!(
            "{} {} {} -output_ts_offset 37489.1 {}",
            crate::media::source(1),
            crate::media::H264,
            crate::media::AAC,
            crate::media::KEEP
        ),
        "late.ts",
    );
    let source = Parts::of(&late);
    assert!(source.pts()[0] > 3_374_000_000);
    let output = Parts::of(&one(profile(), &late).1);
    assert_eq!((output.pts(), output.audio), (source.pts(), source.audio));
}
