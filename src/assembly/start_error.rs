//! Why a node does not start, in one line each for the operator.

use std::path::PathBuf;

use crate::dial::DialError;
use crate::doors::operator;
use crate::doors::{SHORTEST, public};

/// Why the node did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("data directory {path}: {source}; give another with -dataDir")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another process uses the data directory.
    #[error(
        "data directory {0} is in use by another process; stop that one or give another with -dataDir"
    )]
    InUse(PathBuf),
    /// The worker binary is missing.
    #[error(
        "worker binary {0} is missing; install orchestrion-worker beside orchestrion or name it with -workerBinary"
    )]
    NoWorker(PathBuf),
    /// The worker cannot look at its media plugins.
    #[error(
        "the worker cannot list its media plugins: {0}; install the GStreamer packages that README.md names"
    )]
    Registry(std::io::Error),
    /// The machine cannot transcode H.264.
    #[error("the start-up test of H.264 failed: {0}")]
    SelfTest(String),
    /// Metrics.
    #[error(transparent)]
    Telemetry(#[from] telemetry::TelemetryError),
    /// The operator port.
    #[error(transparent)]
    Operator(#[from] operator::OperatorError),
    /// The public port.
    #[error("public port {address} cannot be opened: {source}; give another with -httpAddr")]
    Public {
        /// Where it was to listen.
        address: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The certificate of the public port.
    #[error(transparent)]
    Certificate(#[from] public::CertificateError),
    /// The clients of the public port.
    #[error(transparent)]
    Door(#[from] public::DoorError),
    /// Threads.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The operator's store.
    #[error("-objectStore makes no address of its bucket: {0}")]
    ObjectStore(#[from] rusty_s3::BucketError),
    /// Signals.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    /// The webhook cannot be asked.
    #[error("no HTTP client for -authWebhookUrl: {0}")]
    Webhook(String),
    /// Runners cannot be asked.
    #[error("no HTTP client for AI runners: {0}")]
    AiClient(reqwest::Error),
    /// Another node cannot be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The redeemer's token guards nothing.
    #[error(
        "-redeemerToken is too short: give {SHORTEST} printable characters or more, without blanks"
    )]
    RedeemerToken,
    /// The chain cannot be used.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] chain::keystore::KeystoreError),
    /// The transactions of the last run cannot be taken up.
    #[error(transparent)]
    Transactions(#[from] chain::transactions::TransactionError),
    /// The secrets of the last run cannot be read.
    #[error("the secrets in the database are unreadable ({0}); restore a back-up of the database")]
    Secrets(protocol::Error),
}
