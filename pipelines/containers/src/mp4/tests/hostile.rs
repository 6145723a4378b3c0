//! Files made to hurt: no panic, bounded memory and time, the same answer for every chunking.

use mp4_atom::{Mfhd, Moof, StscEntry, StszSamples, SttsEntry, Tfhd, Traf, Trun, TrunSamples};
use proptest::prelude::*;

use super::layouts::{encoded, fragmented, index_last, with_index};
use super::media::*;
use crate::ContainerError;
use crate::mp4::{MAX_FILE_BYTES, Mp4Demuxer, sample_entry};

fn too_large(data: &[u8]) -> bool {
    matches!(demux(data, 4096).1, Err(ContainerError::Mp4TooLarge { .. }))
}

#[test]
fn billions_of_samples_are_refused() {
    let bytes = file(&video(0, 1), &[]);
    for (size, per_chunk) in [(1, u32::MAX), (0, 7), (u32::MAX, 1)] {
        let bomb = with_index(&bytes, |moov| {
            let stbl = &mut moov.trak[0].mdia.minf.stbl;
            stbl.stsz.samples = if size == 0 {
                StszSamples::Different {
                    sizes: vec![u32::MAX; 7],
                }
            } else {
                StszSamples::Identical {
                    count: u32::MAX,
                    size,
                }
            };
            stbl.stsc.entries = vec![StscEntry {
                first_chunk: 1,
                samples_per_chunk: per_chunk,
                sample_description_index: 1,
            }];
            stbl.stts.entries = vec![SttsEntry {
                sample_count: u32::MAX,
                sample_delta: u32::MAX,
            }];
        });
        assert!(too_large(&bomb), "{size} {per_chunk}");
    }
}

#[test]
fn overlapping_samples_cannot_multiply_the_file() {
    let bomb = with_index(&file(&video(0, 1), &[]), |moov| {
        let stbl = &mut moov.trak[0].mdia.minf.stbl;
        let first = stbl.stco.as_ref().unwrap().entries[0];
        stbl.stco.as_mut().unwrap().entries = vec![first; 100_000];
        stbl.stsc.entries[0].samples_per_chunk = 1;
        stbl.stsz.samples = StszSamples::Identical {
            count: 100_000,
            size: 100_000,
        };
    });
    assert!(too_large(&bomb));
}

#[test]
fn billions_of_samples_in_a_run_are_refused() {
    let head = fragmented(&file(&video(0, 1), &[]), true);
    let moof = Moof {
        mfhd: Mfhd { sequence_number: 2 },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: 1,
                default_sample_size: Some(0),
                ..Default::default()
            },
            trun: vec![Trun {
                data_offset: None,
                samples: TrunSamples::Inherited {
                    count: u32::MAX,
                    first_flags: None,
                },
            }],
            ..Default::default()
        }],
    };
    assert!(too_large(&[head, encoded(&moof)].concat()));
}

#[test]
fn deep_nesting_does_not_reach_the_stack() {
    let depth = 200_000usize;
    for (outer, inner) in [
        (b"moov", b"moov"),
        (b"moov", b"meta"),
        (b"moov", b"trak"),
        (b"moof", b"traf"),
    ] {
        let mut nested = Vec::with_capacity(depth * 8);
        for level in 0..depth {
            nested.extend(((depth - level) as u32 * 8).to_be_bytes());
            nested.extend(if level == 0 { outer } else { inner });
        }
        assert!(demux(&nested, 1 << 16).1.is_err());
    }
}

#[test]
fn nested_descriptors_do_not_reach_the_stack() {
    let boxed = |kind: &[u8; 4], body: &[u8]| {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    };
    for depth in [100, 100_000u32] {
        let mut descriptors = Vec::new();
        for level in 0..depth {
            // ES descriptor: tag, size in four groups of seven bits, id and flags
            let size = (depth - level) * 8 - 5;
            let group = |shift: u32| (size >> shift & 0x7f) as u8 | 0x80;
            descriptors.extend([3, group(21), group(14), group(7), group(0) & 0x7f, 0, 1, 0]);
        }
        let esds = boxed(b"esds", &[&[0; 4][..], &descriptors].concat());
        let mp4a = boxed(b"mp4a", &[&[0; 28][..], &esds].concat());
        let stsd = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &mp4a].concat();
        let result = sample_entry::audio(&stsd);
        assert!(matches!(
            result,
            Err(ContainerError::Mp4Damaged { atom: "esds", .. })
        ));
    }
}

#[test]
fn sizes_beyond_everything_are_refused_or_end_the_file() {
    let head = |size: u32, kind: &[u8; 4], wide: u64| {
        [&size.to_be_bytes()[..], kind, &wide.to_be_bytes(), &[0; 64]].concat()
    };
    assert!(too_large(&head(1, b"moov", 1 << 40)));
    assert!(too_large(&head(u32::MAX, b"moov", 0)));
    for bytes in [
        head(1, b"mdat", u64::MAX),
        head(0, b"mdat", 0),
        head(0, b"free", 0),
        head(1, b"skip", u64::MAX),
    ] {
        assert_eq!(demux(&bytes, 3).1, Err(ContainerError::Mp4WithoutMoov));
    }
    for bytes in [
        head(3, b"ftyp", 0),
        head(1, b"moov", 15),
        head(0, b"moov", 0),
    ] {
        assert!(
            matches!(demux(&bytes, 5).1, Err(ContainerError::Mp4Damaged { .. })),
            "{:?}",
            demux(&bytes, 5).1
        );
    }
}

#[test]
fn more_than_a_segment_is_refused_and_the_error_stays() {
    let mut demuxer = Mp4Demuxer::new();
    let mut events = Vec::new();
    let block = vec![0x41; 1 << 20];
    // one large box that is skipped, so that nothing is kept
    demuxer
        .push(
            &[&u32::MAX.to_be_bytes()[..], b"free"].concat(),
            &mut events,
        )
        .unwrap();
    let blocks = MAX_FILE_BYTES as usize / block.len() + 1;
    let error = (0..blocks)
        .find_map(|_| demuxer.push(&block, &mut events).err())
        .unwrap();
    assert!(matches!(error, ContainerError::Mp4TooLarge { .. }));
    assert_eq!(demuxer.push(&[], &mut events), Err(error.clone()));
    assert_eq!(demuxer.finish(&mut events), Err(error));
}

#[test]
fn empty_and_foreign_input_has_no_index() {
    assert_eq!(demux(&[], 1).1, Err(ContainerError::Mp4WithoutMoov));
    assert_eq!(
        demux(&[0x47; 1880], 188).1,
        Err(ContainerError::Mp4WithoutMoov)
    );
}

#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Word(usize, u32),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Truncate(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = 0usize..6000;
    let word = prop_oneof![
        Just(0u32),
        Just(1),
        Just(7),
        Just(u32::MAX),
        Just(0x8000_0000),
        any::<u32>()
    ];
    let change = prop_oneof![
        4 => (at.clone(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        4 => (at.clone(), word).prop_map(|(at, value)| Change::Word(at, value)),
        1 => (at.clone(), 1usize..64).prop_map(|(at, len)| Change::Remove(at, len)),
        1 => (at.clone(), prop::collection::vec(any::<u8>(), 1..64)).prop_map(|(at, data)| Change::Insert(at, data)),
        1 => at.prop_map(Change::Truncate),
    ];
    prop::collection::vec(change, 1..8)
}

fn apply(mut data: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let len = data.len().max(1);
        match change {
            Change::Set(at, value) => data
                .iter_mut()
                .skip(at % len)
                .take(1)
                .for_each(|byte| *byte = *value),
            Change::Word(at, value) => {
                data.iter_mut()
                    .skip(at % len)
                    .zip(value.to_be_bytes())
                    .for_each(|(byte, value)| *byte = value);
            }
            Change::Remove(at, count) => {
                let (at, len) = (at % len, data.len());
                data.drain(at.min(len)..(at + count).min(len));
            }
            Change::Insert(at, bytes) => {
                let at = (at % len).min(data.len());
                data.splice(at..at, bytes.iter().copied());
            }
            Change::Truncate(at) => data.truncate(at % len),
        }
    }
    data
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_files_never_panic_and_chunking_changes_nothing(
        layout in 0..3,
        changes in changes(),
        chunk in 1usize..2000,
    ) {
        let bytes = file(&video(90_000, 2), &audio(STEREO_48K, 88_080, 4, 1));
        let bytes = match layout {
            0 => bytes.to_vec(),
            1 => index_last(&bytes),
            _ => fragmented(&file(&video(90_000, 2), &[]), true),
        };
        let bytes = apply(bytes, &changes);
        prop_assert_eq!(demux(&bytes, chunk), demux(&bytes, bytes.len()));
    }

    #[test]
    fn any_bytes_never_panic(
        data in prop::collection::vec(any::<u8>(), 0..600),
        kind in prop::sample::select(vec![*b"moov", *b"mdat", *b"moof", *b"ftyp"]),
        chunk in 1usize..200,
    ) {
        let boxed = [&(data.len() as u32 + 8).to_be_bytes()[..], &kind, &data].concat();
        prop_assert_eq!(demux(&boxed, chunk), demux(&boxed, boxed.len().max(1)));
        prop_assert_eq!(demux(&data, chunk), demux(&data, data.len()));
    }
}
