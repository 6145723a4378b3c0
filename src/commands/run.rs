//! `orchestrion run`: settings, assembly, signals, and the order of the end.

use std::ffi::OsString;
use std::process::ExitCode;

use config::{Loaded, LogFormat};
use telemetry::log;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{USAGE, environment, print};
use crate::assembly::{Node, StartError};

/// The node could not start or broke while running.
const FAILED: u8 = 1;

/// Starts the node and returns when it has stopped.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(asked) = config::asked(arguments.clone()) {
        print(&answer(asked));
        return ExitCode::SUCCESS;
    }
    let loaded = match config::load(arguments.clone(), &environment()) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(USAGE);
        }
    };
    let program = &loaded.settings.program;
    let format = match program.log_format {
        LogFormat::Logfmt => log::Format::Logfmt,
        LogFormat::Json => log::Format::Json,
    };
    let levels = match log::init(format, program.verbosity.into()) {
        Ok(levels) => levels,
        Err(error) => {
            eprintln!("orchestrion: {error}");
            return ExitCode::from(FAILED);
        }
    };
    eprint!("{}", loaded.banner);
    for notice in &loaded.notices {
        tracing::warn!("{}", notice.text);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::from(FAILED);
        }
    };
    runtime.block_on(serve(arguments, loaded, levels))
}

fn answer(asked: config::Asked) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match asked {
        config::Asked::Help => config::help(),
        config::Asked::Version => format!("Orchestrion {version}\n"),
        config::Asked::MistJson => format!("{}\n", config::mist_json(version)),
    }
}

async fn serve(arguments: Vec<OsString>, mut loaded: Loaded, levels: log::LevelHandle) -> ExitCode {
    let started = std::time::Instant::now();
    // Before anybody can think that the node runs: a signal while it starts is kept, not fatal.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return refuse(&StartError::Signals(error)),
    };
    let mut node = match Node::start(loaded.settings.clone(), levels).await {
        Ok(node) => node,
        Err(error) => return refuse(&error),
    };
    tracing::info!(
        public = node.public_address().map(tracing::field::display),
        operator = node.operator_address(),
        ready_ms = started.elapsed().as_millis() as u64,
        "node is ready"
    );
    let mut models = Watched::default();
    let code = loop {
        tokio::select! {
            caught = signals.next() => match caught {
                Caught::Stop => break ExitCode::SUCCESS,
                Caught::Reload => reload(&arguments, &mut loaded, &node).await,
            },
            () = models.changed(loaded.settings.ai.file.as_deref()) => {
                tracing::info!("the file of AI models has changed");
                reload(&arguments, &mut loaded, &node).await;
            }
            reason = node.broken() => {
                tracing::error!(reason, "the node cannot go on");
                break ExitCode::from(FAILED);
            }
        }
    };
    if node.hands_over() {
        tracing::info!("the public socket goes on to the next process; running requests finish");
        node.stop().await;
        return code;
    }
    let drain = loaded.settings.limits.drain_timeout;
    tracing::info!(
        grace_s = drain.as_secs(),
        "draining; a second signal ends at once"
    );
    tokio::select! {
        () = node.drain(drain) => {}
        () = signals.stop() => tracing::warn!("ended at once by a second signal"),
    }
    node.stop().await;
    code
}

/// Reads the settings again and applies what may change while the node runs; a mistake changes nothing.
async fn reload(arguments: &[OsString], loaded: &mut Loaded, node: &Node) {
    let fresh = match config::load(arguments.to_vec(), &environment()) {
        Ok(fresh) => fresh,
        Err(errors) => {
            tracing::error!(%errors, "settings were not reloaded");
            return;
        }
    };
    let diff = config::reload_diff(loaded, &fresh);
    for change in &diff.applied {
        tracing::info!(
            option = change.name,
            before = change.before,
            now = change.now,
            "option changed"
        );
    }
    for change in &diff.needs_restart {
        tracing::warn!(
            option = change.name,
            now = change.now,
            "option changes at the next start only"
        );
    }
    node.apply(&fresh.settings).await;
    *loaded = fresh;
}

fn refuse(error: &StartError) -> ExitCode {
    tracing::error!("{error}");
    eprintln!("orchestrion: {error}");
    ExitCode::from(USAGE)
}

/// How often the file of AI models is looked at.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);

/// A file that an operator may change while the node runs.
#[derive(Default)]
struct Watched(Option<Stamp>);

/// What differs when a file was written again.
type Stamp = (std::time::SystemTime, u64);

impl Watched {
    /// Returns when `file` was written since the last look at it; never without a file.
    async fn changed(&mut self, file: Option<&std::path::Path>) {
        let Some(file) = file else {
            return std::future::pending().await;
        };
        loop {
            let found = tokio::fs::metadata(file).await.ok();
            let stamp = found.and_then(|found| Some((found.modified().ok()?, found.len())));
            let before = self.0;
            // One that is away for a moment is being replaced.
            if stamp.is_some() && stamp != before {
                self.0 = stamp;
                if before.is_some() {
                    return;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::Stop,
            _ = self.interrupt.recv() => Caught::Stop,
            _ = self.reload.recv() => Caught::Reload,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Caught::Stop {}
    }
}

#[derive(PartialEq, Eq)]
enum Caught {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}
