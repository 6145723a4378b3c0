//! What the containers must know of H.265 (ISO/IEC 23008-2): unit types, parameter sets, random access.

use crate::annexb::nal_units;

/// NAL unit type of a unit given from its header byte on.
pub fn nal_type(nal: &[u8]) -> Option<u8> {
    nal.first().map(|header| header >> 1 & 0x3f)
}

/// Access unit delimiter.
pub const NAL_AUD: u8 = 35;

/// True for a coded slice segment of any kind.
pub fn is_slice(nal_type: u8) -> bool {
    nal_type < 32
}

/// True for an intra random access point (BLA, IDR or CRA).
pub fn is_irap(nal_type: u8) -> bool {
    (16..=23).contains(&nal_type)
}

/// True for a unit that, after a slice, can only belong to the next access unit (7.4.2.4.4).
pub fn starts_next_unit(nal_type: u8) -> bool {
    matches!(nal_type, 32..=35 | 39 | 41..=44 | 48..=55)
}

/// True if VPS, SPS and PPS are all present in an Annex B access unit.
pub fn has_parameter_sets(access_unit: &[u8]) -> bool {
    let mut seen = [false; 3];
    for nal in nal_units(access_unit) {
        if let Some(kind @ 32..=34) = nal_type(nal.bytes)
            && let Some(slot) = seen.get_mut(usize::from(kind - 32))
        {
            *slot = true;
        }
    }
    seen == [true; 3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_parameter_sets_are_asked_for() {
        let unit = |types: &[u8]| {
            types
                .iter()
                .flat_map(|t| [0, 0, 1, t << 1, 1])
                .collect::<Vec<u8>>()
        };
        assert!(has_parameter_sets(&unit(&[35, 32, 33, 34, 19])));
        assert!(!has_parameter_sets(&unit(&[35, 33, 34, 19])));
    }

    #[test]
    fn idr_and_cra_are_random_access_points() {
        assert!([16, 19, 20, 21].into_iter().all(is_irap));
        assert!(![0, 1, 9, 24, 32].into_iter().any(is_irap));
    }
}
