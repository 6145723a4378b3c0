//! AAC in MP4, as files `.m4a` and `.mp4` have it. Pictures beside it are passed over.
//!
//! Reads but the few boxes that it needs. The configuration of the decoder goes on in full, since half of it says whether
//! the upper half of the frequencies is coded apart.

mod fragment;

use host::job::JobError;

use super::broken;
use super::codec::Codec;
use super::sink::Sink;
use crate::refused;

/// Decodes the first track of AAC, in one piece or in fragments.
pub(super) fn decode(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
    let movie = child(bytes, b"moov").ok_or_else(|| broken("MP4", "it has no moov box"))?;
    let tracks = boxes(movie).filter(|found| found.kind == *b"trak");
    let track = tracks
        .filter_map(|found| Track::read(found.body, movie))
        .next();
    let track = track.ok_or_else(|| refused("the MP4 file has no track of AAC sound"))?;
    let mut codec = Codec::aac(track.config)?;
    let mut put = |from: usize, length: usize| {
        let sample = from.checked_add(length).and_then(|to| bytes.get(from..to));
        codec.packet(sample.ok_or_else(|| broken("MP4", "it is cut off"))?, sink)
    };
    for (from, length) in track.samples() {
        put(from, length)?;
    }
    for fragment in boxes(bytes).filter(|found| found.kind == *b"moof") {
        for part in boxes(fragment.body).filter(|found| found.kind == *b"traf") {
            let runs = fragment::runs(part.body, fragment.start, track.number, track.default_size);
            for (from, length) in runs.ok_or_else(|| broken("MP4", "a fragment is cut off"))? {
                put(from, length)?;
            }
        }
    }
    Ok(())
}

/// One box.
struct Found<'b> {
    kind: [u8; 4],
    /// Where it starts within the one around it.
    start: usize,
    body: &'b [u8],
}

/// The boxes within one.
fn boxes(whole: &[u8]) -> impl Iterator<Item = Found<'_>> {
    let mut bytes = whole;
    std::iter::from_fn(move || {
        let start = whole.len() - bytes.len();
        let (head, rest) = bytes.split_at_checked(8)?;
        let size = number(head, 0)? as usize;
        let kind = head.get(4..8)?.try_into().ok()?;
        let (skip, length) = match size {
            0 => (0, rest.len()),
            1 => {
                let long = rest.get(..8)?.try_into().ok().map(u64::from_be_bytes)?;
                (8, usize::try_from(long).ok()?.checked_sub(16)?)
            }
            _ => (0, size.checked_sub(8)?),
        };
        let body = rest.get(skip..)?;
        let (body, after) = body.split_at(length.min(body.len()));
        bytes = after;
        Some(Found { kind, start, body })
    })
}

fn child<'b>(bytes: &'b [u8], wanted: &[u8; 4]) -> Option<&'b [u8]> {
    boxes(bytes).find_map(|found| (found.kind == *wanted).then_some(found.body))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    four.try_into().ok().map(u32::from_be_bytes)
}

/// Tables of a track of AAC.
struct Track<'b> {
    number: u32,
    /// Bytes of a sample in a fragment that says nothing else.
    default_size: u32,
    config: &'b [u8],
    /// `stsc`, `stsz` and `stco` or `co64`, after version and flags.
    runs: &'b [u8],
    sizes: &'b [u8],
    chunks: &'b [u8],
    /// Bytes of an offset: 4 or 8.
    offset: usize,
}

impl<'b> Track<'b> {
    fn read(track: &'b [u8], movie: &'b [u8]) -> Option<Self> {
        let head = child(track, b"tkhd")?;
        // version 1 has times of 8 bytes
        let number = number(head, if head.first() == Some(&1) { 20 } else { 12 })?;
        let media = child(track, b"mdia")?;
        let tables = child(child(media, b"minf")?, b"stbl")?;
        // version, flags and number of entries go before
        let entries = child(tables, b"stsd")?.get(8..)?;
        let entry = child(entries, b"mp4a")?;
        // version 1 of QuickTime has 16 bytes more
        let version = u16::from_be_bytes(entry.get(8..10)?.try_into().ok()?);
        let inner = entry.get(28 + 16 * usize::from(version == 1)..)?;
        let descriptor =
            child(inner, b"esds").or_else(|| child(child(inner, b"wave")?, b"esds"))?;
        let (chunks, offset) = match child(tables, b"stco") {
            Some(chunks) => (chunks, 4),
            None => (child(tables, b"co64")?, 8),
        };
        Some(Self {
            number,
            default_size: fragment::default_size(movie, number),
            config: config(descriptor.get(4..)?)?,
            runs: child(tables, b"stsc")?.get(4..)?,
            sizes: child(tables, b"stsz")?.get(4..)?,
            chunks: chunks.get(4..)?,
            offset,
        })
    }

    /// Where each sample lies: offset and length.
    fn samples(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = number(self.sizes, 0).unwrap_or(0);
        let mut sizes = self.sizes.get(8..).unwrap_or_default().chunks_exact(4);
        let count = number(self.sizes, 4).unwrap_or(0);
        let mut left = count;
        let mut size = move || {
            left = left.checked_sub(1)?;
            match all {
                0 => number(sizes.next()?, 0),
                all => Some(all),
            }
        };
        let chunks = self
            .chunks
            .get(4..)
            .unwrap_or_default()
            .chunks_exact(self.offset);
        let offsets = chunks.map(|chunk| {
            let long = chunk
                .iter()
                .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            usize::try_from(long).unwrap_or(usize::MAX)
        });
        let mut offsets = (1u32..).zip(offsets);
        let mut runs = self
            .runs
            .get(4..)
            .unwrap_or_default()
            .chunks_exact(12)
            .peekable();
        let (mut at, mut in_chunk, mut per_chunk) = (0usize, 0u32, 0u32);
        std::iter::from_fn(move || {
            while in_chunk == 0 {
                let (chunk, offset) = offsets.next()?;
                while let Some(run) =
                    runs.next_if(|run| number(run, 0).is_some_and(|first| first <= chunk))
                {
                    per_chunk = number(run, 4)?;
                }
                (at, in_chunk) = (offset, per_chunk);
            }
            in_chunk -= 1;
            let (from, length) = (at, size()? as usize);
            at = at.saturating_add(length);
            Some((from, length))
        })
    }
}

/// The decoder's configuration within the descriptors of `esds`: stream (3), decoder (4), specific (5).
fn config(bytes: &[u8]) -> Option<&[u8]> {
    let stream = descriptor(bytes, 3)?;
    let flags = *stream.get(2)?;
    let skip = 3
        + 2 * usize::from(flags & 0x80 != 0)
        + if flags & 0x40 != 0 {
            1 + usize::from(*stream.get(3)?)
        } else {
            0
        }
        + 2 * usize::from(flags & 0x20 != 0);
    let decoder = descriptor(stream.get(skip..)?, 4)?;
    descriptor(decoder.get(13..)?, 5)
}

/// The body of a descriptor; its length has seven bits a byte.
fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (first, mut rest) = bytes.split_first()?;
    let mut length = 0usize;
    for _ in 0..4 {
        let (byte, after) = rest.split_first()?;
        rest = after;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (*first == tag).then(|| rest.get(..length))?
}
