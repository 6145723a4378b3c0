//! Where access units begin, and which PES time they get.

use super::*;

const AUD: &[u8] = &[0, 0, 0, 1, 9, 0xf0];
const SEI: &[u8] = &[0, 0, 1, 6, 1, 1, 0x80];
const SPS: &[u8] = &[0, 0, 0, 1, 0x67, 1];
const FIRST: &[u8] = &[0, 0, 1, 0x41, 0x88, 7, 7];
const OTHER: &[u8] = &[0, 0, 1, 0x41, 0x44, 7, 7];
const IDR: &[u8] = &[0, 0, 1, 0x65, 0x88, 7, 7];

/// Splits PES bodies, each with its time if it has one, in chunks of one byte.
fn split(pes: &[(Option<i64>, &[&[u8]])]) -> Vec<RawUnit> {
    let mut splitter = Splitter::new(VideoCodec::H264).unwrap();
    let mut out = Vec::new();
    for (time, body) in pes {
        if let Some(time) = *time {
            splitter.mark(PesTime {
                pts: time,
                dts: time,
            });
        }
        body.concat()
            .iter()
            .for_each(|byte| splitter.push(&[*byte], &mut out));
    }
    splitter.finish(&mut out);
    out
}

fn times(units: &[RawUnit]) -> Vec<Option<i64>> {
    units
        .iter()
        .map(|unit| unit.time.map(|time| time.pts))
        .collect()
}

#[test]
fn several_units_share_a_pes_and_the_first_takes_its_time() {
    let units = split(&[
        (Some(1), &[AUD, FIRST, OTHER, AUD, FIRST]),
        (Some(3), &[AUD, IDR]),
    ]);
    assert_eq!(times(&units), [Some(1), None, Some(3)]);
    assert_eq!(units[0].data, [AUD, FIRST, OTHER].concat());
    assert_eq!(
        units.iter().map(|unit| unit.key).collect::<Vec<_>>(),
        [false, false, true]
    );
}

#[test]
fn a_unit_over_several_pes_keeps_the_time_of_the_first() {
    let units = split(&[
        (Some(1), &[AUD, FIRST]),
        (None, &[OTHER]),
        (Some(2), &[OTHER, AUD, FIRST]),
    ]);
    assert_eq!(times(&units), [Some(1), Some(2)]);
    assert_eq!(units[0].data, [AUD, FIRST, OTHER, OTHER].concat());
}

#[test]
fn without_delimiters_parameter_sets_sei_and_first_slices_begin_a_unit() {
    let units = split(&[(None, &[SPS, IDR, FIRST, OTHER, SEI, FIRST, SPS, IDR])]);
    let data: Vec<_> = units.iter().map(|unit| unit.data.to_vec()).collect();
    assert_eq!(
        data,
        [
            [SPS, IDR].concat(),
            [FIRST, OTHER].concat(),
            [SEI, FIRST].concat(),
            [SPS, IDR].concat()
        ]
    );
}

#[test]
fn sei_after_the_slices_of_a_delimited_unit_moves_before_them() {
    let units = split(&[(None, &[AUD, FIRST, OTHER, SEI]), (None, &[AUD, FIRST])]);
    assert_eq!(units[0].data, [AUD, SEI, FIRST, OTHER].concat());
}

#[test]
fn bytes_before_the_first_start_code_and_units_without_slice_are_dropped() {
    let units = split(&[(None, &[&[1, 2, 3], AUD, FIRST, AUD, SEI])]);
    assert_eq!(units.len(), 1);
    assert_eq!(units[0].data, [AUD, FIRST].concat());
}

#[test]
fn a_unit_without_end_is_dropped_and_the_next_is_whole() {
    let mut splitter = Splitter::new(VideoCodec::H264).unwrap();
    let mut out = Vec::new();
    splitter.push(&[AUD, FIRST].concat(), &mut out);
    let filler = vec![7; 1 << 20];
    (0..80).for_each(|_| splitter.push(&filler, &mut out));
    assert!(
        splitter.buffer.capacity() <= MAX_UNIT_BYTES * 4,
        "memory is bounded"
    );
    splitter.push(&[AUD, IDR, AUD, FIRST].concat(), &mut out);
    splitter.finish(&mut out);
    let data: Vec<_> = out.iter().map(|unit| unit.data.to_vec()).collect();
    assert_eq!(
        (data, splitter.dropped),
        (vec![[AUD, IDR].concat(), [AUD, FIRST].concat()], 1)
    );
}

#[test]
fn h265_units_begin_at_first_slice_segments_and_irap_is_key() {
    let slice = |kind: u8, first: bool| [0, 0, 1, kind << 1, 1, if first { 0x80 } else { 0x40 }, 7];
    let mut splitter = Splitter::new(VideoCodec::H265).unwrap();
    let mut out = Vec::new();
    splitter.push(
        &[
            slice(19, true),
            slice(19, false),
            slice(1, true),
            slice(21, true),
        ]
        .concat(),
        &mut out,
    );
    splitter.finish(&mut out);
    let seen: Vec<_> = out.iter().map(|unit| (unit.data.len(), unit.key)).collect();
    assert_eq!(seen, [(14, true), (7, false), (7, true)]);
}
