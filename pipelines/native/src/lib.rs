//! AI models that run in the worker process itself, without Python: candle on the processor, or on a card where the build
//! has CUDA.
//!
//! One architecture is one file. Requests and answers are those of the runner's HTTP interface, media as data URLs, so that
//! a native model, a container and an outside runner cannot be told apart by what they say.

mod audio;
mod inspect;
mod llm;
mod locate;
mod picture;
mod upscale;
mod whisper;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use candle_core::Device;
use host::job::{Blame, JobError, ModelSettings};
use host::worker::{Chunks, Unwanted};
use serde_json::{Map, Value};

pub use inspect::inspect;

/// Takes the parts of a streamed answer.
pub trait Parts: Sync {
    /// Hands on the next part. An error says that nobody waits any more: stop.
    fn send(&self, part: &Value) -> Result<(), Unwanted>;

    /// The same question without a part, for between two steps of a long computation.
    fn check(&self) -> Result<(), Unwanted>;
}

impl Parts for Chunks {
    fn send(&self, part: &Value) -> Result<(), Unwanted> {
        Self::send(self, part.to_string().as_bytes())
    }

    fn check(&self) -> Result<(), Unwanted> {
        Self::check(self)
    }
}

/// What is asked of a model.
pub struct Request<'r> {
    /// Fields by name, as gateways send them; absent ones take the defaults.
    pub fields: &'r Map<String, Value>,
    /// The picture or recording; empty where the pipeline takes none.
    pub file: &'r [u8],
    /// Where the parts of a streamed answer go.
    pub parts: &'r dyn Parts,
}

/// A loaded model. Several requests may run at once.
pub trait Model: Send + Sync {
    /// Answers a request; may take seconds. For a streamed answer the parts went before, and what is returned is ignored.
    ///
    /// # Errors
    /// Bad input is blamed on the input, everything else on the worker.
    fn run(&self, request: &Request<'_>) -> Result<Value, JobError>;
}

/// Why a model cannot be loaded. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// No architecture for this pipeline.
    #[error(
        "no native model for pipeline {0}; natively run audio-to-text, llm, upscale: leave out \"runner\": \"native\" in its entry of -aiModels"
    )]
    Pipeline(String),
    /// Weights of another architecture.
    #[error("{path} holds architecture {found:?}; natively runs {known}: serve it by a container")]
    Architecture {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What would do.
        known: &'static str,
    },
    /// Nothing to load.
    #[error("{path} holds no weights for pipeline {pipeline}: {wanted}")]
    Empty {
        /// Where they were looked for.
        path: PathBuf,
        /// For what.
        pipeline: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// A file cannot be read.
    #[error("{path}: {source}; may the node's user read it?")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("{path} cannot be used as weights: {detail}; fetch it again")]
    Weights {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The card cannot be used.
    #[error("{0}")]
    Device(String),
}

impl NativeError {
    fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    fn weights(path: &Path, error: impl Display) -> Self {
        Self::Weights {
            path: path.to_owned(),
            detail: error.to_string(),
        }
    }
}

/// Loads the model that `settings` name.
///
/// # Errors
/// [`NativeError`], for the operator.
pub fn load(settings: &ModelSettings) -> Result<Box<dyn Model>, NativeError> {
    let device = device(&settings.device)?;
    match settings.pipeline.as_str() {
        "llm" => {
            let file = locate::gguf(&settings.path)?;
            Ok(Box::new(llm::load(&file, &settings.model_id, &device)?))
        }
        "audio-to-text" => whisper::load(settings),
        "upscale" => Ok(Box::new(upscale::load(&settings.path, device)?)),
        other => Err(NativeError::Pipeline(other.to_owned())),
    }
}

fn device(wanted: &host::job::Device) -> Result<Device, NativeError> {
    match wanted {
        host::job::Device::Cpu => Ok(Device::Cpu),
        host::job::Device::Nvidia(index) => Device::new_cuda(*index as usize).map_err(|error| {
            NativeError::Device(format!(
                "card {index} cannot be used: {error}; build with --features cuda, or leave out -nvidia"
            ))
        }),
    }
}

/// A request that no other runner would answer either.
fn refused(text: impl Into<String>) -> JobError {
    let text = text.into();
    JobError {
        detail: text.clone(),
        text,
        blame: Blame::Input,
    }
}

/// A failure of this process.
fn unable(error: impl Display) -> JobError {
    JobError {
        text: "the model failed".into(),
        detail: error.to_string(),
        blame: Blame::Worker,
    }
}
