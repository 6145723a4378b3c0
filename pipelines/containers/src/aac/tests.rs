//! Headers both ways, and frames found whatever the packets.

use proptest::prelude::*;

use super::*;

const STEREO_48K: AacConfig = AacConfig {
    object_type: 2,
    rate_index: 3,
    channels: 2,
};

fn frame(config: AacConfig, payload: &[u8]) -> Vec<u8> {
    [
        config.adts_header(payload.len()).unwrap().as_slice(),
        payload,
    ]
    .concat()
}

fn split(packets: &[(Option<i64>, &[u8])]) -> Vec<AdtsFrame> {
    let (mut splitter, mut frames) = (FrameSplitter::default(), Vec::new());
    for (pts, data) in packets {
        splitter.push(*pts, data, &mut frames);
    }
    splitter.finish(&mut frames);
    frames
}

#[test]
fn plain_configuration_is_the_known_two_bytes() {
    assert_eq!(STEREO_48K.to_audio_specific_config(), [0x11, 0x90]);
    assert_eq!(
        AacConfig::from_audio_specific_config(&[0x11, 0x90]),
        Some(STEREO_48K)
    );
}

#[test]
fn explicit_sbr_yields_the_core() {
    // type 5, 24 kHz, 2 channels, extension 48 kHz, core type 2
    let fields = [(5u32, 5), (6, 4), (2, 4), (3, 4), (2, 5), (0, 2)];
    let bytes = fields
        .iter()
        .fold(0u32, |bits, (value, len)| bits << len | value)
        .to_be_bytes();
    let core = AacConfig {
        object_type: 2,
        rate_index: 6,
        channels: 2,
    };
    assert_eq!(
        AacConfig::from_audio_specific_config(&bytes[1..]),
        Some(core)
    );
}

#[test]
fn rate_written_out_is_found_in_the_table() {
    // type 2, index 15, 44100 in 24 bits, 1 channel, padding
    let bits = 2u64 << 35 | 15 << 31 | 44_100 << 7 | 1 << 3;
    let config = AacConfig::from_audio_specific_config(&bits.to_be_bytes()[3..]);
    assert_eq!(
        config,
        Some(AacConfig {
            object_type: 2,
            rate_index: 4,
            channels: 1
        })
    );
}

#[test]
fn what_adts_cannot_name_is_refused() {
    // channel layout in a program config element; object type 23
    assert_eq!(AacConfig::from_audio_specific_config(&[0x11, 0x80]), None);
    assert_eq!(AacConfig::from_audio_specific_config(&[0xb9, 0x90]), None);
    assert_eq!(AacConfig::from_audio_specific_config(&[0x11]), None);
    assert_eq!(STEREO_48K.adts_header(0x2000 - ADTS_HEADER_LEN), None);
}

#[test]
fn time_belongs_to_the_first_frame_that_begins_in_the_packet() {
    let stream: Vec<u8> = (0..4u8).flat_map(|i| frame(STEREO_48K, &[i; 50])).collect();
    // the second packet begins inside the second frame
    let frames = split(&[(Some(100), &stream[..80]), (Some(200), &stream[80..])]);
    let times: Vec<_> = frames.iter().map(|frame| frame.pts).collect();
    assert_eq!(times, [Some(100), None, Some(200), None]);
}

#[test]
fn damage_costs_only_the_frames_it_touches() {
    let good = frame(STEREO_48K, &[7; 40]);
    // looks like a header, but no other follows where it says
    let false_sync = frame(STEREO_48K, &[1; 9]);
    let stream = [
        &good[..],
        &good,
        &false_sync[..12],
        &[0xff, 0xf1],
        &good,
        &good,
    ]
    .concat();
    let frames = split(&[(None, &stream)]);
    assert!(
        frames
            .iter()
            .filter(|frame| frame.payload[..] == [7; 40])
            .count()
            >= 3
    );
}

#[test]
fn frame_cut_off_by_the_end_is_dropped() {
    let good = frame(STEREO_48K, &[7; 40]);
    let stream = [&good[..], &good[..30]].concat();
    assert_eq!(split(&[(None, &stream)]).len(), 1);
    let stream = [&good[..], &good, &good[..30]].concat();
    assert_eq!(split(&[(None, &stream)]).len(), 2);
}

prop_compose! {
    fn config()(object_type in 1u8..5, rate_index in 0u8..13, channels in 1u8..8) -> AacConfig {
        AacConfig { object_type, rate_index, channels }
    }
}

proptest! {
    #[test]
    fn headers_come_back_as_written(config in config(), len in 1usize..8184) {
        let header = AdtsHeader::parse(&config.adts_header(len).unwrap()).unwrap();
        prop_assert_eq!(header, AdtsHeader { config, header_len: 7, frame_len: len + 7, blocks: 1 });
        let specific = config.to_audio_specific_config();
        prop_assert_eq!(AacConfig::from_audio_specific_config(&specific), Some(config));
    }

    #[test]
    fn packets_do_not_matter(
        config in config(),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 2..12),
        packet in 1usize..700,
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(config, payload)).collect();
        let packets: Vec<_> = stream.chunks(packet).map(|data| (None, data)).collect();
        let found: Vec<_> = split(&packets).into_iter().map(|frame| frame.payload.to_vec()).collect();
        prop_assert_eq!(found, payloads);
    }

    #[test]
    fn outside_bytes_never_panic_and_chunking_changes_nothing(
        data in prop::collection::vec(prop_oneof![Just(0xffu8), Just(0xf1), Just(0x50), any::<u8>()], 0..600),
        packet in 1usize..100,
    ) {
        let _ = AacConfig::from_audio_specific_config(&data);
        let packets: Vec<_> = data.chunks(packet).map(|data| (None, data)).collect();
        prop_assert_eq!(split(&packets), split(&[(None, &data)]));
    }
}
