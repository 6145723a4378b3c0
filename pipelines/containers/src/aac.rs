//! AAC framing: ADTS headers (ISO/IEC 13818-7 6.2), the AudioSpecificConfig of MP4 (ISO/IEC 14496-3
//! 1.6.2.1), each made from the other, and the cutting of a byte stream into frames. Never looks
//! inside the coded audio.

use std::collections::VecDeque;

use bytes::Bytes;

/// Sampling rates in Hz by sampling frequency index.
pub const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Samples per channel of one AAC frame.
pub const SAMPLES_PER_FRAME: u32 = 1024;

/// Bytes of an ADTS header without CRC, the only kind written here.
pub const ADTS_HEADER_LEN: usize = 7;

const ADTS_MAX_LEN: usize = 0x1fff;

/// What a decoder must know of an AAC stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AacConfig {
    /// Audio object type, 1 to 4 (2 is AAC-LC): those that ADTS can name.
    pub object_type: u8,
    /// Index into [`SAMPLE_RATES`].
    pub rate_index: u8,
    /// Channel configuration, 0 to 7; 0 means that the stream says it itself.
    pub channels: u8,
}

impl AacConfig {
    /// Reads an AudioSpecificConfig. With SBR or PS signalled, the configuration of the core is returned,
    /// which is what ADTS carries. `None` for what ADTS cannot express.
    pub fn from_audio_specific_config(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits { bytes, at: 0 };
        let mut object_type = bits.object_type()?;
        let rate_index = bits.rate_index()?;
        let channels = bits.take(4)?;
        if object_type == 5 || object_type == 29 {
            bits.rate_index()?;
            object_type = bits.object_type()?;
        }
        // 0 would need the program config element copied into the stream, 8 and up do not fit ADTS
        if !(1..=4).contains(&object_type) || !(1..=7).contains(&channels) {
            return None;
        }
        Some(Self {
            object_type: object_type as u8,
            rate_index,
            channels: channels as u8,
        })
    }

    /// The two bytes of an AudioSpecificConfig without extensions.
    pub fn to_audio_specific_config(self) -> [u8; 2] {
        let word = u16::from(self.object_type) << 11
            | u16::from(self.rate_index) << 7
            | u16::from(self.channels) << 3;
        word.to_be_bytes()
    }

    /// Samples per second and channel.
    pub fn sample_rate(self) -> u32 {
        SAMPLE_RATES
            .get(usize::from(self.rate_index))
            .copied()
            .unwrap_or(48_000)
    }

    /// Number of channels; configuration 7 means eight.
    pub fn channel_count(self) -> u16 {
        if self.channels == 7 {
            8
        } else {
            u16::from(self.channels)
        }
    }

    /// The ADTS header before a frame of `payload` bytes. `None` if that is more than ADTS can hold.
    pub fn adts_header(self, payload: usize) -> Option<[u8; ADTS_HEADER_LEN]> {
        let len = payload
            .checked_add(ADTS_HEADER_LEN)
            .filter(|len| *len <= ADTS_MAX_LEN)? as u32;
        let profile = self.object_type.saturating_sub(1) & 3;
        Some([
            0xff,
            0xf1,
            profile << 6 | self.rate_index << 2 | self.channels >> 2,
            (self.channels & 3) << 6 | (len >> 11) as u8,
            (len >> 3) as u8,
            (len << 5) as u8 | 0x1f,
            0xfc,
        ])
    }
}

/// A parsed ADTS header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdtsHeader {
    /// The stream's configuration.
    pub config: AacConfig,
    /// Bytes of the header, CRC included.
    pub header_len: usize,
    /// Bytes of header and payload.
    pub frame_len: usize,
    /// AAC frames in this ADTS frame, 1 to 4.
    pub blocks: u32,
}

impl AdtsHeader {
    /// Reads the header at the start of `bytes`. `None` if there is none, or it is cut off.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; ADTS_HEADER_LEN] = bytes.first_chunk()?;
        // sync word and layer 0
        if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
            return None;
        }
        let header_len = if head[1] & 1 == 1 {
            ADTS_HEADER_LEN
        } else {
            ADTS_HEADER_LEN + 2
        };
        let frame_len =
            usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5]) >> 5;
        let rate_index = head[2] >> 2 & 0xf;
        if frame_len <= header_len || usize::from(rate_index) >= SAMPLE_RATES.len() {
            return None;
        }
        let config = AacConfig {
            object_type: (head[2] >> 6) + 1,
            rate_index,
            channels: (head[2] & 1) << 2 | head[3] >> 6,
        };
        Some(Self {
            config,
            header_len,
            frame_len,
            blocks: u32::from(head[6] & 3) + 1,
        })
    }
}

/// One ADTS frame cut out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdtsFrame {
    /// Its header.
    pub header: AdtsHeader,
    /// The time handed in with the packet in which this frame is the first to begin.
    pub pts: Option<i64>,
    /// The payload without the header.
    pub payload: Bytes,
}

/// Cuts packets of an AAC elementary stream into ADTS frames. A packet may hold many, and a frame may
/// begin in one packet and end in the next. After damage it looks for two matching headers in a row.
#[derive(Debug, Default)]
pub struct FrameSplitter {
    buffer: Vec<u8>,
    /// Stream position of the first byte of `buffer`.
    position: u64,
    times: VecDeque<(u64, i64)>,
    locked: Option<AacConfig>,
}

enum Found {
    Frame(AdtsHeader),
    Nothing,
    Unsure,
}

impl FrameSplitter {
    /// Takes in a packet and appends the frames that are now whole. `pts` belongs to the first frame
    /// that begins in this packet.
    pub fn push(&mut self, pts: Option<i64>, data: &[u8], out: &mut Vec<AdtsFrame>) {
        if let Some(pts) = pts {
            self.times
                .push_back((self.position + self.buffer.len() as u64, pts));
        }
        self.buffer.extend_from_slice(data);
        self.cut(false, out);
    }

    /// Appends what the end of the stream makes certain; a frame cut off by it is dropped.
    pub fn finish(&mut self, out: &mut Vec<AdtsFrame>) {
        self.cut(true, out);
        self.buffer.clear();
    }

    fn cut(&mut self, end: bool, out: &mut Vec<AdtsFrame>) {
        let mut at = 0;
        while let Some(rest) = self
            .buffer
            .get(at..)
            .filter(|rest| rest.len() >= ADTS_HEADER_LEN)
        {
            match find(self.locked, rest, end) {
                Found::Frame(header) => {
                    let payload = rest
                        .get(header.header_len..header.frame_len)
                        .unwrap_or_default();
                    let payload = Bytes::copy_from_slice(payload);
                    self.locked = Some(header.config);
                    let pts = take_time(&mut self.times, self.position + at as u64);
                    out.push(AdtsFrame {
                        header,
                        pts,
                        payload,
                    });
                    at += header.frame_len;
                }
                Found::Nothing => {
                    self.locked = None;
                    at += 1;
                }
                Found::Unsure => break,
            }
        }
        self.buffer.drain(..at);
        self.position += at as u64;
    }
}

fn find(locked: Option<AacConfig>, rest: &[u8], end: bool) -> Found {
    let Some(header) = AdtsHeader::parse(rest) else {
        return Found::Nothing;
    };
    let in_lock = locked == Some(header.config);
    if locked.is_some() && !in_lock {
        return Found::Nothing;
    }
    match rest.get(header.frame_len..) {
        None if end => Found::Nothing,
        None => Found::Unsure,
        Some(_) if in_lock => Found::Frame(header),
        Some([]) if end => Found::Frame(header),
        Some(next) if next.len() < ADTS_HEADER_LEN => {
            if end {
                Found::Nothing
            } else {
                Found::Unsure
            }
        }
        Some(next) => match AdtsHeader::parse(next) {
            Some(next) if next.config == header.config => Found::Frame(header),
            _ => Found::Nothing,
        },
    }
}

/// The time of the last packet that began at or before `position`; a frame takes it only once.
fn take_time(times: &mut VecDeque<(u64, i64)>, position: u64) -> Option<i64> {
    let mut found = None;
    while times.front().is_some_and(|(start, _)| *start <= position) {
        found = times.pop_front().map(|(_, pts)| pts);
    }
    found
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            short => Some(short),
        }
    }

    /// The index, also where the rate is written out.
    fn rate_index(&mut self) -> Option<u8> {
        let index = match self.take(4)? {
            15 => {
                let rate = self.take(24)?;
                SAMPLE_RATES.iter().position(|known| *known == rate)?
            }
            index => index as usize,
        };
        (index < SAMPLE_RATES.len()).then_some(index as u8)
    }
}

#[cfg(test)]
mod tests;
