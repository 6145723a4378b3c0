//! Picture order count: where a picture stands in presentation order, for pictures without a time.

use super::{NAL_PPS, NAL_SPS, is_slice, nal_type};
use crate::annexb::nal_units;
use h264_reader::Context;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::slice::{PicOrderCountLsb, SliceHeader};
use h264_reader::nal::sps::{PicOrderCntType, SeqParameterSet};
use h264_reader::nal::{Nal, RefNal};

/// The picture order count of a picture as far as its slice header states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureOrder {
    lsb: i64,
    modulus: i64,
}

impl PictureOrder {
    /// Fields (two per frame) from `earlier` to `self` in presentation order; may be negative. Right
    /// for pictures less than half the counter's range apart.
    pub fn fields_since(&self, earlier: &Self) -> i64 {
        let step = (self.lsb - earlier.lsb).rem_euclid(self.modulus);
        if step >= self.modulus / 2 {
            step - self.modulus
        } else {
            step
        }
    }
}

/// Reads the order of an Annex B access unit; its parameter sets are looked for in `parameter_sets`
/// and in the unit itself. `None` if they are missing or count in another way than type 0.
pub fn picture_order(parameter_sets: &[u8], access_unit: &[u8]) -> Option<PictureOrder> {
    let mut context = Context::new();
    for nal in nal_units(parameter_sets).chain(nal_units(access_unit)) {
        let unit = RefNal::new(nal.bytes, &[], true);
        match nal_type(nal.bytes) {
            Some(NAL_SPS) => {
                context.put_seq_param_set(SeqParameterSet::from_bits(unit.rbsp_bits()).ok()?)
            }
            Some(NAL_PPS) => context
                .put_pic_param_set(PicParameterSet::from_bits(&context, unit.rbsp_bits()).ok()?),
            _ => {}
        }
    }
    let slice = nal_units(access_unit).find(|nal| nal_type(nal.bytes).is_some_and(is_slice))?;
    let unit = RefNal::new(slice.bytes, &[], true);
    let header = unit.header().ok()?;
    let (slice, sps, _) =
        SliceHeader::from_bits(&context, &mut unit.rbsp_bits(), header, None).ok()?;
    let PicOrderCntType::TypeZero {
        log2_max_pic_order_cnt_lsb_minus4,
    } = sps.pic_order_cnt
    else {
        return None;
    };
    let lsb = match slice.pic_order_cnt_lsb? {
        PicOrderCountLsb::Frame(lsb) => lsb,
        PicOrderCountLsb::FieldsAbsolute {
            pic_order_cnt_lsb, ..
        } => pic_order_cnt_lsb,
        PicOrderCountLsb::FieldsDelta(_) => return None,
    };
    Some(PictureOrder {
        lsb: i64::from(lsb),
        modulus: 1i64.checked_shl(u32::from(log2_max_pic_order_cnt_lsb_minus4) + 4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameter sets and the starts of four slices as x264 wrote them, in decoding order: I, P, B, B.
    const SETS: &[u8] = &[
        0, 0, 1, 0x67, 0xf4, 0x00, 0x0a, 0x91, 0x9b, 0x29, 0x2d, 0x80, 0x88, 0x00, 0x00, 0x03,
        0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xa0, 0x78, 0x91, 0x2c, 0xb0, 0, 0, 1, 0x68, 0xeb,
        0xe3, 0xc4, 0x48, 0x44,
    ];
    const SLICES: [&[u8]; 4] = [
        &[
            0, 0, 1, 0x65, 0x88, 0x84, 0x00, 0x67, 0xc2, 0x87, 0x05, 0x60, 0x2b, 0xf6, 0x67, 0xff,
        ],
        &[
            0, 0, 1, 0x41, 0x9a, 0x23, 0x6c, 0x42, 0x9f, 0x86, 0x25, 0xef, 0xa1, 0x74, 0x24, 0x43,
        ],
        &[0, 0, 1, 0x41, 0x9e, 0x41, 0x78, 0x84, 0xbf, 0xbb, 0x81],
        &[0, 0, 1, 0x01, 0x9e, 0x62, 0x6a, 0x42, 0x9f, 0xbe, 0x80],
    ];

    #[test]
    fn reordered_pictures_get_their_place_from_the_slice_header() {
        let orders = SLICES.map(|slice| picture_order(SETS, slice).unwrap());
        assert_eq!(
            orders.map(|order| order.fields_since(&orders[0])),
            [0, 6, 2, 4]
        );
    }

    #[test]
    fn the_counter_wraps_in_both_directions() {
        let order = |lsb| PictureOrder { lsb, modulus: 16 };
        assert_eq!(order(2).fields_since(&order(14)), 4);
        assert_eq!(order(14).fields_since(&order(2)), -4);
    }

    #[test]
    fn without_parameter_sets_there_is_no_order() {
        assert_eq!(picture_order(&[], SLICES[1]), None);
    }
}
