//! A worker process seen from the daemon: start, hand-shake, the two directions of its link, its end.
//!
//! Knows nothing of streams or retries; whoever owns the process decides when a heartbeat or a deadline was missed.

mod exit;
mod launch;
mod reaper;
mod receiver;
mod sender;
mod stderr;
mod window;

pub use exit::Exit;
pub use launch::{WorkerLauncher, WorkerLimits, write_registry};
pub use reaper::WorkerHandle;
pub use receiver::WorkerReceiver;
pub use sender::WorkerSender;
pub use window::INPUT_WINDOW;

use std::path::PathBuf;
use std::time::Duration;

use crate::frame::FrameError;
use crate::message::Wall;

/// Why a worker could not be started or its link is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The operating system refused to start the binary.
    #[error("cannot start worker {binary}: {source}")]
    Spawn {
        /// What was to be started.
        binary: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The process ended before it answered.
    #[error("worker ended before the hand-shake: {0}")]
    EndedEarly(Exit),
    /// The process did not answer in time, and was killed.
    #[error("worker did not answer the hand-shake within {0:?}")]
    NoAnswer(Duration),
    /// The binary is not of this build, and was killed.
    #[error("worker is of build {worker}, the daemon of {daemon}: install both from one release")]
    OtherBuild {
        /// Build id of this end.
        daemon: String,
        /// Build id of the worker.
        worker: String,
    },
    /// The first message of the worker was not its hand-shake.
    #[error("worker answered the hand-shake with something else")]
    NoHello,
    /// The link broke; kill the process.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other end closed the link: the process has ended or is about to. Ask [`WorkerHandle::exit`] why.
    #[error("worker closed its link")]
    Closed,
}

/// A started worker that has answered the hand-shake. Dropping it kills the process.
#[derive(Debug)]
pub struct WorkerProcess {
    /// Towards the worker. Can be cloned.
    pub sender: WorkerSender,
    /// From the worker. Must be polled all the time: input moves only while its receipts are read.
    pub receiver: WorkerReceiver,
    /// The process itself: id, kill, end. Dropping it kills.
    pub handle: WorkerHandle,
    /// Walls of the sandbox, as the worker found them.
    pub walls: Vec<Wall>,
}
