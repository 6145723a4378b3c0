//! What a Whisper directory says about its model: `config.json` and, where there is one, `generation_config.json`.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::NativeError;

/// Samples between two frames of the spectrogram, at 16 kHz.
pub(super) const HOP: usize = 160;
/// Frames of the spectrogram that become one position of the encoder; also one step of a timestamp.
pub(super) const STRIDE: usize = 2;
/// Steps of a timestamp in a second.
pub(super) const STEPS_PER_SECOND: f64 = 50.0;

/// Size of the vocabulary from which on a model knows more than English.
const MULTILINGUAL: usize = 51_865;

/// Shape of the network, as Hugging Face names it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Config {
    pub(super) num_mel_bins: usize,
    pub(super) max_source_positions: usize,
    pub(super) d_model: usize,
    pub(super) encoder_attention_heads: usize,
    pub(super) encoder_layers: usize,
    pub(super) encoder_ffn_dim: usize,
    pub(super) vocab_size: usize,
    pub(super) max_target_positions: usize,
    pub(super) decoder_attention_heads: usize,
    pub(super) decoder_layers: usize,
    pub(super) decoder_ffn_dim: usize,
    suppress_tokens: Option<Vec<i64>>,
    begin_suppress_tokens: Option<Vec<i64>>,
    #[serde(default)]
    model_type: String,
    /// `generation_config.json`.
    #[serde(skip)]
    generation: Generation,
}

/// How to decode. Newer models say it in a file of its own, older ones in `config.json`.
#[derive(Debug, Clone, Default, Deserialize)]
struct Generation {
    suppress_tokens: Option<Vec<i64>>,
    begin_suppress_tokens: Option<Vec<i64>>,
    is_multilingual: Option<bool>,
    alignment_heads: Option<Vec<(usize, usize)>>,
    max_initial_timestamp_index: Option<u32>,
}

impl Config {
    /// Reads the files of `directory`.
    pub(super) fn read(directory: &Path) -> Result<Self, NativeError> {
        let path = directory.join("config.json");
        let mut config: Self = json(&path)?;
        if config.model_type != "whisper" {
            return Err(NativeError::Architecture {
                path,
                found: config.model_type,
                known: "whisper",
            });
        }
        if let Some(wrong) = config.wrong() {
            return Err(NativeError::weights(&path, wrong));
        }
        let path = directory.join("generation_config.json");
        if path.exists() {
            config.generation = json(&path)?;
        }
        Ok(config)
    }

    /// What no network can have.
    fn wrong(&self) -> Option<&'static str> {
        let heads = [self.encoder_attention_heads, self.decoder_attention_heads];
        if heads
            .iter()
            .any(|heads| *heads == 0 || !self.d_model.is_multiple_of(*heads))
        {
            return Some("d_model is no multiple of the number of attention heads");
        }
        if !(1..=1024).contains(&self.num_mel_bins) {
            return Some("num_mel_bins is not between 1 and 1024");
        }
        // the longest window is 30 s
        if !(1..=1500).contains(&self.max_source_positions) {
            return Some("max_source_positions is not between 1 and 1500");
        }
        if self.max_target_positions < 8 {
            return Some("max_target_positions is less than 8");
        }
        None
    }

    /// Frames of the spectrogram that the encoder takes at once.
    pub(super) fn window_frames(&self) -> usize {
        self.max_source_positions * STRIDE
    }

    /// Most tokens that are written about one window: half of what the decoder can hold.
    pub(super) fn most_tokens(&self) -> usize {
        // start, language, task, no times, and the end
        let given = 5;
        (self.max_target_positions / 2).min(self.max_target_positions - given)
    }

    /// Whether the model knows more than English.
    pub(super) fn multilingual(&self) -> bool {
        let stated = self.generation.is_multilingual;
        stated.unwrap_or(self.vocab_size >= MULTILINGUAL)
    }

    /// Weights of the network, an estimate.
    pub(super) fn parameters(&self) -> u64 {
        let width = self.d_model;
        let attention = 4 * width * width;
        let encoder = attention + 2 * width * self.encoder_ffn_dim;
        let decoder = 2 * attention + 2 * width * self.decoder_ffn_dim;
        let convolutions = 3 * width * (self.num_mel_bins + width);
        let tables = self.vocab_size + self.max_source_positions + self.max_target_positions;
        let layers = self.encoder_layers * encoder + self.decoder_layers * decoder;
        (layers + convolutions + width * tables) as u64
    }

    /// Most numbers that a running request keeps, an estimate: the encoder's scores, and what the decoder remembers.
    pub(super) fn activations(&self) -> u64 {
        let positions = self.max_source_positions;
        let scores = 3 * self.encoder_attention_heads * positions * positions;
        let inner = 4 * positions * self.encoder_ffn_dim.max(4 * self.d_model);
        let memory = 2 * self.decoder_layers * self.d_model;
        let memory = memory * (positions + 2 * self.max_target_positions);
        (scores + inner + memory) as u64
    }

    /// Tokens that are never written: signs and noises in brackets.
    pub(super) fn suppressed(&self) -> impl Iterator<Item = usize> {
        let stated = self.generation.suppress_tokens.as_ref();
        positions(stated.or(self.suppress_tokens.as_ref()))
    }

    /// Tokens that no text starts with: a blank and the end.
    pub(super) fn suppressed_first(&self) -> impl Iterator<Item = usize> {
        let stated = self.generation.begin_suppress_tokens.as_ref();
        positions(stated.or(self.begin_suppress_tokens.as_ref()))
    }

    /// Latest first timestamp, in steps of 20 ms.
    pub(super) fn latest_first(&self) -> u32 {
        self.generation.max_initial_timestamp_index.unwrap_or(50)
    }

    /// Layers and heads of the decoder that follow the sound in time; all of the later half where nothing is stated.
    pub(super) fn alignment_heads(&self) -> Vec<(usize, usize)> {
        let stated = self.generation.alignment_heads.iter().flatten().copied();
        let known: Vec<_> = stated
            .filter(|(layer, head)| {
                *layer < self.decoder_layers && *head < self.decoder_attention_heads
            })
            .collect();
        if !known.is_empty() {
            return known;
        }
        (self.decoder_layers / 2..self.decoder_layers)
            .flat_map(|layer| (0..self.decoder_attention_heads).map(move |head| (layer, head)))
            .collect()
    }
}

/// Some files have −1 for what others say with an empty list.
fn positions(tokens: Option<&Vec<i64>>) -> impl Iterator<Item = usize> {
    let tokens = tokens.into_iter().flatten();
    tokens.filter_map(|token| usize::try_from(*token).ok())
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, NativeError> {
    let text = std::fs::read(path).map_err(|error| NativeError::file(path, error))?;
    serde_json::from_slice(&text).map_err(|error| NativeError::weights(path, error))
}
