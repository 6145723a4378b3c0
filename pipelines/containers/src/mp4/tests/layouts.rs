//! The same media in other layouts: index last, fragments, edits that cut, flags that lie.

use bytes::Bytes;
use mp4_atom::{
    Decode, Encode, Mfhd, Moof, Moov, Mvex, StszSamples, Tfdt, Tfhd, Traf, Trex, Trun, TrunEntry,
};
use proptest::prelude::*;

use super::media::*;
use crate::{ContainerError, MediaEvent, VideoCodec};

/// The three boxes of a written file.
pub fn parts(file: &[u8]) -> (Bytes, Moov, Bytes) {
    let len = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let moov = len(0);
    let mdat = moov + len(moov);
    let index = Moov::decode(&mut &file[moov..mdat]).unwrap();
    (
        Bytes::copy_from_slice(&file[..moov]),
        index,
        Bytes::copy_from_slice(&file[mdat..]),
    )
}

pub fn encoded(atom: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    atom.encode(&mut out).unwrap();
    out
}

/// The file with its index changed.
pub fn with_index(file: &[u8], change: impl FnOnce(&mut Moov)) -> Vec<u8> {
    let (ftyp, mut moov, mdat) = parts(file);
    let before = file.len() - ftyp.len() - mdat.len();
    change(&mut moov);
    let after = encoded(&moov).len();
    for trak in &mut moov.trak {
        for offset in &mut trak.mdia.minf.stbl.stco.as_mut().unwrap().entries {
            *offset = *offset + after as u32 - before as u32;
        }
    }
    [&ftyp[..], &encoded(&moov), &mdat].concat()
}

pub fn index_last(file: &[u8]) -> Vec<u8> {
    let (ftyp, mut moov, mdat) = parts(file);
    let removed = (file.len() - ftyp.len() - mdat.len()) as u32;
    for trak in &mut moov.trak {
        trak.mdia
            .minf
            .stbl
            .stco
            .as_mut()
            .unwrap()
            .entries
            .iter_mut()
            .for_each(|offset| *offset -= removed);
    }
    [&ftyp[..], &mdat, &encoded(&moov)].concat()
}

/// The video of a file as one fragment per group of seven pictures.
pub fn fragmented(file: &[u8], moof_relative: bool) -> Vec<u8> {
    let (ftyp, mut moov, mdat) = parts(file);
    moov.trak.truncate(1);
    let trak = &mut moov.trak[0];
    let tables = std::mem::take(&mut trak.mdia.minf.stbl);
    trak.mdia.minf.stbl.stsd = tables.stsd;
    trak.mdia.minf.stbl.stco = Some(Default::default());
    moov.mvex = Some(Mvex {
        mehd: None,
        trex: vec![Trex {
            track_id: 1,
            default_sample_duration: 3000,
            ..Default::default()
        }],
    });
    let StszSamples::Different { sizes } = tables.stsz.samples else {
        panic!("sizes differ")
    };
    let offsets: Vec<i64> = tables
        .ctts
        .unwrap()
        .entries
        .iter()
        .flat_map(|entry| vec![entry.sample_offset; entry.sample_count as usize])
        .collect();
    let mut out = [&ftyp[..], &encoded(&moov)].concat();
    let mut payload = &mdat[8..];
    for (number, (sizes, offsets)) in sizes.chunks(7).zip(offsets.chunks(7)).enumerate() {
        let entries = sizes
            .iter()
            .zip(offsets)
            .enumerate()
            .map(|(place, (size, cts))| TrunEntry {
                size: Some(*size),
                cts: Some(*cts),
                flags: Some(if place == 0 { 0 } else { 0x10000 }),
                duration: None,
            });
        let entries: Vec<_> = entries.collect();
        let moof = |data_offset| Moof {
            mfhd: Mfhd {
                sequence_number: number as u32 + 1,
            },
            traf: vec![Traf {
                tfhd: Tfhd {
                    track_id: 1,
                    default_base_is_moof: moof_relative,
                    ..Default::default()
                },
                tfdt: Some(Tfdt {
                    base_media_decode_time: number as u64 * 21_000,
                }),
                trun: vec![Trun {
                    data_offset: Some(data_offset),
                    samples: entries.clone().into(),
                }],
                ..Default::default()
            }],
        };
        let len = encoded(&moof(0)).len() as i32;
        out.extend(encoded(&moof(len + 8)));
        let (media, rest) = payload.split_at(sizes.iter().sum::<u32>() as usize);
        payload = rest;
        out.extend((media.len() as u32 + 8).to_be_bytes());
        out.extend(b"mdat");
        out.extend(media);
    }
    out
}

fn demux_whole(data: &[u8]) -> Vec<MediaEvent> {
    let (events, result) = demux(data, data.len());
    result.unwrap();
    events
}

#[test]
fn samples_are_handed_out_while_the_media_data_arrives() {
    let bytes = file(&video(90_000, 8), &[]);
    let head = bytes.len() - parts(&bytes).2.len();
    let mut demuxer = crate::mp4::Mp4Demuxer::new();
    let mut events = Vec::new();
    demuxer.push(&bytes[..head + 200], &mut events).unwrap();
    let early = units(&events).len();
    assert!((1..8 * 7).contains(&early), "{early}");
}

#[test]
fn index_last_yields_the_same() {
    let bytes = file(&video(90_000, 3), &audio(STEREO_48K, 88_080, 10, 2));
    assert_eq!(demux_whole(&index_last(&bytes)), demux_whole(&bytes));
}

#[test]
fn fragments_yield_the_same_pictures_and_times() {
    let pictures = video(3_374_024_940, 4);
    let bytes = file(&pictures, &[]);
    for moof_relative in [false, true] {
        assert_eq!(
            units(&demux_whole(&fragmented(&bytes, moof_relative))),
            pictures
        );
    }
}

#[test]
fn cut_off_file_yields_what_is_whole() {
    let bytes = file(&video(90_000, 3), &[]);
    let (events, result) = demux(&bytes[..bytes.len() - 20], 1000);
    assert_eq!((units(&events).len(), result), (20, Ok(())));
    assert_eq!(
        demux(&index_last(&bytes)[..500], 100).1,
        Err(ContainerError::Mp4WithoutMoov)
    );
}

#[test]
fn edit_in_the_middle_starts_at_the_key_frame_before_it() {
    // shown from the third picture of the second group on
    let cut = with_index(&file(&video(90_000, 3), &[]), |moov| {
        let elst = moov.trak[0].edts.as_mut().unwrap().elst.as_mut().unwrap();
        elst.entries[1].media_time = Some(3000 + 9 * 3000);
    });
    let out = units(&demux_whole(&cut));
    assert_eq!(out.len(), 14);
    assert!(out[0].key);
    // the picture shown first falls on the start of the edit
    assert_eq!(
        out.iter()
            .filter(|unit| unit.pts >= 90_000)
            .map(|unit| unit.pts)
            .min(),
        Some(90_000)
    );
    assert_eq!(out[0].pts, 90_000 - 2 * 3000);
}

#[test]
fn key_is_decided_by_the_picture_not_by_the_table() {
    let bytes = file(&video(90_000, 2), &[]);
    let lying = with_index(&bytes, |moov| {
        let stbl = &mut moov.trak[0].mdia.minf.stbl;
        stbl.stss.as_mut().unwrap().entries = vec![1, 3];
    });
    let keys: Vec<_> = units(&demux_whole(&lying))
        .iter()
        .map(|unit| unit.key)
        .collect();
    assert_eq!(
        keys.iter()
            .enumerate()
            .filter(|(_, key)| **key)
            .map(|(at, _)| at)
            .collect::<Vec<_>>(),
        [0, 7]
    );
}

#[test]
fn unknown_video_is_announced_and_not_handed_out() {
    let bytes = file(&video(90_000, 1), &[]);
    let at = bytes
        .windows(4)
        .position(|window| window == b"avc1")
        .unwrap();
    // the first one is a brand
    let at = at
        + 4
        + bytes[at + 4..]
            .windows(4)
            .position(|window| window == b"avc1")
            .unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + 4].copy_from_slice(b"vp09");
    assert_eq!(
        demux_whole(&bytes),
        [MediaEvent::Video(VideoCodec::Other(u32::from_be_bytes(
            *b"vp09"
        )))]
    );
}

#[test]
fn audio_that_cannot_be_carried_is_named() {
    let bytes = file(&video(90_000, 1), &audio(STEREO_48K, 90_000, 2, 1));
    let at = bytes
        .windows(4)
        .position(|window| window == b"mp4a")
        .unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + 4].copy_from_slice(b"Opus");
    assert_eq!(
        demux(&bytes, 999).1,
        Err(ContainerError::UnsupportedAudio {
            codec: "Opus".into()
        })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn chunking_changes_nothing(chunk in 1usize..3000, layout in 0..4) {
        let bytes = file(&video(90_000, 4), &audio(STEREO_48K, 88_080, 20, 1));
        let bytes = match layout {
            0 => bytes.to_vec(),
            1 => index_last(&bytes),
            2 => fragmented(&file(&video(90_000, 4), &[]), true),
            _ => fragmented(&file(&video(90_000, 4), &[]), false),
        };
        prop_assert_eq!(demux(&bytes, chunk), demux(&bytes, bytes.len()));
    }
}
