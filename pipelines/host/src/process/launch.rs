//! Starts worker processes: socket pair, clean environment, own group, hand-shake.
//!
//! All of them are started by one thread that never ends: the kernel sends a child the "parent died" signal when the
//! *thread* that started it ends, so a pool's thread must not do it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::window::Windows;
use super::{HostError, WorkerHandle, WorkerProcess, WorkerReceiver, WorkerSender, stderr};
use crate::BUILD_ID;
use crate::job::Role;
use crate::message::{Command, Report, Wall};

/// Variables that an operator may have set to make plugins and devices be found; nothing else is handed on.
const KEPT_VARIABLES: [&str; 7] = [
    "LD_LIBRARY_PATH",
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_DEBUG",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "RUST_LOG",
];

/// Bounds of one worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Memory the process may have written to, bytes (`RLIMIT_DATA`). Beyond it allocation fails and the process dies.
    pub memory: u64,
    /// Time from the start to the answered hand-shake.
    pub hello: Duration,
    /// How far it steps back behind other processes, 0 to 19: `nice`(1).
    pub niceness: u8,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            // A ladder from 2160p at preset `medium` was seen to take 3.5 GiB on two cores, one from 1080p 0.9 GiB.
            memory: 8 << 30,
            hello: Duration::from_secs(5),
            niceness: 0,
        }
    }
}

/// Starts workers, all in the same way.
#[derive(Debug, Clone)]
pub struct WorkerLauncher {
    binary: PathBuf,
    limits: WorkerLimits,
    registry: Option<PathBuf>,
    arguments: Vec<OsString>,
}

impl WorkerLauncher {
    /// `binary` is `orchestrion-worker`; `registry` the file that [`write_registry`] wrote. Without one every worker
    /// scans all plugins itself, which takes longer than many a segment.
    pub fn new(binary: PathBuf, limits: WorkerLimits, registry: Option<PathBuf>) -> Self {
        Self {
            binary,
            limits,
            registry,
            arguments: Vec::new(),
        }
    }

    /// Adds an argument in front of those that every worker gets.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts one worker and shakes hands. Dropping the future kills what was started.
    pub async fn launch(&self, role: impl Into<Role>) -> Result<WorkerProcess, HostError> {
        let (near, far) = StdStream::pair().map_err(|error| self.refused(error))?;
        let scratch = tempfile::Builder::new()
            .prefix("orchestrion-worker-")
            .tempdir()
            .map_err(|error| self.refused(error))?;
        let registry = self.copy_registry(&scratch).await;
        let registry = registry.map_err(|error| self.refused(error))?;
        let role = role.into();
        let mut process = self.process(far, &scratch, registry.as_deref());
        if let Role::Model(settings) = &role
            && settings.threads > 0
        {
            for pool in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
                process.env(pool, settings.threads.to_string());
            }
        }
        let mut child = start(process).await.map_err(|error| self.refused(error))?;
        let pid = child.id();
        let errors = child.stderr.take();
        let handle = WorkerHandle::watch(child, scratch).map_err(|error| self.refused(error))?;
        if let Some(errors) = errors {
            stderr::log(errors, pid).map_err(|error| self.refused(error))?;
        }
        near.set_nonblocking(true)
            .map_err(|error| self.refused(error))?;
        let near = UnixStream::from_std(near).map_err(|error| self.refused(error))?;
        let (reader, writer) = near.into_split();
        let windows = Windows::default();
        let mut receiver = WorkerReceiver::new(reader, windows.clone());
        let sender = WorkerSender::start(writer, windows);

        let hello = shake_hands(&sender, &mut receiver, role);
        let walls = match tokio::time::timeout(self.limits.hello, hello).await {
            Ok(Ok(walls)) => walls,
            Ok(Err(HostError::Closed)) => return Err(self.ended_early(&handle).await),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(HostError::NoAnswer(self.limits.hello)),
        };
        Ok(WorkerProcess {
            sender,
            receiver,
            handle,
            walls,
        })
    }

    /// Where a worker with a user of its own can read it, however closed the daemon's directory is.
    async fn copy_registry(&self, scratch: &TempDir) -> io::Result<Option<PathBuf>> {
        let Some(registry) = &self.registry else {
            return Ok(None);
        };
        let copy = scratch.path().join("plugins");
        tokio::fs::write(&copy, tokio::fs::read(registry).await?).await?;
        Ok(Some(copy))
    }

    fn process(&self, link: StdStream, scratch: &TempDir, registry: Option<&Path>) -> Process {
        let mut process = Process::new(&self.binary);
        process
            .args(&self.arguments)
            .arg("--memory")
            .arg(self.limits.memory.to_string())
            .arg("--scratch")
            .arg(scratch.path())
            .env_clear()
            // What writes files at all (code generators, caches) finds only this directory.
            .env("HOME", scratch.path())
            .env("TMPDIR", scratch.path())
            .env("XDG_RUNTIME_DIR", scratch.path())
            // Encoders and frame pools come and go with every segment: in pages of their own they return to the system,
            // which measured 10 to 20 % less peak memory at the same CPU time.
            .env("MALLOC_MMAP_THRESHOLD_", "131072")
            .envs(kept_variables())
            .stdin(Stdio::from(OwnedFd::from(link)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        if self.limits.niceness > 0 {
            process.arg("--nice").arg(self.limits.niceness.to_string());
        }
        if let Some(registry) = registry {
            process
                .env("GST_REGISTRY", registry)
                .env("GST_REGISTRY_UPDATE", "no");
        }
        // A scan by a child process is not possible inside the sandbox.
        process.env("GST_REGISTRY_FORK", "no");
        process
    }

    /// The link closed before the answer: the end of the process says why.
    async fn ended_early(&self, handle: &WorkerHandle) -> HostError {
        match tokio::time::timeout(self.limits.hello, handle.exit()).await {
            Ok(exit) => HostError::EndedEarly(exit),
            Err(_) => HostError::NoAnswer(self.limits.hello),
        }
    }

    fn refused(&self, source: io::Error) -> HostError {
        HostError::Spawn {
            binary: self.binary.clone(),
            source,
        }
    }
}

async fn shake_hands(
    sender: &WorkerSender,
    receiver: &mut WorkerReceiver,
    role: Role,
) -> Result<Vec<Wall>, HostError> {
    let welcome = Command::Welcome {
        build_id: BUILD_ID.into(),
        role,
    };
    sender.send(welcome, None).await?;
    match receiver.recv().await?.0 {
        Report::Hello { build_id, walls } if build_id == BUILD_ID => Ok(walls),
        Report::Hello { build_id, .. } => Err(HostError::OtherBuild {
            daemon: BUILD_ID.into(),
            worker: build_id,
        }),
        _ => Err(HostError::NoHello),
    }
}

/// Lets the worker `binary` look at all plugins and write what it found to `registry`. Takes about a second, blocks.
pub fn write_registry(binary: &Path, registry: &Path) -> io::Result<()> {
    let output = Process::new(binary)
        .arg("--write-registry")
        .arg(registry)
        .env_clear()
        .envs(kept_variables())
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{} --write-registry: {}: {}",
        binary.display(),
        output.status,
        said.trim_end()
    )))
}

fn kept_variables() -> impl Iterator<Item = (&'static str, OsString)> {
    KEPT_VARIABLES
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// A process to be started, and where the outcome goes.
type Order = (Process, oneshot::Sender<io::Result<Child>>);

/// Starts a process on the thread that never ends.
async fn start(process: Process) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let starter = match STARTER.get() {
        Some(starter) => starter,
        None => {
            let (orders, queue) = mpsc::channel::<Order>();
            std::thread::Builder::new()
                .name("start-workers".into())
                .spawn(move || serve_orders(&queue))?;
            // Of two that come at once one is dropped again: its thread ends before it started anything.
            STARTER.get_or_init(|| orders)
        }
    };
    let (tell, outcome) = oneshot::channel();
    let gone = |_| io::Error::other("the thread that starts workers is gone");
    starter.send((process, tell)).map_err(|_| gone(()))?;
    outcome.await.map_err(|_| gone(()))?
}

fn serve_orders(queue: &mpsc::Receiver<Order>) {
    while let Ok((mut process, tell)) = queue.recv() {
        let outcome = process.spawn();
        // The parent's copy of the worker's end must go, or the link would never report the worker's death.
        drop(process);
        if let Err(Ok(mut child)) = tell.send(outcome) {
            // Nobody waits any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
