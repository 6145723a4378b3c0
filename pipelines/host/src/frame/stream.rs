//! Frames from an asynchronous stream: the daemon's side.

use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{FrameError, Message, decode};

/// Least room for one read, bytes.
const READ_AHEAD: usize = 64 << 10;
/// Most room reserved ahead of the bytes of a long frame.
const RESERVE: usize = 4 << 20;

/// Reads frames that carry `M`. A dropped `next` loses nothing: what was read stays here.
#[derive(Debug)]
pub struct FrameReader<R, M> {
    stream: R,
    buffer: BytesMut,
    message: PhantomData<fn() -> M>,
}

impl<R: AsyncRead + Unpin, M: Message> FrameReader<R, M> {
    /// A reader at the start of a frame.
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            message: PhantomData,
        }
    }

    /// The next frame; `None` when the other end closed between two frames. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<(M, Bytes)>, FrameError> {
        loop {
            let missing = match decode(&mut self.buffer)? {
                Ok(frame) => return Ok(Some(frame)),
                Err(total) => total.saturating_sub(self.buffer.len()),
            };
            self.buffer.reserve(missing.clamp(READ_AHEAD, RESERVE));
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(FrameError::Truncated);
            }
        }
    }
}
