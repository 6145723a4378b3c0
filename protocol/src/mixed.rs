//! `multipart/mixed` as remote transcoders post their results: parts told apart by a boundary, without names.
//!
//! Works on a body that is whole and bounded by its reader; parts are views into it, nothing is copied.

use bytes::Bytes;
use memchr::memmem;

/// Most parts of a body: a rendition and its hash for each of ten profiles, and as many again that nobody asked for.
const MAX_PARTS: usize = 40;
/// Most bytes of the headers of a part.
const MAX_HEAD: usize = 8 << 10;
/// Longest boundary that RFC 2046 allows.
const MAX_BOUNDARY: usize = 70;

/// Why a body is not what its type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MixedError {
    /// The type names no boundary, or none that may be one.
    #[error("multipart: boundary is empty")]
    Boundary,
    /// The body ends before its last boundary.
    #[error("multipart: NextPart: EOF")]
    Cut,
    /// Headers of a part cannot be read.
    #[error("multipart: malformed headers of part {0}")]
    Head(usize),
    /// More parts than any result has.
    #[error("multipart: more than {MAX_PARTS} parts")]
    Parts,
}

/// A part of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Names (in small letters) and values.
    pub headers: Vec<(String, String)>,
    /// What it holds.
    pub bytes: Bytes,
}

impl Part {
    /// The first value of a header; `name` in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Takes a value of `Content-Type` apart: the type in small letters, and its boundary where it has one. `None` when there
/// is no type in it.
pub fn media_type(value: &str) -> Option<(String, Option<String>)> {
    let mut fields = value.split(';').map(str::trim);
    let kind = fields.next()?.to_ascii_lowercase();
    let (first, second) = kind.split_once('/').unwrap_or((&kind, "x"));
    if first.is_empty() || second.is_empty() || kind.contains(char::is_whitespace) {
        return None;
    }
    let boundary = fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        let value = value.trim();
        let bare = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| bare.unwrap_or(value).to_owned())
    });
    Some((kind, boundary))
}

/// The parts of `body`.
///
/// # Errors
/// [`MixedError`]; nothing of a body that is broken is used.
pub fn parse(body: &Bytes, boundary: &str) -> Result<Vec<Part>, MixedError> {
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return Err(MixedError::Boundary);
    }
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(&between);
    // What stands before the first boundary means nothing.
    let mut at = if body.starts_with(first.as_bytes()) {
        first.len()
    } else {
        finder.find(body).ok_or(MixedError::Cut)? + between.len()
    };
    let mut parts = Vec::new();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == MAX_PARTS {
            return Err(MixedError::Parts);
        }
        let line = memmem::find(rest, b"\r\n").ok_or(MixedError::Cut)?;
        if !rest[..line].iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(MixedError::Head(parts.len()));
        }
        at += line + 2;
        let (headers, length) = head(&body[at..], parts.len())?;
        at += length;
        // The line feed before the boundary belongs to the boundary, also where the part is empty.
        let start = at - 2;
        let end = start + finder.find(&body[start..]).ok_or(MixedError::Cut)?;
        parts.push(Part {
            headers,
            bytes: body.slice(at.min(end)..end),
        });
        at = end + between.len();
    }
}

/// Headers up to the empty line, and how many bytes they and it have.
fn head(bytes: &[u8], part: usize) -> Result<(Vec<(String, String)>, usize), MixedError> {
    let bounded = &bytes[..bytes.len().min(MAX_HEAD)];
    let (text, length) = if bounded.starts_with(b"\r\n") {
        (&bounded[..0], 2)
    } else {
        let end = memmem::find(bounded, b"\r\n\r\n").ok_or(MixedError::Head(part))?;
        (&bounded[..end], end + 4)
    };
    let text = std::str::from_utf8(text).map_err(|_| MixedError::Head(part))?;
    let lines = text.split("\r\n").filter(|line| !line.is_empty());
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect::<Option<_>>();
    Ok((headers.ok_or(MixedError::Head(part))?, length))
}

/// A body of these parts. `boundary` must not occur in them.
pub fn write(parts: &[Part], boundary: &str) -> Bytes {
    let mut body = Vec::with_capacity(parts.iter().map(|part| part.bytes.len() + 256).sum());
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        for (name, value) in &part.headers {
            body.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(&part.bytes);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(bytes: &[u8]) -> Part {
        Part {
            headers: vec![("pixels".into(), "7".into())],
            bytes: Bytes::copy_from_slice(bytes),
        }
    }

    #[test]
    fn a_body_as_the_reference_writes_it_is_read() {
        let body = Bytes::from_static(
            b"--b1\r\nContent-Length: 3\r\nContent-Type: video/mp2t\r\nPixels: 42\r\n\r\nabc\r\n--b1\r\nContent-Length: 0\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--b1--\r\n",
        );
        let parts = parse(&body, "b1").unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].header("pixels"), Some("42"));
        assert_eq!(&parts[0].bytes[..], b"abc");
        assert_eq!(
            parts[1].header("content-type"),
            Some("application/octet-stream")
        );
        assert!(parts[1].bytes.is_empty());
    }

    #[test]
    fn what_is_cut_off_or_endless_is_refused() {
        let whole = write(&[part(b"abc"), part(b"def")], "b");
        for length in 0..whole.len() - 4 {
            assert!(parse(&whole.slice(..length), "b").is_err(), "{length}");
        }
        assert_eq!(parse(&whole, ""), Err(MixedError::Boundary));
        let many = vec![part(b""); MAX_PARTS + 1];
        assert_eq!(parse(&write(&many, "b"), "b"), Err(MixedError::Parts));
    }

    #[test]
    fn types_are_taken_apart() {
        assert_eq!(
            media_type("Multipart/Mixed; boundary=\"a b\""),
            Some(("multipart/mixed".into(), Some("a b".into())))
        );
        assert_eq!(
            media_type("livepeer/transcoding-error"),
            Some(("livepeer/transcoding-error".into(), None))
        );
        assert_eq!(media_type(""), None);
        assert_eq!(media_type("; boundary=x"), None);
    }

    proptest! {
        #[test]
        fn parts_round_trip(contents in prop::collection::vec(any::<Vec<u8>>(), 1..6)) {
            let parts: Vec<Part> = contents.iter().map(|bytes| part(bytes)).collect();
            // 20 characters that random bytes do not hit
            let body = write(&parts, "4f1c09a5d2e8b7360af1");
            prop_assert_eq!(parse(&body, "4f1c09a5d2e8b7360af1").unwrap(), parts);
        }

        #[test]
        fn any_bytes_are_read_or_refused(body: Vec<u8>, kind: String) {
            let _ = parse(&Bytes::from(body), "b");
            let _ = media_type(&kind);
        }

        #[test]
        fn bytes_near_a_body_are_read_or_refused(cut in 0..200usize, at in 0..200usize, byte: u8) {
            let mut body = write(&[part(b"abc"), part(b""), part(b"--b--")], "b").to_vec();
            body.truncate(body.len().saturating_sub(cut));
            if let Some(place) = body.get_mut(at) {
                *place = byte;
            }
            let _ = parse(&Bytes::from(body), "b");
        }
    }
}
