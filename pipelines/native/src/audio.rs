//! Recordings of requests: whatever format they come in, mono samples at 16 kHz come out.
//!
//! All decoders are Rust. A recording is decoded piece by piece into what the models take, so that memory is bounded by the
//! longest recording that is taken, whatever its header claims.

mod aac;
mod codec;
mod flac;
mod mp3;
mod mp4;
mod ogg;
mod opus;
mod sink;
mod vorbis;
mod wav;
mod webm;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use host::job::JobError;

use self::sink::Sink;
use crate::{Parts, refused};

/// Samples in a second of what comes out.
pub(crate) const RATE: u32 = 16_000;
/// Longest recording that is taken, seconds.
const SECONDS_MOST: u32 = 30 * 60;
/// Largest file that is taken, bytes. The limit of runners.
const BYTES_MOST: usize = 50 << 20;
/// Memory that a recording takes at most once it is decoded, bytes; a growing list is at times there twice.
pub(crate) const MEMORY: u64 = 2 * 4 * RATE as u64 * SECONDS_MOST as u64;

/// What a file can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Wav,
    Flac,
    Ogg,
    Mp3,
    Mp4,
    /// AAC in ADTS frames.
    Adts,
    WebM,
}

impl Format {
    /// Goes by the first bytes.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'A',
                b'V',
                b'E',
                ..,
            ] => Some(Self::Wav),
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Flac),
            [b'O', b'g', b'g', b'S', ..] => Some(Self::Ogg),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Self::Mp4),
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Self::WebM),
            [0xff, second, ..] if second & 0xf6 == 0xf0 => Some(Self::Adts),
            _ => nanomp3::detect(bytes).then_some(Self::Mp3),
        }
    }
}

/// Decodes a recording into mono samples at 16 kHz, −1 to 1. `parts` is asked now and then whether anybody still waits.
///
/// # Errors
/// A file that is empty, too large, too long, silent for want of samples, of another format or broken is refused and blamed
/// on the input.
pub(crate) fn decode(bytes: &[u8], parts: &dyn Parts) -> Result<Vec<f32>, JobError> {
    if bytes.is_empty() {
        return Err(refused("audio is missing"));
    }
    if bytes.len() > BYTES_MOST {
        return Err(refused("file too large; max file size is 50MB"));
    }
    let format = Format::of(bytes).ok_or_else(|| {
        refused("the audio is in no known format; WAV, FLAC, MP3, Ogg, AAC, M4A and WebM are read")
    })?;
    let mut sink = Sink::new(parts);
    // The decoders are others', and meet what nobody foresaw: a panic says no more than that the file is broken.
    let decoded = catch_unwind(AssertUnwindSafe(|| match format {
        Format::Wav => wav::decode(bytes, &mut sink),
        Format::Flac => flac::decode(bytes, &mut sink),
        Format::Ogg => ogg::decode(bytes, &mut sink),
        Format::Mp3 => mp3::decode(bytes, &mut sink),
        Format::Mp4 => mp4::decode(bytes, &mut sink),
        Format::Adts => aac::decode(bytes, &mut sink),
        Format::WebM => webm::decode(bytes, &mut sink),
    }));
    decoded.unwrap_or_else(|_| Err(broken(format!("{format:?}"), "its data make no sense")))?;
    sink.finish()
}

fn broken(kind: impl Display, detail: impl Display) -> JobError {
    refused(format!("the audio is broken {kind}: {detail}"))
}
