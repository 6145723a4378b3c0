//! One transcription: window after window, each written token by token.

use candle_core::{Result as Computed, Tensor};
use host::job::JobError;

use super::Whisper;
use super::config::{HOP, STEPS_PER_SECOND, STRIDE};
use super::network::Memory;
use super::rules::{Rules, best, logarithms};
use super::segments::{self, Segment};
use super::words;
use crate::{Parts, unable};

/// Probability of no speech from which on a window may be passed over.
const NO_SPEECH: f32 = 0.6;
/// Mean logarithm of the tokens' probabilities below which the text of such a window is not believed.
const UNLIKELY: f32 = -1.0;
/// Seconds of a frame of the spectrogram.
const FRAME: f64 = 0.01;

/// A part of the text, with its times in seconds from the start of the recording.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// Where a transcription stands.
pub(super) struct Transcription<'r> {
    model: &'r Whisper,
    samples: &'r [f32],
    by_words: bool,
    parts: &'r dyn Parts,
    /// First frame of the next window.
    at: usize,
    /// What is spoken, once that is known.
    language: Option<u32>,
}

/// What was written about one window.
pub(super) struct Written {
    /// Text and times, without the end.
    pub(super) tokens: Vec<u32>,
    /// Mean logarithm of their probabilities.
    pub(super) likelihood: f32,
    /// Probability that nobody speaks.
    pub(super) no_speech: f32,
    /// Language that was given or found; `None` where the model has but one.
    pub(super) language: Option<u32>,
}

impl<'r> Transcription<'r> {
    /// Starts at the beginning of `samples`, 16 kHz.
    pub(super) fn new(
        model: &'r Whisper,
        samples: &'r [f32],
        by_words: bool,
        parts: &'r dyn Parts,
    ) -> Self {
        Self {
            model,
            samples,
            by_words,
            parts,
            at: 0,
            language: None,
        }
    }

    /// What is said in the next window; `None` after the last.
    pub(super) fn window(&mut self) -> Result<Option<Vec<Part>>, JobError> {
        let rest = self.samples.get(self.at * HOP..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let most = self.model.config.window_frames();
        let frames = rest.len().div_ceil(HOP).min(most);
        let samples = &rest[..rest.len().min(most * HOP)];
        let memory = self.step(|model| {
            let encoded = model.encode(samples)?;
            model.network.listen(&encoded)
        })?;
        let written = self.write(memory.clone())?;
        let silent = written.no_speech > NO_SPEECH && written.likelihood < UNLIKELY;
        if silent {
            self.at += frames;
            return Ok(Some(Vec::new()));
        }
        self.language = written.language;
        let (found, advance) = segments::cut(&written.tokens, &self.model.vocabulary, frames);
        let parts = if self.by_words {
            self.words(&found, frames, memory)?
        } else {
            self.sentences(&found)?
        };
        self.at += advance;
        Ok(Some(parts))
    }

    /// One step of the computation, when it is this request's turn and somebody still waits for it.
    fn step<T>(&self, compute: impl FnOnce(&Whisper) -> Computed<T>) -> Result<T, JobError> {
        self.parts.check().map_err(unable)?;
        let _turn = self.model.turn.lock();
        compute(self.model).map_err(unable)
    }

    /// Writes down what is said in a window, always the most likely token.
    pub(super) fn write(&self, mut memory: Memory) -> Result<Written, JobError> {
        let (config, vocabulary) = (&self.model.config, &self.model.vocabulary);
        let rules = Rules { vocabulary, config };
        let first = self.step(|model| model.next(&[vocabulary.start], &mut memory))?;
        let no_speech = vocabulary.no_speech.map_or(0.0, |token| {
            let mut logs = first.clone();
            logarithms(&mut logs);
            logs.get(token as usize).map_or(0.0, |log| log.exp())
        });
        let multilingual = config.multilingual() && !vocabulary.languages.is_empty();
        let language = self.language.filter(|_| multilingual).or_else(|| {
            let languages = vocabulary.languages.iter().copied();
            let likely = |language: &u32| first.get(*language as usize).copied();
            let most = languages.max_by(|a, b| {
                let (a, b) = (likely(a).unwrap_or(f32::MIN), likely(b).unwrap_or(f32::MIN));
                a.total_cmp(&b)
            });
            most.filter(|_| multilingual)
        });
        let mut logits = match language {
            None => first,
            Some(language) => {
                self.step(|model| model.next(&[language, vocabulary.transcribe], &mut memory))?
            }
        };
        let mut tokens = Vec::new();
        let mut likelihood = 0.0;
        while tokens.len() < config.most_tokens() {
            rules.apply(&mut logits, &tokens);
            let Some((token, log)) = best(&logits) else {
                break;
            };
            likelihood += log;
            if token == vocabulary.end {
                break;
            }
            tokens.push(token);
            logits = self.step(|model| model.next(&[token], &mut memory))?;
        }
        Ok(Written {
            likelihood: likelihood / (tokens.len() + 1) as f32,
            tokens,
            no_speech,
            language,
        })
    }

    /// Seconds of a step of this window.
    fn seconds(&self, step: u32) -> f64 {
        let seconds = self.at as f64 * FRAME + f64::from(step) / STEPS_PER_SECOND;
        (seconds * 100.0).round() / 100.0
    }

    fn sentences(&self, found: &[Segment]) -> Result<Vec<Part>, JobError> {
        let part = |segment: &Segment| {
            let text = self
                .model
                .vocabulary
                .text(&segment.tokens)
                .map_err(unable)?;
            Ok(Part {
                text,
                start: self.seconds(segment.start),
                end: self.seconds(segment.end),
            })
        };
        found.iter().map(part).collect()
    }

    /// Reads the text of the window again, and looks where it was heard.
    fn words(
        &self,
        found: &[Segment],
        frames: usize,
        mut memory: Memory,
    ) -> Result<Vec<Part>, JobError> {
        let vocabulary = &self.model.vocabulary;
        let text: Vec<u32> = found
            .iter()
            .flat_map(|segment| segment.tokens.clone())
            .collect();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut prompt = vec![vocabulary.start];
        if let Some(language) = self.language {
            prompt.extend([language, vocabulary.transcribe]);
        }
        let given = prompt.len();
        prompt.push(vocabulary.no_timestamps);
        prompt.extend(&text);
        prompt.push(vocabulary.end);
        let steps = (frames / STRIDE).max(1);
        let focus = self.step(|model| model.focus(&prompt, steps, &mut memory))?;
        // what is looked at when a token is to be written: from the token before it
        let rows = focus.get(given..prompt.len() - 1).unwrap_or_default();
        let starts = words::starts(rows);
        let words = words::join(&text, &starts, vocabulary).map_err(unable)?;
        let part = |word: words::Word| Part {
            text: word.text,
            start: self.seconds(word.start),
            end: self.seconds(word.end),
        };
        Ok(words.into_iter().map(part).collect())
    }
}

impl Whisper {
    /// Hears one window of samples at 16 kHz.
    pub(super) fn encode(&self, samples: &[f32]) -> Computed<Tensor> {
        let frames = self.config.window_frames();
        let spectrogram = self.mel.spectrogram(samples, frames);
        let shape = (self.config.num_mel_bins, frames);
        let spectrogram = Tensor::from_vec(spectrogram, shape, &self.device)?;
        self.network.encode(&spectrogram)
    }

    /// Logits of what follows the last of `tokens`.
    pub(super) fn next(&self, tokens: &[u32], memory: &mut Memory) -> Computed<Vec<f32>> {
        let logits = self.network.read(tokens, memory)?;
        logits.get(tokens.len() - 1)?.to_vec1()
    }

    /// How much each token of `tokens` looks at each of the first `steps` positions.
    pub(super) fn focus(
        &self,
        tokens: &[u32],
        steps: usize,
        memory: &mut Memory,
    ) -> Computed<Vec<Vec<f32>>> {
        let heads = self.config.alignment_heads();
        let mut looks = Vec::new();
        self.network
            .read_seeing(tokens, memory, &mut |layer, seen| {
                for (_, head) in heads.iter().filter(|(of, _)| *of == layer) {
                    let head = seen.get(*head)?.narrow(1, 0, steps)?;
                    // as if there were nothing after the recording
                    looks.push(head.broadcast_div(&head.sum_keepdim(1)?)?);
                }
                Ok(())
            })?;
        words::focus(&Tensor::stack(&looks, 0)?)
    }
}
