//! Reports from a worker.

use std::io::ErrorKind;

use bytes::Bytes;
use tokio::net::unix::OwnedReadHalf;

use super::HostError;
use super::window::Windows;
use crate::frame::{FrameError, FrameReader};
use crate::message::Report;

/// Receives reports. Dropping it makes every sender fail.
#[derive(Debug)]
pub struct WorkerReceiver {
    frames: FrameReader<OwnedReadHalf, Report>,
    windows: Windows,
}

impl WorkerReceiver {
    pub(super) fn new(link: OwnedReadHalf, windows: Windows) -> Self {
        Self {
            frames: FrameReader::new(link),
            windows,
        }
    }

    /// The next report and its payload (empty where none belongs to it). Safe to cancel.
    ///
    /// After an error nothing follows. Poll it for the whole life of the process, also while nothing is expected.
    pub async fn recv(&mut self) -> Result<(Report, Bytes), HostError> {
        loop {
            let (report, payload) = match self.frames.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Err(self.over(HostError::Closed)),
                Err(error) if is_end(&error) => return Err(self.over(HostError::Closed)),
                Err(error) => return Err(self.over(error.into())),
            };
            match report {
                Report::Taken { job, bytes } => {
                    self.windows.give_back(job, bytes);
                    continue;
                }
                Report::Done { job, .. }
                | Report::Probed { job, .. }
                | Report::Inferred { job }
                | Report::Failed { job, .. } => {
                    self.windows.close(job);
                }
                _ => {}
            }
            return Ok((report, payload));
        }
    }

    fn over(&self, error: HostError) -> HostError {
        self.windows.close_all();
        error
    }
}

/// A process that dies in the middle of a frame, or with commands unread, closes its link as well.
fn is_end(error: &FrameError) -> bool {
    match error {
        FrameError::Truncated => true,
        FrameError::Io(error) => error.kind() == ErrorKind::ConnectionReset,
        _ => false,
    }
}

impl Drop for WorkerReceiver {
    fn drop(&mut self) {
        self.windows.close_all();
    }
}
