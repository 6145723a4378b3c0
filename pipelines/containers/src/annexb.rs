//! Annex B byte streams (ISO/IEC 14496-10 and 23008-2): where NAL units begin and end.
//! Knows start codes only; what the units mean is the business of [`crate::h264`] and [`crate::h265`].

use memchr::memmem;

/// One NAL unit of an Annex B stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalUnit<'a> {
    /// The unit with its start code, as it lies in the stream.
    pub with_start_code: &'a [u8],
    /// The unit from its header byte on; may be empty.
    pub bytes: &'a [u8],
}

/// The NAL units of `data` in order; bytes before the first start code are skipped.
pub fn nal_units(data: &[u8]) -> impl Iterator<Item = NalUnit<'_>> {
    let mut codes = memmem::find_iter(data, &[0, 0, 1]).peekable();
    std::iter::from_fn(move || {
        let code = codes.next()?;
        let start = with_leading_zero(data, code);
        let end = codes
            .peek()
            .map_or(data.len(), |next| with_leading_zero(data, *next));
        Some(NalUnit {
            with_start_code: data.get(start..end)?,
            bytes: data.get(code + 3..end.max(code + 3))?,
        })
    })
}

/// First byte of a start code whose `00 00 01` lies at `code`: one earlier if a zero precedes it.
pub(crate) fn with_leading_zero(data: &[u8], code: usize) -> usize {
    match code.checked_sub(1) {
        Some(before) if data.get(before) == Some(&0) => before,
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_and_long_start_codes_are_kept_with_their_unit() {
        let units: Vec<_> = nal_units(&[9, 0, 0, 0, 1, 0x67, 5, 0, 0, 1, 0x68]).collect();
        assert_eq!(units.len(), 2);
        assert_eq!(
            (units[0].with_start_code, units[0].bytes),
            (&[0, 0, 0, 1, 0x67, 5][..], &[0x67, 5][..])
        );
        assert_eq!(
            (units[1].with_start_code, units[1].bytes),
            (&[0, 0, 1, 0x68][..], &[0x68][..])
        );
    }

    proptest! {
        #[test]
        fn units_cover_everything_from_the_first_start_code(data in prop::collection::vec(0u8..3, 0..200)) {
            let joined: Vec<u8> = nal_units(&data).flat_map(|u| u.with_start_code.to_vec()).collect();
            prop_assert!(data.ends_with(&joined));
        }
    }
}
