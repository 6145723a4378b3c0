//! Transport packets: finding them in a byte stream cut anywhere, and reading their headers.

use super::{PACKET_SIZE, SYNC_BYTE};

/// The parts of a transport packet a demuxer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub pid: u16,
    /// A PES packet or section begins here.
    pub unit_start: bool,
    pub continuity: u8,
    /// The discontinuity indicator of the adaptation field.
    pub discontinuity: bool,
    /// Empty if there is none, or if it is scrambled.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    pub fn parse(raw: &'a [u8; PACKET_SIZE]) -> Option<Self> {
        let [sync, b1, b2, b3, rest @ ..] = raw;
        if *sync != SYNC_BYTE {
            return None;
        }
        let (has_adaptation, has_payload, scrambled) =
            (b3 & 0x20 != 0, b3 & 0x10 != 0, b3 & 0xc0 != 0);
        let mut payload: &[u8] = rest;
        let mut discontinuity = false;
        if has_adaptation {
            let (length, after) = payload.split_first()?;
            let (field, after) = after.split_at_checked(usize::from(*length))?;
            discontinuity = field.first().is_some_and(|flags| flags & 0x80 != 0);
            payload = after;
        }
        Some(Self {
            pid: u16::from(b1 & 0x1f) << 8 | u16::from(*b2),
            unit_start: b1 & 0x40 != 0,
            continuity: b3 & 0x0f,
            discontinuity,
            payload: if has_payload && !scrambled {
                payload
            } else {
                &[]
            },
        })
    }
}

/// Cuts a byte stream into packets. Keeps at most one packet and a byte between pushes.
#[derive(Debug)]
pub(super) struct Framer {
    buffer: Vec<u8>,
    /// The last packet border was where it was expected; so is taken the start of the stream.
    in_step: bool,
    /// Bytes skipped in search of the sync byte.
    pub skipped: u64,
}

impl Default for Framer {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            in_step: true,
            skipped: 0,
        }
    }
}

impl Framer {
    /// Calls `each` for every whole packet whose successor's first byte is known.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8; PACKET_SIZE])) {
        self.buffer.extend_from_slice(bytes);
        let mut rest = self.buffer.as_slice();
        while let Some((packet, after)) = rest.split_first_chunk::<PACKET_SIZE>() {
            let Some(next) = after.first() else { break };
            let (here, next) = (packet.first() == Some(&SYNC_BYTE), *next == SYNC_BYTE);
            // Out of step a packet counts only if its successor begins with the sync byte as well.
            let (step, whole) = match (here, next) {
                (true, true) => (PACKET_SIZE, true),
                (true, false) if self.in_step => (PACKET_SIZE, true),
                (false, true) if self.in_step => (PACKET_SIZE, false),
                _ => (1, false),
            };
            self.in_step = step == PACKET_SIZE;
            if whole {
                each(packet);
            } else {
                self.skipped += step as u64;
            }
            rest = rest.get(step..).unwrap_or_default();
        }
        let used = self.buffer.len() - rest.len();
        self.buffer.drain(..used);
    }

    /// Hands over a last packet that has no successor.
    pub fn finish(&mut self, mut each: impl FnMut(&[u8; PACKET_SIZE])) {
        let buffer = std::mem::take(&mut self.buffer);
        match buffer.first_chunk() {
            Some(last) if last.first() == Some(&SYNC_BYTE) => each(last),
            _ => self.skipped += buffer.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(mark: u8) -> Vec<u8> {
        let mut packet = vec![mark; PACKET_SIZE];
        packet[..4].copy_from_slice(&[SYNC_BYTE, 0x41, 0x00, 0x10]);
        packet
    }

    fn marks(stream: &[u8]) -> (Vec<u8>, u64) {
        let mut framer = Framer::default();
        let mut seen = Vec::new();
        framer.push(stream, |p| seen.push(p[100]));
        framer.finish(|p| seen.push(p[100]));
        (seen, framer.skipped)
    }

    #[test]
    fn garbage_between_packets_costs_no_whole_packet() {
        let stream = [
            vec![1, SYNC_BYTE, 2],
            packet(1),
            packet(2),
            vec![7; 50],
            packet(3),
            packet(4),
        ]
        .concat();
        assert_eq!(marks(&stream), (vec![1, 2, 3, 4], 53));
    }

    #[test]
    fn a_damaged_sync_byte_costs_one_packet() {
        let mut stream = [packet(1), packet(2), packet(3), packet(4)].concat();
        stream[PACKET_SIZE] = 0;
        assert_eq!(marks(&stream), (vec![1, 3, 4], PACKET_SIZE as u64));
    }

    #[test]
    fn an_adaptation_field_longer_than_the_packet_is_refused() {
        let mut raw = [0xff; PACKET_SIZE];
        raw[..5].copy_from_slice(&[SYNC_BYTE, 0x01, 0x00, 0x30, 184]);
        assert_eq!(Packet::parse(&raw), None);
        raw[4] = 183;
        assert_eq!(Packet::parse(&raw).map(|p| p.payload.len()), Some(0));
    }
}
