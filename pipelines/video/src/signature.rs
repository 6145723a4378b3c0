//! The perceptual hash of a rendition: an MPEG-7 video signature (ISO/IEC 15938-3) in its binary form, as the `signature`
//! filter of FFmpeg writes it, byte for byte. Gateways compare two of them to find renditions that do not show the
//! source.

mod fine;
mod regions;
mod watch;

use bitstream_io::{BigEndian, BitWrite, BitWriter};

use self::fine::{Cells, Fine, WORDS};
use crate::scale::Plane;

pub(crate) use self::watch::{TimeUnits, watch};

/// Frames of one coarse signature.
const SEGMENT: usize = 90;
/// Frames from the start of one to the start of the next.
const STEP: usize = 45;
/// Values that a word can have.
const VALUES: usize = 243;

/// The signature of a video while its frames come in.
#[derive(Debug)]
pub struct Signature {
    width: u16,
    height: u16,
    cells: Cells,
    frames: Vec<(i64, Fine)>,
}

impl Signature {
    /// For pictures of a size in pixels; `None` where there is no signature: below 32 or above 65,536 pixels in a
    /// direction.
    pub fn new(width: u32, height: u32) -> Option<Self> {
        let last = |pixels: u32| u16::try_from(pixels.checked_sub(1)?).ok();
        Some(Self {
            width: last(width)?,
            height: last(height)?,
            cells: Cells::new(width as usize, height as usize)?,
            frames: Vec::new(),
        })
    }

    /// Takes the next frame: its brightness, `stride` samples from one line to the next, and its time.
    pub fn add(&mut self, samples: &[u8], stride: usize, time: i64) {
        let fine = self.cells.sign(Plane { samples, stride });
        self.frames.push((time, fine));
    }

    /// Frames so far.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// The binary form; `unit` is the number of time units in a second, of which 16 bits are kept.
    ///
    /// # Errors
    /// None: memory takes every byte.
    pub fn write(&self, unit: u32) -> std::io::Result<Vec<u8>> {
        let mut bits = BitWriter::endian(Vec::new(), BigEndian);
        let last_time = self.frames.last().map_or(0, |(time, _)| *time);
        // one region: the whole picture, from the first frame to the last
        bits.write_from(1u32)?;
        bits.write_bit(true)?;
        bits.write_from(0u32)?;
        bits.write_from(self.width)?;
        bits.write_from(self.height)?;
        bits.write_from(0u32)?;
        bits.write_from(self.frames.len() as u32)?;
        bits.write_from(unit as u16)?;
        bits.write_bit(true)?;
        bits.write_from(0u32)?;
        bits.write_from(last_time as u32)?;
        let segments = self.frames.len().div_ceil(STEP);
        bits.write_from(segments as u32)?;
        for segment in 0..segments {
            self.write_segment(&mut bits, segment * STEP)?;
        }
        // not compressed
        bits.write_bit(false)?;
        for (time, fine) in &self.frames {
            bits.write_bit(true)?;
            bits.write_from(*time as u32)?;
            bits.write_from(fine.confidence)?;
            bits.write_bytes(&fine.words)?;
            bits.write_bytes(&fine.elements)?;
        }
        bits.byte_align()?;
        Ok(bits.into_writer())
    }

    /// Which values each word takes in the frames from `start` on.
    fn write_segment(
        &self,
        bits: &mut BitWriter<Vec<u8>, BigEndian>,
        start: usize,
    ) -> std::io::Result<()> {
        let end = (start + SEGMENT).min(self.frames.len());
        let frames = &self.frames[start..end];
        let time = |frame: Option<&(i64, Fine)>| frame.map_or(0, |(time, _)| *time as u32);
        bits.write_from(start as u32)?;
        bits.write_from(end as u32 - 1)?;
        bits.write_bit(true)?;
        bits.write_from(time(frames.first()))?;
        bits.write_from(time(frames.last()))?;
        for word in 0..WORDS {
            let mut seen = [false; VALUES];
            for (_, fine) in frames {
                seen[usize::from(fine.words[word])] = true;
            }
            seen.into_iter().try_for_each(|seen| bits.write_bit(seen))?;
        }
        Ok(())
    }
}
