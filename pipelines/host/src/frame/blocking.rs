//! Frames on a blocking stream: the worker's side.

use std::io::{ErrorKind, Read, Write};
use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};

use super::{FrameError, Message, decode, encode};

/// Least room for one read, bytes.
const READ_AHEAD: usize = 64 << 10;

/// Reads frames that carry `M`.
#[derive(Debug)]
pub struct BlockingReader<R, M> {
    stream: R,
    buffer: BytesMut,
    message: PhantomData<fn() -> M>,
}

impl<R: Read, M: Message> BlockingReader<R, M> {
    /// A reader at the start of a frame.
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            message: PhantomData,
        }
    }

    /// The next frame; `None` when the other end closed between two frames.
    pub fn next_frame(&mut self) -> Result<Option<(M, Bytes)>, FrameError> {
        loop {
            if let Ok(frame) = decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            let filled = self.buffer.len();
            self.buffer.resize(filled + READ_AHEAD, 0);
            let read = self
                .buffer
                .get_mut(filled..)
                .map_or(Ok(0), |room| self.stream.read(room));
            self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(FrameError::Truncated),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Writes one whole frame.
pub fn write_frame<M: Message>(
    stream: &mut impl Write,
    message: &M,
    payload: &[u8],
) -> Result<(), FrameError> {
    stream.write_all(&encode(message, payload.len())?)?;
    stream.write_all(payload)?;
    stream.flush()?;
    Ok(())
}
