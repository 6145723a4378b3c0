//! Language models of the Llama family in GGUF files: chat template, streaming, sampling, truthful token counts.
//!
//! Requests that run at once share the weights; each has a cache of its own, and they take turns step by step, in the order
//! in which they asked.

mod chat;
mod dialect;
mod generate;
mod network;
mod options;
mod processor;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use candle_transformers::models::quantized_llama::MAX_SEQ_LEN;
use host::job::JobError;
use parking_lot::FairMutex;
use serde_json::{Value, json};

use self::chat::ChatTemplate;
use self::dialect::Dialect;
use self::generate::{Generation, Step};
use self::network::Network;
use self::options::Options;
use crate::{Model, NativeError, Request, refused, unable};

pub(crate) use self::network::is_own;
pub(crate) use self::processor::size;

/// Weights and tokenizer.
pub(crate) struct Llm {
    network: Network,
    dialect: Dialect,
    template: ChatTemplate,
    /// Tokens that prompt and answer may have together.
    context: usize,
    model_id: String,
    /// Whose step it is.
    turn: FairMutex<()>,
}

/// Reads a GGUF file.
pub(crate) fn load(path: &Path, model_id: &str, device: &Device) -> Result<Llm, NativeError> {
    let broken = |error: candle_core::Error| NativeError::weights(path, error);
    let file = File::open(path).map_err(|error| NativeError::file(path, error))?;
    let mut reader = BufReader::new(file);
    let content = Content::read(&mut reader).map_err(broken)?;
    let text = |key: &str| {
        let value = content.metadata.get(key)?;
        value.to_string().ok().cloned()
    };
    let architecture = text("general.architecture").unwrap_or_default();
    if architecture != "llama" {
        return Err(NativeError::Architecture {
            path: path.to_owned(),
            found: architecture,
            known: "llama",
        });
    }
    let dialect = Dialect::read(&content, path)?;
    let template = ChatTemplate::new(text("tokenizer.chat_template"), &dialect)
        .map_err(|error| NativeError::weights(path, error))?;
    let length = content.metadata.get("llama.context_length");
    let context = length.and_then(|length| length.to_u32().ok());
    let context = context.map_or(MAX_SEQ_LEN, |context| context as usize);
    let network = Network::read(content, &mut reader, device).map_err(broken)?;
    Ok(Llm {
        network,
        dialect,
        template,
        context: context.min(MAX_SEQ_LEN),
        model_id: model_id.to_owned(),
        turn: FairMutex::new(()),
    })
}

impl Model for Llm {
    fn run(&self, request: &Request<'_>) -> Result<Value, JobError> {
        let options = Options::read(request.fields)?;
        let prompt = self.template.render(&options.messages);
        let prompt = prompt.map_err(|error| {
            refused(format!(
                "the model's chat template refuses the messages: {error}"
            ))
        })?;
        let prompt = self.dialect.encode(&prompt).map_err(unable)?;
        let room = self.context.saturating_sub(prompt.len());
        if room == 0 {
            return Err(refused(format!(
                "the messages have {} tokens, the model takes {} with its answer",
                prompt.len(),
                self.context
            )));
        }
        let head = Head {
            id: format!("chatcmpl-{:016x}", rand::random::<u64>()),
            model: self.model_id.clone(),
            created: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            prompt_tokens: prompt.len(),
        };
        let most = options.max_tokens.min(room);
        let mut generation = Generation::new(self, prompt, most, &options);
        let mut whole = String::new();
        loop {
            let step = generation.step(self, request.parts)?;
            let (text, finish) = match &step {
                Step::Text(text) => (text.as_str(), None),
                Step::End(text, finish) => (text.as_str(), Some(*finish)),
            };
            if options.stream {
                if !text.is_empty() || finish.is_some() {
                    let part = head.part(text, finish, generation.tokens());
                    request.parts.send(&part).map_err(unable)?;
                }
            } else {
                whole.push_str(text);
            }
            if let Some(finish) = finish {
                return Ok(head.whole(&whole, finish, generation.tokens()));
            }
        }
    }
}

/// What all parts of an answer share.
struct Head {
    id: String,
    model: String,
    created: u64,
    prompt_tokens: usize,
}

impl Head {
    fn answer(&self, tokens: usize, choice: &Value) -> Value {
        json!({
            "id": self.id,
            "model": self.model,
            "created": self.created,
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": tokens,
                "total_tokens": self.prompt_tokens + tokens,
            },
            "choices": [choice],
        })
    }

    fn part(&self, text: &str, finish: Option<&str>, tokens: usize) -> Value {
        let delta = json!({ "role": "assistant", "content": text });
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish.unwrap_or("") });
        self.answer(tokens, &choice)
    }

    fn whole(&self, text: &str, finish: &str, tokens: usize) -> Value {
        let message = json!({ "role": "assistant", "content": text });
        let choice = json!({ "index": 0, "message": message, "finish_reason": finish });
        self.answer(tokens, &choice)
    }
}
