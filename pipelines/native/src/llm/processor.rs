//! The Llama network on the processor (Touvron et al. 2023, with grouped-query attention), from the tensors of a GGUF file.
//!
//! The library's own network serves cards. On a processor it spends most of its time between the products of a small model
//! and unpacks four-bit weights one by one; this one keeps them packed as its products read them.

mod attention;
mod matrix;
mod tiles;

use std::io::{Read, Seek};

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Result, bail};
use rayon::prelude::*;

pub(crate) use self::matrix::size;

use self::attention::{Heads, Kept};
use self::matrix::Matrix;

/// A network's weights.
pub(super) struct Network {
    embeddings: Matrix,
    layers: Vec<Layer>,
    norm: Norm,
    /// None where the file has none: the embeddings serve for both.
    output: Option<Matrix>,
    heads: Heads,
    /// Radians per position of each pair of numbers in a head.
    turns: Vec<f32>,
}

struct Layer {
    attention_norm: Norm,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    attention_output: Matrix,
    norm: Norm,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

/// Root mean square norm.
struct Norm {
    weights: Vec<f32>,
    epsilon: f32,
}

/// What a conversation has said so far.
#[derive(Debug, Default)]
pub(super) struct Cache {
    layers: Vec<Kept>,
    /// Tokens.
    length: usize,
}

impl Network {
    /// Reads and packs the weights of a dense model.
    pub(super) fn read(content: &Content, reader: &mut (impl Read + Seek)) -> Result<Self> {
        if let Some(name) = content
            .tensor_infos
            .keys()
            .find(|name| name.ends_with(".bias"))
        {
            bail!("the tensor {name} is not one of the Llama architecture");
        }
        let number = |key: &str| match content.metadata.get(&format!("llama.{key}")) {
            Some(value) => value.to_u32().map(|value| value as usize),
            None => bail!("llama.{key} is missing in the metadata"),
        };
        let float = |key: &str| content.metadata.get(&format!("llama.{key}"));
        let float = |key: &str| float(key).and_then(|value| value.to_f32().ok());
        let epsilon = float("attention.layer_norm_rms_epsilon").unwrap_or(1e-5);
        let queries = number("attention.head_count")?;
        let kept = number("attention.head_count_kv").unwrap_or(queries);

        let mut tensor = |name: String| content.tensor(reader, &name, &Device::Cpu);
        let embeddings = Matrix::pack(&tensor("token_embd.weight".into())?)?;
        let width = embeddings.columns;
        let head = number("attention.key_length").unwrap_or(width / queries.max(1));
        if queries == 0 || kept == 0 || queries % kept != 0 || head == 0 {
            bail!("{queries} heads, {kept} with keys, of {head} numbers: no such network exists");
        }
        let mut vector = |name: String| -> Result<Vec<f32>> {
            tensor(name)?
                .dequantize(&Device::Cpu)?
                .flatten_all()?
                .to_vec1()
        };
        let mut layers = Vec::new();
        let mut norms = Vec::new();
        let blocks = number("block_count")?;
        if blocks == 0 {
            bail!("the network has no layers");
        }
        for block in 0..blocks {
            norms.push((
                vector(format!("blk.{block}.attn_norm.weight"))?,
                vector(format!("blk.{block}.ffn_norm.weight"))?,
            ));
        }
        let last = vector("output_norm.weight".into())?;
        let factors = match content.tensor_infos.contains_key("rope_freqs.weight") {
            true => Some(vector("rope_freqs.weight".into())?),
            false => None,
        };
        let norm = |weights: Vec<f32>| match weights.len() == width {
            true => Ok(Norm { weights, epsilon }),
            false => bail!("a norm has {} weights, not {width}", weights.len()),
        };
        let inner = match content.tensor_infos.get("blk.0.ffn_gate.weight") {
            Some(gate) => gate.shape.dims2()?.0,
            None => bail!("blk.0.ffn_gate.weight is missing"),
        };
        let mut matrix = |name: String, rows: usize, columns: usize| -> Result<Matrix> {
            let matrix = Matrix::pack(&tensor(name.clone())?)?;
            if (matrix.rows, matrix.columns) != (rows, columns) {
                bail!(
                    "{name} has {} x {} weights, not {rows} x {columns}",
                    matrix.rows,
                    matrix.columns
                );
            }
            Ok(matrix)
        };
        for (block, (attention_norm, ffn_norm)) in norms.into_iter().enumerate() {
            let mut matrix = |name: &str, rows, columns| {
                matrix(format!("blk.{block}.{name}.weight"), rows, columns)
            };
            layers.push(Layer {
                attention_norm: norm(attention_norm)?,
                query: matrix("attn_q", queries * head, width)?,
                key: matrix("attn_k", kept * head, width)?,
                value: matrix("attn_v", kept * head, width)?,
                attention_output: matrix("attn_output", width, queries * head)?,
                norm: norm(ffn_norm)?,
                gate: matrix("ffn_gate", inner, width)?,
                up: matrix("ffn_up", inner, width)?,
                down: matrix("ffn_down", width, inner)?,
            });
        }
        let output = match content.tensor_infos.contains_key("output.weight") {
            true => Some(matrix("output.weight".into(), embeddings.rows, width)?),
            false => None,
        };
        let turning = number("rope.dimension_count").unwrap_or(head).min(head);
        let base = float("rope.freq_base").unwrap_or(10_000.0);
        let turns = (0..turning / 2).map(|pair| {
            let turn = 1.0 / base.powf(2.0 * pair as f32 / turning as f32);
            // Llama 3.1 stretches the slow ones.
            let factor = factors.as_ref().and_then(|factors| factors.get(pair));
            turn / factor.copied().unwrap_or(1.0)
        });
        Ok(Self {
            turns: turns.collect(),
            embeddings,
            layers,
            norm: norm(last)?,
            output,
            heads: Heads {
                queries,
                kept,
                width: head,
            },
        })
    }

    /// Goes on with `tokens`: the logits of what may follow the last of them.
    ///
    /// Runs on a thread of the pool: the hundreds of small products of a step are handed out from there without a lock.
    pub(super) fn forward(&self, cache: &mut Cache, tokens: &[u32]) -> Result<Vec<f32>> {
        rayon::scope(|_| self.step(cache, tokens))
    }

    fn step(&self, cache: &mut Cache, tokens: &[u32]) -> Result<Vec<f32>> {
        let width = self.embeddings.columns;
        let position = cache.length;
        cache.layers.resize_with(self.layers.len(), Kept::default);
        let mut state = Vec::with_capacity(tokens.len() * width);
        for token in tokens {
            let token = *token as usize;
            if token >= self.embeddings.rows {
                bail!("token {token} of {} is not known", self.embeddings.rows);
            }
            state.extend(self.embeddings.row(token));
        }
        for (layer, kept) in self.layers.iter().zip(&mut cache.layers) {
            let normed = layer.attention_norm.of(&state);
            let mut queries = layer.query.times(&normed);
            let mut keys = layer.key.times(&normed);
            let values = layer.value.times(&normed);
            self.turn(&mut queries, self.heads.queries, position);
            self.turn(&mut keys, self.heads.kept, position);
            let each = self.heads.kept * self.heads.width;
            for (keys, values) in keys.chunks(each).zip(values.chunks(each)) {
                kept.push(&self.heads, keys, values);
            }
            let seen = kept.attend(&self.heads, &queries, position);
            add(&mut state, &layer.attention_output.times(&seen));

            let normed = layer.norm.of(&state);
            let mut gate = layer.gate.times(&normed);
            let up = layer.up.times(&normed);
            swish(&mut gate, &up);
            add(&mut state, &layer.down.times(&gate));
        }
        cache.length += tokens.len();
        let last = &state[state.len().saturating_sub(width)..];
        let output = self.output.as_ref().unwrap_or(&self.embeddings);
        Ok(output.times(&self.norm.of(last)))
    }

    /// Rotary embeddings (Su et al. 2021) of pairs that lie side by side, for tokens from `position` on.
    fn turn(&self, numbers: &mut [f32], heads: usize, position: usize) {
        for (token, numbers) in numbers.chunks_mut(heads * self.heads.width).enumerate() {
            let angle = (position + token) as f32;
            let turns: Vec<(f32, f32)> = self
                .turns
                .iter()
                .map(|turn| (angle * turn).sin_cos())
                .collect();
            for head in numbers.chunks_mut(self.heads.width) {
                for (pair, (sin, cos)) in head.chunks_exact_mut(2).zip(&turns) {
                    let (left, right) = (pair[0], pair[1]);
                    pair[0] = left * cos - right * sin;
                    pair[1] = left * sin + right * cos;
                }
            }
        }
    }
}

impl Norm {
    /// Of each column.
    fn of(&self, columns: &[f32]) -> Vec<f32> {
        let mut normed = Vec::with_capacity(columns.len());
        for column in columns.chunks(self.weights.len()) {
            let squares: f32 = column.iter().map(|number| number * number).sum();
            let scale = 1.0 / (squares / column.len() as f32 + self.epsilon).sqrt();
            let weighted = column.iter().zip(&self.weights);
            normed.extend(weighted.map(|(number, weight)| number * scale * weight));
        }
        normed
    }
}

fn add(state: &mut [f32], more: &[f32]) {
    for (state, more) in state.iter_mut().zip(more) {
        *state += more;
    }
}

/// SwiGLU (Shazeer 2020): the gate's `x * sigmoid(x)` times the other half.
fn swish(gate: &mut [f32], up: &[f32]) {
    const SHARE: usize = 768;
    let shares = gate.par_chunks_mut(SHARE).zip(up.par_chunks(SHARE));
    shares.for_each(|(gate, up)| {
        for (gate, up) in gate.iter_mut().zip(up) {
            *gate = *gate / (1.0 + (-*gate).exp()) * up;
        }
    });
}
