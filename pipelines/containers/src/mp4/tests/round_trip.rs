//! What is written comes back: pictures, key frames, audio frames and times.

use bytes::Bytes;
use proptest::prelude::*;

use super::media::*;
use crate::aac::AacConfig;
use crate::mp4::{Mp4Output, mux_mp4};
use crate::{AccessUnit, AudioCodec, AudioPacket, ContainerError, MediaEvent, VideoCodec};

fn demux_whole(data: &[u8]) -> Vec<MediaEvent> {
    let (events, result) = demux(data, data.len());
    result.unwrap();
    events
}

#[test]
fn tracks_are_announced_before_their_packets() {
    let events = demux_whole(&file(&video(90_000, 1), &audio(STEREO_48K, 90_000, 5, 1)));
    assert_eq!(
        events[..2],
        [
            MediaEvent::Video(VideoCodec::H264),
            MediaEvent::Audio(AudioCodec::Aac)
        ]
    );
    assert_eq!(events.len(), 2 + 7 + 5);
}

#[test]
fn start_far_beyond_33_bits_is_kept() {
    let start = (1 << 33) + 3_374_024_940;
    let (video, audio) = (video(start, 3), audio(STEREO_48K, start - 1920, 20, 2));
    let events = demux_whole(&file(&video, &audio));
    assert_eq!(units(&events), video);
    assert_eq!(packets(&events)[0].pts, start - 1920);
}

#[test]
fn audio_before_time_zero_is_priming_and_keeps_its_time() {
    let events = demux_whole(&file(&video(0, 1), &audio(STEREO_48K, -1920, 6, 1)));
    let times: Vec<_> = packets(&events).iter().map(|packet| packet.pts).collect();
    assert_eq!(times, [-1920, 0, 1920, 3840, 5760, 7680]);
    assert_eq!(units(&events)[0].pts, 0);
}

#[test]
fn picture_before_time_zero_shifts_both_tracks() {
    let events = demux_whole(&file(&video(-6000, 1), &audio(STEREO_48K, -3000, 3, 1)));
    assert_eq!((units(&events)[0].pts, packets(&events)[0].pts), (0, 3000));
}

#[test]
fn gap_in_the_audio_is_kept_and_rounding_is_smoothed() {
    let mut packets_in = audio(STEREO_48K, 90_000, 3, 1);
    packets_in[1].pts += 20;
    packets_in[2].pts += 45_000;
    let times: Vec<_> = packets(&demux_whole(&file(&video(90_000, 1), &packets_in)))
        .iter()
        .map(|packet| packet.pts)
        .collect();
    assert_eq!(times, [90_000, 91_920, 93_840 + 45_000]);
}

#[test]
fn frames_across_packets_become_whole_samples() {
    let whole = audio(STEREO_48K, 90_000, 1, 6).remove(0);
    let halves = [
        AudioPacket {
            pts: 90_000,
            data: whole.data.slice(..70),
        },
        AudioPacket {
            pts: 90_000 + 3 * 1920,
            data: whole.data.slice(70..),
        },
    ];
    let out = packets(&demux_whole(&file(&video(90_000, 1), &halves)));
    assert_eq!(
        out.iter()
            .flat_map(|packet| packet.data.to_vec())
            .collect::<Vec<_>>(),
        whole.data
    );
    assert_eq!(
        out.iter()
            .map(|packet| packet.pts - 90_000)
            .collect::<Vec<_>>(),
        [0, 1920, 3840, 5760, 7680, 9600]
    );
}

#[test]
fn decoding_times_that_stand_still_are_raised() {
    let units_in = [
        picture(9000, 9000, true, 5),
        picture(12_000, 9000, false, 5),
        picture(15_000, 8000, false, 5),
    ];
    let out = units(&demux_whole(&file(&units_in, &[])));
    assert_eq!(
        out.iter().map(|unit| unit.pts).collect::<Vec<_>>(),
        [9000, 12_000, 15_000]
    );
    assert_eq!(
        out.iter().map(|unit| unit.dts).collect::<Vec<_>>(),
        [9000, 9001, 9002]
    );
}

#[test]
fn parameter_sets_that_change_stay_in_the_stream() {
    let other = [&[0x68, 0xeb, 0xe3, 0xcb], &[0x22, 0xc8][..]].concat();
    let mut units_in = video(90_000, 2);
    units_in[7].data = annex_b(&[SPS, &other, &[0x65, 0x9a, 0x9a]]);
    assert_eq!(units(&demux_whole(&file(&units_in, &[]))), units_in);
}

#[test]
fn h265_is_described_and_comes_back() {
    // as x265 writes them: Main, level 2, 320x184 cropped to 320x180
    let vps: &[u8] = &[
        0x40, 1, 0x0c, 1, 0xff, 0xff, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0x95,
        0x94, 9,
    ];
    let sps: &[u8] = &[
        0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a, 8, 0x0c,
        0x1f, 0x3e, 0x59, 0x59, 0x52, 0x93, 0x0b, 0xc0, 0x5a, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 0x3c,
        0x10,
    ];
    let pps: &[u8] = &[0x44, 1, 0xc0, 0x73, 0xc1, 0x89];
    let unit = |number: i64, key, data| AccessUnit {
        pts: 9000 + number * 3000,
        dts: 9000 + number * 3000,
        key,
        data,
    };
    let pictures = [
        unit(
            0,
            true,
            annex_b(&[&[0x46, 1, 0x50], vps, sps, pps, &[0x26, 1, 0xaf]]),
        ),
        unit(1, false, annex_b(&[&[0x46, 1, 0x50], &[2, 1, 0xd0]])),
        unit(2, true, annex_b(&[vps, sps, pps, &[0x2a, 1, 0xaf]])),
    ];
    let output = Mp4Output {
        codec: VideoCodec::H265,
        video: &pictures,
        audio: None,
        comment: "",
    };
    let bytes = mux_mp4(&output).unwrap();
    let at = bytes
        .windows(4)
        .position(|window| window == b"hvcC")
        .unwrap();
    // profile 1, level 60, 4:2:0, 8 bits, one layer, four length bytes
    let fixed = [
        1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 60, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f,
        3,
    ];
    assert_eq!(bytes[at + 4..at + 27], fixed);
    let tkhd = bytes
        .windows(4)
        .position(|window| window == b"tkhd")
        .unwrap();
    let size: Vec<_> = bytes[tkhd..tkhd + 120]
        .windows(8)
        .filter(|w| *w == [1, 0x40, 0, 0, 0, 180, 0, 0])
        .collect();
    assert_eq!(size.len(), 1);
    assert_eq!(units(&demux_whole(&bytes)), pictures);
}

#[test]
fn comment_is_stored() {
    let bytes = file(&video(0, 1), &[]);
    let at = bytes
        .windows(4)
        .position(|window| window == b"\xa9cmt")
        .unwrap();
    assert_eq!(&bytes[at + 4..at + 20], b"\0\0\0\x25data\0\0\0\x01\0\0\0\0");
    assert_eq!(&bytes[at + 20..at + 41], b"Processed by somebody");
}

#[test]
fn what_cannot_be_written_is_named() {
    let pictures = video(0, 1);
    let with = |codec, video, audio| {
        mux_mp4(&Mp4Output {
            codec,
            video,
            audio,
            comment: "",
        })
    };
    let mp3 = AudioCodec::Other {
        stream_type: 3,
        descriptors: Bytes::new(),
    };
    let packet = [AudioPacket {
        pts: 0,
        data: Bytes::from_static(&[0xff, 0xfb]),
    }];
    let error = with(VideoCodec::H264, &pictures, Some((&mp3, &packet))).unwrap_err();
    assert!(error.to_string().contains("stream type 0x03"), "{error}");
    assert!(matches!(
        with(VideoCodec::H264, &[], None),
        Err(ContainerError::Mp4Mux { .. })
    ));
    assert!(matches!(
        with(VideoCodec::Other(2), &pictures, None),
        Err(ContainerError::Mp4Mux { .. })
    ));
    assert!(matches!(
        with(VideoCodec::H264, &pictures[1..], None),
        Err(ContainerError::Mp4Mux { .. })
    ));
}

prop_compose! {
    /// Pictures of any size whose presentation lags decoding by up to four frames.
    fn pictures()(start in 0i64..1 << 40, kinds in prop::collection::vec((1usize..400, 0i64..5, 1i64..9000), 1..40))
        -> Vec<AccessUnit>
    {
        let mut dts = start;
        kinds.into_iter().enumerate().map(|(index, (len, lag, step))| {
            let unit = picture(dts + lag * 3000, dts, index % 12 == 0, len);
            dts += step;
            unit
        }).collect()
    }
}

proptest! {
    #[test]
    fn pictures_come_back_as_they_were(units_in in pictures(), chunk in 1usize..5000) {
        let (events, result) = demux(&file(&units_in, &[]), chunk);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(units(&events), units_in);
    }

    #[test]
    fn audio_comes_back_within_a_tick(
        rate_index in 0u8..13,
        start in 0i64..1 << 40,
        count in 1usize..20,
        frames in 1usize..9,
    ) {
        let config = AacConfig { object_type: 2, rate_index, channels: 1 };
        let packets_in = audio(config, start, count, frames);
        let out = packets(&demux_whole(&file(&video(start, 1), &packets_in)));
        prop_assert_eq!(out.len(), count * frames);
        let bytes = |packets: &[AudioPacket]| packets.iter().flat_map(|packet| packet.data.to_vec()).collect::<Vec<_>>();
        prop_assert_eq!(bytes(&out), bytes(&packets_in));
        // one unit of the audio clock is up to 12 ticks, and the start is rounded to it
        let unit = 90_000 / i64::from(config.sample_rate()) + 1;
        for (index, packet) in packets_in.iter().enumerate() {
            prop_assert!((out[index * frames].pts - packet.pts).abs() <= unit);
        }
    }
}
