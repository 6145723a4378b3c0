//! Writes transport packets: PES packets and sections cut to 184 bytes, with stuffing and counters.

use super::{PACKET_SIZE, SYNC_BYTE};

const PAYLOAD_SIZE: usize = PACKET_SIZE - 4;
const RANDOM_ACCESS: u8 = 0x40;
const HAS_PCR: u8 = 0x10;

/// One PID being written.
#[derive(Debug)]
pub(super) struct OutputPid {
    pid: u16,
    continuity: u8,
}

impl OutputPid {
    pub fn new(pid: u16) -> Self {
        Self { pid, continuity: 0 }
    }

    /// A section, padded to whole packets.
    pub fn section(&mut self, section: &[u8], out: &mut Vec<u8>) {
        let mut padded = vec![0];
        padded.extend_from_slice(section);
        padded.resize(padded.len().next_multiple_of(PAYLOAD_SIZE), 0xff);
        self.unit(&[], &padded, &[], out);
    }

    /// A PES packet of header and body; `adaptation` (flags and fields, may be empty) goes first.
    pub fn unit(&mut self, header: &[u8], body: &[u8], adaptation: &[u8], out: &mut Vec<u8>) {
        let (mut header, mut body, mut adaptation) = (header, body, adaptation);
        let mut start = 0x40;
        while !header.is_empty() || !body.is_empty() {
            let field = if adaptation.is_empty() {
                0
            } else {
                1 + adaptation.len()
            };
            let space = PAYLOAD_SIZE - field;
            let (head, header_left) = header.split_at(header.len().min(space));
            let (data, body_left) = body.split_at(body.len().min(space - head.len()));
            let stuffing = space - head.len() - data.len();
            let has_field = field + stuffing > 0;
            let [p1, p0] = self.pid.to_be_bytes();
            out.extend([
                SYNC_BYTE,
                start | p1,
                p0,
                0x10 | u8::from(has_field) << 5 | self.continuity,
            ]);
            if has_field {
                out.push((field + stuffing - 1) as u8);
                let end = out.len() + field + stuffing - 1;
                match adaptation {
                    [] if stuffing > 1 => out.push(0),
                    fields => out.extend_from_slice(fields),
                }
                out.resize(end, 0xff);
            }
            out.extend_from_slice(head);
            out.extend_from_slice(data);
            self.continuity = (self.continuity + 1) & 0x0f;
            (header, body, adaptation, start) = (header_left, body_left, &[], 0);
        }
    }
}

/// An adaptation field with a clock of 33 bits in ticks, and the random access flag.
pub(super) fn adaptation(random_access: bool, pcr: u64) -> [u8; 7] {
    let flags = HAS_PCR | if random_access { RANDOM_ACCESS } else { 0 };
    let [_, _, _, b4, b3, b2, b1, b0] = (pcr << 7).to_be_bytes();
    // 33 bits of base, 6 reserved ones, 9 bits of extension (always 0).
    [flags, b4, b3, b2, b1, b0 | 0x7e, 0]
}

#[cfg(test)]
mod tests {
    use super::super::packet::Packet;
    use super::*;

    #[test]
    fn every_length_fills_whole_packets_and_comes_back() {
        for length in 1..=600 {
            let body: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut out = Vec::new();
            OutputPid::new(0x100).unit(b"head", &body, &adaptation(true, 12_345), &mut out);
            let (packets, rest) = out.as_chunks::<PACKET_SIZE>();
            assert!(rest.is_empty(), "{length}");
            let parsed: Vec<_> = packets
                .iter()
                .map(|raw| Packet::parse(raw).unwrap())
                .collect();
            assert!(
                parsed
                    .iter()
                    .enumerate()
                    .all(|(i, p)| p.continuity as usize == i && p.unit_start == (i == 0))
            );
            let joined: Vec<u8> = parsed.iter().flat_map(|p| p.payload.to_vec()).collect();
            assert_eq!(joined, [b"head", &body[..]].concat(), "{length}");
        }
    }

    #[test]
    fn the_clock_base_has_33_bits() {
        let field = adaptation(false, (1 << 33) - 1);
        assert_eq!(field, [HAS_PCR, 0xff, 0xff, 0xff, 0xff, 0xfe, 0]);
    }
}
