//! `orchestrion run`: settings, assembly, signals, and the order of the end.

use std::ffi::OsString;
use std::process::ExitCode;

use config::{LogFormat, Settings};
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
    let loaded = match config::load(arguments, &environment()) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(USAGE);
        }
    };
    let settings = loaded.settings;
    let format = match settings.program.log_format {
        LogFormat::Logfmt => log::Format::Logfmt,
        LogFormat::Json => log::Format::Json,
    };
    let levels = match log::init(format, settings.program.verbosity.into()) {
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
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::from(FAILED);
        }
    };
    runtime.block_on(serve(settings, levels))
}

fn answer(asked: config::Asked) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match asked {
        config::Asked::Help => config::help(),
        config::Asked::Version => format!("Orchestrion {version}\n"),
        config::Asked::MistJson => format!("{}\n", config::mist_json(version)),
    }
}

async fn serve(settings: Settings, levels: log::LevelHandle) -> ExitCode {
    let started = std::time::Instant::now();
    let drain = settings.limits.drain_timeout;
    let mut node = match Node::start(settings, levels).await {
        Ok(node) => node,
        Err(error) => return refuse(&error),
    };
    tracing::info!(
        public = %node.public_address(),
        operator = node.operator_address(),
        ready_ms = started.elapsed().as_millis() as u64,
        "node is ready"
    );
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return refuse(&StartError::Signals(error)),
    };
    let code = tokio::select! {
        () = signals.stop() => ExitCode::SUCCESS,
        reason = node.broken() => {
            tracing::error!(reason, "the node cannot go on");
            ExitCode::from(FAILED)
        }
    };
    tracing::info!(grace_s = drain.as_secs(), "draining; a second signal ends at once");
    tokio::select! {
        () = node.drain(drain) => {}
        () = signals.stop() => tracing::warn!("ended at once by a second signal"),
    }
    node.stop().await;
    code
}

fn refuse(error: &StartError) -> ExitCode {
    tracing::error!("{error}");
    eprintln!("orchestrion: {error}");
    ExitCode::from(USAGE)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
