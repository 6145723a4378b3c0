//! Sample entries for writing: `avc1` and `hvc1` from the parameter sets in the stream, `mp4a` from ADTS.

use std::num::NonZeroUsize;

use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};
use h264_reader::rbsp::{BitRead, BitReader, ByteReader};
use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec, Hvc1, HvcCArray, Hvcc, Mp4a, Pasp, Visual, esds,
};

use super::mux::refused;
use super::nal::{Role, annex_b, role};
use crate::aac::AacConfig;
use crate::{AccessUnit, ContainerError, VideoCodec};

/// More distinct parameter sets than this are left in the stream only.
const MAX_SETS: usize = 32;

/// The parameter sets of a stream, each once, in order of appearance.
pub(super) struct ParameterSets {
    sets: Vec<(Role, Vec<u8>)>,
    /// The sets of the sample entry hold for the whole stream, so that the samples need not repeat them.
    pub constant: bool,
}

impl ParameterSets {
    /// Collects the parameter sets of all access units.
    pub fn collect(codec: VideoCodec, units: &[AccessUnit]) -> Self {
        let mut sets: Vec<(Role, Vec<u8>)> = Vec::new();
        let mut constant = true;
        for nal in units.iter().flat_map(|unit| annex_b(&unit.data)) {
            let role = role(codec, nal);
            if !is_parameter_set(role) || sets.iter().any(|(_, known)| known == nal) {
                continue;
            }
            let replaces = |(known_role, known): &(Role, Vec<u8>)| {
                *known_role == role
                    && (role != Role::Pps || pps_id(codec, known) == pps_id(codec, nal))
            };
            if sets.iter().any(replaces) || sets.len() >= MAX_SETS {
                constant = false;
            } else {
                sets.push((role, nal.to_vec()));
            }
        }
        Self { sets, constant }
    }

    /// True for a NAL unit that may be left out of the samples.
    pub fn replaces(&self, codec: VideoCodec, nal: &[u8]) -> bool {
        self.constant && is_parameter_set(role(codec, nal))
    }

    fn of(&self, role: Role) -> Vec<Vec<u8>> {
        self.sets
            .iter()
            .filter(|(found, _)| *found == role)
            .map(|(_, set)| set.clone())
            .collect()
    }
}

fn is_parameter_set(role: Role) -> bool {
    matches!(role, Role::Vps | Role::Sps | Role::Pps)
}

fn pps_id(codec: VideoCodec, nal: &[u8]) -> Option<u32> {
    let header = if codec == VideoCodec::H265 {
        NonZeroUsize::MIN.saturating_add(1)
    } else {
        NonZeroUsize::MIN
    };
    BitReader::new(ByteReader::skipping_bytes(nal, header))
        .read_ue("pps id")
        .ok()
}

/// Sample entry and picture size in pixels, as displayed.
pub(super) fn video_entry(
    codec: VideoCodec,
    sets: &ParameterSets,
) -> Result<(Codec, (u16, u16)), ContainerError> {
    let all_sps = sets.of(Role::Sps);
    let sps = all_sps
        .first()
        .ok_or_else(|| refused("the video has no sequence parameter set"))?;
    match codec {
        VideoCodec::H264 => avc1(sps, sets),
        VideoCodec::H265 => hvc1(sps, sets),
        VideoCodec::Other(kind) => Err(refused(format!(
            "video codec {kind:#x} is neither H.264 nor H.265"
        ))),
    }
}

fn avc1(sps: &[u8], sets: &ParameterSets) -> Result<(Codec, (u16, u16)), ContainerError> {
    let unreadable = || refused("the sequence parameter set cannot be read");
    let info = SeqParameterSet::from_bits(RefNal::new(sps, &[], true).rbsp_bits())
        .map_err(|_| unreadable())?;
    let (width, height) = info.pixel_dimensions().map_err(|_| unreadable())?;
    let (width, height) = size(width, height)?;
    let mut avcc = Avcc::new(sps, &[]).map_err(|_| unreadable())?;
    avcc.sequence_parameter_sets = sets.of(Role::Sps);
    avcc.picture_parameter_sets = sets.of(Role::Pps);
    if info.profile_idc.has_chroma_info() {
        avcc.ext = Some(AvccExt {
            chroma_format: info.chroma_info.chroma_format.to_u32() as u8,
            bit_depth_luma: info.chroma_info.bit_depth_luma_minus8 + 8,
            bit_depth_chroma: info.chroma_info.bit_depth_chroma_minus8 + 8,
            sequence_parameter_sets_ext: Vec::new(),
        });
    }
    let aspect = info
        .vui_parameters
        .and_then(|vui| vui.aspect_ratio_info)
        .and_then(|ratio| ratio.get());
    let pasp = aspect.filter(|(h, v)| h != v).map(|(h, v)| Pasp {
        h_spacing: h.into(),
        v_spacing: v.into(),
    });
    let displayed = match aspect {
        Some((h, v)) => u32::from(width) * u32::from(h) / u32::from(v),
        None => width.into(),
    };
    let entry = Avc1 {
        visual: visual(width, height),
        avcc,
        btrt: None,
        colr: None,
        pasp,
        taic: None,
        fiel: None,
        spatial: None,
    };
    Ok((
        Codec::Avc1(entry),
        (u16::try_from(displayed).unwrap_or(width), height),
    ))
}

fn hvc1(sps: &[u8], sets: &ParameterSets) -> Result<(Codec, (u16, u16)), ContainerError> {
    let (mut hvcc, width, height) =
        read_h265_sps(sps).ok_or_else(|| refused("the sequence parameter set cannot be read"))?;
    let (width, height) = size(width, height)?;
    for (role, nal_unit_type) in [(Role::Vps, 32), (Role::Sps, 33), (Role::Pps, 34)] {
        hvcc.arrays.push(HvcCArray {
            completeness: sets.constant,
            nal_unit_type,
            nalus: sets.of(role),
        });
    }
    let visual = visual(width, height);
    Ok((
        Codec::Hvc1(Hvc1 {
            visual,
            hvcc,
            ..Default::default()
        }),
        (width, height),
    ))
}

/// The fields of the decoder configuration and the visible size, from ISO/IEC 23008-2 7.3.2.2.
fn read_h265_sps(sps: &[u8]) -> Option<(Hvcc, u32, u32)> {
    let header = NonZeroUsize::MIN.saturating_add(1);
    let mut bits = BitReader::new(ByteReader::skipping_bytes(sps, header));
    let mut hvcc = Hvcc::new();
    bits.skip(4, "vps id").ok()?;
    let sub_layers = bits.read::<3, u8>("sub layers").ok()?;
    hvcc.num_temporal_layers = sub_layers + 1;
    hvcc.temporal_id_nested = bits.read_bit("nesting").ok()?;
    hvcc.general_profile_space = bits.read::<2, u8>("profile space").ok()?;
    hvcc.general_tier_flag = bits.read_bit("tier").ok()?;
    hvcc.general_profile_idc = bits.read::<5, u8>("profile").ok()?;
    for flags in &mut hvcc.general_profile_compatibility_flags {
        *flags = bits.read::<8, u8>("compatibility").ok()?;
    }
    for flags in &mut hvcc.general_constraint_indicator_flags {
        *flags = bits.read::<8, u8>("constraints").ok()?;
    }
    hvcc.general_level_idc = bits.read::<8, u8>("level").ok()?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((
            bits.read_bit("profile present").ok()?,
            bits.read_bit("level present").ok()?,
        ));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - u32::from(sub_layers)), "reserved")
            .ok()?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 }, "sub layer profile")
            .ok()?;
        bits.skip(if level { 8 } else { 0 }, "sub layer level")
            .ok()?;
    }
    bits.read_ue("sps id").ok()?;
    hvcc.chroma_format_idc = u8::try_from(bits.read_ue("chroma format").ok()?)
        .ok()
        .filter(|idc| *idc <= 3)?;
    if hvcc.chroma_format_idc == 3 {
        bits.skip(1, "separate planes").ok()?;
    }
    let mut width = bits.read_ue("width").ok()?;
    let mut height = bits.read_ue("height").ok()?;
    if bits.read_bit("conformance window").ok()? {
        let (unit_x, unit_y) = match hvcc.chroma_format_idc {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        for (side, unit) in [(&mut width, unit_x), (&mut height, unit_y)] {
            let cut = bits
                .read_ue("offset")
                .ok()?
                .checked_add(bits.read_ue("offset").ok()?)?;
            *side = side.checked_sub(cut.checked_mul(unit)?)?;
        }
    }
    hvcc.bit_depth_luma_minus8 = u8::try_from(bits.read_ue("luma depth").ok()?)
        .ok()
        .filter(|depth| *depth <= 7)?;
    hvcc.bit_depth_chroma_minus8 = u8::try_from(bits.read_ue("chroma depth").ok()?)
        .ok()
        .filter(|depth| *depth <= 7)?;
    hvcc.length_size_minus_one = 3;
    Some((hvcc, width, height))
}

fn size(width: u32, height: u32) -> Result<(u16, u16), ContainerError> {
    match (u16::try_from(width), u16::try_from(height)) {
        (Ok(width @ 1..), Ok(height @ 1..)) => Ok((width, height)),
        _ => Err(refused(format!(
            "the picture size {width}x{height} does not fit"
        ))),
    }
}

fn visual(width: u16, height: u16) -> Visual {
    Visual {
        data_reference_index: 1,
        width,
        height,
        ..Default::default()
    }
}

/// Sample entry of AAC audio. Bit rates are in bit/s.
pub(super) fn audio_entry(config: AacConfig, average_bitrate: u32) -> Codec {
    let dec_specific = esds::DecoderSpecific {
        profile: config.object_type,
        freq_index: config.rate_index,
        chan_conf: config.channels,
        raw: config.to_audio_specific_config().to_vec(),
    };
    let dec_config = esds::DecoderConfig {
        object_type_indication: 0x40,
        stream_type: 0x05,
        max_bitrate: average_bitrate,
        avg_bitrate: average_bitrate,
        dec_specific: Some(dec_specific),
        ..Default::default()
    };
    Codec::Mp4a(Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: config.channel_count(),
            sample_size: 16,
            // rates of 64 kHz and above do not fit; the configuration says them
            sample_rate: u16::try_from(config.sample_rate()).unwrap_or(0).into(),
        },
        esds: mp4_atom::Esds {
            es_desc: esds::EsDescriptor {
                dec_config,
                ..Default::default()
            },
        },
        btrt: None,
        taic: None,
    })
}
