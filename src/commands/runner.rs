//! `orchestrion runner`: a native model over the runner's HTTP interface, for AI workers of other makes and other machines.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use backon::{BackoffBuilder, ExponentialBuilder};
use host::job::{Device, ModelSettings};
use host::process::{WorkerLauncher, WorkerLimits};
use lexopt::prelude::*;
use protocol::ai::Pipeline;
use runners::installed;
use runners::native::NativeRunner;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Tool;
use crate::assembly::worker_binary;
use crate::doors::runner::{BODIES, RunnerDoor, serve};
use crate::doors::{SHORTEST, Token};

const HELP: &str = "\
usage: orchestrion runner -pipeline NAME -model ID -modelsDir DIR [OPTIONS]

  -pipeline NAME    audio-to-text, llm or upscale; else from $PIPELINE
  -model ID         the model, also the name of its files; else from $MODEL_ID
  -modelsDir DIR    where its files are; else from $MODEL_DIR, else /models
  -listen ADDR      where to listen (127.0.0.1:8000); else from $HOST and $PORT
  -capacity N       requests at once (1); more of them wait
  -threads N        threads that compute (0: one per core)
  -nvidia N         compute on this NVIDIA card, where the worker is built for it
  -token TEXT       whom to serve: Authorization: Bearer TEXT; else from $AUTH_TOKEN, else anybody
  -memory BYTES     memory that the process may use (8589934592)
  -workerBinary F   orchestrion-worker, where it is not beside this program
  -v N              log level, 1 to 6 (3)

Serves POST /<pipeline>, GET /health, /version and /hardware/info, as containers of the network do. SIGTERM lets running
requests finish.

exit codes: 0 ended by a signal, 1 failed, 2 wrong use
";

/// Time for the model to load.
const LOAD: Duration = Duration::from_secs(170);

/// What is asked for.
struct Options {
    pipeline: Pipeline,
    model: String,
    models_dir: PathBuf,
    listen: SocketAddr,
    capacity: usize,
    threads: u32,
    device: Device,
    token: Option<Token>,
    memory: u64,
    worker: Option<PathBuf>,
    verbosity: i32,
}

/// What keeps the runner from its work.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Model(#[from] installed::InstalledError),
    #[error("{address} cannot be opened: {source}; give another with -listen")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error("the port ended: {0}")]
    Serve(std::io::Error),
}

/// Runs the command.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let tool = Tool {
        name: "runner",
        help: HELP,
        read: Options::read,
        verbosity: |options: &Options| options.verbosity,
    };
    tool.run(arguments, async |options| run(options).await.map(|()| true))
}

async fn run(options: &Options) -> Result<(), Fault> {
    let path = installed::find(&options.models_dir, &options.model)?;
    let binary = worker_binary(options.worker.as_deref());
    let name = options.pipeline.name();
    installed::look(&binary, name, &options.model, &path).await?;
    let settings = ModelSettings {
        pipeline: name.to_owned(),
        model_id: options.model.clone(),
        path,
        device: options.device.clone(),
        threads: options.threads,
    };
    let door = Arc::new(RunnerDoor {
        pipeline: options.pipeline,
        model: options.model.clone(),
        version: version(),
        token: options.token.clone(),
        process: ArcSwapOption::empty(),
        places: Semaphore::new(options.capacity),
        bodies: Semaphore::new(BODIES.max(options.capacity)),
    });
    let refused = |source| Fault::Listen {
        address: options.listen,
        source,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(Fault::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Fault::Signals)?;
    let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    tracing::info!(%address, pipeline = name, model = options.model, "runner is open");
    let limits = WorkerLimits {
        memory: options.memory,
        hello: LOAD,
        niceness: 0,
    };
    let launcher = WorkerLauncher::new(binary, limits, None);
    let kept = tokio::spawn(keep(launcher, settings, Arc::clone(&door)));
    let shutdown = CancellationToken::new();
    let serving = serve(door, listener, shutdown.clone());
    let signals = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = serving => ended,
        () = signals => Ok(()),
    };
    kept.abort();
    ended.map_err(Fault::Serve)
}

/// Keeps a process with the model, for as long as the runner is open.
async fn keep(launcher: WorkerLauncher, settings: ModelSettings, door: Arc<RunnerDoor>) {
    let pauses = || {
        ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(30))
            .without_max_times()
            .build()
    };
    let mut pause = pauses();
    loop {
        let started =
            NativeRunner::start(&launcher, door.pipeline, settings.clone(), &door.version).await;
        match started {
            Ok(process) => {
                tracing::info!(
                    model = settings.model_id,
                    pid = process.pid(),
                    "model ready"
                );
                pause = pauses();
                door.process.store(Some(Arc::new(process.clone())));
                let exit = process.ended().await;
                door.process.store(None);
                tracing::error!(%exit, "the model's process ended; it is started again");
            }
            Err(error) => {
                tracing::error!(%error, "the model's process cannot be started");
                if let Some(pause) = pause.next() {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// As the environment says, else that of this program.
fn version() -> String {
    let given = std::env::var("VERSION")
        .ok()
        .filter(|text| !text.is_empty());
    given.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
}

impl Options {
    fn read(arguments: Vec<OsString>) -> Result<Option<Self>, String> {
        let environment = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let mut pipeline = environment("PIPELINE");
        let mut model = environment("MODEL_ID");
        let mut models_dir = environment("MODEL_DIR").unwrap_or_else(|| "/models".to_owned());
        let host = environment("HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
        let port = environment("PORT").unwrap_or_else(|| "8000".to_owned());
        let mut listen = format!("{host}:{port}");
        let mut token = environment("AUTH_TOKEN");
        let (mut capacity, mut threads, mut memory) = (1, 0, 8 << 30);
        let (mut device, mut worker, mut verbosity) = (Device::Cpu, None, 3);
        let mut words = lexopt::Parser::from_args(super::two_dashes(arguments));
        while let Some(word) = words.next().map_err(|error| error.to_string())? {
            let Long(name) = word else {
                return Err(word.unexpected().to_string());
            };
            let name = name.to_owned();
            if matches!(name.as_str(), "help" | "h") {
                return Ok(None);
            }
            let value = words.value().map_err(|error| error.to_string())?;
            let text = value.clone().string().map_err(|error| error.to_string())?;
            let number = |text: &str| {
                let number: Result<u64, _> = text.parse();
                number.map_err(|_| format!("-{name} {text:?} must be a whole number"))
            };
            match name.as_str() {
                "pipeline" => pipeline = Some(text),
                "model" => model = Some(text),
                "modelsDir" => models_dir = text,
                "listen" => listen = text,
                "token" => token = Some(text),
                "capacity" => capacity = number(&text)?.clamp(1, 1024),
                "threads" => threads = number(&text)?.min(1024),
                "memory" => memory = number(&text)?,
                "nvidia" => {
                    let card = number(&text)?.try_into().unwrap_or(u32::MAX);
                    device = Device::Nvidia(card);
                }
                "workerBinary" => worker = Some(value.into()),
                "v" => verbosity = number(&text)?.clamp(1, 6).try_into().unwrap_or(3),
                other => return Err(format!("no option -{other}; `orchestrion runner -help`")),
            }
        }
        let pipeline = pipeline.ok_or("-pipeline is missing")?;
        Ok(Some(Self {
            pipeline: Pipeline::from_name(&pipeline)
                .ok_or_else(|| format!("pipeline {pipeline:?} is not known"))?,
            model: model.ok_or("-model is missing")?,
            models_dir: models_dir.into(),
            listen: listen
                .parse()
                .map_err(|_| format!("-listen {listen:?} must be address:port"))?,
            capacity: usize::try_from(capacity).unwrap_or(1),
            threads: u32::try_from(threads).unwrap_or(0),
            device,
            token: match token {
                None => None,
                Some(text) => Some(Token::new(&text).ok_or_else(|| {
                    format!(
                        "the token needs {SHORTEST} printable characters or more, without blanks"
                    )
                })?),
            },
            memory,
            worker,
            verbosity,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Option<Options>, String> {
        Options::read(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (words, text) in [
            (&["-model", "m"][..], "-pipeline"),
            (&["-pipeline", "llm"], "-model"),
            (&["-pipeline", "fish", "-model", "m"], "fish"),
            (
                &["-pipeline", "llm", "-model", "m", "-listen", "x"],
                "-listen",
            ),
            (
                &["-pipeline", "llm", "-model", "m", "-token", "short"],
                "token",
            ),
            (
                &["-pipeline", "llm", "-model", "m", "-capacity", "x"],
                "-capacity",
            ),
            (&["-nonsense", "x"], "-nonsense"),
        ] {
            let mistake = read(words).err().expect("a mistake");
            assert!(mistake.contains(text), "{mistake}");
        }
        assert!(matches!(read(&["-help"]), Ok(None)));
        let good = read(&["-pipeline", "llm", "--model", "m", "-capacity", "4"]);
        let good = good.expect("good").expect("options");
        assert_eq!((good.capacity, good.listen.port()), (4, 8000));
    }
}
