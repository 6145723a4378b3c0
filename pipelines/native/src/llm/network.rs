//! Which network computes: our own on a processor, the library's on a card and for mixtures of experts.

use std::io::{Read, Seek};

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Result, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;

use super::processor::{self, Cache};

/// A network with its weights.
pub(super) enum Network {
    Processor(processor::Network),
    Library(Box<ModelWeights>, Device),
}

/// One conversation with a network.
pub(super) enum Conversation {
    Processor(Cache),
    /// A copy of the network that shares the weights, and how many tokens it has seen.
    Library(Box<ModelWeights>, usize),
}

/// Whether the processor's own network computes this file.
pub(crate) fn is_own(content: &Content, device: &Device) -> bool {
    let experts = content.metadata.get("llama.expert_count");
    let experts = experts.and_then(|count| count.to_u32().ok()).unwrap_or(0);
    device.is_cpu() && experts <= 1
}

impl Network {
    pub(super) fn read(
        content: Content,
        reader: &mut (impl Read + Seek),
        device: &Device,
    ) -> Result<Self> {
        if is_own(&content, device) {
            return processor::Network::read(&content, reader).map(Self::Processor);
        }
        let weights = ModelWeights::from_gguf(content, reader, device)?;
        Ok(Self::Library(Box::new(weights), device.clone()))
    }

    pub(super) fn conversation(&self) -> Conversation {
        match self {
            Self::Processor(_) => Conversation::Processor(Cache::default()),
            Self::Library(weights, _) => Conversation::Library(weights.clone(), 0),
        }
    }

    /// Goes on with `tokens`, at least one: the logits of what may follow.
    pub(super) fn forward(
        &self,
        conversation: &mut Conversation,
        tokens: &[u32],
    ) -> Result<Tensor> {
        match (self, conversation) {
            (Self::Processor(network), Conversation::Processor(cache)) => {
                let logits = network.forward(cache, tokens)?;
                let count = logits.len();
                Tensor::from_vec(logits, count, &Device::Cpu)
            }
            (Self::Library(_, device), Conversation::Library(weights, seen)) => {
                let input = Tensor::new(tokens, device)?.unsqueeze(0)?;
                let logits = weights.forward(&input, *seen)?.squeeze(0)?;
                *seen += tokens.len();
                Ok(logits)
            }
            _ => candle_core::bail!("the conversation is one with another network"),
        }
    }
}
