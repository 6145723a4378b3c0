//! What the containers must know of H.264 (ISO/IEC 14496-10): unit types, parameter sets, random
//! access, the repair of misplaced SEI, and the facts of a sequence parameter set. Decodes no picture.

mod order;

use crate::annexb::nal_units;
use bytes::{Bytes, BytesMut};
use h264_reader::nal::sei::{HeaderType, SeiReader};
use h264_reader::nal::sps::{FrameMbsFlags, SeqParameterSet};
use h264_reader::nal::{Nal, RefNal};
pub use order::{PictureOrder, picture_order};

/// Coded slice of a picture that is not IDR.
pub const NAL_SLICE: u8 = 1;
/// Coded slice of an IDR picture.
pub const NAL_IDR: u8 = 5;
/// Supplemental enhancement information.
pub const NAL_SEI: u8 = 6;
/// Sequence parameter set.
pub const NAL_SPS: u8 = 7;
/// Picture parameter set.
pub const NAL_PPS: u8 = 8;
/// Access unit delimiter.
pub const NAL_AUD: u8 = 9;

/// NAL unit type of a unit given from its header byte on.
pub fn nal_type(nal: &[u8]) -> Option<u8> {
    nal.first().map(|header| header & 0x1f)
}

/// True for a coded slice or slice data partition.
pub fn is_slice(nal_type: u8) -> bool {
    (NAL_SLICE..=NAL_IDR).contains(&nal_type)
}

/// True if both an SPS and a PPS are present in an Annex B access unit.
pub fn has_parameter_sets(access_unit: &[u8]) -> bool {
    let (mut sps, mut pps) = (false, false);
    for nal in nal_units(access_unit) {
        match nal_type(nal.bytes) {
            Some(NAL_SPS) => sps = true,
            Some(NAL_PPS) => pps = true,
            _ => {}
        }
    }
    sps && pps
}

/// True if an Annex B access unit is an IDR picture.
pub fn is_idr(access_unit: &[u8]) -> bool {
    nal_units(access_unit).any(|nal| nal_type(nal.bytes) == Some(NAL_IDR))
}

/// True if an Annex B access unit carries a recovery point SEI message, from which decoding may begin
/// though the picture is not IDR.
pub fn is_recovery_point(access_unit: &[u8]) -> bool {
    nal_units(access_unit)
        .filter(|nal| nal_type(nal.bytes) == Some(NAL_SEI))
        .any(|nal| {
            let unit = RefNal::new(nal.bytes, &[], true);
            let mut scratch = Vec::new();
            let mut reader = SeiReader::from_rbsp_bytes(unit.rbsp_bytes(), &mut scratch);
            while let Ok(Some(message)) = reader.next() {
                if message.payload_type == HeaderType::RecoveryPoint {
                    return true;
                }
            }
            false
        })
}

/// Moves SEI units that follow a slice before the first slice; every byte is kept. Some encoders put
/// them last, where decoders miss them. Returns `None` if nothing has to move.
pub fn repair_sei_order(access_unit: &[u8]) -> Option<Bytes> {
    let total: usize = nal_units(access_unit)
        .map(|nal| nal.with_start_code.len())
        .sum();
    let mut at = access_unit.len().checked_sub(total)?;
    let mut slices_from = None;
    let mut misplaced = false;
    for nal in nal_units(access_unit) {
        match nal_type(nal.bytes) {
            Some(NAL_SEI) => misplaced |= slices_from.is_some(),
            Some(kind) if is_slice(kind) => _ = slices_from.get_or_insert(at),
            _ => {}
        }
        at += nal.with_start_code.len();
    }
    let (head, tail) = access_unit.split_at_checked(slices_from?)?;
    if !misplaced {
        return None;
    }
    let mut out = BytesMut::with_capacity(access_unit.len());
    out.extend_from_slice(head);
    for wants_sei in [true, false] {
        nal_units(tail)
            .filter(|nal| (nal_type(nal.bytes) == Some(NAL_SEI)) == wants_sei)
            .for_each(|nal| out.extend_from_slice(nal.with_start_code));
    }
    Some(out.freeze())
}

/// The facts of a sequence parameter set that decide about decoding and encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpsInfo {
    /// Visible width in pixels.
    pub width: u32,
    /// Visible height in pixels.
    pub height: u32,
    /// `profile_idc`, e.g. 66 baseline, 77 main, 100 high.
    pub profile_idc: u8,
    /// `level_idc`, ten times the level.
    pub level_idc: u8,
    /// `chroma_format_idc`: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u32,
    /// Bits per luma sample.
    pub bit_depth: u8,
    /// False if pictures may be coded as fields.
    pub progressive: bool,
    /// Frames per second as numerator and denominator, if the VUI states it.
    pub frame_rate: Option<(u32, u32)>,
}

/// Reads an SPS unit given from its header byte on; `None` if it is malformed.
pub fn parse_sps(nal: &[u8]) -> Option<SpsInfo> {
    if nal_type(nal) != Some(NAL_SPS) {
        return None;
    }
    let sps = SeqParameterSet::from_bits(RefNal::new(nal, &[], true).rbsp_bits()).ok()?;
    let (width, height) = sps.pixel_dimensions().ok()?;
    let timing = sps
        .vui_parameters
        .as_ref()
        .and_then(|vui| vui.timing_info.as_ref());
    Some(SpsInfo {
        width,
        height,
        profile_idc: sps.profile().profile_idc(),
        level_idc: sps.level_idc,
        chroma_format_idc: sps.chroma_info.chroma_format.to_u32(),
        bit_depth: sps.chroma_info.bit_depth_luma_minus8.checked_add(8)?,
        progressive: sps.frame_mbs_flags == FrameMbsFlags::Frames,
        // A tick is one field, so a frame lasts two.
        frame_rate: timing
            .filter(|t| t.time_scale > 0 && t.num_units_in_tick > 0)
            .and_then(|t| Some((t.time_scale, t.num_units_in_tick.checked_mul(2)?))),
    })
}

/// The first readable SPS of an Annex B access unit.
pub fn find_sps(access_unit: &[u8]) -> Option<SpsInfo> {
    nal_units(access_unit).find_map(|nal| parse_sps(nal.bytes))
}

#[cfg(test)]
mod tests;
