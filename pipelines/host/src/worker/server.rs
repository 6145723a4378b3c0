//! The control loop: hand-shake, then commands until the link closes or a shutdown finds no job left.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use parking_lot::Mutex;

use super::job_thread::{Feed, Inbox, Task, run};
use super::reports::Reports;
use super::{ServeError, WorkHandler, memory};
use crate::BUILD_ID;
use crate::frame::{BlockingReader, FrameError};
use crate::job::{JobId, Role};
use crate::message::{Command, Report, Wall};

/// The daemon's socket, which a worker finds as its standard input.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
    commands: BlockingReader<UnixStream, Command>,
    reports: Reports,
}

/// A link whose daemon has said who it is and what it wants.
#[derive(Debug)]
pub struct Greeted(Link);

/// A link after its hand-shake.
#[derive(Debug)]
pub struct Server(Link);

impl Link {
    /// Takes the socket out of standard input, which is empty from then on.
    pub fn from_stdin() -> std::io::Result<Self> {
        let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        nix::unistd::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(Self {
            commands: BlockingReader::new(stream.try_clone()?),
            reports: Reports::new(stream.try_clone()?),
            stream,
        })
    }

    /// Waits for the daemon's first message. A daemon of another build is told our build id before the error.
    pub fn welcome(mut self) -> Result<(Greeted, Role), ServeError> {
        let (daemon, role) = match self.commands.next_frame()? {
            Some((Command::Welcome { build_id, role }, _)) => (build_id, role),
            Some(_) => return Err(ServeError::Order("the first command is no welcome")),
            None => return Err(ServeError::Order("closed before the welcome")),
        };
        if daemon != BUILD_ID {
            Greeted(self).hello(Vec::new())?;
            return Err(ServeError::OtherBuild {
                daemon,
                worker: BUILD_ID.into(),
            });
        }
        Ok((Greeted(self), role))
    }
}

impl Greeted {
    /// Answers that this process is ready, behind these walls.
    pub fn hello(self, walls: Vec<Wall>) -> Result<Server, ServeError> {
        let hello = Report::Hello {
            build_id: BUILD_ID.into(),
            walls,
        };
        self.0.reports.send(&hello, &[])?;
        Ok(Server(self.0))
    }
}

impl Server {
    /// Serves until the daemon closes the link, or asked for a shutdown and the last job has ended. Jobs that still run
    /// then are left behind: end the process.
    pub fn serve(mut self, handler: impl WorkHandler) -> Result<(), ServeError> {
        let jobs = Jobs {
            handler: Arc::new(handler),
            reports: self.0.reports.clone(),
            state: Arc::default(),
            link: Arc::new(self.0.stream),
        };
        while let Some((command, payload)) = self.0.commands.next_frame()? {
            match command {
                Command::Welcome { .. } => return Err(ServeError::Order("a second welcome")),
                Command::Segment { job, spec } => jobs.start(job, Task::Segment(spec))?,
                Command::Probe { job, spec } => jobs.start(job, Task::Probe(spec))?,
                Command::Infer { job, spec } => jobs.start(job, Task::Infer(spec))?,
                Command::Input { job } => jobs.feed(job, Feed::Input(payload)),
                Command::InputEnd { job } => jobs.feed(job, Feed::End(Instant::now())),
                Command::Cancel { job } => jobs.cancel(job),
                Command::Ping { number } => {
                    let rss = memory::resident();
                    let pong = Report::Pong { number, rss };
                    self.0.reports.send(&pong, &[])?;
                }
                Command::Shutdown => jobs.shut_down(),
            }
        }
        Ok(())
    }
}

/// The jobs of a process.
#[derive(Clone)]
struct Jobs {
    handler: Arc<dyn WorkHandler>,
    reports: Reports,
    state: Arc<Mutex<State>>,
    link: Arc<UnixStream>,
}

#[derive(Default)]
struct State {
    running: HashMap<JobId, Job>,
    /// No further job comes.
    closing: bool,
}

struct Job {
    /// Unbounded here: the daemon keeps what is on its way within a window per job.
    feed: Sender<Feed>,
    cancelled: Arc<AtomicBool>,
}

impl Jobs {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock())
    }

    fn start(&self, job: JobId, task: Task) -> Result<(), ServeError> {
        let (feed, input) = channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let entry = Job {
            feed,
            cancelled: Arc::clone(&cancelled),
        };
        if self
            .with(|state| state.running.insert(job, entry))
            .is_some()
        {
            return Err(ServeError::Order("a job's number came twice"));
        }
        let jobs = self.clone();
        std::thread::Builder::new()
            .name(format!("job-{}", job.0))
            .spawn(move || {
                let inbox = Inbox {
                    feed: input,
                    cancelled,
                };
                if let Err(error) = run(&*jobs.handler, &jobs.reports, job, task, inbox) {
                    tracing::error!(job = job.0, %error, "cannot report the end of a job");
                    jobs.hang_up();
                }
                jobs.end(job);
            })
            .map_err(FrameError::from)?;
        Ok(())
    }

    /// Input for a job that has ended, failed that is, is dropped.
    fn feed(&self, job: JobId, feed: Feed) {
        self.with(|state| {
            if let Some(job) = state.running.get(&job) {
                let _ = job.feed.send(feed);
            }
        });
    }

    /// The job notices at its next input, or when it would publish.
    fn cancel(&self, job: JobId) {
        self.with(|state| {
            if let Some(job) = state.running.get_mut(&job) {
                job.cancelled.store(true, Ordering::Relaxed);
                // The last sender goes: a job that waits for input wakes up.
                job.feed = channel().0;
            }
        });
    }

    fn end(&self, job: JobId) {
        self.with(|state| {
            state.running.remove(&job);
            self.hang_up_when_idle(state);
        });
    }

    fn shut_down(&self) {
        self.with(|state| {
            state.closing = true;
            self.hang_up_when_idle(state);
        });
    }

    fn hang_up_when_idle(&self, state: &State) {
        if state.closing && state.running.is_empty() {
            self.hang_up();
        }
    }

    /// Lets the control loop read the end of the link.
    fn hang_up(&self) {
        let _ = self.link.shutdown(Shutdown::Read);
    }
}
