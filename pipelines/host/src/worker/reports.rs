//! Where all threads of a worker put their reports: one frame at a time on one socket.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::frame::{FrameError, MAX_REPORT_PAYLOAD, write_frame};
use crate::job::JobId;
use crate::message::Report;

/// The writing end, shared by all jobs.
#[derive(Debug, Clone)]
pub(super) struct Reports(Arc<Mutex<UnixStream>>);

impl Reports {
    pub(super) fn new(link: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(link)))
    }

    /// Writes one report. Waits only for the daemon to read.
    pub(super) fn send(&self, report: &Report, payload: &[u8]) -> Result<(), FrameError> {
        let mut link = self.0.lock();
        write_frame(&mut *link, report, payload)
    }
}

/// Least time between two reports of progress of one job.
const INTERVAL: Duration = Duration::from_millis(100);

/// Tells the daemon that a job moves.
#[derive(Debug, Clone)]
pub struct Progress {
    reports: Reports,
    job: JobId,
    last: Arc<Mutex<Option<Instant>>>,
}

impl Progress {
    pub(super) fn new(reports: Reports, job: JobId) -> Self {
        Self {
            reports,
            job,
            last: Arc::default(),
        }
    }

    /// So many frames of the job were decoded. May be called for each frame: what comes sooner than 100 ms after the
    /// last report, or while another thread reports, is not sent.
    pub fn decoded(&self, frames: u64) {
        let Some(mut last) = self.last.try_lock() else {
            return;
        };
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < INTERVAL) {
            return;
        }
        *last = Some(now);
        let report = Report::Progress {
            job: self.job,
            decoded_frames: frames,
        };
        // A lost link ends the process through the control loop.
        let _ = self.reports.send(&report, &[]);
    }
}

/// Takes the parts of a streamed answer to the daemon.
#[derive(Debug, Clone)]
pub struct Chunks {
    reports: Reports,
    job: JobId,
    cancelled: Arc<AtomicBool>,
}

/// Nobody waits for the answer any more: stop computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody waits for the answer any more")]
pub struct Unwanted;

impl Chunks {
    pub(super) fn new(reports: Reports, job: JobId, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            reports,
            job,
            cancelled,
        }
    }

    /// Sends the next part, JSON. Waits only for the daemon to read.
    pub fn send(&self, part: &[u8]) -> Result<(), Unwanted> {
        self.check()?;
        let report = Report::Chunk { job: self.job };
        debug_assert!(part.len() <= MAX_REPORT_PAYLOAD);
        // A lost link ends the process through the control loop.
        self.reports.send(&report, part).map_err(|_| Unwanted)
    }

    /// Whether somebody still waits; to be asked between two steps of a long computation.
    pub fn check(&self) -> Result<(), Unwanted> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Unwanted);
        }
        Ok(())
    }
}
