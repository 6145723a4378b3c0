//! WebM and Matroska with Opus, Vorbis or AAC, as browsers record it: the first such track.
//!
//! Browsers write as they record, so that lengths of outer elements are often not known. Their inner ones follow all the
//! same, and so all are read as one list.

use host::job::JobError;

use super::broken;
use super::codec::Codec;
use super::sink::Sink;
use crate::refused;

/// Elements that are read, by their identifiers (RFC 9559).
const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK: u32 = 0xae;
const TRACK_NUMBER: u32 = 0xd7;
const CODEC_ID: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63a2;
const CLUSTER: u32 = 0x1f43_b675;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const SIMPLE_BLOCK: u32 = 0xa3;

/// Most tracks.
const TRACKS_MOST: usize = 64;

#[derive(Default)]
struct Track<'b> {
    number: u64,
    codec: &'b [u8],
    private: &'b [u8],
}

/// Decodes the first track that can be.
pub(super) fn decode(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
    let mut rest = bytes;
    let mut tracks: Vec<Track<'_>> = Vec::new();
    let mut open: Option<(u64, Codec)> = None;
    while !rest.is_empty() {
        let head = element(rest).ok_or_else(|| broken("WebM", "an element is cut off"))?;
        let (id, length, body) = head;
        if matches!(id, SEGMENT | TRACKS | TRACK | CLUSTER | BLOCK_GROUP) {
            if id == TRACK {
                tracks.push(Track::default());
            }
            if tracks.len() > TRACKS_MOST {
                return Err(broken("WebM", "it has too many tracks"));
            }
            rest = body;
            continue;
        }
        let split = length.and_then(|length| body.split_at_checked(length));
        let (body, after) = split.ok_or_else(|| broken("WebM", "it is cut off"))?;
        rest = after;
        if let Some(track) = tracks.last_mut() {
            match id {
                TRACK_NUMBER => {
                    track.number = body.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
                }
                CODEC_ID => track.codec = body,
                CODEC_PRIVATE => track.private = body,
                _ => {}
            }
        }
        if matches!(id, BLOCK | SIMPLE_BLOCK) {
            if open.is_none() {
                open = Some(start(&tracks, sink)?);
            }
            if let Some((track, codec)) = &mut open {
                block(body, *track, codec, sink)?;
            }
        }
    }
    Ok(())
}

/// Opens the first track of sound.
fn start(tracks: &[Track<'_>], sink: &mut Sink<'_>) -> Result<(u64, Codec), JobError> {
    for track in tracks {
        let codec = match track.codec {
            b"A_OPUS" => Codec::opus(track.private)?,
            b"A_AAC" => Codec::aac(track.private)?,
            b"A_VORBIS" => {
                let headers = vorbis_headers(track.private);
                let [first, second, third] =
                    headers.ok_or_else(|| broken("WebM", "its Vorbis headers are cut off"))?;
                let mut codec = Codec::vorbis(first, sink)?;
                codec.packet(second, sink)?;
                codec.packet(third, sink)?;
                codec
            }
            _ => continue,
        };
        return Ok((track.number, codec));
    }
    Err(refused(
        "the WebM file has no track of Opus, Vorbis or AAC sound",
    ))
}

fn block(body: &[u8], wanted: u64, codec: &mut Codec, sink: &mut Sink<'_>) -> Result<(), JobError> {
    let cut = || broken("WebM", "a block is cut off");
    let (track, body) = variable(body, false).ok_or_else(cut)?;
    if track != Some(wanted) {
        return Ok(());
    }
    // two bytes of time, and flags
    let (head, packet) = body.split_at_checked(3).ok_or_else(cut)?;
    if head.get(2).is_some_and(|flags| flags & 0b110 != 0) {
        return Err(refused(
            "the WebM file has several packets in a block; write it without lacing",
        ));
    }
    codec.packet(packet, sink)
}

/// Identifier, length where it is known, and what follows.
fn element(bytes: &[u8]) -> Option<(u32, Option<usize>, &[u8])> {
    let (id, rest) = variable(bytes, true)?;
    let (length, rest) = variable(rest, false)?;
    let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    Some((u32::try_from(id?).ok()?, length, rest))
}

/// A number whose leading zero bits say how long it is; `None` within is the one that means unknown. Identifiers keep their
/// leading bits.
fn variable(bytes: &[u8], keep: bool) -> Option<(Option<u64>, &[u8])> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let (own, rest) = bytes.split_at_checked(length).filter(|_| length <= 8)?;
    let value = own
        .iter()
        .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    if keep {
        return Some((Some(value), rest));
    }
    let most = (1u64 << (7 * length)) - 1;
    Some((Some(value & most).filter(|value| *value != most), rest))
}

/// Three headers: how many more than one, the lengths of all but the last in bytes of up to 255, then themselves.
fn vorbis_headers(private: &[u8]) -> Option<[&[u8]; 3]> {
    let (count, mut rest) = private.split_first()?;
    let mut lengths = [0; 2];
    for length in &mut lengths {
        loop {
            let (byte, after) = rest.split_first()?;
            rest = after;
            *length += usize::from(*byte);
            if *byte < 255 {
                break;
            }
        }
    }
    let (first, rest) = rest.split_at_checked(lengths[0])?;
    let (second, third) = rest.split_at_checked(lengths[1])?;
    (*count == 2).then_some([first, second, third])
}
