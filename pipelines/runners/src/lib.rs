//! What answers AI requests, seen from the daemon: one trait, and behind it a container, an outside URL, or a native model
//! in a sandboxed worker process.
//!
//! Knows neither gateways nor wei. Whoever owns a runner decides when it is started, asked and given up.

pub mod containers;
pub mod events;
pub mod http;
pub mod installed;
pub mod launch;
pub mod native;

use async_trait::async_trait;
use bytes::Bytes;
use protocol::ai::{AiRequest, Pipeline};
use protocol::pb;
use serde_json::Value;
use tokio::sync::mpsc;

/// Parts of a streamed answer that may wait for a slow reader before the runner has to.
pub const PARTS_AHEAD: usize = 16;

/// One request and its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The fields.
    pub ask: AiRequest,
    /// Picture or recording, where the pipeline takes one.
    pub file: Option<File>,
}

/// The file of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Name that the client gave it.
    pub name: String,
    /// Its content.
    pub bytes: Bytes,
}

/// What a runner says.
#[derive(Debug)]
pub enum Answer {
    /// All at once: JSON in the runner's form, media inside as data URLs.
    Whole(Value),
    /// As it comes. The end of the channel without an error is the end of the answer. Dropping the receiver stops the runner.
    Parts(mpsc::Receiver<Result<Value, RunError>>),
}

/// How a runner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers requests.
    Ok,
    /// It lives, and loads its model.
    Loading,
    /// It says that it cannot.
    Error,
}

/// What a runner tells about itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Its version; `0.0.0` when it does not say.
    pub version: String,
    /// Cards that it uses.
    pub hardware: Option<pb::HardwareInformation>,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The runner refused or failed, with an HTTP status and a message.
    #[error("{}", returned(*.pipeline, *.status, .message))]
    Returned {
        /// Whose label the text carries.
        pipeline: Pipeline,
        /// Its status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// It could not be reached, or broke off.
    #[error("{pipeline} runner did not answer: {detail}")]
    Broken {
        /// Which pipeline.
        pipeline: Pipeline,
        /// What happened.
        detail: String,
    },
    /// Its answer has no use.
    #[error("{pipeline} runner gave an answer that cannot be used: {detail}")]
    Garbage {
        /// Which pipeline.
        pipeline: Pipeline,
        /// What is wrong with it.
        detail: String,
    },
    /// It took too long.
    #[error("{pipeline} runner did not answer in time")]
    Late {
        /// Which pipeline.
        pipeline: Pipeline,
    },
}

impl RunError {
    /// Whether the request itself was refused, so that no other runner would do better.
    pub fn blames_request(&self) -> bool {
        matches!(
            self,
            Self::Returned {
                status: 400..=499,
                ..
            }
        )
    }
}

/// The text that gateways match: they tell a client what follows `returned 400: `.
fn returned(pipeline: Pipeline, status: u16, message: &str) -> String {
    format!(
        "{} container returned {status}: {message}",
        pipeline.label()
    )
}

/// Answers requests of one pipeline with one model.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Runs one request. Dropping the future stops it.
    async fn run(&self, request: Request) -> Result<Answer, RunError>;

    /// How it is; an error when it does not say in a few seconds.
    async fn health(&self) -> Result<Health, RunError>;

    /// What it tells about itself; asked once, when it has become healthy.
    async fn facts(&self) -> Facts;
}
