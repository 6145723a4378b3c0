//! Sample entries (ISO/IEC 14496-12 8.5.2, 14496-14, 14496-15): which codec a track holds, and the
//! parameter sets or audio configuration that lie outside its samples.

use bytes::Bytes;
use mp4_atom::{Avcc, Esds, Hvcc};

use super::boxes::{Kind, child, children, damaged, kind_number, leaf, leaf_child, missing};
use crate::aac::AacConfig;
use crate::{AudioCodec, ContainerError, VideoCodec};

/// Fixed part of a video sample entry, in bytes.
const VISUAL_LEN: usize = 78;
/// Fixed part of an audio sample entry, in bytes.
const AUDIO_LEN: usize = 28;
/// Larger `esds` atoms are refused: their descriptors nest, and real ones have less than a hundred bytes.
const MAX_ESDS_BYTES: usize = 1024;
/// Larger parameter sets are refused: they are repeated before every key frame.
const MAX_PARAMETER_SET_BYTES: usize = 64 << 10;

/// Parameter sets of a video track and how its samples are cut into NAL units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct VideoConfig {
    /// Bytes of the length before each NAL unit, 1 to 4.
    pub length_size: usize,
    /// NAL units to put before key frames, in that order.
    pub parameter_sets: Vec<Vec<u8>>,
}

/// What the samples of a track are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Video(VideoCodec, VideoConfig),
    Aac(AacConfig),
    /// Audio whose samples are elementary stream frames already.
    Plain(AudioCodec),
    /// Audio that is not carried over, by its name.
    UnsupportedAudio(String),
}

/// Reads the first sample entry of a video track.
pub(super) fn video(stsd: &[u8]) -> Result<Entry, ContainerError> {
    let (kind, body) = first_entry(stsd)?;
    let inner = body.get(VISUAL_LEN..).unwrap_or_default();
    match &kind {
        b"avc1" | b"avc3" => {
            let avcc = child(inner, b"avcC").ok_or_else(|| missing("avcC"))?;
            let avcc: Avcc = leaf("avcC", avcc)?;
            let sets = [avcc.sequence_parameter_sets, avcc.picture_parameter_sets].concat();
            Ok(Entry::Video(
                VideoCodec::H264,
                config(usize::from(avcc.length_size), sets, "avcC")?,
            ))
        }
        b"hvc1" | b"hev1" => {
            let hvcc: Hvcc = leaf_child("hvcC", inner)?.ok_or_else(|| missing("hvcC"))?;
            let sets = hvcc
                .arrays
                .into_iter()
                .flat_map(|array| array.nalus)
                .collect();
            let length_size = usize::from(hvcc.length_size_minus_one) + 1;
            Ok(Entry::Video(
                VideoCodec::H265,
                config(length_size, sets, "hvcC")?,
            ))
        }
        _ => Ok(Entry::Video(
            VideoCodec::Other(kind_number(kind)),
            VideoConfig::default(),
        )),
    }
}

fn config(
    length_size: usize,
    parameter_sets: Vec<Vec<u8>>,
    atom: &'static str,
) -> Result<VideoConfig, ContainerError> {
    if parameter_sets.iter().map(Vec::len).sum::<usize>() > MAX_PARAMETER_SET_BYTES {
        return Err(damaged(atom, "its parameter sets are too large"));
    }
    Ok(VideoConfig {
        length_size,
        parameter_sets,
    })
}

/// Reads the first sample entry of an audio track.
pub(super) fn audio(stsd: &[u8]) -> Result<Entry, ContainerError> {
    let (kind, body) = first_entry(stsd)?;
    // QuickTime versions 1 and 2 of the entry have a longer fixed part
    let extra = match body.get(8..10) {
        Some([0, 1]) => 16,
        Some([0, 2]) => 36,
        _ => 0,
    };
    let inner = body.get(AUDIO_LEN + extra..).unwrap_or_default();
    Ok(match &kind {
        b"mp4a" => mp4a(inner)?,
        b".mp3" => plain(0x03, &[]),
        // stream types and registration descriptors of ATSC A/52
        b"ac-3" => plain(0x81, b"\x05\x04AC-3"),
        b"ec-3" => plain(0x87, b"\x05\x04EAC3"),
        _ => Entry::UnsupportedAudio(String::from_utf8_lossy(&kind).into_owned()),
    })
}

/// `esds` says by its object type indication what an `mp4a` entry holds.
fn mp4a(inner: &[u8]) -> Result<Entry, ContainerError> {
    let esds = child(inner, b"esds").or_else(|| child(child(inner, b"wave")?, b"esds"));
    let esds = esds.ok_or_else(|| missing("esds"))?;
    if esds.len() > MAX_ESDS_BYTES {
        return Err(damaged("esds", "it is too large"));
    }
    let config = leaf::<Esds>("esds", esds)?.es_desc.dec_config;
    Ok(match config.object_type_indication {
        0x40 | 0x66..=0x68 => {
            let specific = config
                .dec_specific
                .map(|specific| specific.raw)
                .unwrap_or_default();
            match AacConfig::from_audio_specific_config(&specific) {
                Some(aac) => Entry::Aac(aac),
                None => {
                    Entry::UnsupportedAudio("mp4a with an AAC kind that ADTS cannot name".into())
                }
            }
        }
        0x69 => plain(0x04, &[]),
        0x6b => plain(0x03, &[]),
        other => Entry::UnsupportedAudio(format!("mp4a.{other:02x}")),
    })
}

fn plain(stream_type: u8, descriptors: &'static [u8]) -> Entry {
    Entry::Plain(AudioCodec::Other {
        stream_type,
        descriptors: Bytes::from_static(descriptors),
    })
}

fn first_entry(stsd: &[u8]) -> Result<(Kind, &[u8]), ContainerError> {
    // version, flags and entry count come first
    let entries = stsd.get(8..).unwrap_or_default();
    children(entries)
        .next()
        .ok_or_else(|| damaged("stsd", "it has no sample entry"))
}
