//! One try of a segment on one worker process: feeds the input as it arrives, collects what comes back, watches the time.
//!
//! Knows no actor and no process, only the two directions of a link, so that it is tested without either.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use host::job::{Blame, JobError, JobId, JobStats, Rendition, SegmentJob};
use host::message::{Command, Report};
use protocol::texts;
use tokio::time::Instant;

use crate::body::{BodyError, BodyReader};
use crate::tries::{TimeBudget, TryFailure};

/// Most bytes of input in one frame.
const INPUT_CHUNK: usize = 256 << 10;

/// The link to the process broke; its exit status says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkDown(pub String);

/// Daemon → worker.
pub trait CommandSink {
    /// Sends a command and its payload.
    fn send(
        &mut self,
        command: Command,
        payload: Bytes,
    ) -> impl Future<Output = Result<(), LinkDown>>;
}

/// Worker → daemon. Dropping a pending `recv` loses nothing.
pub trait ReportSource {
    /// The next report and its payload.
    fn recv(&mut self) -> impl Future<Output = Result<(Report, Bytes), LinkDown>>;
}

/// A try that delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Renditions and their bytes in the order of the profiles.
    pub renditions: Vec<(Rendition, Bytes)>,
    /// What it cost.
    pub stats: JobStats,
}

/// Why a try did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// As it is.
    Failed(TryFailure),
    /// The link broke: ask the process why.
    LinkDown(LinkDown),
}

impl From<LinkDown> for AttemptEnd {
    fn from(down: LinkDown) -> Self {
        Self::LinkDown(down)
    }
}

/// Runs one try of `spec` as job `job`, until `deadline` at most.
pub async fn attempt(
    sink: &mut impl CommandSink,
    source: &mut impl ReportSource,
    job: JobId,
    spec: &SegmentJob,
    reader: BodyReader,
    budget: TimeBudget,
    deadline: Instant,
) -> Result<Delivered, AttemptEnd> {
    let pulse = Pulse::new();
    let outcome = {
        let feed = feed(sink, job, spec, reader, &pulse);
        let collect = collect(source, job, spec, &pulse);
        let watch = pulse.silence(budget.patience);
        tokio::pin!(feed, collect, watch);
        let mut fed = false;
        loop {
            tokio::select! {
                outcome = &mut collect => break outcome,
                outcome = &mut feed, if !fed => match outcome {
                    Ok(()) => fed = true,
                    Err(end) => break Err(end),
                },
                () = &mut watch => break Err(AttemptEnd::Failed(TryFailure::Stalled)),
                () = tokio::time::sleep_until(deadline) => {
                    break Err(AttemptEnd::Failed(TryFailure::OutOfTime));
                }
            }
        }
    };
    if let Err(AttemptEnd::Failed(TryFailure::Upload)) = outcome {
        sink.send(Command::Cancel { job }, Bytes::new()).await?;
    }
    outcome
}

async fn feed(
    sink: &mut impl CommandSink,
    job: JobId,
    spec: &SegmentJob,
    mut reader: BodyReader,
    pulse: &Pulse,
) -> Result<(), AttemptEnd> {
    let spec = spec.clone();
    sink.send(Command::Segment { job, spec }, Bytes::new())
        .await?;
    loop {
        // While the upload makes us wait, the worker is not to blame for standing still.
        pulse.waiting.set(true);
        let next = reader.next().await;
        pulse.waiting.set(false);
        pulse.beat();
        match next {
            Ok(Some(mut bytes)) => {
                while !bytes.is_empty() {
                    let chunk = bytes.split_to(bytes.len().min(INPUT_CHUNK));
                    sink.send(Command::Input { job }, chunk).await?;
                    pulse.beat();
                }
            }
            Ok(None) => break,
            Err(BodyError::Aborted) => return Err(AttemptEnd::Failed(TryFailure::Upload)),
            Err(error) => {
                return Err(AttemptEnd::Failed(TryFailure::Answered(JobError {
                    text: texts::TRANSCODER_STOPPED.into(),
                    detail: error.to_string(),
                    blame: Blame::Worker,
                })));
            }
        }
    }
    sink.send(Command::InputEnd { job }, Bytes::new()).await?;
    Ok(())
}

async fn collect(
    source: &mut impl ReportSource,
    job: JobId,
    spec: &SegmentJob,
    pulse: &Pulse,
) -> Result<Delivered, AttemptEnd> {
    let mut renditions: Vec<Option<(Rendition, Bytes)>> = vec![None; spec.profiles.len()];
    loop {
        let (report, payload) = source.recv().await?;
        // Reports of an earlier, cancelled job may still be on their way.
        match report {
            Report::Progress { job: of, .. } if of == job => pulse.beat(),
            Report::Rendition { job: of, rendition } if of == job => {
                pulse.beat();
                if let Some(place) = renditions.get_mut(rendition.index) {
                    *place = Some((rendition, payload));
                }
            }
            Report::Failed { job: of, error } if of == job => {
                return Err(AttemptEnd::Failed(TryFailure::Answered(error)));
            }
            Report::Done { job: of, stats } if of == job => {
                let renditions: Option<Vec<_>> = renditions.into_iter().collect();
                return renditions
                    .map(|renditions| Delivered { renditions, stats })
                    .ok_or_else(mismatch);
            }
            _ => {}
        }
    }
}

fn mismatch() -> AttemptEnd {
    AttemptEnd::Failed(TryFailure::Answered(JobError {
        text: texts::MISMATCHED_SEGMENTS.into(),
        detail: "the worker finished without every rendition".into(),
        blame: Blame::Worker,
    }))
}

/// When the try last moved.
struct Pulse {
    last: Cell<Instant>,
    waiting: Cell<bool>,
}

impl Pulse {
    fn new() -> Self {
        Self {
            last: Cell::new(Instant::now()),
            waiting: Cell::new(false),
        }
    }

    fn beat(&self) {
        self.last.set(Instant::now());
    }

    /// Returns once nothing has moved for `patience`.
    async fn silence(&self, patience: Duration) {
        loop {
            let end = self.last.get() + patience;
            tokio::time::sleep_until(end).await;
            if self.waiting.get() {
                self.beat();
            } else if self.last.get() + patience <= Instant::now() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::body::{Body, BodyBudget, BodyWriter};

    struct Sink(mpsc::UnboundedSender<(Command, Bytes)>);
    struct Source(mpsc::UnboundedReceiver<(Report, Bytes)>);

    impl CommandSink for Sink {
        async fn send(&mut self, command: Command, payload: Bytes) -> Result<(), LinkDown> {
            self.0
                .send((command, payload))
                .map_err(|_| LinkDown("closed".into()))
        }
    }

    impl ReportSource for Source {
        async fn recv(&mut self) -> Result<(Report, Bytes), LinkDown> {
            self.0.recv().await.ok_or(LinkDown("closed".into()))
        }
    }

    struct Bench {
        sink: Sink,
        source: Source,
        commands: mpsc::UnboundedReceiver<(Command, Bytes)>,
        reports: Option<mpsc::UnboundedSender<(Report, Bytes)>>,
    }

    fn bench() -> Bench {
        let (to_worker, commands) = mpsc::unbounded_channel();
        let (reports, from_worker) = mpsc::unbounded_channel();
        Bench {
            sink: Sink(to_worker),
            source: Source(from_worker),
            commands,
            reports: Some(reports),
        }
    }

    fn body() -> (BodyWriter, Body) {
        BodyBudget::new(1 << 20, crate::test_metrics()).body()
    }

    fn spec() -> SegmentJob {
        SegmentJob {
            stream: "movie".into(),
            seq: 1,
            profiles: vec![],
            duration_ms: 2000,
            clip: None,
            provider: String::new(),
            perceptual_hash: false,
        }
    }

    const JOB: JobId = JobId(7);

    async fn run(bench: &mut Bench, body: &Body) -> Result<Delivered, AttemptEnd> {
        let budget = TimeBudget::for_segment(2000);
        let deadline = Instant::now() + budget.total;
        attempt(
            &mut bench.sink,
            &mut bench.source,
            JOB,
            &spec(),
            body.reader(),
            budget,
            deadline,
        )
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn input_reaches_the_worker_before_the_upload_ends() {
        let mut bench = bench();
        let (mut writer, body) = body();
        let reports = bench.reports.take().expect("first use");
        let mut commands = std::mem::replace(&mut bench.commands, mpsc::unbounded_channel().1);
        let worker = async {
            assert!(matches!(
                commands.recv().await,
                Some((Command::Segment { .. }, _))
            ));
            writer.push(Bytes::from_static(b"abc")).await.expect("ok");
            assert_eq!(
                commands.recv().await,
                Some((Command::Input { job: JOB }, Bytes::from_static(b"abc")))
            );
            writer.confirm();
            assert_eq!(
                commands.recv().await,
                Some((Command::InputEnd { job: JOB }, Bytes::new()))
            );
            let done = Report::Done {
                job: JOB,
                stats: JobStats::default(),
            };
            reports.send((done, Bytes::new())).expect("open");
        };
        let (outcome, ()) = tokio::join!(run(&mut bench, &body), worker);
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_stands_still_is_found_out_within_the_patience() {
        let mut bench = bench();
        let (writer, body) = body();
        writer.confirm();
        let start = Instant::now();
        let outcome = run(&mut bench, &body).await;
        assert_eq!(outcome, Err(AttemptEnd::Failed(TryFailure::Stalled)));
        assert_eq!(start.elapsed(), TimeBudget::for_segment(2000).patience);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_upload_is_not_the_workers_fault() {
        let mut bench = bench();
        let (_writer, body) = body();
        let outcome = run(&mut bench, &body).await;
        assert_eq!(outcome, Err(AttemptEnd::Failed(TryFailure::OutOfTime)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_aborted_upload_cancels_the_job() {
        let mut bench = bench();
        let (writer, body) = body();
        drop(writer);
        let outcome = run(&mut bench, &body).await;
        assert_eq!(outcome, Err(AttemptEnd::Failed(TryFailure::Upload)));
        let mut last = None;
        while let Ok((command, _)) = bench.commands.try_recv() {
            last = Some(command);
        }
        assert_eq!(last, Some(Command::Cancel { job: JOB }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_link_ends_the_try_at_once() {
        let mut bench = bench();
        let (_writer, body) = body();
        bench.reports = None;
        assert!(matches!(
            run(&mut bench, &body).await,
            Err(AttemptEnd::LinkDown(_))
        ));
    }
}
