//! `orchestrion push`: a gateway's side of the protocol, for tests, the demo and benchmarks. Sends a source as live streams,
//! checks what comes back, saves it, and says how long it took.

mod audio;
mod client;
pub(super) mod flags;
pub(super) mod latency;
mod media;
mod options;
mod output;
mod pay;
mod playlist;
mod report;
mod sheet;
pub(super) mod source;
mod split;
mod stream;
mod timeline;
pub(super) mod transport;
mod verify;
pub(super) mod workers;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) use self::options::read_ladder;

use super::Tool;

use self::client::{Job, StreamClient};
use self::options::{HELP, Input, Length, Options};
use self::output::Saver;
use self::pay::wallet::{Wallet, WalletError};
use self::report::{Intent, Report};
use self::sheet::SheetPlan;
use self::source::Source;
use self::stream::{Ended, Pace, Stream};
use self::transport::Transport;
use self::verify::{Check, Findings, Verifier};
use self::workers::LocalWorkers;

/// Delivered segments that may wait to be checked.
const UNCHECKED: usize = 64;

/// Bars drawn at once.
const BARS: usize = 16;

/// Pushes; exit code 0 when every segment was delivered and verified, 1 when not, 2 for wrong options.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let tool = Tool {
        name: "push",
        help: &HELP,
        read: Options::read,
        verbosity: |options| options.verbosity,
    };
    tool.run(arguments, async |options| {
        Ok::<_, PushError>(push(options).await?.ok)
    })
}

/// Why nothing was pushed.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error(transparent)]
    Source(#[from] source::SourceError),
    #[error(transparent)]
    Transport(#[from] crate::dial::DialError),
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error("no session with {orchestrator}: {source}")]
    Begin {
        orchestrator: String,
        source: client::ClientError,
    },
    #[error(transparent)]
    Worker(#[from] workers::WorkerError),
    #[error("cannot make folders below {folder}: {source}")]
    Folder {
        folder: String,
        source: std::io::Error,
    },
}

async fn push(options: &Options) -> Result<Report, PushError> {
    let source = Arc::new(match &options.input {
        Input::Path(path) => Source::open(path)?,
        Input::Tiny => Source::tiny()?,
    });
    let count = match options.length {
        Length::Passes(passes) => source.len().saturating_mul(passes),
        Length::Segments(count) => count,
        Length::Time(time) => source
            .count_for(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
            .max(1),
    };
    let wallet = match &options.pay {
        Some(pay) => Some(Box::pin(Wallet::open(pay)).await?),
        None => None,
    };
    let checker = Checker::start(options, &source, count).await?;
    let stop = CancellationToken::new();
    let interrupted = tokio::spawn(stop_at_interrupt(stop.clone()));
    let streams = begin(options, &source, count, wallet.as_ref(), &checker, &stop).await?;
    let begun = Instant::now();
    let ended = join_all(streams.into_iter().map(|stream| tokio::spawn(stream.run()))).await;
    let wall_s = begun.elapsed().as_secs_f64();
    interrupted.abort();
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for ended in ended {
        let Ended {
            records: of_stream,
            fault,
        } = ended.unwrap_or_else(|error| Ended {
            fault: Some(error.to_string()),
            ..Ended::default()
        });
        records.extend(of_stream);
        faults.extend(fault);
    }
    if stop.is_cancelled() {
        faults.push("stopped by an interrupt: what was not sent counts as lost".to_owned());
    }
    let findings = checker.finish().await;
    if let (Some(path), Some(findings)) = (&options.contact_sheet, &findings)
        && let Err(error) = sheet::write(path, &findings.pictures)
    {
        faults.push(error.to_string());
    }
    let intent = Intent {
        profiles: &options.profiles,
        streams: options.streams,
        count,
        wall_s,
    };
    let payments = match wallet {
        Some(wallet) => Box::pin(wallet.statements()).await?,
        None => Vec::new(),
    };
    let report = Report {
        payments,
        ..Report::new(
            intent,
            records,
            findings.as_ref().filter(|_| options.verify),
            faults,
        )
    };
    print(options, &report);
    Ok(report)
}

/// Prepares all streams; each has found the orchestrator.
async fn begin(
    options: &Options,
    source: &Arc<Source>,
    count: usize,
    wallet: Option<&Wallet>,
    checker: &Checker,
    stop: &CancellationToken,
) -> Result<Vec<Stream>, PushError> {
    let transport = Transport::new()?;
    let demand = source.demand(&options.profiles)?;
    let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let base = options
        .name
        .clone()
        .unwrap_or_else(|| format!("push-{:08x}", rand::random::<u32>()));
    let mut streams = Vec::with_capacity(options.streams);
    for n in 0..options.streams {
        let manifest_id = if options.streams == 1 {
            base.clone()
        } else {
            format!("{base}-{n}")
        };
        let saver = options.out.as_ref().map(|folder| {
            Saver::new(folder, &manifest_id, &options.profiles).map_err(|source| {
                PushError::Folder {
                    folder: folder.display().to_string(),
                    source,
                }
            })
        });
        let job = Job {
            orchestrator: options.orchestrator.clone(),
            manifest_id: manifest_id.clone(),
            profiles: options.profiles.clone(),
            demand: demand.clone(),
            attempts: options.attempts,
            refresh: options.refresh,
            payer: wallet.and_then(|wallet| wallet.payer(n)),
        };
        let client = StreamClient::new(transport.clone(), job);
        client.begin().await.map_err(|source| PushError::Begin {
            orchestrator: options.orchestrator.clone(),
            source,
        })?;
        let delay = options
            .stagger
            .saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        streams.push(Stream {
            pace: Pace {
                stream: n,
                count,
                live: options.live,
                delay,
                in_flight: options.in_flight,
            },
            client: Arc::new(client),
            source: Arc::clone(source),
            saver: saver.transpose()?,
            checks: checker.inbox.clone(),
            bar: bar(&bars, n, count, manifest_id),
            stop: stop.clone(),
        });
    }
    Ok(streams)
}

fn bar(bars: &MultiProgress, n: usize, count: usize, name: String) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    if n >= BARS {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        return bar;
    }
    let style = ProgressStyle::with_template(
        "{prefix:<20!} {wide_bar} {pos}/{len} segments {elapsed} {msg}",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(name);
    bars.add(bar)
}

/// The verifier beside the streams, if one is needed.
struct Checker {
    inbox: Option<mpsc::Sender<Check>>,
    verifier: Option<JoinHandle<Findings>>,
}

impl Checker {
    async fn start(
        options: &Options,
        source: &Arc<Source>,
        count: usize,
    ) -> Result<Self, PushError> {
        if !options.verify && options.contact_sheet.is_none() {
            return Ok(Self {
                inbox: None,
                verifier: None,
            });
        }
        let workers = LocalWorkers::prepare(options.worker_binary.as_deref()).await?;
        let sheet = options
            .contact_sheet
            .as_ref()
            .map(|_| SheetPlan::new(count));
        let verifier = Verifier::new(
            Arc::clone(source),
            options.profiles.clone(),
            workers,
            options.verify,
            sheet,
        );
        let (inbox, checks) = mpsc::channel(UNCHECKED);
        Ok(Self {
            inbox: Some(inbox),
            verifier: Some(tokio::spawn(verifier.run(checks))),
        })
    }

    /// Waits for the last check.
    async fn finish(self) -> Option<Findings> {
        drop(self.inbox);
        let broken = |error: tokio::task::JoinError| Findings {
            faults: vec![format!("verifier broke: {error}")],
            ..Findings::default()
        };
        Some(self.verifier?.await.unwrap_or_else(broken))
    }
}

/// The first interrupt stops the streams, so that sessions are ended and the report is printed.
async fn stop_at_interrupt(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
}

fn print(options: &Options, report: &Report) {
    if options.json {
        // Plain data; it cannot fail.
        let json = serde_json::to_string_pretty(report).unwrap_or_default();
        super::print(&(json + "\n"));
        return;
    }
    super::print(&report.text());
    if let Some(folder) = &options.out {
        super::print(&format!("renditions and playlists: {}\n", folder.display()));
    }
    if let Some(path) = options.contact_sheet.as_ref().filter(|path| path.is_file()) {
        super::print(&format!(
            "contact sheet: {} (rows: the source, then the renditions in their order)\n",
            path.display()
        ));
    }
}
