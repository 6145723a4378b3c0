//! Walks the boxes of a parent that lies in memory, without recursion, and decodes leaf atoms.

use mp4_atom::{Atom, FourCC};

use crate::ContainerError;

/// Four-character code of a box.
pub(super) type Kind = [u8; 4];

/// The direct children of a box body. A size beyond the parent is cut to it; a size below a header's ends the walk.
pub(super) struct Children<'a> {
    rest: &'a [u8],
}

pub(super) fn children(body: &[u8]) -> Children<'_> {
    Children { rest: body }
}

impl<'a> Iterator for Children<'a> {
    type Item = (Kind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::parse(self.rest)?;
        let size = match header.size {
            None => self.rest.len(),
            Some(size) => usize::try_from(size)
                .unwrap_or(usize::MAX)
                .min(self.rest.len()),
        };
        let (this, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some((header.kind, this.get(header.len..)?))
    }
}

/// The first child of that kind.
pub(super) fn child<'a>(body: &'a [u8], kind: &Kind) -> Option<&'a [u8]> {
    children(body)
        .find(|(found, _)| found == kind)
        .map(|(_, body)| body)
}

/// Follows a path of first children.
pub(super) fn descend<'a>(body: &'a [u8], path: &[&Kind]) -> Option<&'a [u8]> {
    path.iter().try_fold(body, |body, kind| child(body, kind))
}

/// The header of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    /// Bytes of the header: 8, or 16 with a 64-bit size.
    pub len: usize,
    /// Bytes of the box, header included; `None` if it reaches to the end of what holds it.
    pub size: Option<u64>,
}

impl Header {
    /// Reads a header. `None` if bytes are missing or the size is smaller than the header.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (len, size) = match u32::from_be_bytes(*size) {
            0 => (8, None),
            1 => (16, Some(u64::from_be_bytes(*rest.first_chunk()?))),
            size => (8, Some(u64::from(size))),
        };
        let fits = size.is_none_or(|size| size >= len as u64);
        fits.then_some(Self {
            kind: *kind,
            len,
            size,
        })
    }

    /// Bytes needed before [`Header::parse`] can tell.
    pub fn needed(bytes: &[u8]) -> usize {
        if bytes.starts_with(&[0, 0, 0, 1]) {
            16
        } else {
            8
        }
    }
}

/// Decodes the body of a leaf atom. Bytes after what it needs are ignored.
pub(super) fn leaf<T: Atom>(name: &'static str, mut body: &[u8]) -> Result<T, ContainerError> {
    T::decode_body(&mut body).map_err(|error| damaged(name, error.to_string()))
}

/// Decodes the first child of that kind, if there is one.
pub(super) fn leaf_child<T: Atom>(
    name: &'static str,
    parent: &[u8],
) -> Result<Option<T>, ContainerError> {
    let kind: [u8; 4] = T::KIND.into();
    child(parent, &kind)
        .map(|body| leaf(name, body))
        .transpose()
}

pub(super) fn damaged(atom: &'static str, reason: impl Into<String>) -> ContainerError {
    ContainerError::Mp4Damaged {
        atom,
        reason: reason.into(),
    }
}

pub(super) fn missing(atom: &'static str) -> ContainerError {
    damaged(atom, "it is missing")
}

/// The number that names a box or codec in an event.
pub(super) fn kind_number(kind: Kind) -> u32 {
    FourCC::from(kind).into()
}
