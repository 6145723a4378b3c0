//! Made-up media with real parameter sets, and ways to run the demuxer.

use bytes::Bytes;

use crate::aac::AacConfig;
use crate::mp4::{Mp4Demuxer, Mp4Output, mux_mp4};
use crate::{AccessUnit, AudioCodec, AudioPacket, ContainerError, MediaEvent, VideoCodec};

/// 1280x720, 30 fps, High, 4:2:0, as x264 writes it.
pub const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
pub const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
pub const STEREO_48K: AacConfig = AacConfig {
    object_type: 2,
    rate_index: 3,
    channels: 2,
};

pub fn annex_b(nals: &[&[u8]]) -> Bytes {
    nals.iter()
        .flat_map(|nal| [&[0, 0, 0, 1], *nal].concat())
        .collect()
}

/// A picture with `len` bytes of slice; key pictures bring their parameter sets.
pub fn picture(pts: i64, dts: i64, key: bool, len: usize) -> AccessUnit {
    let slice = [
        &[if key { 0x65 } else { 0x41 }][..],
        &vec![0x9a; len.max(1)],
    ]
    .concat();
    let data = if key {
        annex_b(&[&[9, 0xf0], SPS, PPS, &slice])
    } else {
        annex_b(&[&[9, 0xf0], &slice])
    };
    AccessUnit {
        pts,
        dts,
        key,
        data,
    }
}

/// `groups` times I B B P B B at 30 fps, the first picture presented at `start`.
pub fn video(start: i64, groups: usize) -> Vec<AccessUnit> {
    let order = [0, 3, 1, 2, 6, 4, 5];
    let mut units = Vec::new();
    for group in 0..groups as i64 {
        for (place, shown) in order.into_iter().enumerate() {
            let dts = start + (group * 7 + place as i64 - 1) * 3000;
            units.push(picture(
                start + (group * 7 + shown) * 3000,
                dts,
                place == 0,
                40 + place * 9,
            ));
        }
    }
    units
}

/// `count` packets of `frames` AAC frames each.
pub fn audio(config: AacConfig, start: i64, count: usize, frames: usize) -> Vec<AudioPacket> {
    let rate = i64::from(config.sample_rate());
    let packet = |index: usize| {
        let frame = |number: usize| {
            let payload = vec![(index * frames + number) as u8; 20 + number];
            [config.adts_header(payload.len()).unwrap().to_vec(), payload].concat()
        };
        let samples = (index * frames * 1024) as i64;
        AudioPacket {
            pts: start + samples * 90_000 / rate,
            data: (0..frames).flat_map(frame).collect(),
        }
    };
    (0..count).map(packet).collect()
}

pub fn file(video: &[AccessUnit], audio: &[AudioPacket]) -> Bytes {
    let audio = (!audio.is_empty()).then_some((&AudioCodec::Aac, audio));
    mux_mp4(&Mp4Output {
        codec: VideoCodec::H264,
        video,
        audio,
        comment: "Processed by somebody",
    })
    .unwrap()
}

/// Everything handed out, and how it ended.
pub fn demux(data: &[u8], chunk: usize) -> (Vec<MediaEvent>, Result<(), ContainerError>) {
    let (mut demuxer, mut events) = (Mp4Demuxer::new(), Vec::new());
    let mut result = data
        .chunks(chunk.max(1))
        .try_for_each(|data| demuxer.push(data, &mut events));
    if result.is_ok() {
        result = demuxer.finish(&mut events);
    }
    (events, result)
}

pub fn units(events: &[MediaEvent]) -> Vec<AccessUnit> {
    events
        .iter()
        .filter_map(|event| {
            if let MediaEvent::AccessUnit(unit) = event {
                Some(unit.clone())
            } else {
                None
            }
        })
        .collect()
}

pub fn packets(events: &[MediaEvent]) -> Vec<AudioPacket> {
    events
        .iter()
        .filter_map(|event| {
            if let MediaEvent::AudioPacket(packet) = event {
                Some(packet.clone())
            } else {
                None
            }
        })
        .collect()
}
