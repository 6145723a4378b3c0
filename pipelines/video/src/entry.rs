//! Where decoding may begin: the first access unit that is a random access point and whose parameter
//! sets are known. Nothing before it is decodable, as the reference's decoder yields nothing for it.

use bytes::{Bytes, BytesMut};
use containers::annexb::nal_units;
use containers::{AccessUnit, VideoCodec, h264, h265};

/// Waits for the entry point of one segment.
#[derive(Debug, Default)]
pub(crate) struct EntryPoint {
    sets: BytesMut,
    seen_key: bool,
    reached: bool,
}

impl EntryPoint {
    /// True once a key frame went by, with or without parameter sets.
    pub(crate) fn seen_key(&self) -> bool {
        self.seen_key
    }

    /// The unit to feed, or `None` if it lies before the entry point. Parameter sets that came with
    /// dropped units are put before the first unit fed.
    pub(crate) fn admit(&mut self, codec: VideoCodec, mut unit: AccessUnit) -> Option<AccessUnit> {
        if self.reached {
            return Some(unit);
        }
        let key = unit.key || (codec == VideoCodec::H264 && h264::is_recovery_point(&unit.data));
        self.seen_key |= key;
        let own_sets = has_sets(codec, &unit.data);
        if key && (own_sets || has_sets(codec, &self.sets)) {
            self.reached = true;
            if !own_sets {
                self.sets.extend_from_slice(&unit.data);
                unit.data = Bytes::from(std::mem::take(&mut self.sets));
            }
            return Some(unit);
        }
        if own_sets {
            self.sets.clear();
        }
        for nal in nal_units(&unit.data).filter(|nal| is_set(codec, nal.bytes)) {
            self.sets.extend_from_slice(nal.with_start_code);
        }
        None
    }
}

fn has_sets(codec: VideoCodec, data: &[u8]) -> bool {
    match codec {
        VideoCodec::H264 => h264::has_parameter_sets(data),
        VideoCodec::H265 => h265::has_parameter_sets(data),
        VideoCodec::Other(_) => false,
    }
}

fn is_set(codec: VideoCodec, nal: &[u8]) -> bool {
    match codec {
        VideoCodec::H264 => matches!(h264::nal_type(nal), Some(h264::NAL_SPS | h264::NAL_PPS)),
        VideoCodec::H265 => matches!(h265::nal_type(nal), Some(32..=34)),
        VideoCodec::Other(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: [u8; 4] = [0, 0, 1, 0x67];
    const PPS: [u8; 4] = [0, 0, 1, 0x68];
    const IDR: [u8; 5] = [0, 0, 1, 0x65, 1];
    const SLICE: [u8; 5] = [0, 0, 1, 0x41, 1];
    const RECOVERY: [u8; 7] = [0, 0, 1, 0x06, 6, 1, 0xc0];

    fn unit(parts: &[&[u8]]) -> AccessUnit {
        let data: Vec<u8> = parts.concat();
        AccessUnit {
            pts: 0,
            dts: 0,
            key: h264::is_idr(&data),
            data: data.into(),
        }
    }

    fn admitted(units: &[AccessUnit]) -> (Vec<usize>, bool) {
        let mut entry = EntryPoint::default();
        let kept = units
            .iter()
            .enumerate()
            .filter_map(|(i, u)| entry.admit(VideoCodec::H264, u.clone()).map(|_| i))
            .collect();
        (kept, entry.seen_key())
    }

    #[test]
    fn units_before_the_first_key_frame_with_parameter_sets_are_dropped() {
        let slice = unit(&[&SLICE]);
        let key = unit(&[&SPS, &PPS, &IDR]);
        assert_eq!(admitted(&[slice.clone(), key, slice]), (vec![1, 2], true));
    }

    #[test]
    fn a_key_frame_without_parameter_sets_is_no_entry() {
        assert_eq!(admitted(&[unit(&[&IDR]), unit(&[&SLICE])]), (vec![], true));
        assert_eq!(
            admitted(&[unit(&[&SPS, &PPS, &SLICE]), unit(&[&SLICE])]),
            (vec![], false)
        );
    }

    #[test]
    fn a_recovery_point_is_an_entry() {
        assert_eq!(
            admitted(&[unit(&[&SPS, &PPS, &RECOVERY, &SLICE])]),
            (vec![0], true)
        );
    }

    #[test]
    fn parameter_sets_of_dropped_units_are_put_before_the_entry() {
        let mut entry = EntryPoint::default();
        assert_eq!(
            entry.admit(VideoCodec::H264, unit(&[&SPS, &PPS, &SLICE])),
            None
        );
        let first = entry.admit(VideoCodec::H264, unit(&[&IDR])).unwrap();
        assert_eq!(first.data, [&SPS[..], &PPS, &IDR].concat());
    }
}
