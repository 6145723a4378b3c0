//! The network of Whisper: an encoder of sound, and a decoder of text that keeps what it computed for earlier tokens.
//!
//! The one in candle-transformers computes all earlier tokens again at each step, and hides its attention, which the times
//! of words need.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{
    Conv1d, Conv1dConfig, Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm,
    linear, linear_no_bias, ops::softmax_last_dim,
};

use super::config::Config;

/// Added to the variance in all normalisations.
const EPSILON: f64 = 1e-5;

/// Encoder and decoder.
pub(super) struct Network {
    encoder: Encoder,
    decoder: Decoder,
}

/// What the decoder keeps of one window: the sound, and the tokens so far.
#[derive(Clone)]
pub(super) struct Memory {
    layers: Vec<LayerMemory>,
    tokens: usize,
}

#[derive(Clone)]
struct LayerMemory {
    own: Option<KeysValues>,
    sound: KeysValues,
}

/// Each 1 × heads × positions × width of a head.
#[derive(Clone)]
struct KeysValues {
    keys: Tensor,
    values: Tensor,
}

impl Network {
    /// Takes the weights by the names of Hugging Face's files.
    pub(super) fn load(weights: &VarBuilder<'_>, config: &Config) -> Result<Self> {
        let weights = weights.pp("model");
        Ok(Self {
            encoder: Encoder::load(&weights.pp("encoder"), config)?,
            decoder: Decoder::load(&weights.pp("decoder"), config)?,
        })
    }

    /// Encodes a spectrogram of mel bins × frames; positions × width comes out, after a batch of 1.
    pub(super) fn encode(&self, spectrogram: &Tensor) -> Result<Tensor> {
        self.encoder.forward(&spectrogram.unsqueeze(0)?)
    }

    /// Starts a text about an encoded window.
    pub(super) fn listen(&self, encoded: &Tensor) -> Result<Memory> {
        let layers = self.decoder.layers.iter().map(|layer| {
            Ok(LayerMemory {
                own: None,
                sound: layer.sound.keys_values(encoded)?,
            })
        });
        Ok(Memory {
            layers: layers.collect::<Result<_>>()?,
            tokens: 0,
        })
    }

    /// Goes on with `tokens`; the logits of what may follow each of them: tokens × vocabulary.
    pub(super) fn read(&self, tokens: &[u32], memory: &mut Memory) -> Result<Tensor> {
        self.decoder.forward(tokens, memory, &mut |_, _| Ok(()))
    }

    /// As [`Self::read`], and hands the attention that each layer (its number first) pays to the sound to `see`:
    /// heads × tokens × positions.
    pub(super) fn read_seeing(
        &self,
        tokens: &[u32],
        memory: &mut Memory,
        see: &mut dyn FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.decoder.forward(tokens, memory, see)
    }
}

struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    fn load(weights: &VarBuilder<'_>, width: usize, heads: usize) -> Result<Self> {
        Ok(Self {
            query: linear(width, width, weights.pp("q_proj"))?,
            key: linear_no_bias(width, width, weights.pp("k_proj"))?,
            value: linear(width, width, weights.pp("v_proj"))?,
            out: linear(width, width, weights.pp("out_proj"))?,
            heads,
        })
    }

    /// 1 × positions × width, apart by heads.
    fn apart(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, positions, width) = x.dims3()?;
        x.reshape((batch, positions, self.heads, width / self.heads))?
            .transpose(1, 2)?
            .contiguous()
    }

    fn keys_values(&self, x: &Tensor) -> Result<KeysValues> {
        Ok(KeysValues {
            keys: self.apart(&self.key.forward(x)?)?,
            values: self.apart(&self.value.forward(x)?)?,
        })
    }

    /// The result, and how much each head looks where.
    fn forward(
        &self,
        x: &Tensor,
        known: &KeysValues,
        mask: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let query = self.apart(&self.query.forward(x)?)?;
        let width = query.dim(D::Minus1)?;
        let query = (query * (width as f64).powf(-0.5))?;
        let mut scores = query.matmul(&known.keys.t()?)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let looks = softmax_last_dim(&scores)?;
        let seen = looks
            .matmul(&known.values)?
            .transpose(1, 2)?
            .flatten_from(2)?;
        Ok((self.out.forward(&seen)?, looks))
    }
}

struct FeedForward {
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

impl FeedForward {
    fn load(weights: &VarBuilder<'_>, width: usize, inner: usize) -> Result<Self> {
        Ok(Self {
            norm: layer_norm(width, EPSILON, weights.pp("final_layer_norm"))?,
            up: linear(width, inner, weights.pp("fc1"))?,
            down: linear(inner, width, weights.pp("fc2"))?,
        })
    }

    fn add_to(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.up.forward(&self.norm.forward(x)?)?.gelu_erf()?;
        x + self.down.forward(&inner)?
    }
}

struct EncoderLayer {
    norm: LayerNorm,
    attention: Attention,
    feed_forward: FeedForward,
}

struct Encoder {
    first: Conv1d,
    second: Conv1d,
    positions: Tensor,
    layers: Vec<EncoderLayer>,
    norm: LayerNorm,
}

fn convolution(weights: &VarBuilder<'_>, from: usize, to: usize, stride: usize) -> Result<Conv1d> {
    let config = Conv1dConfig {
        padding: 1,
        stride,
        ..Conv1dConfig::default()
    };
    candle_nn::conv1d(from, to, 3, config, weights.clone())
}

impl Encoder {
    fn load(weights: &VarBuilder<'_>, config: &Config) -> Result<Self> {
        let width = config.d_model;
        let layers = (0..config.encoder_layers).map(|number| {
            let weights = weights.pp("layers").pp(number);
            let heads = config.encoder_attention_heads;
            Ok(EncoderLayer {
                norm: layer_norm(width, EPSILON, weights.pp("self_attn_layer_norm"))?,
                attention: Attention::load(&weights.pp("self_attn"), width, heads)?,
                feed_forward: FeedForward::load(&weights, width, config.encoder_ffn_dim)?,
            })
        });
        let shape = (config.max_source_positions, width);
        Ok(Self {
            first: convolution(&weights.pp("conv1"), config.num_mel_bins, width, 1)?,
            second: convolution(&weights.pp("conv2"), width, width, 2)?,
            positions: weights.get(shape, "embed_positions.weight")?,
            layers: layers.collect::<Result<_>>()?,
            norm: layer_norm(width, EPSILON, weights.pp("layer_norm"))?,
        })
    }

    fn forward(&self, spectrogram: &Tensor) -> Result<Tensor> {
        let x = self.first.forward(spectrogram)?.gelu_erf()?;
        let x = self.second.forward(&x)?.gelu_erf()?;
        let mut x = x.transpose(1, 2)?.broadcast_add(&self.positions)?;
        for layer in &self.layers {
            let input = layer.norm.forward(&x)?;
            let known = layer.attention.keys_values(&input)?;
            x = (x + layer.attention.forward(&input, &known, None)?.0)?;
            x = layer.feed_forward.add_to(&x)?;
        }
        self.norm.forward(&x)
    }
}

struct DecoderLayer {
    own_norm: LayerNorm,
    own: Attention,
    sound_norm: LayerNorm,
    sound: Attention,
    feed_forward: FeedForward,
}

struct Decoder {
    tokens: Embedding,
    positions: Tensor,
    layers: Vec<DecoderLayer>,
    norm: LayerNorm,
}

impl Decoder {
    fn load(weights: &VarBuilder<'_>, config: &Config) -> Result<Self> {
        let width = config.d_model;
        let layers = (0..config.decoder_layers).map(|number| {
            let weights = weights.pp("layers").pp(number);
            let heads = config.decoder_attention_heads;
            Ok(DecoderLayer {
                own_norm: layer_norm(width, EPSILON, weights.pp("self_attn_layer_norm"))?,
                own: Attention::load(&weights.pp("self_attn"), width, heads)?,
                sound_norm: layer_norm(width, EPSILON, weights.pp("encoder_attn_layer_norm"))?,
                sound: Attention::load(&weights.pp("encoder_attn"), width, heads)?,
                feed_forward: FeedForward::load(&weights, width, config.decoder_ffn_dim)?,
            })
        });
        let shape = (config.max_target_positions, width);
        Ok(Self {
            tokens: embedding(config.vocab_size, width, weights.pp("embed_tokens"))?,
            positions: weights.get(shape, "embed_positions.weight")?,
            layers: layers.collect::<Result<_>>()?,
            norm: layer_norm(width, EPSILON, weights.pp("layer_norm"))?,
        })
    }

    fn forward(
        &self,
        tokens: &[u32],
        memory: &mut Memory,
        see: &mut dyn FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let device = self.positions.device();
        let positions = self.positions.narrow(0, memory.tokens, tokens.len())?;
        let tokens_in = Tensor::new(tokens, device)?.unsqueeze(0)?;
        let mut x = self.tokens.forward(&tokens_in)?.broadcast_add(&positions)?;
        let mask = match tokens.len() {
            1 => None,
            many => Some(mask(memory.tokens, many, x.dtype(), device)?),
        };
        for (number, (layer, known)) in self.layers.iter().zip(&mut memory.layers).enumerate() {
            let input = layer.own_norm.forward(&x)?;
            let own = after(known.own.take(), layer.own.keys_values(&input)?)?;
            x = (x + layer.own.forward(&input, &own, mask.as_ref())?.0)?;
            known.own = Some(own);
            let input = layer.sound_norm.forward(&x)?;
            let (heard, looks) = layer.sound.forward(&input, &known.sound, None)?;
            see(number, looks.squeeze(0)?)?;
            x = (x + heard)?;
            x = layer.feed_forward.add_to(&x)?;
        }
        memory.tokens += tokens.len();
        let x = self.norm.forward(&x)?.squeeze(0)?;
        // what is read and what is written share their weights
        x.matmul(&self.tokens.embeddings().t()?)
    }
}

/// The earlier tokens and the new ones.
fn after(before: Option<KeysValues>, new: KeysValues) -> Result<KeysValues> {
    match before {
        None => Ok(new),
        Some(before) => Ok(KeysValues {
            keys: Tensor::cat(&[&before.keys, &new.keys], 2)?,
            values: Tensor::cat(&[&before.values, &new.values], 2)?,
        }),
    }
}

/// Hides from each of `new` tokens those after it; `before` tokens all see.
fn mask(before: usize, new: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = (0..new)
        .flat_map(|row| {
            (0..before + new).map(move |column| {
                if column > before + row {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
        })
        .collect();
    Tensor::from_vec(mask, (new, before + new), device)?.to_dtype(dtype)
}
