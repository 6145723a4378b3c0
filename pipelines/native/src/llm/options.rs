//! What a chat request asks for, with the defaults of runners.

use candle_transformers::generation::{LogitsProcessor, Sampling};
use host::job::JobError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::refused;

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) content: String,
}

/// The fields of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Fields {
    messages: Vec<Message>,
    max_tokens: i64,
    temperature: f64,
    top_p: f64,
    top_k: i64,
    stream: bool,
    seed: Option<i64>,
    stop: Option<Stop>,
}

/// Where an answer stops: one text or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Several(Vec<String>),
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            max_tokens: 256,
            temperature: 0.7,
            top_p: 1.0,
            top_k: -1,
            stream: false,
            seed: None,
            stop: None,
        }
    }
}

/// A request that makes sense.
pub(super) struct Options {
    pub(super) messages: Vec<Message>,
    /// Most tokens of the answer, at least 1.
    pub(super) max_tokens: usize,
    pub(super) stream: bool,
    pub(super) stop: Vec<String>,
    seed: u64,
    sampling: Sampling,
}

impl Options {
    pub(super) fn read(fields: &Map<String, Value>) -> Result<Self, JobError> {
        let fields: Fields = serde_json::from_value(Value::Object(fields.clone()))
            .map_err(|error| refused(error.to_string()))?;
        if fields.messages.is_empty() {
            return Err(refused("messages is missing or empty"));
        }
        let max_tokens = usize::try_from(fields.max_tokens).unwrap_or(0);
        if max_tokens == 0 {
            return Err(refused("max_tokens must be 1 or more"));
        }
        if !(0.0..=100.0).contains(&fields.temperature) {
            return Err(refused("temperature must be 0 to 100"));
        }
        if !(fields.top_p > 0.0 && fields.top_p <= 1.0) {
            return Err(refused("top_p must be above 0, and 1 at most"));
        }
        let stop = match fields.stop {
            None => Vec::new(),
            Some(Stop::One(text)) => vec![text],
            Some(Stop::Several(texts)) => texts,
        };
        Ok(Self {
            messages: fields.messages,
            max_tokens,
            stream: fields.stream,
            stop: stop.into_iter().filter(|text| !text.is_empty()).collect(),
            seed: match fields.seed {
                Some(seed) => seed.cast_unsigned(),
                None => rand::random(),
            },
            sampling: sampling(fields.temperature, fields.top_k, fields.top_p),
        })
    }

    pub(super) fn sampler(&self) -> LogitsProcessor {
        LogitsProcessor::from_sampling(self.seed, self.sampling.clone())
    }
}

/// Temperature 0 takes the likeliest token; `top_k` below 1 and `top_p` 1 bound nothing.
fn sampling(temperature: f64, top_k: i64, top_p: f64) -> Sampling {
    if temperature < 1e-7 {
        return Sampling::ArgMax;
    }
    match (usize::try_from(top_k).unwrap_or(0), top_p) {
        (0, 1.0) => Sampling::All { temperature },
        (0, p) => Sampling::TopP { p, temperature },
        (k, 1.0) => Sampling::TopK { k, temperature },
        (k, p) => Sampling::TopKThenTopP { k, p, temperature },
    }
}
