//! `orchestrion bench`: how many streams this machine transcodes in real time. Drives workers as the node does, one process per
//! session, without a network; flags and figures are those of `livepeer_bench`, so that numbers compare.

mod options;
mod report;
mod session;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::mpsc;

use self::options::{HELP, Options};
use self::report::{PassReport, settings_table};
use self::session::{Measured, Session};
use super::Tool;
use super::push::source::Source;
use super::push::workers::{LocalWorkers, WorkerError};

/// Rows that may wait to be printed.
const ROWS: usize = 64;

/// Measures; exit code 0 when every segment was transcoded, 1 when not, 2 for wrong options.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let tool = Tool {
        name: "bench",
        help: HELP,
        read: Options::read,
        verbosity: |options| options.verbosity,
    };
    tool.run(arguments, async |options| {
        let passes = bench(options).await?;
        Ok::<_, BenchError>(passes.iter().all(|pass| pass.failed == 0))
    })
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Source(#[from] super::push::source::SourceError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

async fn bench(options: &Options) -> Result<Vec<PassReport>, BenchError> {
    let source = Arc::new(Source::open(&options.input)?);
    let workers = Arc::new(LocalWorkers::prepare(options.worker_binary.as_deref()).await?);
    eprintln!("{}", settings_table(options));
    if !options.json {
        super::print("timestamp,session,segment,seg_dur,transcode_time,frames\n");
    }
    let mut passes = Vec::with_capacity(options.repeat.min(1 << 10));
    for _ in 0..options.repeat {
        let report = pass(options, &source, &workers).await;
        eprintln!("{}", report.table());
        passes.push(report);
    }
    if options.json {
        // Plain data; it cannot fail.
        let json = serde_json::to_string_pretty(&passes).unwrap_or_default();
        super::print(&(json + "\n"));
    }
    Ok(passes)
}

/// One pass of all sessions over the input.
async fn pass(options: &Options, source: &Arc<Source>, workers: &Arc<LocalWorkers>) -> PassReport {
    let count = if options.segments == 0 {
        source.len()
    } else {
        options.segments.min(source.len())
    };
    let (rows, mut printed) = mpsc::channel::<Measured>(ROWS);
    for number in 0..options.sessions {
        let session = Session {
            number,
            count,
            delay: options
                .delay
                .saturating_mul(u32::try_from(number).unwrap_or(u32::MAX)),
            live: options.live,
            source: Arc::clone(source),
            workers: Arc::clone(workers),
            profiles: options.profiles.clone(),
            encoder: options.encoder_of(number),
            out_prefix: options.out_prefix.clone(),
            sign: options.sign,
            rows: rows.clone(),
        };
        tokio::spawn(session.run());
    }
    drop(rows);
    let mut all = Vec::new();
    while let Some(row) = printed.recv().await {
        if !options.json && row.error.is_none() {
            // A reader that has gone away does not end the measurement.
            let _ = writeln!(std::io::stdout(), "{}", row.csv());
        }
        if let Some(error) = &row.error {
            eprintln!("session {}, segment {}: {error}", row.session, row.segment);
        }
        all.push(row);
    }
    PassReport::new(options.sessions, &all)
}
