//! Ogg with Vorbis or Opus: the first stream of either.

use host::job::JobError;
use ogg::PacketReader;

use super::broken;
use super::codec::Codec;
use super::sink::Sink;
use crate::refused;

/// Decodes the first stream of sound; others are passed over.
pub(super) fn decode(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
    let mut packets = PacketReader::new(std::io::Cursor::new(bytes));
    let mut stream: Option<(u32, Codec)> = None;
    while let Some(packet) = packets
        .read_packet()
        .map_err(|error| broken("Ogg", error))?
    {
        match &mut stream {
            None if packet.first_in_stream() => {
                let codec = if packet.data.starts_with(b"OpusHead") {
                    Codec::opus(&packet.data)?
                } else if packet.data.starts_with(b"\x01vorbis") {
                    Codec::vorbis(&packet.data, sink)?
                } else {
                    continue;
                };
                stream = Some((packet.stream_serial(), codec));
            }
            Some((serial, codec)) if *serial == packet.stream_serial() => {
                codec.packet(&packet.data, sink)?;
            }
            _ => {}
        }
    }
    match stream {
        Some(_) => Ok(()),
        None => Err(refused(
            "the Ogg file has no stream of Vorbis or Opus sound",
        )),
    }
}
