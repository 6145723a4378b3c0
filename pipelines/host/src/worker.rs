//! The worker's end of the link: takes commands, runs each job on a thread of its own, reports.
//!
//! The control loop never waits for a job, so a heartbeat is answered while all of them compute. What a job does is
//! behind [`WorkHandler`]; this module decodes nothing.

mod job_thread;
mod memory;
mod reports;
mod server;

pub use reports::{Chunks, Progress, Unwanted};
pub use server::{Greeted, Link, Server};

use bytes::Bytes;

use crate::frame::FrameError;
use crate::job::{
    Blame, InferJob, JobError, JobStats, ProbeJob, ProbeReport, Rendition, SegmentJob,
};

/// Starts jobs. Called on the job's own thread.
pub trait WorkHandler: Send + Sync + 'static {
    /// Begins a transcode.
    fn segment(&self, _: SegmentJob, _: Progress) -> Result<Box<dyn RunningJob>, JobError> {
        Err(not_mine("transcodes nothing"))
    }

    /// Begins a probe.
    fn probe(&self, _: ProbeJob, _: Progress) -> Result<Box<dyn RunningJob>, JobError> {
        Err(not_mine("probes nothing"))
    }

    /// Begins an AI request.
    fn infer(&self, _: InferJob, _: Chunks) -> Result<Box<dyn RunningJob>, JobError> {
        Err(not_mine("holds no model"))
    }
}

/// The daemon asked the wrong process.
fn not_mine(what: &str) -> JobError {
    JobError {
        text: "TranscoderStopped".into(),
        detail: format!("this worker {what}"),
        blame: Blame::Worker,
    }
}

/// A job that takes its input. Dropping it before `finish` cancels it.
pub trait RunningJob {
    /// Takes the next input bytes; may wait for the decoder.
    fn push(&mut self, bytes: &[u8]) -> Result<(), JobError>;

    /// The input is complete: waits for the last result.
    fn finish(self: Box<Self>) -> Result<Outcome, JobError>;
}

/// What a finished job has to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Renditions in the order of the profiles, and the cost.
    Transcoded(Vec<(Rendition, Bytes)>, JobStats),
    /// The findings, and the thumbnails one after the other.
    Probed(ProbeReport, Vec<u8>),
    /// The answer of a model, JSON.
    Inferred(Vec<u8>),
}

/// Why a worker stops serving. It can do nothing but end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The link broke.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The daemon is of another build.
    #[error(
        "the daemon is of build {daemon}, this worker of {worker}: install both from one release"
    )]
    OtherBuild {
        /// Build id of the other end.
        daemon: String,
        /// Build id of this end.
        worker: String,
    },
    /// A command that may not come at this point.
    #[error("the daemon broke the order of the link: {0}")]
    Order(&'static str),
}
