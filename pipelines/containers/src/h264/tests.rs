//! SEI order, parameter sets and SPS facts.

use super::*;
use proptest::prelude::*;

/// 1280x720, 30 fps, High, 4:2:0, as x264 writes it.
const SPS_720P30: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];

fn unit(types: &[u8]) -> Vec<u8> {
    types
        .iter()
        .enumerate()
        .flat_map(|(i, t)| [0, 0, 0, 1, *t, 0x80, i as u8 + 2])
        .collect()
}

fn types(data: &[u8]) -> Vec<u8> {
    nal_units(data).filter_map(|n| nal_type(n.bytes)).collect()
}

#[test]
fn sei_after_slices_moves_before_the_first_slice() {
    let repaired = repair_sei_order(&unit(&[9, 6, 1, 6, 1, 6])).unwrap();
    assert_eq!(types(&repaired), [9, 6, 6, 6, 1, 1]);
    let ids: Vec<u8> = nal_units(&repaired).map(|n| n.bytes[2]).collect();
    assert_eq!(ids, [2, 3, 5, 7, 4, 6]);
}

#[test]
fn an_orderly_unit_is_left_alone() {
    assert_eq!(repair_sei_order(&unit(&[9, 7, 8, 6, 5, 5])), None);
}

#[test]
fn parameter_sets_and_key_pictures_are_seen() {
    assert!(has_parameter_sets(&unit(&[9, 7, 8, 5])) && is_idr(&unit(&[9, 7, 8, 5])));
    assert!(!has_parameter_sets(&unit(&[9, 7, 1])) && !is_idr(&unit(&[9, 7, 1])));
}

#[test]
fn recovery_point_is_found_behind_another_message() {
    let sei = [0, 0, 1, 6, 5, 1, 0xaa, 6, 1, 0xc4, 0x80];
    assert!(is_recovery_point(&sei));
    assert!(!is_recovery_point(&[0, 0, 1, 6, 5, 1, 0xaa, 0x80]));
}

#[test]
fn sps_facts_are_read() {
    let info = parse_sps(SPS_720P30).unwrap();
    assert_eq!((info.width, info.height), (1280, 720));
    assert_eq!(
        (
            info.profile_idc,
            info.level_idc,
            info.chroma_format_idc,
            info.bit_depth
        ),
        (100, 31, 1, 8)
    );
    assert!(info.progressive);
    assert_eq!(
        info.frame_rate
            .map(|(num, den)| f64::from(num) / f64::from(den)),
        Some(30.0)
    );
}

proptest! {
    #[test]
    fn repair_keeps_every_byte(kinds in prop::collection::vec(1u8..13, 0..20)) {
        let before = unit(&kinds);
        if let Some(after) = repair_sei_order(&before) {
            let (mut a, mut b) = (before.clone(), after.to_vec());
            a.sort_unstable();
            b.sort_unstable();
            prop_assert_eq!(a, b);
            prop_assert_eq!(repair_sei_order(&after), None);
        }
    }

    #[test]
    fn outside_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..200), sps in any::<bool>()) {
        let mut data = data;
        if sps { data.insert(0, 0x67); }
        let _ = (parse_sps(&data), repair_sei_order(&data), is_recovery_point(&data), find_sps(&data));
    }
}
