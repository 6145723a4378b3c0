//! What goes into a transport stream comes out again: units, packets and times, however it is cut.

use bytes::Bytes;
use orchestrion_containers::ts::{PACKET_SIZE, TsDemuxer, TsOutput, mux_ts};
use orchestrion_containers::{
    AccessUnit, AudioCodec, AudioPacket, Demuxer, MediaEvent, VideoCodec,
};
use proptest::prelude::*;

const WRAP: i64 = 1 << 33;

fn unit(codec: VideoCodec, index: usize, key: bool, size: usize) -> Bytes {
    let mut data = match codec {
        VideoCodec::H265 => vec![
            0,
            0,
            0,
            1,
            35 << 1,
            1,
            0x50,
            0,
            0,
            1,
            if key { 19 << 1 } else { 1 << 1 },
            1,
            0x80,
        ],
        _ => vec![
            0,
            0,
            0,
            1,
            9,
            0xf0,
            0,
            0,
            1,
            if key { 0x65 } else { 0x41 },
            0x88,
        ],
    };
    // Never two zeros in a row, so no start code arises.
    data.extend((0..size).map(|i| (i * 7 + index) as u8 | 1));
    data.into()
}

fn adts(index: usize) -> Bytes {
    let mut frame = vec![0xff, 0xf1, 0x4c, 0x80, 0x04, 0x1f, 0xfc];
    frame.resize(32, index as u8);
    frame.into()
}

/// A video of `sizes.len()` pictures with reordering and audio beside it, from `start` on.
fn media(codec: VideoCodec, sizes: &[usize], start: i64) -> (Vec<AccessUnit>, Vec<AudioPacket>) {
    let units = sizes.iter().enumerate().map(|(i, size)| {
        let (dts, key) = (start + i as i64 * 3000, i % 12 == 0);
        AccessUnit {
            pts: dts + 3000 * [2, 4, 1, 1][i % 4],
            dts,
            key,
            data: unit(codec, i, key, *size),
        }
    });
    let audio = (0..sizes.len()).map(|i| AudioPacket {
        pts: start - 4320 + i as i64 * 1920,
        data: adts(i),
    });
    (units.collect(), audio.collect())
}

fn mux(
    codec: VideoCodec,
    units: &[AccessUnit],
    audio: Option<(&AudioCodec, &[AudioPacket])>,
) -> Vec<u8> {
    mux_ts(&TsOutput {
        video_codec: codec,
        access_units: units,
        audio_codec: audio.map(|(codec, _)| codec),
        audio_packets: audio.map_or(&[], |(_, packets)| packets),
        service_provider: "Livepeer Transcoder 0.0.0 (test)",
    })
}

fn demux(stream: &[u8], chunk: usize) -> Vec<MediaEvent> {
    let mut demuxer = TsDemuxer::new();
    let mut out = Vec::new();
    stream
        .chunks(chunk)
        .for_each(|part| demuxer.push(part, &mut out));
    demuxer.finish(&mut out);
    out
}

fn parts(events: &[MediaEvent]) -> (Vec<AccessUnit>, Vec<AudioPacket>) {
    let mut parts = (Vec::new(), Vec::new());
    for event in events {
        match event {
            MediaEvent::AccessUnit(unit) => parts.0.push(unit.clone()),
            MediaEvent::AudioPacket(packet) => parts.1.push(packet.clone()),
            MediaEvent::Video(_) | MediaEvent::Audio(_) => {}
        }
    }
    parts
}

#[test]
fn tracks_are_announced_before_their_first_unit() {
    let descriptors = Bytes::from_static(b"\x6a\x01\x00");
    let codec = AudioCodec::Other {
        stream_type: 0x06,
        descriptors,
    };
    let (units, audio) = media(VideoCodec::H265, &[100; 5], 6000);
    let events = demux(&mux(VideoCodec::H265, &units, Some((&codec, &audio))), 1000);
    assert_eq!(
        &events[..2],
        &[
            MediaEvent::Video(VideoCodec::H265),
            MediaEvent::Audio(codec)
        ]
    );
}

#[test]
fn without_audio_only_video_is_announced() {
    let (units, _) = media(VideoCodec::H264, &[100; 5], 6000);
    let events = demux(&mux(VideoCodec::H264, &units, None), 1000);
    assert_eq!(parts(&events), (units, vec![]));
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, MediaEvent::Audio(_)))
    );
}

#[test]
fn a_unit_is_handed_out_when_the_next_one_begins() {
    let (units, _) = media(VideoCodec::H264, &[5000; 8], 6000);
    let stream = mux(VideoCodec::H264, &units, None);
    let mut demuxer = TsDemuxer::new();
    let mut out = Vec::new();
    demuxer.push(&stream[..stream.len() / 2], &mut out);
    assert!(
        parts(&out).0.len() >= 3,
        "decoding cannot overlap the upload"
    );
}

#[test]
fn times_beyond_33_bits_and_below_zero_survive_relative_to_each_other() {
    for start in [WRAP - 9000, -3000] {
        let (units, audio) = media(VideoCodec::H264, &[100; 30], start);
        let (got_units, got_audio) = parts(&demux(
            &mux(VideoCodec::H264, &units, Some((&AudioCodec::Aac, &audio))),
            500,
        ));
        let shift = got_units[0].dts - units[0].dts;
        assert_eq!(shift.rem_euclid(WRAP), 0);
        assert!(
            got_units
                .iter()
                .zip(&units)
                .all(|(a, b)| (a.pts, a.dts) == (b.pts + shift, b.dts + shift))
        );
        assert!(
            got_audio
                .iter()
                .zip(&audio)
                .all(|(a, b)| a.pts == b.pts + shift)
        );
        assert_eq!((got_units.len(), got_audio.len()), (30, 30));
    }
}

#[test]
fn a_lost_packet_costs_no_other_picture() {
    let (units, _) = media(VideoCodec::H264, &[2000; 20], 6000);
    let mut stream = mux(VideoCodec::H264, &units, None);
    let lost = 60 * PACKET_SIZE;
    stream.drain(lost..lost + PACKET_SIZE);
    let mut demuxer = TsDemuxer::new();
    let mut out = Vec::new();
    demuxer.push(&stream, &mut out);
    demuxer.finish(&mut out);
    assert_eq!(parts(&out).0.len(), 20);
    assert_eq!(demuxer.counters().continuity_errors, 1);
}

#[test]
fn a_repeated_packet_is_taken_once() {
    let (units, _) = media(VideoCodec::H264, &[2000; 20], 6000);
    let stream = mux(VideoCodec::H264, &units, None);
    let twice: Vec<u8> = stream
        .chunks(PACKET_SIZE)
        .flat_map(|packet| [packet, packet].concat())
        .collect();
    assert_eq!(parts(&demux(&twice, 1000)).0, units);
}

#[test]
fn a_picture_without_delimiter_gets_one() {
    let data = Bytes::from_static(&[0, 0, 0, 1, 0x65, 0x88, 1]);
    let units = [AccessUnit {
        pts: 0,
        dts: 0,
        key: true,
        data: data.clone(),
    }];
    let (got, _) = parts(&demux(&mux(VideoCodec::H264, &units, None), 1000));
    assert_eq!(got[0].data, [&[0, 0, 0, 1, 9, 0xf0][..], &data].concat());
}

#[test]
fn equal_audio_times_are_raised_by_a_tick() {
    let (units, mut audio) = media(VideoCodec::H264, &[100; 5], 6000);
    audio[2].pts = audio[1].pts;
    let (_, got) = parts(&demux(
        &mux(VideoCodec::H264, &units, Some((&AudioCodec::Aac, &audio))),
        1000,
    ));
    assert_eq!(got[2].pts, audio[1].pts + 1);
}

#[test]
fn the_facade_sums_up_what_came_out() {
    let (units, audio) = media(VideoCodec::H264, &[500; 24], 9000);
    let mut demuxer = Demuxer::new();
    let mut out = Vec::new();
    for part in mux(VideoCodec::H264, &units, Some((&AudioCodec::Aac, &audio))).chunks(77) {
        demuxer.push(part, &mut out).unwrap();
    }
    demuxer.finish(&mut out).unwrap();
    let summary = demuxer.summary();
    assert_eq!(
        (
            summary.access_units,
            summary.key_units,
            summary.audio_packets
        ),
        (24, 2, 24)
    );
    assert_eq!(summary.first_pts, Some(9000 - 4320));
    assert_eq!(summary.last_pts, units.iter().map(|unit| unit.pts).max());
    assert_eq!(
        summary.duration,
        summary.last_pts.unwrap() + 3000 - summary.first_pts.unwrap()
    );
}

proptest! {
    #[test]
    fn round_trip_is_identity_in_any_chunking(
        sizes in prop::collection::vec(0usize..1500, 1..40), start in 5000i64..WRAP / 2, chunk in 1usize..2000,
        h265 in any::<bool>(),
    ) {
        let codec = if h265 { VideoCodec::H265 } else { VideoCodec::H264 };
        let (units, audio) = media(codec, &sizes, start);
        let events = demux(&mux(codec, &units, Some((&AudioCodec::Aac, &audio))), chunk);
        prop_assert_eq!(parts(&events), (units, audio));
    }

    #[test]
    fn damage_never_panics_and_chunking_never_matters(
        sizes in prop::collection::vec(0usize..800, 1..20),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        cut in any::<prop::sample::Index>(), chunk in 1usize..700,
    ) {
        let (units, audio) = media(VideoCodec::H264, &sizes, 90_000);
        let mut stream = mux(VideoCodec::H264, &units, Some((&AudioCodec::Aac, &audio)));
        for (at, value) in hits {
            let at = at.index(stream.len());
            stream[at] = value;
        }
        stream.drain(..cut.index(stream.len().min(400)));
        prop_assert_eq!(demux(&stream, chunk), demux(&stream, usize::MAX));
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut data in prop::collection::vec(any::<u8>(), 0..4000), sync in any::<bool>()) {
        if sync {
            data.iter_mut().step_by(PACKET_SIZE).for_each(|byte| *byte = 0x47);
        }
        demux(&data, 333);
        let mut demuxer = Demuxer::new();
        let mut out = Vec::new();
        let _ = demuxer.push(&data, &mut out).and_then(|()| demuxer.finish(&mut out));
    }
}
