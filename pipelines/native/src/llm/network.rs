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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use candle_core::quantized::gguf_file::{Value, write};
    use candle_core::quantized::{GgmlDType, QTensor};
    use rand::{Rng, SeedableRng};

    use super::*;

    const WIDTH: usize = 64;
    const INNER: usize = 128;
    const VOCABULARY: usize = 100;

    /// A network of random weights with two layers, four heads and two kept ones, in a file.
    fn file(kind: GgmlDType) -> Cursor<Vec<u8>> {
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        let mut tensors = Vec::new();
        let mut add = |name: String, rows: usize, columns: usize, kind: GgmlDType| {
            let near = if rows == 1 { 1.0 } else { 0.0 };
            let numbers = (0..rows * columns).map(|_| near + random.random_range(-0.2..0.2));
            let numbers: Vec<f32> = numbers.collect();
            let shape = if rows == 1 {
                vec![columns]
            } else {
                vec![rows, columns]
            };
            let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap();
            tensors.push((name, QTensor::quantize(&tensor, kind).unwrap()));
        };
        for block in 0..2 {
            let mut inside = |name: &str, rows, columns, kind| {
                add(format!("blk.{block}.{name}.weight"), rows, columns, kind);
            };
            inside("attn_norm", 1, WIDTH, GgmlDType::F32);
            inside("ffn_norm", 1, WIDTH, GgmlDType::F32);
            inside("attn_q", WIDTH, WIDTH, kind);
            inside("attn_k", WIDTH / 2, WIDTH, kind);
            inside("attn_v", WIDTH / 2, WIDTH, kind);
            inside("attn_output", WIDTH, WIDTH, kind);
            inside("ffn_gate", INNER, WIDTH, kind);
            inside("ffn_up", INNER, WIDTH, kind);
            inside("ffn_down", WIDTH, INNER, kind);
        }
        add(
            "token_embd.weight".into(),
            VOCABULARY,
            WIDTH,
            GgmlDType::Q8_0,
        );
        add("output_norm.weight".into(), 1, WIDTH, GgmlDType::F32);
        add("output.weight".into(), VOCABULARY, WIDTH, kind);
        let metadata = [
            ("general.architecture", Value::String("llama".into())),
            ("llama.attention.head_count", Value::U32(4)),
            ("llama.attention.head_count_kv", Value::U32(2)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("llama.block_count", Value::U32(2)),
            ("llama.embedding_length", Value::U32(WIDTH as u32)),
            ("llama.rope.dimension_count", Value::U32(16)),
        ];
        let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
        let tensors: Vec<_> = tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        let mut file = Cursor::new(Vec::new());
        write(&mut file, &metadata, &tensors).unwrap();
        file.set_position(0);
        file
    }

    fn logits(network: &Network, conversation: &mut Conversation, tokens: &[u32]) -> Vec<f32> {
        let logits = network.forward(conversation, tokens).unwrap();
        logits.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn both_networks_compute_the_same() {
        for kind in [
            GgmlDType::Q4_0,
            GgmlDType::Q4_1,
            GgmlDType::Q8_0,
            GgmlDType::F32,
        ] {
            let mut reader = file(kind);
            let content = Content::read(&mut reader).unwrap();
            let ours = Network::read(content, &mut reader, &Device::Cpu).unwrap();
            assert!(matches!(ours, Network::Processor(_)));
            let mut reader = file(kind);
            let content = Content::read(&mut reader).unwrap();
            let weights = ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
            let theirs = Network::Library(Box::new(weights), Device::Cpu);
            let (mut here, mut there) = (ours.conversation(), theirs.conversation());
            // A prompt, an answer's token, and several more upon what was kept.
            for tokens in [&[1, 50, 99, 7, 7, 3, 20][..], &[42], &[5, 6, 8]] {
                let mine = logits(&ours, &mut here, tokens);
                let other = logits(&theirs, &mut there, tokens);
                assert_eq!(mine.len(), VOCABULARY);
                let norm = |numbers: &mut dyn Iterator<Item = f32>| {
                    numbers.map(|one| one * one).sum::<f32>().sqrt()
                };
                let off = norm(&mut mine.iter().zip(&other).map(|(mine, other)| mine - other));
                let off = off / norm(&mut other.iter().copied());
                // activations are rounded to eight bits, on either side in another way
                assert!(off < 0.04, "{kind:?}: off by {off}");
            }
        }
    }

    #[test]
    fn a_broken_file_is_an_error_and_no_panic() {
        let whole = file(GgmlDType::Q4_1).into_inner();
        let content = |bytes: &[u8]| Content::read(&mut Cursor::new(bytes)).unwrap();
        let read = |content: Content, bytes: &[u8]| {
            Network::read(content, &mut Cursor::new(bytes), &Device::Cpu)
        };
        assert!(read(content(&whole), &whole).is_ok());
        let half = &whole[..whole.len() / 2];
        assert!(read(content(&whole), half).is_err(), "half of the weights");
        for (key, value) in [
            ("llama.attention.head_count", Value::U32(0)),
            ("llama.attention.head_count", Value::U32(3)),
            ("llama.attention.head_count_kv", Value::U32(3)),
            ("llama.attention.key_length", Value::U32(u32::MAX)),
            ("llama.block_count", Value::U32(u32::MAX)),
            ("llama.block_count", Value::U32(0)),
        ] {
            let mut wrong = content(&whole);
            wrong.metadata.insert(key.into(), value.clone());
            assert!(read(wrong, &whole).is_err(), "{key} {value:?}");
        }
        for gone in [
            "token_embd.weight",
            "blk.1.ffn_up.weight",
            "output_norm.weight",
        ] {
            let mut wrong = content(&whole);
            wrong.tensor_infos.remove(gone);
            assert!(read(wrong, &whole).is_err(), "without {gone}");
        }
        let mut wrong = content(&whole);
        let bias = wrong.tensor_infos.remove("output_norm.weight").unwrap();
        wrong.tensor_infos.insert("blk.0.attn_q.bias".into(), bias);
        assert!(read(wrong, &whole).is_err(), "another architecture");
    }
}
