//! Data directory, log, worker program and metrics.

use super::Reader;
use serde::Serialize;
use std::path::PathBuf;

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// About the process itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Where certificate, keys and work files lie. Need not exist yet.
    pub data_dir: PathBuf,
    /// 1 errors, 2 warnings, 3 information, 4 and 5 debug, 6 and above everything.
    pub verbosity: u8,
    /// Form of the log lines.
    pub log_format: LogFormat,
    /// The worker program; `None` means the one beside the daemon.
    pub worker_binary: Option<PathBuf>,
}

/// What is measured and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Monitoring {
    /// Collect metrics and serve them on the operator port.
    pub metrics: bool,
    /// Label metrics with the stream.
    pub per_stream: bool,
    /// Label metrics with the caller's address.
    pub client_ip: bool,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Program {
    Program {
        data_dir: data_dir(reader),
        verbosity: reader.number("v").unwrap_or(3),
        log_format: if reader.text("logFormat") == "json" {
            LogFormat::Json
        } else {
            LogFormat::Logfmt
        },
        worker_binary: reader.existing_file("workerBinary"),
    }
}

pub(super) fn data_dir(reader: &mut Reader<'_>) -> PathBuf {
    if let Some(path) = reader.path("dataDir") {
        if path.exists() && !path.is_dir() {
            reader.wrong(
                "dataDir",
                "is not a directory; give the path of a directory, which may be missing",
            );
        }
        return path;
    }
    let network = reader.text("network").to_owned();
    match reader
        .environment
        .get("HOME")
        .filter(|home| !home.is_empty())
    {
        Some(home) => PathBuf::from(home).join(".lpData").join(network),
        None => {
            reader.wrong("dataDir", "must be given, because HOME is not set");
            PathBuf::new()
        }
    }
}

pub(super) fn read_monitoring(reader: &Reader<'_>) -> Monitoring {
    let client_ip = reader.bool("metricsClientIP");
    Monitoring {
        metrics: reader.bool("monitor"),
        per_stream: reader.bool("metricsPerStream") || client_ip,
        client_ip,
    }
}
