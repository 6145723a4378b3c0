//! The tokens of Whisper: text, languages, tasks and times.
//!
//! Text comes first, then the end of the text, then everything that is neither text nor time, last the times.

use std::path::Path;

use tokenizers::Tokenizer;

use crate::NativeError;

/// A tokenizer, and the numbers of the tokens that mean something.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// `<|endoftext|>`; all text has smaller numbers.
    pub(super) end: u32,
    /// `<|startoftranscript|>`.
    pub(super) start: u32,
    /// `<|transcribe|>`.
    pub(super) transcribe: u32,
    /// `<|notimestamps|>`, the last before the times.
    pub(super) no_timestamps: u32,
    /// `<|nospeech|>`, where the model has it.
    pub(super) no_speech: Option<u32>,
    /// Languages, e.g. `<|en|>`.
    pub(super) languages: Vec<u32>,
}

impl Vocabulary {
    /// Reads `tokenizer.json`. `size` is the number of tokens that the network knows.
    pub(super) fn read(directory: &Path, size: usize) -> Result<Self, NativeError> {
        let path = directory.join("tokenizer.json");
        if !path.exists() {
            return Err(NativeError::Empty {
                path: directory.to_owned(),
                pipeline: "audio-to-text".into(),
                wanted: "a file tokenizer.json",
            });
        }
        let tokenizer =
            Tokenizer::from_file(&path).map_err(|error| NativeError::weights(&path, error))?;
        let get = |token: &str| {
            let found = tokenizer.token_to_id(token);
            let found = found.filter(|found| (*found as usize) < size);
            found.ok_or_else(|| NativeError::weights(&path, format!("no token {token}")))
        };
        let end = get("<|endoftext|>")?;
        let no_timestamps = get("<|notimestamps|>")?;
        let within = |token: &u32| (end..no_timestamps).contains(token);
        let mut languages: Vec<u32> = tokenizer
            .get_vocab(true)
            .into_iter()
            .filter_map(|(token, number)| is_language(&token).then_some(number))
            .filter(within)
            .collect();
        languages.sort_unstable();
        let vocabulary = Self {
            end,
            start: get("<|startoftranscript|>")?,
            transcribe: get("<|transcribe|>")?,
            no_timestamps,
            no_speech: get("<|nospeech|>").or_else(|_| get("<|nocaptions|>")).ok(),
            languages,
            tokenizer,
        };
        let ordered = [vocabulary.start, vocabulary.transcribe].iter().all(within);
        if !ordered || no_timestamps as usize + 1 >= size {
            let detail = "special tokens are not between text and times";
            return Err(NativeError::weights(&path, detail));
        }
        Ok(vocabulary)
    }

    /// The first of the times, `<|0.00|>`; each further one is 20 ms later.
    pub(super) fn times(&self) -> u32 {
        self.no_timestamps + 1
    }

    /// Steps of 20 ms that a token stands for, if it is a time.
    pub(super) fn time(&self, token: u32) -> Option<u32> {
        token.checked_sub(self.times())
    }

    /// The text of `tokens`; what is no text is left out.
    pub(super) fn text(&self, tokens: &[u32]) -> Result<String, tokenizers::Error> {
        let text: Vec<u32> = tokens
            .iter()
            .copied()
            .filter(|token| *token < self.end)
            .collect();
        self.tokenizer.decode(&text, true)
    }
}

/// Two or three small letters between the marks.
fn is_language(token: &str) -> bool {
    let inner = token
        .strip_prefix("<|")
        .and_then(|rest| rest.strip_suffix("|>"));
    inner.is_some_and(|inner| {
        (2..=3).contains(&inner.len()) && inner.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}
