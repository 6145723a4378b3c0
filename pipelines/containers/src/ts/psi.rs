//! Program specific information: sections over several packets, the PAT and the PMT, and their CRC.

use bytes::Bytes;

const TABLE_PAT: u8 = 0x00;
const TABLE_PMT: u8 = 0x02;

/// The checksum every section ends with.
pub(super) const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_MPEG_2);

/// Puts the sections of one PID together. Holds less than one section and one packet.
#[derive(Debug, Default)]
pub(super) struct Sections {
    buffer: Vec<u8>,
    active: bool,
}

impl Sections {
    /// Takes a packet's payload and calls `each` for every complete section with a right checksum.
    pub fn feed(&mut self, unit_start: bool, payload: &[u8], mut each: impl FnMut(&[u8])) {
        if !unit_start {
            if self.active {
                self.buffer.extend_from_slice(payload);
                self.cut(&mut each);
            }
            return;
        }
        let Some((pointer, rest)) = payload.split_first() else {
            return;
        };
        let Some((tail, fresh)) = rest.split_at_checked(usize::from(*pointer)) else {
            return;
        };
        if self.active {
            self.buffer.extend_from_slice(tail);
            self.cut(&mut each);
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(fresh);
        self.active = true;
        self.cut(&mut each);
    }

    /// After lost packets the section begun is worth nothing.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn cut(&mut self, each: &mut impl FnMut(&[u8])) {
        let mut rest = self.buffer.as_slice();
        while let [table, b1, b2, ..] = rest {
            if *table == 0xff {
                // Stuffing up to the end of the packet.
                self.active = false;
                rest = &[];
                break;
            }
            let length = 3 + (usize::from(b1 & 0x0f) << 8 | usize::from(*b2));
            let Some((section, after)) = rest.split_at_checked(length) else {
                break;
            };
            if CRC.checksum(section) == 0 {
                each(section);
            }
            rest = after;
        }
        let used = self.buffer.len() - rest.len();
        self.buffer.drain(..used);
    }
}

/// Body of a current section of the given table, with its table id extension; checksum cut off.
fn body(section: &[u8], table: u8) -> Option<(u16, &[u8])> {
    let [id, _, _, ext1, ext0, version, _, _, rest @ ..] = section else {
        return None;
    };
    let current = version & 1 == 1;
    let rest = rest.get(..rest.len().checked_sub(4)?)?;
    (*id == table && current).then(|| (u16::from_be_bytes([*ext1, *ext0]), rest))
}

/// Number and PMT PID of the first program of a PAT section.
pub(super) fn first_program(section: &[u8]) -> Option<(u16, u16)> {
    let (_, body) = body(section, TABLE_PAT)?;
    body.as_chunks::<4>().0.iter().find_map(|[n1, n0, p1, p0]| {
        let number = u16::from_be_bytes([*n1, *n0]);
        (number != 0).then(|| (number, u16::from_be_bytes([*p1, *p0]) & 0x1fff))
    })
}

/// An elementary stream as the PMT lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ElementaryStream {
    pub stream_type: u8,
    pub pid: u16,
    pub descriptors: Bytes,
}

impl ElementaryStream {
    /// Tags and bodies of the descriptors; stops at a malformed one.
    pub fn descriptors(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &self.descriptors[..];
        std::iter::from_fn(move || {
            let [tag, length, after @ ..] = rest else {
                return None;
            };
            let (body, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some((*tag, body))
        })
    }

    pub fn is_video(&self) -> bool {
        // MPEG-1, MPEG-2, MPEG-4 part 2, H.264, JPEG 2000, H.265, VVC, AVS, AVS2, Dirac, VC-1
        matches!(
            self.stream_type,
            0x01 | 0x02 | 0x10 | 0x1b | 0x21 | 0x24 | 0x33 | 0x42 | 0xd1 | 0xd2 | 0xea
        )
    }

    pub fn is_audio(&self) -> bool {
        match self.stream_type {
            // MPEG-1 and 2, AAC with ADTS and LATM, AC-3, E-AC-3, DTS
            0x03 | 0x04 | 0x0f | 0x11 | 0x81 | 0x87 | 0x8a => true,
            // Private data is audio if a descriptor says so: AC-3, E-AC-3, DTS, AAC, or a registration.
            0x06 => self.descriptors().any(|(tag, body)| match tag {
                0x6a | 0x7a | 0x7b | 0x7c => true,
                0x05 => matches!(
                    body.first_chunk(),
                    Some(b"Opus" | b"AC-3" | b"EAC3" | b"DTS1" | b"DTS2" | b"DTS3")
                ),
                _ => false,
            }),
            _ => false,
        }
    }
}

/// The elementary streams of a PMT section, if it describes `program`.
pub(super) fn elementary_streams(section: &[u8], program: u16) -> Option<Vec<ElementaryStream>> {
    let (number, body) = body(section, TABLE_PMT)?;
    let [_, _, l1, l0, rest @ ..] = body else {
        return None;
    };
    if number != program {
        return None;
    }
    let mut rest = rest.get(usize::from(u16::from_be_bytes([*l1, *l0]) & 0x0fff)..)?;
    let mut streams = Vec::new();
    while let [stream_type, p1, p0, l1, l0, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l1, *l0]) & 0x0fff);
        let Some((descriptors, after)) = after.split_at_checked(length) else {
            break;
        };
        streams.push(ElementaryStream {
            stream_type: *stream_type,
            pid: u16::from_be_bytes([*p1, *p0]) & 0x1fff,
            descriptors: Bytes::copy_from_slice(descriptors),
        });
        rest = after;
    }
    Some(streams)
}

/// Closes a section: fills in its length and appends the checksum.
pub(super) fn seal(mut section: Vec<u8>) -> Vec<u8> {
    let length = section.len().saturating_sub(3) + 4;
    if let [_, b1, b2, ..] = section.as_mut_slice() {
        *b1 = *b1 & 0xf0 | (length >> 8) as u8 & 0x0f;
        *b2 = length as u8;
    }
    let crc = CRC.checksum(&section);
    section.extend_from_slice(&crc.to_be_bytes());
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmt(streams: usize) -> Vec<u8> {
        let mut section = vec![0x02, 0xb0, 0, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0];
        for i in 0..streams {
            section.extend([0x1b, 0xe1, i as u8, 0xf0, 3, 0x0a, 1, b'x']);
        }
        seal(section)
    }

    #[test]
    fn a_section_over_several_packets_is_put_together() {
        let section = pmt(60);
        let mut sections = Sections::default();
        let mut seen = Vec::new();
        let first = [&[0][..], &section[..183]].concat();
        sections.feed(true, &first, |s| seen.push(s.to_vec()));
        for part in section[183..].chunks(184) {
            sections.feed(false, part, |s| seen.push(s.to_vec()));
        }
        assert_eq!((seen.len(), &seen[0]), (1, &section));
        let streams = elementary_streams(&section, 1).unwrap();
        assert_eq!(streams.len(), 60);
        assert_eq!(streams[59].pid, 0x013b);
        assert_eq!(streams[0].descriptors().next(), Some((0x0a, &b"x"[..])));
    }

    #[test]
    fn a_wrong_checksum_hides_the_section() {
        let mut section = pmt(1);
        section[12] ^= 1;
        let mut seen = 0;
        Sections::default().feed(true, &[&[0][..], &section].concat(), |_| seen += 1);
        assert_eq!(seen, 0);
    }

    #[test]
    fn the_network_entry_of_a_pat_is_no_program() {
        let pat = seal(vec![
            0, 0xb0, 0, 0, 1, 0xc1, 0, 0, 0, 0, 0xe0, 0x10, 0, 7, 0xf0, 0,
        ]);
        assert_eq!(first_program(&pat), Some((7, 0x1000)));
    }
}
