//! One actor per worker process that serves a stream: owns the process, its heartbeat and its replacement.
//!
//! On a CPU every stream has one. Talks to the session that leases it and to the registry, which gives it fresh processes. A
//! segment that fails through the process is tried again on a fresh one, by the rules of `tries`.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    ResponseActFuture, WrapFuture,
};
use bytes::Bytes;
use futures::FutureExt;
use host::job::{Blame, Device, JobId, JobStats, Rendition, SegmentJob};
use host::message::{Command, Report};
use host::process::{Exit, WorkerProcess, WorkerReceiver, WorkerSender};
use telemetry::metrics::label::{WorkerEnd, WorkerState};
use telemetry::metrics::{Metrics, WorkerGuard};
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

use crate::attempt::{AttemptEnd, CommandSink, LinkDown, ReportSource, attempt};
use crate::body::{Body, End};
use crate::failure::SegmentFailure;
use crate::tries::{Next, TimeBudget, Tries, TryFailure};
use crate::worker_registry::{WorkerEntry, WorkerView, Workers, device_name};

/// How often an idle process is asked whether it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const PONG: Duration = Duration::from_secs(3);
/// How long a broken link may take to become an exit status.
const EXIT: Duration = Duration::from_secs(2);
/// Pause after a process could not be started.
const START_PAUSE: Duration = Duration::from_millis(200);

/// A worker process with its place in the gauges.
pub struct Process {
    link: WorkerProcess,
    guard: WorkerGuard,
    next_job: u64,
}

impl Process {
    /// A process that has just shaken hands.
    pub fn new(link: WorkerProcess, mut guard: WorkerGuard) -> Self {
        guard.set_state(WorkerState::Spare);
        Self {
            link,
            guard,
            next_job: 0,
        }
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.link.handle.pid()
    }

    /// True while it has not ended.
    pub fn is_alive(&self) -> bool {
        self.link.handle.ended().is_none()
    }

    /// Itself while it lives. One that has ended while it had nothing to do is counted and is gone; why, is the error.
    pub fn alive(self) -> Result<Self, WorkerEnd> {
        match self.link.handle.ended() {
            None => Ok(self),
            Some(exit) => {
                let end = end_of(exit);
                self.guard.ended(end);
                Err(end)
            }
        }
    }

    /// Ends it because its work is done.
    fn retire(self) {
        self.link.handle.kill();
        self.guard.ended(WorkerEnd::Finished);
    }

    fn job(&mut self) -> JobId {
        self.next_job += 1;
        JobId(self.next_job)
    }

    /// Kills it for `cause`.
    fn kill(self, cause: WorkerEnd) {
        self.guard.killed(cause);
        self.link.handle.kill();
        self.guard.ended(cause);
    }

    /// Why its link broke, once it has; kills it if it lives on.
    async fn bury(self, down: &LinkDown) -> (TryFailure, WorkerEnd) {
        match tokio::time::timeout(EXIT, self.link.handle.exit()).await {
            Ok(exit) => {
                let end = end_of(exit);
                self.guard.ended(end);
                let failure = if exit.accuses_job() {
                    TryFailure::Crashed(exit.to_string())
                } else {
                    TryFailure::Killed(exit.to_string())
                };
                (failure, end)
            }
            Err(_) => {
                self.kill(WorkerEnd::Protocol);
                (TryFailure::Crashed(down.0.clone()), WorkerEnd::Protocol)
            }
        }
    }
}

fn end_of(exit: Exit) -> WorkerEnd {
    match exit {
        Exit::Clean => WorkerEnd::Finished,
        Exit::Code(_) | Exit::Crash(_) => WorkerEnd::Crashed,
        Exit::Outside(_) => WorkerEnd::KilledFromOutside,
        Exit::Killed => WorkerEnd::Deadline,
    }
}

struct Sink<'p>(&'p WorkerSender);
struct Source<'p>(&'p mut WorkerReceiver);

impl CommandSink for Sink<'_> {
    async fn send(&mut self, command: Command, payload: Bytes) -> Result<(), LinkDown> {
        let sent = self.0.send(command, Some(payload)).await;
        sent.map_err(|error| LinkDown(error.to_string()))
    }
}

impl ReportSource for Source<'_> {
    async fn recv(&mut self) -> Result<(Report, Bytes), LinkDown> {
        let received = self.0.recv().await;
        received.map_err(|error| LinkDown(error.to_string()))
    }
}

/// A delivered segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Renditions and their bytes in the order of the profiles.
    pub renditions: Vec<(Rendition, Bytes)>,
    /// What it cost.
    pub stats: JobStats,
    /// Tries that failed before.
    pub retries: u32,
}

/// The right to use a worker; gives it back when dropped.
pub struct WorkerLease {
    id: u64,
    addr: Addr<DeviceWorker>,
    _returned: oneshot::Sender<()>,
}

impl WorkerLease {
    /// Number of the worker on this node.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// False once the actor is gone.
    pub fn is_alive(&self) -> bool {
        self.addr.connected()
    }

    /// Transcodes a segment.
    pub async fn transcode(&self, segment: Transcode) -> Result<Finished, SegmentFailure> {
        let sent = self.addr.send(segment).await;
        sent.unwrap_or_else(|error| Err(SegmentFailure::lost(format!("worker is gone: {error}"))))
    }
}

// ---- messages: asked by the session that leases it ----

/// Transcode a segment; one at a time.
#[derive(Message)]
#[rtype(result = "Result<Finished, SegmentFailure>")]
pub struct Transcode {
    /// What to do.
    pub spec: SegmentJob,
    /// Its bytes.
    pub body: Body,
    /// When its headers arrived.
    pub arrived: Instant,
}

/// The process of a worker, or how the last one was lost.
struct Seat {
    process: Option<Process>,
    lost: Option<WorkerEnd>,
}

/// See the module.
pub struct DeviceWorker {
    device: Device,
    seat: Arc<Mutex<Seat>>,
    workers: Workers,
    entry: Arc<WorkerEntry>,
    metrics: Arc<Metrics>,
}

impl DeviceWorker {
    /// Starts a worker on the current arbiter and leases it.
    pub fn lease(
        device: Device,
        process: Option<Process>,
        workers: Workers,
        entry: WorkerEntry,
        metrics: Arc<Metrics>,
    ) -> WorkerLease {
        let (returned, given_back) = oneshot::channel::<()>();
        let id = *entry.key();
        let addr = Self::create(move |ctx| {
            let over = async move {
                // The sender never sends: it is dropped with the lease.
                let _ = given_back.await;
            };
            let over = actix::fut::wrap_future::<_, Self>(over);
            ctx.spawn(over.map(|(), _, ctx: &mut Context<Self>| ctx.stop()));
            Self {
                device,
                seat: Arc::new(Mutex::new(Seat {
                    process,
                    lost: None,
                })),
                workers,
                entry: Arc::new(entry),
                metrics,
            }
        });
        WorkerLease {
            id,
            addr,
            _returned: returned,
        }
    }
}

impl Actor for DeviceWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4);
        ctx.run_interval(HEARTBEAT, |worker, ctx| {
            let seat = Arc::clone(&worker.seat);
            let entry = Arc::clone(&worker.entry);
            ctx.spawn(heartbeat(seat, entry).into_actor(worker));
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Ok(mut seat) = self.seat.try_lock()
            && let Some(process) = seat.process.take()
        {
            process.retire();
        }
    }
}

impl Handler<Transcode> for DeviceWorker {
    type Result = ResponseActFuture<Self, Result<Finished, SegmentFailure>>;

    fn handle(&mut self, segment: Transcode, _: &mut Self::Context) -> Self::Result {
        let run = Run {
            device: self.device.clone(),
            workers: self.workers.clone(),
            entry: Arc::clone(&self.entry),
            metrics: Arc::clone(&self.metrics),
        };
        let seat = Arc::clone(&self.seat);
        let work = async move {
            let mut seat = seat.lock().await;
            run.transcode(&mut seat, segment).await
        };
        let guarded = std::panic::AssertUnwindSafe(work).catch_unwind();
        Box::pin(guarded.into_actor(self).map(|outcome, _, ctx| {
            outcome.unwrap_or_else(|_| {
                // Nobody knows what state the process is in: it goes with the actor.
                ctx.stop();
                Err(SegmentFailure::lost("panic while driving a worker"))
            })
        }))
    }
}

/// What it takes to bring a segment through.
struct Run {
    device: Device,
    workers: Workers,
    entry: Arc<WorkerEntry>,
    metrics: Arc<Metrics>,
}

impl Run {
    async fn transcode(
        &self,
        seat: &mut Seat,
        segment: Transcode,
    ) -> Result<Finished, SegmentFailure> {
        let budget = TimeBudget::for_segment(segment.spec.duration_ms);
        let deadline = segment.arrived + budget.total;
        self.metrics.video.queued(segment.arrived.elapsed());
        let mut tries = Tries::default();
        loop {
            let failure = match self.one_try(seat, &segment, budget, deadline).await {
                Ok(mut finished) => {
                    finished.retries = tries.failed();
                    self.entry.change(|view| view.delivered += 1);
                    return Ok(finished);
                }
                Err(failure) => failure,
            };
            let next = tries.after(&failure);
            tracing::warn!(
                manifestID = segment.spec.stream,
                seqNo = segment.spec.seq,
                tries = tries.failed(),
                failure = ?failure,
                again = next == Next::Again,
                "a try of a segment failed"
            );
            match next {
                Next::GiveUp(failure) => return Err(failure),
                Next::Again => {
                    if matches!(failure, TryFailure::NoProcess(_)) {
                        tokio::time::sleep(START_PAUSE).await;
                    }
                    self.metrics.video.segment_retried();
                }
            }
        }
    }

    async fn one_try(
        &self,
        seat: &mut Seat,
        segment: &Transcode,
        budget: TimeBudget,
        deadline: Instant,
    ) -> Result<Finished, TryFailure> {
        if segment.body.end() == Some(End::Aborted) {
            return Err(TryFailure::Upload);
        }
        if Instant::now() >= deadline {
            return Err(TryFailure::OutOfTime);
        }
        let mut process = self.process(seat).await?;
        self.enter_state(&mut process, WorkerState::Busy);
        let job = process.job();
        let outcome = attempt(
            &mut Sink(&process.link.sender),
            &mut Source(&mut process.link.receiver),
            job,
            &segment.spec,
            segment.body.reader(),
            budget,
            deadline,
        )
        .await;
        match outcome {
            Ok(delivered) => {
                let memory = delivered.stats.peak_rss;
                process.guard.set_memory(memory);
                self.entry.change(|view| view.memory = memory);
                self.keep(seat, process);
                Ok(Finished {
                    renditions: delivered.renditions,
                    stats: delivered.stats,
                    retries: 0,
                })
            }
            Err(AttemptEnd::LinkDown(down)) => {
                self.entry.change(lost);
                let (failure, end) = process.bury(&down).await;
                seat.lost = Some(end);
                Err(failure)
            }
            Err(AttemptEnd::Failed(failure)) => {
                let innocent = match &failure {
                    TryFailure::Answered(error) => error.blame == Blame::Input,
                    TryFailure::Upload => true,
                    _ => false,
                };
                if innocent {
                    self.keep(seat, process);
                } else {
                    self.entry.change(lost);
                    process.kill(WorkerEnd::Deadline);
                    seat.lost = Some(WorkerEnd::Deadline);
                }
                Err(failure)
            }
        }
    }

    /// The process in the seat while it lives, else a fresh one.
    async fn process(&self, seat: &mut Seat) -> Result<Process, TryFailure> {
        match seat.process.take().map(Process::alive) {
            Some(Ok(process)) => return Ok(process),
            Some(Err(end)) => {
                self.entry.change(lost);
                seat.lost = Some(end);
            }
            None => {}
        }
        let fresh = self.workers.fresh_process(self.device.clone()).await;
        let process = fresh.map_err(TryFailure::NoProcess)?;
        if let Some(cause) = seat.lost.take() {
            let device = device_name(&self.device);
            self.metrics.worker.restarted(&device, cause);
        }
        Ok(process)
    }

    fn keep(&self, seat: &mut Seat, mut process: Process) {
        self.enter_state(&mut process, WorkerState::Idle);
        seat.process = Some(process);
    }

    fn enter_state(&self, process: &mut Process, state: WorkerState) {
        process.guard.set_state(state);
        self.entry.change(|view| {
            view.pid = process.pid();
            view.state = state.as_str();
        });
    }
}

fn lost(view: &mut WorkerView) {
    view.lost += 1;
    view.pid = 0;
    view.state = WorkerState::BackOff.as_str();
}

/// Asks an idle process whether it lives; a busy one is watched by its segment.
async fn heartbeat(seat: Arc<Mutex<Seat>>, entry: Arc<WorkerEntry>) {
    let Ok(mut seat) = seat.try_lock() else {
        return;
    };
    let Some(mut process) = seat.process.take() else {
        return;
    };
    match tokio::time::timeout(PONG, ping(&mut process)).await {
        Ok(Ok(rss)) => {
            process.guard.set_memory(rss);
            entry.change(|view| view.memory = rss);
            seat.process = Some(process);
        }
        Ok(Err(down)) => {
            entry.change(lost);
            seat.lost = Some(process.bury(&down).await.1);
        }
        Err(_) => {
            entry.change(lost);
            process.kill(WorkerEnd::Heartbeat);
            seat.lost = Some(WorkerEnd::Heartbeat);
        }
    }
}

async fn ping(process: &mut Process) -> Result<u64, LinkDown> {
    let number = process.job().0;
    Sink(&process.link.sender)
        .send(Command::Ping { number }, Bytes::new())
        .await?;
    loop {
        let (report, _) = Source(&mut process.link.receiver).recv().await?;
        match report {
            Report::Pong { number: of, rss } if of == number => return Ok(rss),
            _ => {}
        }
    }
}
