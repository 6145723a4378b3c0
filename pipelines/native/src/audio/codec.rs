//! What decodes the packets of a container.

use host::job::JobError;
use rusty_aac::AacDecoder;

use super::broken;
use super::opus::Opus;
use super::sink::Sink;
use super::vorbis::Vorbis;

/// A decoder, with all that it keeps from one packet to the next.
pub(super) enum Codec {
    Aac(Box<AacDecoder>),
    Opus(Box<Opus>),
    Vorbis(Box<Vorbis>),
}

impl Codec {
    /// AAC by the configuration that containers carry (ISO 14496-3, `AudioSpecificConfig`).
    pub(super) fn aac(config: &[u8]) -> Result<Self, JobError> {
        let decoder =
            AacDecoder::with_config_bytes(config).map_err(|error| broken("AAC", error))?;
        Ok(Self::Aac(Box::new(decoder)))
    }

    /// Opus by its first header.
    pub(super) fn opus(head: &[u8]) -> Result<Self, JobError> {
        Ok(Self::Opus(Box::new(Opus::new(head)?)))
    }

    /// Vorbis by the first of its headers; the others are packets.
    pub(super) fn vorbis(head: &[u8], sink: &mut Sink<'_>) -> Result<Self, JobError> {
        Ok(Self::Vorbis(Box::new(Vorbis::new(head, sink)?)))
    }

    /// Decodes the next packet.
    pub(super) fn packet(&mut self, packet: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
        match self {
            Self::Aac(decoder) => {
                if packet.is_empty() {
                    return Ok(());
                }
                let sound = decoder
                    .decode(packet, None)
                    .map_err(|error| broken("AAC", error))?;
                sink.put(
                    sound.sample_rate,
                    usize::from(sound.channels),
                    &sound.samples,
                )
            }
            Self::Opus(opus) => opus.packet(packet, sink),
            Self::Vorbis(vorbis) => vorbis.packet(packet, sink),
        }
    }
}
