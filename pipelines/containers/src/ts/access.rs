//! From the bytes of a video elementary stream to access units, each handed out when the next begins.
//!
//! An access unit may span PES packets or share one. A PES time belongs to the first access unit that
//! begins in it: at its delimiter, or, without one, at its first slice.

use super::MAX_UNIT_BYTES;
use crate::annexb::with_leading_zero;
use crate::{VideoCodec, h264, h265};
use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;
use std::collections::VecDeque;

/// PES packets that may begin within one access unit before the oldest time is forgotten.
const MAX_PENDING_TIMES: usize = 1024;

/// PTS and DTS of a PES packet, unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PesTime {
    pub pts: i64,
    pub dts: i64,
}

/// An access unit whose time may still be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawUnit {
    pub time: Option<PesTime>,
    pub key: bool,
    pub data: Bytes,
}

/// What is known of the access unit being collected.
#[derive(Debug, Default)]
struct Current {
    has_slice: bool,
    has_delimiter: bool,
    key: bool,
    misplaced_sei: bool,
    /// Too large: to be thrown away when the next one begins.
    discard: bool,
    /// Where it counts as begun, as an offset in the stream.
    begun: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Splitter {
    h265: bool,
    finder: Finder<'static>,
    /// From the first byte of the current access unit on.
    buffer: BytesMut,
    /// Offset of the buffer in the stream.
    base: u64,
    /// Buffer position from which start codes are still to be looked for.
    scan: usize,
    synced: bool,
    current: Current,
    times: VecDeque<(u64, PesTime)>,
    /// Access units thrown away for their size.
    pub dropped: u64,
}

impl Splitter {
    /// A splitter for H.264 or H.265; `None` for a codec whose units are not known.
    pub fn new(codec: VideoCodec) -> Option<Self> {
        let h265 = match codec {
            VideoCodec::H264 => false,
            VideoCodec::H265 => true,
            VideoCodec::Other(_) => return None,
        };
        Some(Self {
            h265,
            finder: Finder::new(&[0, 0, 1]),
            buffer: BytesMut::new(),
            base: 0,
            scan: 0,
            synced: false,
            current: Current::default(),
            times: VecDeque::new(),
            dropped: 0,
        })
    }

    /// A PES packet with a time begins at the current end of the stream.
    pub fn mark(&mut self, time: PesTime) {
        if self.times.len() >= MAX_PENDING_TIMES {
            self.times.pop_front();
        }
        self.times
            .push_back((self.base + self.buffer.len() as u64, time));
    }

    /// Appends stream bytes and hands out the access units they complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<RawUnit>) {
        self.buffer.extend_from_slice(bytes);
        self.run(false, out);
        if self.buffer.len() > MAX_UNIT_BYTES {
            // Go on as inside a unit, so that only the start of the next one ends the gap.
            self.base += self.buffer.len() as u64;
            self.buffer.clear();
            self.scan = 0;
            if !self.current.discard {
                self.dropped += 1;
            }
            self.current = Current {
                has_slice: true,
                discard: true,
                ..Current::default()
            };
        }
    }

    /// Hands out the last access unit and forgets the stream.
    pub fn finish(&mut self, out: &mut Vec<RawUnit>) {
        self.run(true, out);
        let end = self.buffer.len();
        if self.synced {
            self.emit(end, out);
        }
        self.buffer.clear();
        self.times.clear();
        self.scan = 0;
        self.synced = false;
        self.current = Current::default();
    }

    fn run(&mut self, last: bool, out: &mut Vec<RawUnit>) {
        // Header and the byte that tells the first slice of a picture.
        let needed = if self.h265 { 6 } else { 5 };
        while let Some(found) = self
            .buffer
            .get(self.scan..)
            .and_then(|rest| self.finder.find(rest))
        {
            let code = self.scan + found;
            if self.buffer.len() < code + needed && !last {
                self.scan = code;
                return;
            }
            self.scan = code + 3;
            self.nal(code, out);
        }
        self.scan = self.scan.max(self.buffer.len().saturating_sub(2));
    }

    /// Looks at the unit whose `00 00 01` lies at `code`.
    fn nal(&mut self, code: usize, out: &mut Vec<RawUnit>) {
        let head = self.buffer.get(code + 3..).unwrap_or_default();
        let Some(kind) = Kind::of(head, self.h265) else {
            return;
        };
        let start = with_leading_zero(&self.buffer, code);
        let mut code = code;
        if !self.synced {
            self.synced = true;
            self.skip(start);
            code -= start;
        } else if self.starts_unit(&kind) {
            self.emit(start, out);
            code -= start;
        }
        let at = self.base + code as u64;
        match kind {
            Kind::Delimiter => {
                self.current.has_delimiter = true;
                self.current.begun = Some(at);
            }
            Kind::Slice { key, .. } => {
                self.current.has_slice = true;
                self.current.key |= key;
                self.current.begun.get_or_insert(at);
            }
            Kind::Sei => self.current.misplaced_sei |= self.current.has_slice,
            Kind::Leading | Kind::Plain => {}
        }
    }

    fn starts_unit(&self, kind: &Kind) -> bool {
        self.current.has_slice
            && match kind {
                Kind::Delimiter | Kind::Leading => true,
                Kind::Slice { first, .. } => *first,
                // A delimiter before would show where the next unit begins: the SEI is misplaced.
                Kind::Sei => !self.current.has_delimiter,
                Kind::Plain => false,
            }
    }

    /// Ends the current unit at buffer position `end`.
    fn emit(&mut self, end: usize, out: &mut Vec<RawUnit>) {
        let data = self.buffer.split_to(end.min(self.buffer.len())).freeze();
        self.base += data.len() as u64;
        self.scan = self.scan.saturating_sub(end);
        let current = std::mem::take(&mut self.current);
        let mut time = None;
        while let Some((at, mark)) = self.times.front()
            && current.begun.is_some_and(|begun| *at <= begun)
        {
            time = Some(*mark);
            self.times.pop_front();
        }
        if !current.has_slice || current.discard {
            return;
        }
        let repaired = if current.misplaced_sei {
            h264::repair_sei_order(&data)
        } else {
            None
        };
        out.push(RawUnit {
            time,
            key: current.key,
            data: repaired.unwrap_or(data),
        });
    }

    fn skip(&mut self, count: usize) {
        self.buffer.advance(count);
        self.base += count as u64;
        self.scan = self.scan.saturating_sub(count);
    }
}

/// The part a unit plays in finding access units.
enum Kind {
    Delimiter,
    Slice {
        first: bool,
        key: bool,
    },
    Sei,
    /// Can only stand before the slices of a picture.
    Leading,
    Plain,
}

impl Kind {
    fn of(nal: &[u8], h265: bool) -> Option<Self> {
        Some(if h265 {
            Self::of_h265(nal)?
        } else {
            Self::of_h264(nal)?
        })
    }

    fn of_h264(nal: &[u8]) -> Option<Self> {
        let kind = h264::nal_type(nal)?;
        Some(match kind {
            h264::NAL_AUD => Self::Delimiter,
            h264::NAL_SEI => Self::Sei,
            h264::NAL_SPS | h264::NAL_PPS | 14 | 15 => Self::Leading,
            // first_mb_in_slice is Exp-Golomb coded: a leading one bit is zero. Partitions B and C have none.
            _ if h264::is_slice(kind) => Self::Slice {
                first: !matches!(kind, 3 | 4) && nal.get(1).is_some_and(|byte| byte & 0x80 != 0),
                key: kind == h264::NAL_IDR,
            },
            _ => Self::Plain,
        })
    }

    fn of_h265(nal: &[u8]) -> Option<Self> {
        let kind = h265::nal_type(nal)?;
        let layer = (nal.first()? & 1) << 5 | nal.get(1).map_or(0, |byte| byte >> 3);
        Some(match kind {
            _ if layer != 0 => Self::Plain,
            h265::NAL_AUD => Self::Delimiter,
            _ if h265::is_slice(kind) => Self::Slice {
                first: nal.get(2).is_some_and(|byte| byte & 0x80 != 0),
                key: h265::is_irap(kind),
            },
            _ if h265::starts_next_unit(kind) => Self::Leading,
            _ => Self::Plain,
        })
    }
}

#[cfg(test)]
mod tests;
