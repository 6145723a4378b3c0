//! Frames of the link: length of the control part (u32, big endian), length of the payload (likewise), control part
//! (JSON), payload (raw bytes, mostly media).
//!
//! Limits are per direction: a [`Command`] carries at most [`MAX_COMMAND_PAYLOAD`], so that input arrives in pieces; a
//! [`Report`] carries a whole rendition. A length that is announced costs no memory before its bytes come.

mod blocking;
mod stream;

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{Command, Report};

pub use blocking::{BlockingReader, write_frame};
pub use stream::FrameReader;

/// Longest control part of any frame, bytes.
pub const MAX_CONTROL: usize = 1 << 20;
/// Longest payload towards the worker, bytes.
pub const MAX_COMMAND_PAYLOAD: usize = 8 << 20;
/// Longest payload from the worker, bytes.
pub const MAX_REPORT_PAYLOAD: usize = 320 << 20;
/// The two lengths, bytes.
const HEAD: usize = 8;

/// Why a frame could not be read or written. The link is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other end closed in the middle of a frame.
    #[error("link closed inside a frame")]
    Truncated,
    /// A length above its limit.
    #[error("{part} of {size} bytes exceeds the limit of {limit}")]
    TooLong {
        /// Which part of the frame.
        part: &'static str,
        /// Its length, bytes.
        size: usize,
        /// What is allowed, bytes.
        limit: usize,
    },
    /// The control part is not what this direction carries.
    #[error("control message not understood: {0}")]
    Control(#[from] serde_json::Error),
    /// The socket failed.
    #[error("link failed: {0}")]
    Io(#[from] std::io::Error),
}

/// A message that travels on the link; says how much may travel beside it.
pub trait Message: Serialize + DeserializeOwned {
    /// Longest payload in this direction, bytes.
    const MAX_PAYLOAD: usize;
}

impl Message for Command {
    const MAX_PAYLOAD: usize = MAX_COMMAND_PAYLOAD;
}

impl Message for Report {
    const MAX_PAYLOAD: usize = MAX_REPORT_PAYLOAD;
}

/// Head and control part of a frame whose payload has `payload` bytes and follows separately.
pub fn encode<M: Message>(message: &M, payload: usize) -> Result<Bytes, FrameError> {
    let mut frame = vec![0; HEAD];
    serde_json::to_writer(&mut frame, message)?;
    let lengths = Lengths::checked::<M>(frame.len() - HEAD, payload)?;
    frame[..4].copy_from_slice(&lengths.control.to_be_bytes());
    frame[4..HEAD].copy_from_slice(&lengths.payload.to_be_bytes());
    Ok(frame.into())
}

/// Takes one frame off the front of `buffer`, or says how many bytes the frame has in all (`Err` of the inner result)
/// when it is not complete yet.
fn decode<M: Message>(buffer: &mut BytesMut) -> Result<Result<(M, Bytes), usize>, FrameError> {
    let Some(head) = buffer.first_chunk::<HEAD>() else {
        return Ok(Err(HEAD));
    };
    let [a, b, c, d, e, f, g, h] = *head;
    let control = u32::from_be_bytes([a, b, c, d]) as usize;
    let payload = u32::from_be_bytes([e, f, g, h]) as usize;
    Lengths::checked::<M>(control, payload)?;
    let total = HEAD + control + payload;
    if buffer.len() < total {
        return Ok(Err(total));
    }
    buffer.advance(HEAD);
    let control = buffer.split_to(control);
    let payload = buffer.split_to(payload).freeze();
    Ok(Ok((serde_json::from_slice(&control)?, payload)))
}

/// Both lengths of a head, within their limits.
struct Lengths {
    control: u32,
    payload: u32,
}

impl Lengths {
    fn checked<M: Message>(control: usize, payload: usize) -> Result<Self, FrameError> {
        Ok(Self {
            control: within("control part", control, MAX_CONTROL)?,
            payload: within("payload", payload, M::MAX_PAYLOAD)?,
        })
    }
}

fn within(part: &'static str, size: usize, limit: usize) -> Result<u32, FrameError> {
    match u32::try_from(size) {
        Ok(fits) if size <= limit => Ok(fits),
        _ => Err(FrameError::TooLong { part, size, limit }),
    }
}
