//! PES packets: the header, even when cut by packet borders, and where the body ends.

/// What the header of a PES packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PesHeader {
    /// Raw 33-bit presentation time.
    pub pts: Option<u64>,
    /// Raw 33-bit decoding time.
    pub dts: Option<u64>,
}

/// What one transport packet added to a PES packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Set when the header has just become complete.
    pub header: Option<PesHeader>,
    pub body: &'a [u8],
    /// The length of the header is used up: the PES packet is whole.
    pub complete: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Header(Vec<u8>),
    Body {
        left: Option<usize>,
    },
}

/// Follows the PES packets of one PID.
#[derive(Debug, Default)]
pub(super) struct PesReader {
    state: State,
}

impl PesReader {
    /// Takes the payload of one transport packet. At `unit_start` the caller closes the PES before.
    pub fn feed<'a>(&mut self, unit_start: bool, payload: &'a [u8]) -> Piece<'a> {
        if unit_start {
            self.state = State::Header(Vec::new());
        }
        match &mut self.state {
            State::Idle => Piece::default(),
            State::Body { left } => body(left, payload, None),
            State::Header(seen) => {
                seen.extend_from_slice(payload);
                match parse_header(seen) {
                    Parsed::More => Piece::default(),
                    Parsed::NotMedia => {
                        self.state = State::Idle;
                        Piece::default()
                    }
                    Parsed::Header {
                        header,
                        length,
                        mut left,
                    } => {
                        // Before this payload the header was incomplete, so the body lies in the payload.
                        let rest = seen.len().saturating_sub(length);
                        let at = payload.len().saturating_sub(rest);
                        let piece = body(
                            &mut left,
                            payload.get(at..).unwrap_or_default(),
                            Some(header),
                        );
                        self.state = State::Body { left };
                        piece
                    }
                }
            }
        }
    }
}

fn body<'a>(left: &mut Option<usize>, payload: &'a [u8], header: Option<PesHeader>) -> Piece<'a> {
    let Some(left) = left else {
        return Piece {
            header,
            body: payload,
            complete: false,
        };
    };
    if *left == 0 && header.is_none() {
        return Piece::default();
    }
    let body = payload.get(..*left).unwrap_or(payload);
    *left -= body.len();
    Piece {
        header,
        body,
        complete: *left == 0,
    }
}

enum Parsed {
    More,
    NotMedia,
    Header {
        header: PesHeader,
        length: usize,
        left: Option<usize>,
    },
}

fn parse_header(bytes: &[u8]) -> Parsed {
    // An early refusal keeps a broken stream from being collected.
    if !bytes.iter().zip([0, 0, 1]).all(|(a, b)| *a == b) {
        return Parsed::NotMedia;
    }
    let [
        _,
        _,
        _,
        stream_id,
        l1,
        l0,
        _,
        flags,
        header_length,
        rest @ ..,
    ] = bytes
    else {
        return Parsed::More;
    };
    // Map, padding, private 2, ECM, EMM, directory, DSM-CC and H.222.1 type E have no such header.
    if matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0..=0xf2 | 0xf8 | 0xff) {
        return Parsed::NotMedia;
    }
    let header_length = usize::from(*header_length);
    let Some(fields) = rest.get(..header_length) else {
        return Parsed::More;
    };
    let pts = if flags & 0x80 != 0 {
        timestamp(fields)
    } else {
        None
    };
    let dts = if flags & 0xc0 == 0xc0 {
        fields.get(5..).and_then(timestamp)
    } else {
        None
    };
    let declared = usize::from(u16::from_be_bytes([*l1, *l0]));
    let left = (declared != 0).then(|| declared.saturating_sub(3 + header_length));
    Parsed::Header {
        header: PesHeader { pts, dts },
        length: 9 + header_length,
        left,
    }
}

fn timestamp(field: &[u8]) -> Option<u64> {
    let [a, b, c, d, e] = *field.first_chunk::<5>()?;
    let high = u64::from(a >> 1 & 0x07) << 30;
    let middle = u64::from(u16::from_be_bytes([b, c]) >> 1) << 15;
    Some(high | middle | u64::from(u16::from_be_bytes([d, e]) >> 1))
}

/// The five bytes of a time with its four-bit prefix (2: PTS alone, 3: PTS before DTS, 1: DTS).
pub(super) fn write_timestamp(prefix: u8, time: u64, out: &mut Vec<u8>) {
    out.push(prefix << 4 | ((time >> 30) as u8 & 0x07) << 1 | 1);
    out.extend_from_slice(&(((time >> 15) as u16 & 0x7fff) << 1 | 1).to_be_bytes());
    out.extend_from_slice(&((time as u16 & 0x7fff) << 1 | 1).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pes(length: u16, body: &[u8]) -> Vec<u8> {
        let mut out = vec![0, 0, 1, 0xe0];
        out.extend(length.to_be_bytes());
        out.extend([0x80, 0xc0, 12]);
        write_timestamp(3, 5000, &mut out);
        write_timestamp(1, 4000, &mut out);
        out.extend([0xff, 0xff]);
        out.extend(body);
        out
    }

    #[test]
    fn a_header_cut_anywhere_is_read_and_the_body_is_whole() {
        let packet = pes(0, b"body");
        for cut in 0..=packet.len() {
            let mut reader = PesReader::default();
            let (first, second) = packet.split_at(cut);
            let a = reader.feed(true, first);
            let b = reader.feed(false, second);
            assert_eq!(
                a.header.or(b.header),
                Some(PesHeader {
                    pts: Some(5000),
                    dts: Some(4000)
                })
            );
            assert_eq!([a.body, b.body].concat(), b"body");
        }
    }

    #[test]
    fn a_stated_length_ends_the_packet_and_hides_what_follows() {
        let mut reader = PesReader::default();
        let packet = pes(3 + 12 + 4, b"bodyTRASH");
        let piece = reader.feed(true, &packet);
        assert_eq!((piece.body, piece.complete), (&b"body"[..], true));
        assert_eq!(reader.feed(false, b"more"), Piece::default());
    }

    #[test]
    fn padding_and_garbage_are_no_media() {
        let mut reader = PesReader::default();
        assert_eq!(
            reader.feed(true, &[0, 0, 1, 0xbe, 0, 9, 1, 2, 3, 4]),
            Piece::default()
        );
        assert_eq!(reader.feed(true, b"garbage"), Piece::default());
        assert_eq!(reader.feed(false, b"garbage"), Piece::default());
    }

    proptest! {
        #[test]
        fn times_of_33_bits_round_trip(time in 0u64..1 << 33, prefix in 1u8..4) {
            let mut out = Vec::new();
            write_timestamp(prefix, time, &mut out);
            prop_assert_eq!(timestamp(&out), Some(time));
        }
    }
}
