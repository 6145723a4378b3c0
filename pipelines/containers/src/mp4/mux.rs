//! Writes one MP4 file: `ftyp`, `moov`, then the media data in half-second chunks of each track. The
//! timeline of the input is kept by an edit list per track, whose empty first entry lasts until its start.

use bytes::Bytes;
use mp4_atom::{Codec, Encode, Ftyp};

use super::mux_audio::audio_track;
use super::mux_index::moov;
use super::mux_video::video_track;
use crate::{AccessUnit, AudioCodec, AudioPacket, ContainerError, TICKS_PER_SECOND, VideoCodec};

/// Ticks of media per chunk.
const CHUNK: i64 = TICKS_PER_SECOND / 2;
const MDAT_HEADER: usize = 8;

/// What goes into an MP4 file.
#[derive(Debug, Clone, Copy)]
pub struct Mp4Output<'a> {
    /// Codec of the access units: H.264 or H.265.
    pub codec: VideoCodec,
    /// Access units in decoding order, with parameter sets in the stream; not empty.
    pub video: &'a [AccessUnit],
    /// Audio packets in order; only AAC in ADTS can be written.
    pub audio: Option<(&'a AudioCodec, &'a [AudioPacket])>,
    /// Text of the comment in the metadata; none if empty.
    pub comment: &'a str,
}

/// Writes a file with its index first. The times of all packets are kept; only if a picture lies before time
/// zero, which the format cannot say, the whole file is shifted so that the first picture is at zero.
///
/// # Errors
/// No video, parameter sets missing or unreadable, audio that is not AAC, or a gap longer than the format can hold.
pub fn mux_mp4(output: &Mp4Output<'_>) -> Result<Bytes, ContainerError> {
    let earliest = output.video.iter().map(|unit| unit.pts).min().unwrap_or(0);
    let shift = earliest.min(0).saturating_neg();
    let mut tracks = vec![video_track(output.codec, output.video, shift)?];
    match output.audio {
        Some((AudioCodec::Aac, packets)) => tracks.extend(audio_track(packets, shift)?),
        Some((AudioCodec::Other { stream_type, .. }, [_, ..])) => {
            return Err(ContainerError::UnsupportedAudio {
                codec: format!("of stream type {stream_type:#04x}"),
            });
        }
        Some((AudioCodec::Other { .. }, [])) | None => {}
    }
    write(&tracks, output)
}

pub(super) fn refused(reason: impl Into<String>) -> ContainerError {
    ContainerError::Mp4Mux {
        reason: reason.into(),
    }
}

/// A duration as the tables hold it.
pub(super) fn duration(units: i64) -> Result<u32, ContainerError> {
    u32::try_from(units).map_err(|_| refused("the gap between two samples is too long"))
}

/// A track ready to be written.
pub(super) struct MuxTrack {
    pub entry: Codec,
    /// Displayed size in pixels; `None` for audio.
    pub size: Option<(u16, u16)>,
    /// Units per second of the media times.
    pub timescale: u32,
    pub samples: Vec<MuxSample>,
    /// The samples one after the other.
    pub payload: Vec<u8>,
    /// Ticks at which the presentation of this track begins; not negative.
    pub start: i64,
    /// Media time, in track units, that is presented first.
    pub media_time: i64,
}

/// A sample ready to be written; duration and composition offset in track units.
pub(super) struct MuxSample {
    pub size: u32,
    pub duration: u32,
    pub composition: i64,
    pub sync: bool,
    /// Decoding time in ticks, for the order of chunks.
    pub time: i64,
}

/// Consecutive samples of one track.
pub(super) struct Chunk {
    pub samples: u32,
    /// Position behind the header of the media data.
    pub offset: u64,
}

fn write(tracks: &[MuxTrack], output: &Mp4Output<'_>) -> Result<Bytes, ContainerError> {
    let (chunks, mut media) = interleave(tracks)?;
    let mut file = Vec::new();
    encode(&ftyp(output.codec), &mut file)?;
    // the size of the index does not depend on the offsets in it
    let total = media.len() as u64;
    let mut index = Vec::new();
    encode(
        &moov(tracks, &chunks, 0, total, output.comment)?,
        &mut index,
    )?;
    let base = (file.len() + index.len() + MDAT_HEADER) as u64;
    encode(
        &moov(tracks, &chunks, base, total, output.comment)?,
        &mut file,
    )?;
    let size = u32::try_from(media.len() + MDAT_HEADER)
        .map_err(|_| refused("the media data exceeds 4 GiB"))?;
    file.reserve_exact(media.len() + MDAT_HEADER);
    file.extend_from_slice(&size.to_be_bytes());
    file.extend_from_slice(b"mdat");
    file.append(&mut media);
    Ok(file.into())
}

pub(super) fn encode(atom: &impl Encode, out: &mut Vec<u8>) -> Result<(), ContainerError> {
    atom.encode(out).map_err(|error| refused(error.to_string()))
}

/// The chunks of each track and the media data they make up.
fn interleave(tracks: &[MuxTrack]) -> Result<(Vec<Vec<Chunk>>, Vec<u8>), ContainerError> {
    let mut media = Vec::with_capacity(tracks.iter().map(|track| track.payload.len()).sum());
    let mut chunks: Vec<Vec<Chunk>> = tracks.iter().map(|_| Vec::new()).collect();
    let mut rest: Vec<(&[MuxSample], &[u8])> = tracks
        .iter()
        .map(|track| (track.samples.as_slice(), track.payload.as_slice()))
        .collect();
    while let Some(first) = rest
        .iter()
        .filter_map(|(samples, _)| Some(samples.first()?.time))
        .min()
    {
        let limit = first.saturating_add(CHUNK);
        for ((samples, payload), chunks) in rest.iter_mut().zip(&mut chunks) {
            let count = samples
                .iter()
                .take_while(|sample| sample.time < limit)
                .count();
            let (taken, left) = samples.split_at(count);
            let bytes: u64 = taken.iter().map(|sample| u64::from(sample.size)).sum();
            let (data, remaining) = usize::try_from(bytes)
                .ok()
                .and_then(|bytes| payload.split_at_checked(bytes))
                .ok_or_else(|| refused("sample sizes and payload differ"))?;
            if count > 0 {
                chunks.push(Chunk {
                    samples: count as u32,
                    offset: media.len() as u64,
                });
                media.extend_from_slice(data);
            }
            (*samples, *payload) = (left, remaining);
        }
    }
    Ok((chunks, media))
}

fn ftyp(codec: VideoCodec) -> Ftyp {
    let codec = if codec == VideoCodec::H265 {
        b"hvc1"
    } else {
        b"avc1"
    };
    Ftyp {
        major_brand: b"isom".into(),
        minor_version: 0x200,
        compatible_brands: vec![b"isom".into(), b"iso2".into(), codec.into(), b"mp41".into()],
    }
}
