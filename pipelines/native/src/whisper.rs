//! Speech to text with Whisper, from weights as Hugging Face lays them out: `config.json`, `tokenizer.json`,
//! `model.safetensors` and, where there is one, `generation_config.json`.
//!
//! The recording is heard in windows of 30 s. Each starts where the last whole part of the text before it ended, so that no
//! word is cut. Requests that run at once share the weights and take turns step by step, in the order in which they asked.

mod config;
mod mel;
mod network;
mod rules;
mod segments;
mod transcribe;
mod vocabulary;
mod words;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use host::job::{JobError, ModelSettings};
use parking_lot::FairMutex;
use serde_json::{Map, Value, json};

use self::config::Config;
use self::mel::Mel;
use self::network::Network;
use self::transcribe::{Part, Transcription};
use self::vocabulary::Vocabulary;
use crate::{Model, NativeError, Request, audio, refused};

/// Weights and tokenizer.
pub(crate) struct Whisper {
    config: Config,
    network: Network,
    vocabulary: Vocabulary,
    mel: Mel,
    device: Device,
    /// Whose step it is.
    turn: FairMutex<()>,
}

/// Reads the weights that lie in the directory of `settings`.
///
/// # Errors
/// [`NativeError`], for the operator.
pub(crate) fn load(settings: &ModelSettings) -> Result<Box<dyn Model>, NativeError> {
    let device = crate::device(&settings.device)?;
    Ok(Box::new(Whisper::read(&settings.path, device)?))
}

/// What the weights in `directory` would take, without loading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes on disk.
    pub(crate) weights: u64,
    /// Bytes of the loaded weights.
    pub(crate) memory: u64,
    /// Bytes that each running request adds at most.
    pub(crate) per_request: u64,
}

/// Looks at the weights in `directory`.
///
/// # Errors
/// [`NativeError`] when they could not be loaded.
pub(crate) fn inspect(directory: &Path) -> Result<Size, NativeError> {
    let config = Config::read(directory)?;
    let path = weights(directory)?;
    let file = std::fs::metadata(&path).map_err(|error| NativeError::file(&path, error))?;
    Ok(Size {
        weights: file.len(),
        memory: config.parameters() * 4,
        per_request: config.activations() * 4 + audio::MEMORY,
    })
}

fn weights(directory: &Path) -> Result<PathBuf, NativeError> {
    let path = directory.join("model.safetensors");
    if path.is_file() {
        return Ok(path);
    }
    Err(NativeError::Empty {
        path: directory.to_owned(),
        pipeline: "audio-to-text".into(),
        wanted: "a file model.safetensors",
    })
}

impl Whisper {
    fn read(directory: &Path, device: Device) -> Result<Self, NativeError> {
        let config = Config::read(directory)?;
        let vocabulary = Vocabulary::read(directory, config.vocab_size)?;
        let path = weights(directory)?;
        let bytes = std::fs::read(&path).map_err(|error| NativeError::file(&path, error))?;
        let network = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &device)
            .and_then(|weights| Network::load(&weights, &config))
            .map_err(|error| NativeError::weights(&path, error))?;
        Ok(Self {
            mel: Mel::new(config.num_mel_bins),
            config,
            network,
            vocabulary,
            device,
            turn: FairMutex::new(()),
        })
    }
}

/// How finely the text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timestamps {
    /// Not at all.
    None,
    /// By sentences or what the model takes for them.
    Sentence,
    /// By words.
    Word,
}

impl Timestamps {
    fn read(fields: &Map<String, Value>) -> Result<Self, JobError> {
        let given = match fields.get("return_timestamps") {
            None | Some(Value::Null) => return Ok(Self::Sentence),
            Some(Value::String(text)) => text.to_lowercase(),
            Some(other) => other.to_string(),
        };
        match given.as_str() {
            "true" | "1" | "sentence" | "" => Ok(Self::Sentence),
            "word" => Ok(Self::Word),
            "false" | "0" => Ok(Self::None),
            other => Err(refused(format!(
                "return_timestamps is {other:?}; true, sentence, word and false are possible"
            ))),
        }
    }
}

impl Model for Whisper {
    fn run(&self, request: &Request<'_>) -> Result<Value, JobError> {
        let timestamps = Timestamps::read(request.fields)?;
        let samples = audio::decode(request.file, request.parts)?;
        let by_words = timestamps == Timestamps::Word;
        let mut transcription = Transcription::new(self, &samples, by_words, request.parts);
        let mut parts = Vec::new();
        while let Some(found) = transcription.window()? {
            parts.extend(found);
        }
        let text: String = parts.iter().map(|part: &Part| part.text.as_str()).collect();
        let chunks: Vec<Value> = match timestamps {
            Timestamps::None => Vec::new(),
            Timestamps::Sentence | Timestamps::Word => parts.iter().map(chunk).collect(),
        };
        Ok(json!({ "text": text, "chunks": chunks }))
    }
}

fn chunk(part: &Part) -> Value {
    json!({ "timestamp": [part.start, part.end], "text": part.text })
}
