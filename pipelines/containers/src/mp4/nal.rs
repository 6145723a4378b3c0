//! NAL units in their two framings: start codes (Annex B) and length prefixes (ISO/IEC 14496-15).

use super::sample_entry::VideoConfig;
use crate::VideoCodec;
use crate::annexb::nal_units;
use crate::{h264, h265};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// What a NAL unit is, as far as containers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Access unit delimiter.
    Delimiter,
    /// VPS of H.265.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Slice of an IDR (H.264) or IRAP (H.265) picture.
    Key,
    /// Anything else.
    Other,
}

pub(super) fn role(codec: VideoCodec, nal: &[u8]) -> Role {
    match codec {
        VideoCodec::H264 => match h264::nal_type(nal) {
            Some(h264::NAL_IDR) => Role::Key,
            Some(h264::NAL_SPS) => Role::Sps,
            Some(h264::NAL_PPS) => Role::Pps,
            Some(h264::NAL_AUD) => Role::Delimiter,
            _ => Role::Other,
        },
        VideoCodec::H265 => match h265::nal_type(nal) {
            Some(32) => Role::Vps,
            Some(33) => Role::Sps,
            Some(34) => Role::Pps,
            Some(h265::NAL_AUD) => Role::Delimiter,
            Some(kind) if h265::is_irap(kind) => Role::Key,
            _ => Role::Other,
        },
        VideoCodec::Other(_) => Role::Other,
    }
}

/// NAL units of a length-prefixed sample. Ends early where a length leaves the sample.
pub(super) struct LengthPrefixed<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> Iterator for LengthPrefixed<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (length, rest) = self.rest.split_at_checked(self.length_size.max(1))?;
            let length = length
                .iter()
                .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
            let (nal, rest) = rest.split_at_checked(length)?;
            self.rest = rest;
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    }
}

/// A sample in Annex B.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AnnexB {
    pub data: Vec<u8>,
    /// It holds a slice of a key picture.
    pub key: bool,
}

/// Converts a sample. The parameter sets outside the samples are put before the first NAL unit, or behind the
/// delimiter, where the sample is a key frame or `entry_point` and does not bring its own. `None` if it has no NAL unit.
pub(super) fn to_annex_b(
    codec: VideoCodec,
    config: &VideoConfig,
    sample: &[u8],
    entry_point: bool,
) -> Option<AnnexB> {
    let nals = || LengthPrefixed {
        rest: sample,
        length_size: config.length_size,
    };
    let (mut key, mut own_sets) = (false, false);
    for nal in nals() {
        match role(codec, nal) {
            Role::Key => key = true,
            Role::Sps => own_sets = true,
            _ => {}
        }
    }
    let mut data = Vec::with_capacity(sample.len() + 64);
    let mut pending = (key || entry_point) && !own_sets;
    let mut append = |nal: &[u8]| {
        data.extend_from_slice(&START_CODE);
        data.extend_from_slice(nal);
    };
    for nal in nals() {
        if pending && role(codec, nal) != Role::Delimiter {
            config
                .parameter_sets
                .iter()
                .filter(|set| !set.is_empty())
                .for_each(|set| append(set));
            pending = false;
        }
        append(nal);
    }
    (!data.is_empty()).then_some(AnnexB { data, key })
}

/// NAL units of Annex B bytes, without start codes and trailing zeros.
pub(super) fn annex_b(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    nal_units(data).filter_map(|unit| {
        let last = unit.bytes.iter().rposition(|byte| *byte != 0)?;
        unit.bytes.get(..=last)
    })
}
