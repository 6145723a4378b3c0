//! Opus, packet by packet.

use host::job::JobError;
use ruopus::OpusDecoder;

use super::broken;
use super::sink::Sink;
use crate::refused;

/// Rate at which it is decoded, Hz.
const RATE: u32 = 48_000;

/// A stream of Opus (RFC 7845).
pub(super) struct Opus {
    decoder: OpusDecoder,
    channels: usize,
    /// Samples, all channels counted, that are left out at the start.
    skip: usize,
}

impl Opus {
    /// Takes the first of two headers.
    pub(super) fn new(head: &[u8]) -> Result<Self, JobError> {
        let (channels, family) = (head.get(9), head.get(18));
        let (Some(&channels), Some(&family)) = (channels, family) else {
            return Err(broken("Opus", "its header is cut off"));
        };
        let channels = usize::from(channels);
        if family != 0 || !(1..=2).contains(&channels) {
            return Err(refused(
                "the Opus sound has more than two channels; mix it down",
            ));
        }
        let skip = head.get(10..12).and_then(|skip| skip.try_into().ok());
        let skip = skip.map_or(0, u16::from_le_bytes);
        Ok(Self {
            decoder: OpusDecoder::with_rate(RATE, channels),
            channels,
            skip: usize::from(skip) * channels,
        })
    }

    /// Takes a further packet.
    pub(super) fn packet(&mut self, packet: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
        if packet.is_empty() || packet.starts_with(b"OpusTags") {
            return Ok(());
        }
        let decoded = self.decoder.decode_packet(packet);
        let samples = decoded.map_err(|error| broken("Opus", format!("{error:?}")))?;
        let skip = self.skip.min(samples.len());
        self.skip -= skip;
        sink.put(RATE, self.channels, samples.get(skip..).unwrap_or_default())
    }
}
