//! A native model: a worker process of our own, behind its walls, that several requests share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use host::job::{Blame, InferJob, JobError, JobId, ModelSettings};
use host::message::{Command, Report, Wall};
use host::process::{Exit, HostError, WorkerHandle, WorkerLauncher, WorkerReceiver, WorkerSender};
use parking_lot::Mutex;
use protocol::ai::Pipeline;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::{Answer, Facts, Health, PARTS_AHEAD, Request, RunError, Runner};

/// How long a process may take to answer a ping.
const PONG: Duration = Duration::from_secs(5);

/// A process that holds a model. Dropping the last copy kills it.
#[derive(Clone)]
pub struct NativeRunner {
    pipeline: Pipeline,
    version: String,
    process: Arc<Process>,
}

struct Process {
    handle: WorkerHandle,
    walls: Vec<Wall>,
    sender: WorkerSender,
    waiting: Waiting,
    next: AtomicU64,
}

/// Who waits for what the process says.
#[derive(Debug, Clone, Default)]
struct Waiting(Arc<Mutex<Waiters>>);

#[derive(Debug, Default)]
struct Waiters {
    jobs: HashMap<JobId, mpsc::UnboundedSender<Event>>,
    pings: HashMap<u64, oneshot::Sender<u64>>,
    closed: bool,
}

/// What a job hears.
#[derive(Debug)]
enum Event {
    Part(Bytes),
    Done(Bytes),
    Failed(JobError),
}

impl NativeRunner {
    /// Starts a process and loads the model; the time that takes is bounded by the launcher.
    ///
    /// # Errors
    /// [`HostError`]; what the process said last is in the log.
    pub async fn start(
        launcher: &WorkerLauncher,
        pipeline: Pipeline,
        settings: ModelSettings,
        version: &str,
    ) -> Result<Self, HostError> {
        let process = launcher.launch(settings).await?;
        let waiting = Waiting::default();
        tokio::spawn(listen(process.receiver, waiting.clone()));
        Ok(Self {
            pipeline,
            version: version.to_owned(),
            process: Arc::new(Process {
                handle: process.handle,
                walls: process.walls,
                sender: process.sender,
                waiting,
                next: AtomicU64::new(1),
            }),
        })
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.process.handle.pid()
    }

    /// The walls that stand around it.
    pub fn walls(&self) -> &[Wall] {
        &self.process.walls
    }

    /// Returns when the process has ended, however.
    pub async fn ended(&self) -> Exit {
        self.process.handle.exit().await
    }

    /// Ends it at once.
    pub fn kill(&self) {
        self.process.handle.kill();
    }

    /// Resident memory of the process, bytes.
    ///
    /// # Errors
    /// When it does not answer within seconds: kill it.
    pub async fn memory(&self) -> Result<u64, RunError> {
        let number = self.process.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.process.waiting.0.lock().pings.insert(number, tell);
        let asked = async {
            let sent = self.process.sender.send(Command::Ping { number }, None);
            sent.await.map_err(|error| self.broken(error))?;
            told.await.map_err(|_| self.broken("the process ended"))
        };
        let pipeline = self.pipeline;
        let late = |_| RunError::Late { pipeline };
        tokio::time::timeout(PONG, asked).await.map_err(late)?
    }

    fn broken(&self, detail: impl std::fmt::Display) -> RunError {
        RunError::Broken {
            pipeline: self.pipeline,
            detail: detail.to_string(),
        }
    }

    /// Announces a job, before anything of it is sent.
    fn job(&self) -> Result<Job, RunError> {
        let id = JobId(self.process.next.fetch_add(1, Ordering::Relaxed));
        // Unbounded: an answer has a bounded number of short parts, and one slow reader must not hold up the others.
        let (tell, events) = mpsc::unbounded_channel();
        let mut waiters = self.process.waiting.0.lock();
        if waiters.closed {
            return Err(self.broken("the process has ended"));
        }
        waiters.jobs.insert(id, tell);
        Ok(Job {
            id,
            events,
            process: Arc::clone(&self.process),
            over: false,
        })
    }

    async fn begin(&self, job: JobId, request: Request) -> Result<(), HostError> {
        let sender = &self.process.sender;
        let spec = InferJob {
            fields: request.ask.fields().clone(),
        };
        sender.send(Command::Infer { job, spec }, None).await?;
        if let Some(file) = request.file {
            let input = Command::Input { job };
            sender.send(input, Some(file.bytes)).await?;
        }
        sender.send(Command::InputEnd { job }, None).await
    }

    fn failed(&self, error: JobError) -> RunError {
        let status = match error.blame {
            Blame::Input => 400,
            Blame::Worker => 500,
        };
        if error.blame == Blame::Worker {
            tracing::warn!(pipeline = %self.pipeline, %error, "a native model failed");
        }
        RunError::Returned {
            pipeline: self.pipeline,
            status,
            message: error.text,
        }
    }

    fn json(&self, bytes: &[u8]) -> Result<Value, RunError> {
        serde_json::from_slice(bytes).map_err(|error| RunError::Garbage {
            pipeline: self.pipeline,
            detail: error.to_string(),
        })
    }

    /// What a job's next event is to whoever asked.
    fn said(&self, event: Option<Event>) -> Result<(Bytes, bool), RunError> {
        match event {
            Some(Event::Part(bytes)) => Ok((bytes, false)),
            Some(Event::Done(bytes)) => Ok((bytes, true)),
            Some(Event::Failed(error)) => Err(self.failed(error)),
            None => Err(self.broken("the process ended")),
        }
    }

    async fn forward(&self, job: &mut Job, tell: &mpsc::Sender<Result<Value, RunError>>) {
        loop {
            let said = self.said(job.next().await);
            let part = match said {
                // The last part went before.
                Ok((_, true)) => return,
                Ok((bytes, false)) => self.json(&bytes),
                Err(error) => Err(error),
            };
            let last = part.is_err();
            if tell.send(part).await.is_err() || last {
                return;
            }
        }
    }
}

#[async_trait]
impl Runner for NativeRunner {
    async fn run(&self, request: Request) -> Result<Answer, RunError> {
        let streams = request.ask.streams();
        let mut job = self.job()?;
        let begun = self.begin(job.id, request).await;
        begun.map_err(|error| self.broken(error))?;
        if streams {
            let (tell, parts) = mpsc::channel(PARTS_AHEAD);
            let runner = self.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = runner.forward(&mut job, &tell) => {}
                    () = tell.closed() => {}
                }
            });
            return Ok(Answer::Parts(parts));
        }
        loop {
            let (bytes, last) = self.said(job.next().await)?;
            if last {
                return self.json(&bytes).map(Answer::Whole);
            }
        }
    }

    async fn health(&self) -> Result<Health, RunError> {
        self.memory().await.map(|_| Health::Ok)
    }

    async fn facts(&self) -> Facts {
        Facts {
            version: self.version.clone(),
            hardware: None,
        }
    }
}

/// A job under way; dropped before its end, it is cancelled.
struct Job {
    id: JobId,
    events: mpsc::UnboundedReceiver<Event>,
    process: Arc<Process>,
    over: bool,
}

impl Job {
    async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        self.over |= !matches!(event, Some(Event::Part(_)));
        event
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.process.waiting.0.lock().jobs.remove(&self.id);
        if self.over {
            return;
        }
        let (sender, job) = (self.process.sender.clone(), self.id);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // A process that is gone has nothing to stop.
                let _ = sender.send(Command::Cancel { job }, None).await;
            });
        }
    }
}

/// Hands on what the process says, until it ends.
async fn listen(mut receiver: WorkerReceiver, waiting: Waiting) {
    while let Ok((report, payload)) = receiver.recv().await {
        let (job, event) = match report {
            Report::Chunk { job } => (job, Event::Part(payload)),
            Report::Inferred { job } => (job, Event::Done(payload)),
            Report::Failed { job, error } => (job, Event::Failed(error)),
            Report::Pong { number, rss } => {
                if let Some(ping) = waiting.0.lock().pings.remove(&number) {
                    let _ = ping.send(rss);
                }
                continue;
            }
            _ => continue,
        };
        if let Some(job) = waiting.0.lock().jobs.get(&job) {
            let _ = job.send(event);
        }
    }
    let mut waiters = waiting.0.lock();
    waiters.closed = true;
    waiters.jobs.clear();
    waiters.pings.clear();
}
