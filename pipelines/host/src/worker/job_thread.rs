//! The life of one job on its thread: start, input, finish, answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use bytes::Bytes;

use super::reports::{Chunks, Progress, Reports};
use super::{Outcome, RunningJob, WorkHandler};
use crate::frame::{FrameError, MAX_REPORT_PAYLOAD};
use crate::job::{Blame, InferJob, JobError, JobId, ProbeJob, SegmentJob};
use crate::message::Report;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Task {
    Segment(SegmentJob),
    Probe(ProbeJob),
    Infer(InferJob),
}

/// What the control loop hands on.
#[derive(Debug)]
pub(super) enum Feed {
    Input(Bytes),
    /// The input is complete, since then.
    End(Instant),
}

/// Where a job finds its input.
pub(super) struct Inbox {
    pub(super) feed: Receiver<Feed>,
    pub(super) cancelled: Arc<AtomicBool>,
}

impl Inbox {
    /// `None` once the job was cancelled.
    fn next(&self) -> Option<Feed> {
        let feed = self.feed.recv().ok()?;
        (!self.cancelled()).then_some(feed)
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Runs the job and reports its end, also when the job panics. A cancelled job says nothing.
pub(super) fn run(
    handler: &dyn WorkHandler,
    reports: &Reports,
    job: JobId,
    task: Task,
    inbox: Inbox,
) -> Result<(), FrameError> {
    let work = || work(handler, reports, job, task, &inbox);
    let answer = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(failure("the job's code panicked".into())));
    match answer {
        _ if inbox.cancelled() => Ok(()),
        Ok(None) => Ok(()),
        Ok(Some(outcome)) => publish(reports, job, outcome),
        Err(error) => reports.send(&Report::Failed { job, error }, &[]),
    }
}

/// `None` when the job was cancelled.
fn work(
    handler: &dyn WorkHandler,
    reports: &Reports,
    job: JobId,
    task: Task,
    inbox: &Inbox,
) -> Result<Option<Outcome>, JobError> {
    let progress = Progress::new(reports.clone(), job);
    let mut running: Box<dyn RunningJob> = match task {
        Task::Segment(spec) => handler.segment(spec, progress)?,
        Task::Probe(spec) => handler.probe(spec, progress)?,
        Task::Infer(spec) => {
            let chunks = Chunks::new(reports.clone(), job, Arc::clone(&inbox.cancelled));
            handler.infer(spec, chunks)?
        }
    };
    loop {
        match inbox.next() {
            Some(Feed::Input(bytes)) => {
                running.push(&bytes)?;
                let taken = Report::Taken {
                    job,
                    bytes: bytes.len() as u64,
                };
                reports
                    .send(&taken, &[])
                    .map_err(|error| failure(error.to_string()))?;
            }
            Some(Feed::End(since)) => {
                let mut outcome = running.finish()?;
                if let Outcome::Transcoded(_, stats) = &mut outcome {
                    // What was still to be done with the input when its end came is waiting for the codecs as well.
                    stats.after_input_us =
                        u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
                }
                return Ok(Some(outcome));
            }
            None => return Ok(None),
        }
    }
}

fn publish(reports: &Reports, job: JobId, outcome: Outcome) -> Result<(), FrameError> {
    match outcome {
        Outcome::Transcoded(renditions, stats) => {
            let longest = renditions.iter().map(|(_, bytes)| bytes.len()).max();
            if longest.is_some_and(|longest| longest > MAX_REPORT_PAYLOAD) {
                let error = failure("a rendition is too long for the link".into());
                return reports.send(&Report::Failed { job, error }, &[]);
            }
            for (rendition, bytes) in renditions {
                reports.send(&Report::Rendition { job, rendition }, &bytes)?;
            }
            reports.send(&Report::Done { job, stats }, &[])
        }
        Outcome::Probed(report, thumbnails) => {
            reports.send(&Report::Probed { job, report }, &thumbnails)
        }
        Outcome::Inferred(answer) if answer.len() > MAX_REPORT_PAYLOAD => {
            let error = failure("the answer is too long for the link".into());
            reports.send(&Report::Failed { job, error }, &[])
        }
        Outcome::Inferred(answer) => reports.send(&Report::Inferred { job }, &answer),
    }
}

/// A failure of this process, not of the segment.
fn failure(detail: String) -> JobError {
    JobError {
        text: "TranscoderStopped".into(),
        detail,
        blame: Blame::Worker,
    }
}
