//! Vorbis, packet by packet.

use host::job::JobError;
use lewton::audio::{PreviousWindowRight, read_audio_packet_generic};
use lewton::header::{IdentHeader, SetupHeader, read_header_ident, read_header_setup};

use super::broken;
use super::sink::Sink;

/// Most numbers in all codebooks of a stream together. Encoders need a tenth; the decoder takes memory for whatever is
/// claimed.
const BOOKS_MOST: u64 = 4 << 20;

/// A stream.
pub(super) struct Vorbis {
    head: IdentHeader,
    setup: Option<SetupHeader>,
    window: PreviousWindowRight,
    /// Headers seen, the first included.
    headers: u8,
}

impl Vorbis {
    /// Takes the first of three headers.
    pub(super) fn new(packet: &[u8], sink: &mut Sink<'_>) -> Result<Self, JobError> {
        let head = read_header_ident(packet).map_err(|error| broken("Vorbis", error))?;
        sink.start(head.audio_sample_rate, usize::from(head.audio_channels))?;
        Ok(Self {
            head,
            setup: None,
            window: PreviousWindowRight::new(),
            headers: 1,
        })
    }

    /// Takes a further packet.
    pub(super) fn packet(&mut self, packet: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
        let Some(setup) = &self.setup else {
            self.headers += 1;
            if self.headers == 3 {
                if numbers(packet).is_none_or(|numbers| numbers > BOOKS_MOST) {
                    return Err(broken("Vorbis", "its codebooks make no sense"));
                }
                let sizes = (self.head.blocksize_0, self.head.blocksize_1);
                let setup = read_header_setup(packet, self.head.audio_channels, sizes);
                self.setup = Some(setup.map_err(|error| broken("Vorbis", error))?);
            }
            return Ok(());
        };
        let planes: Vec<Vec<f32>> =
            read_audio_packet_generic(&self.head, setup, packet, &mut self.window)
                .map_err(|error| broken("Vorbis", error))?;
        sink.put_planes(self.head.audio_sample_rate, &planes)
    }
}

/// How many numbers the codebooks of a setup header hold (Vorbis I, 3.2.1); `None` where it ends too early.
fn numbers(packet: &[u8]) -> Option<u64> {
    let mut bits = Bits {
        bytes: packet,
        at: 7 * 8,
    };
    let mut sum = 0;
    for _ in 0..=bits.take(8)? {
        bits.take(24)?;
        let dimensions = u64::from(bits.take(16)?);
        let entries = bits.take(24)?;
        sum += u64::from(entries) * dimensions.max(1);
        if sum > BOOKS_MOST {
            return Some(sum);
        }
        if bits.take(1)? == 1 {
            bits.take(5)?;
            let mut known = 0;
            while known < entries {
                known += bits.take(u32::BITS - (entries - known).leading_zeros())?;
            }
        } else if bits.take(1)? == 1 {
            for _ in 0..entries {
                if bits.take(1)? == 1 {
                    bits.take(5)?;
                }
            }
        } else {
            bits.skip(5 * entries as usize)?;
        }
        let lookup = bits.take(4)?;
        if lookup > 2 {
            return None;
        }
        if lookup > 0 {
            bits.skip(64)?;
            let width = bits.take(4)? as usize + 1;
            bits.take(1)?;
            let values = if lookup == 1 {
                roots(entries, dimensions)
            } else {
                u64::from(entries) * dimensions
            };
            bits.skip(width * usize::try_from(values).ok()?)?;
        }
    }
    Some(sum)
}

/// The largest number whose power by `dimensions` is at most `entries`.
fn roots(entries: u32, dimensions: u64) -> u64 {
    let fits = |root: u64| {
        let mut power = 1u64;
        (0..dimensions.min(32)).all(|_| {
            power = power.saturating_mul(root);
            power <= u64::from(entries)
        })
    };
    (1..=u64::from(entries))
        .take_while(|root| fits(*root))
        .last()
        .unwrap_or(0)
}

/// Bits, the lowest of each byte first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for place in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value |= u32::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(value)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }
}
