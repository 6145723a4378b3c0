//! The worker process: hosts transcodes and probes behind the host link.
//!
//! Started by the daemon with its socket as standard input. It walls itself in before the first byte of media, serves
//! until the daemon closes the link, and dies with it. Other modes look at the installation and print.

mod arguments;
mod error;
mod handler;
mod model;
mod self_test;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use host::job::Role;
use host::sandbox::{self, SandboxPlan};
use host::worker::Link;

use arguments::{Mode, Serve};
use error::WorkerError;
use handler::Transcoder;
use model::ModelHost;

/// Variable that names the file in which GStreamer keeps what it knows of its plugins.
const REGISTRY: &str = "GST_REGISTRY";

fn main() -> ExitCode {
    match arguments::parse(lexopt::Parser::from_env())
        .map_err(WorkerError::from)
        .and_then(act)
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ERROR {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(mode: Mode) -> Result<(), WorkerError> {
    match mode {
        Mode::Serve(arguments) => serve(arguments),
        Mode::WriteRegistry(path) => write_registry(&path),
        Mode::Elements(device) => {
            video::init()?;
            print(&video::available(&device))
        }
        Mode::InspectModel { pipeline, path } => print(&native::inspect(&pipeline, &path)?),
        Mode::SelfTestWalls { serve, forbidden } => {
            let begun = sandbox::begin();
            let walls = sandbox::enter(&plan(&serve, host::job::Device::Cpu), begun);
            print(&self_test::run(walls, &forbidden))
        }
    }
}

fn serve(arguments: Serve) -> Result<(), WorkerError> {
    let begun = sandbox::begin();
    log_to_stderr();
    // Threads inherit it, so it comes before the first one.
    if let Err(error) = rustix::process::nice(arguments.niceness.into()) {
        tracing::warn!(%error, "the priority of this process stays as it was");
    }
    let (greeted, role) = Link::from_stdin()?.welcome()?;
    let mut plan = plan(&arguments, role.device().clone());
    // Behind the walls: what is loaded from here on belongs to the code that is walled in.
    match role {
        Role::Video(settings) => {
            let walls = sandbox::enter(&plan, begun);
            video::init()?;
            greeted.hello(walls)?.serve(Transcoder::new(settings))?;
        }
        Role::Model(settings) => {
            plan.readable.push(settings.path.clone());
            let walls = sandbox::enter(&plan, begun);
            let host = ModelHost::load(&settings)?;
            greeted.hello(walls)?.serve(host)?;
        }
    }
    Ok(())
}

/// GStreamer takes the file's name from the environment, so this process starts itself over with it.
fn write_registry(path: &Path) -> Result<(), WorkerError> {
    if std::env::var_os(REGISTRY).is_some_and(|set| set == path) {
        video::init()?;
        std::fs::metadata(path).map_err(|source| WorkerError::Registry {
            path: path.to_owned(),
            source,
        })?;
        return Ok(());
    }
    Err(WorkerError::Again(
        Command::new(std::env::current_exe().map_err(WorkerError::Again)?)
            .args(std::env::args_os().skip(1))
            .env(REGISTRY, path)
            .env_remove("GST_REGISTRY_UPDATE")
            .exec(),
    ))
}

/// The daemon reads this pipe, adds the time and writes the log.
fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
}

fn plan(arguments: &Serve, device: host::job::Device) -> SandboxPlan {
    SandboxPlan {
        device,
        memory: arguments.memory,
        scratch: arguments.scratch.clone(),
        readable: library_paths().collect(),
    }
}

/// Directories in which an operator keeps libraries and plugins of their own.
fn library_paths() -> impl Iterator<Item = PathBuf> {
    [
        "LD_LIBRARY_PATH",
        "GST_PLUGIN_PATH",
        "GST_PLUGIN_SYSTEM_PATH",
    ]
    .into_iter()
    .filter_map(std::env::var_os)
    .flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>())
    .filter(|path| path.is_absolute())
}

fn print(value: &impl serde::Serialize) -> Result<(), WorkerError> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
