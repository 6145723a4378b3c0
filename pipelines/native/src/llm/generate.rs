//! One answer, token by token.

use candle_core::Tensor;
use candle_transformers::generation::LogitsProcessor;
use host::job::JobError;

use super::Llm;
use super::network::Conversation;
use super::options::Options;
use crate::{Parts, unable};

/// Tokens of a prompt that are computed in one turn, so that a long prompt does not hold up others.
const PROMPT_TURN: usize = 128;

/// What a step gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Text to hand on; empty while letters are incomplete or a stop text may be coming.
    Text(String),
    /// The last text, and why it is the last: `stop` or `length`.
    End(String, &'static str),
}

/// An answer under way.
pub(super) struct Generation {
    conversation: Conversation,
    /// Tokens to be computed next: the prompt, then always one.
    next: Vec<u32>,
    /// Tokens of the answer so far.
    answer: Vec<u32>,
    most: usize,
    sampler: LogitsProcessor,
    /// Letters so far and how many of their bytes went out.
    text: String,
    sent: usize,
    stop: Vec<String>,
}

impl Generation {
    pub(super) fn new(llm: &Llm, prompt: Vec<u32>, most: usize, options: &Options) -> Self {
        Self {
            conversation: llm.network.conversation(),
            next: prompt,
            answer: Vec::new(),
            most,
            sampler: options.sampler(),
            text: String::new(),
            sent: 0,
            stop: options.stop.clone(),
        }
    }

    /// Tokens of the answer so far.
    pub(super) fn tokens(&self) -> usize {
        self.answer.len()
    }

    /// Computes the next token.
    pub(super) fn step(&mut self, llm: &Llm, parts: &dyn Parts) -> Result<Step, JobError> {
        let mut logits = None;
        while !self.next.is_empty() {
            parts.check().map_err(unable)?;
            let turn: Vec<u32> = self
                .next
                .drain(..self.next.len().min(PROMPT_TURN))
                .collect();
            logits = Some(self.compute(llm, &turn).map_err(unable)?);
        }
        let logits = logits.ok_or_else(|| unable("nothing to compute"))?;
        let token = self.sampler.sample(&logits).map_err(unable)?;
        self.answer.push(token);
        if llm.dialect.ends(token) {
            return Ok(self.end("stop"));
        }
        self.next.push(token);
        self.decode(llm)?;
        if let Some(at) = self.stop_at() {
            self.text.truncate(at);
            return Ok(self.end("stop"));
        }
        if self.answer.len() >= self.most {
            return Ok(self.end("length"));
        }
        Ok(Step::Text(self.take(self.safe())))
    }

    fn compute(&mut self, llm: &Llm, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let _turn = llm.turn.lock();
        llm.network.forward(&mut self.conversation, tokens)
    }

    /// The text of all tokens, since a token may be a part of a letter.
    fn decode(&mut self, llm: &Llm) -> Result<(), JobError> {
        let text = llm.dialect.tokenizer.decode(&self.answer, true);
        self.text = text.map_err(unable)?;
        Ok(())
    }

    /// Where the first stop text begins.
    fn stop_at(&self) -> Option<usize> {
        let found = self
            .stop
            .iter()
            .filter_map(|stop| self.text.find(stop.as_str()));
        found.min()
    }

    /// How much of the text can go out: no broken letters, and no beginning of a stop text.
    fn safe(&self) -> usize {
        let whole = self.text.trim_end_matches('\u{fffd}').len();
        let held = self.stop.iter().map(|stop| {
            let begun = (1..stop.len()).rev().find(|length| {
                stop.is_char_boundary(*length) && self.text[..whole].ends_with(&stop[..*length])
            });
            begun.unwrap_or(0)
        });
        whole - held.max().unwrap_or(0)
    }

    fn take(&mut self, upto: usize) -> String {
        let text = self
            .text
            .get(self.sent..upto)
            .unwrap_or_default()
            .to_owned();
        self.sent = self.sent.max(upto);
        text
    }

    fn end(&mut self, reason: &'static str) -> Step {
        let text = self.take(self.text.len());
        Step::End(text, reason)
    }
}
