//! Control messages of the link between the daemon and a worker process.
//!
//! Each travels in one frame with an optional payload of raw bytes (media). See `frame`.

use serde::{Deserialize, Serialize};

use crate::job::{
    InferJob, JobError, JobId, JobStats, ProbeJob, ProbeReport, Rendition, Role, SegmentJob,
};

/// Daemon → worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// First message: who is calling and what for.
    Welcome {
        /// Build id of the daemon; must equal the worker's.
        build_id: String,
        /// What the process does, for its whole life.
        role: Role,
    },
    /// A transcode begins; its input follows in `Input` frames.
    Segment {
        /// The job's number.
        job: JobId,
        /// What to do.
        spec: SegmentJob,
    },
    /// A probe begins; its input follows likewise.
    Probe {
        /// The job's number.
        job: JobId,
        /// What to learn.
        spec: ProbeJob,
    },
    /// An AI request begins; its file, if it has one, follows likewise.
    Infer {
        /// The job's number.
        job: JobId,
        /// What is asked.
        spec: InferJob,
    },
    /// Input bytes are the payload.
    Input {
        /// Whose input.
        job: JobId,
    },
    /// The input is complete and its hash was right: results may be published.
    InputEnd {
        /// Whose input.
        job: JobId,
    },
    /// Drop the job; it answers `Failed` or nothing.
    Cancel {
        /// Which job.
        job: JobId,
    },
    /// Heartbeat; answered with the same number.
    Ping {
        /// Any number.
        number: u64,
    },
    /// Finish: no further jobs come, end when idle.
    Shutdown,
}

/// Worker → daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// Answer to `Welcome`.
    Hello {
        /// Build id of the worker.
        build_id: String,
        /// Which walls of the sandbox stand, by name, and which do not with the reason.
        walls: Vec<Wall>,
    },
    /// Input of this job was used up, so that more of it may be sent. The host link keeps it to itself.
    Taken {
        /// Which job.
        job: JobId,
        /// How much, bytes.
        bytes: u64,
    },
    /// Frames decoded so far: proof that the job moves.
    Progress {
        /// Which job.
        job: JobId,
        /// Frames decoded so far.
        decoded_frames: u64,
    },
    /// One rendition is ready; its bytes are the payload. Sent only after `InputEnd`.
    Rendition {
        /// Which job.
        job: JobId,
        /// What it is.
        rendition: Rendition,
    },
    /// All renditions were sent.
    Done {
        /// Which job.
        job: JobId,
        /// What it cost.
        stats: JobStats,
    },
    /// A probe's answer; thumbnails are the payload.
    Probed {
        /// Which job.
        job: JobId,
        /// What was found.
        report: ProbeReport,
    },
    /// A part of a streamed answer, JSON in the payload.
    Chunk {
        /// Which job.
        job: JobId,
    },
    /// The whole answer of an AI request, or the end of a streamed one: JSON in the payload.
    Inferred {
        /// Which job.
        job: JobId,
    },
    /// The job failed; the process goes on.
    Failed {
        /// Which job.
        job: JobId,
        /// Why.
        error: JobError,
    },
    /// Answer to `Ping`.
    Pong {
        /// The number asked.
        number: u64,
        /// Resident memory, bytes.
        rss: u64,
    },
}

/// One wall of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// e.g. `seccomp`, `landlock`, `no-new-privileges`.
    pub name: String,
    /// `None` when it stands; else why it does not.
    pub missing: Option<String>,
}
