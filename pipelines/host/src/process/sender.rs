//! Commands towards a worker, with back-pressure: a short queue in front of one writing task, and a window per job.

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;

use super::HostError;
use super::window::{Entry, Windows};
use crate::frame::encode;
use crate::job::JobId;
use crate::message::Command;

/// Frames that may wait for the socket.
const QUEUE: usize = 8;
/// Input travels in pieces of this size, bytes, so that a heartbeat never waits behind a whole segment.
const PIECE: usize = 256 << 10;

/// Sends commands. Clones share one link; each clone's frames stay in its own order.
#[derive(Debug, Clone)]
pub struct WorkerSender {
    frames: mpsc::Sender<(Bytes, Bytes)>,
    windows: Windows,
}

impl WorkerSender {
    /// Starts the writing task, which ends with the last clone or with the link.
    pub(super) fn start(mut link: OwnedWriteHalf, windows: Windows) -> Self {
        let (frames, mut queue) = mpsc::channel::<(Bytes, Bytes)>(QUEUE);
        tokio::spawn(async move {
            while let Some((head, payload)) = queue.recv().await {
                if link.write_all(&head).await.is_err() || link.write_all(&payload).await.is_err() {
                    // The reading half sees the end as well and tells the owner.
                    return;
                }
            }
        });
        Self { frames, windows }
    }

    /// Queues one command; waits while the worker is behind. Safe to cancel: a frame is queued whole or not at all, but
    /// a long `Input` may be cut between two of its pieces.
    ///
    /// `payload` belongs to [`Command::Input`] and may have any length. Input for a job that has ended is dropped
    /// without an error: the job's own answer is on its way.
    pub async fn send(&self, command: Command, payload: Option<Bytes>) -> Result<(), HostError> {
        match command {
            Command::Input { job } => {
                return self.send_input(job, payload.unwrap_or_default()).await;
            }
            Command::Segment { job, .. }
            | Command::Probe { job, .. }
            | Command::Infer { job, .. } => self.windows.open(job),
            Command::Cancel { job } => self.windows.close(job),
            _ => {}
        }
        self.queue(&command, payload.unwrap_or_default()).await
    }

    async fn send_input(&self, job: JobId, mut bytes: Bytes) -> Result<(), HostError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            match self.windows.enter(job, piece.len() as u32).await {
                Entry::Free => self.queue(&Command::Input { job }, piece).await?,
                Entry::JobOver => return Ok(()),
                Entry::LinkOver => return Err(HostError::Closed),
            }
        }
        Ok(())
    }

    async fn queue(&self, command: &Command, payload: Bytes) -> Result<(), HostError> {
        let frame = (encode(command, payload.len())?, payload);
        self.frames.send(frame).await.map_err(|_| HostError::Closed)
    }
}
