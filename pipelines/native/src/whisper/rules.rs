//! Which token may come next: the rules that keep times in pairs and in order, as Whisper's authors decode.

use super::config::Config;
use super::vocabulary::Vocabulary;

/// Everything that decides about the next token, beside the network.
pub(super) struct Rules<'m> {
    pub(super) vocabulary: &'m Vocabulary,
    pub(super) config: &'m Config,
}

const NEVER: f32 = f32::NEG_INFINITY;

impl Rules<'_> {
    /// Makes impossible in `logits` what must not follow `written`, and turns them into logarithms of probabilities.
    pub(super) fn apply(&self, logits: &mut [f32], written: &[u32]) {
        let vocabulary = self.vocabulary;
        let (end, times) = (vocabulary.end as usize, vocabulary.times() as usize);
        for token in self.config.suppressed() {
            suppress(logits, token..token.saturating_add(1));
        }
        // languages, tasks and the like are only given, never written
        suppress(logits, end + 1..times);
        if written.is_empty() {
            for token in self.config.suppressed_first() {
                suppress(logits, token..token.saturating_add(1));
            }
            // it starts with a time, and an early one
            suppress(logits, 0..times);
            suppress(
                logits,
                times + 1 + self.config.latest_first() as usize..logits.len(),
            );
        } else {
            self.pair(logits, written);
        }
        logarithms(logits);
        // a time, whichever, is more likely than any text
        if let Some((text, time)) = logits.split_at_mut_checked(times) {
            let most = text.iter().copied().fold(NEVER, f32::max);
            if sum(time) > most {
                text.fill(NEVER);
                logarithms(logits);
            }
        }
    }

    fn pair(&self, logits: &mut [f32], written: &[u32]) {
        let vocabulary = self.vocabulary;
        let (end, times) = (vocabulary.end as usize, vocabulary.times() as usize);
        let is_time = |back: usize| {
            let token = written
                .len()
                .checked_sub(back)
                .and_then(|at| written.get(at));
            token.is_some_and(|token| vocabulary.time(*token).is_some())
        };
        let after_time = is_time(1);
        // the first token counts as the second of a pair
        let after_pair = after_time && (written.len() < 2 || is_time(2));
        if after_pair {
            suppress(logits, times..logits.len());
        } else if after_time {
            // the next part starts, or all ends
            suppress(logits, 0..end);
        }
        let last = written
            .iter()
            .rev()
            .find_map(|token| vocabulary.time(*token));
        if let Some(last) = last {
            // the next part may start where one ended; no part is empty
            let least = if after_time && !after_pair {
                last
            } else {
                last + 1
            };
            suppress(logits, times..times + least as usize);
        }
    }
}

fn suppress(logits: &mut [f32], tokens: std::ops::Range<usize>) {
    let tokens = tokens.start.min(logits.len())..tokens.end.min(logits.len());
    if let Some(logits) = logits.get_mut(tokens) {
        logits.fill(NEVER);
    }
}

/// Logarithm of the sum of what these are the logarithms of.
fn sum(logs: &[f32]) -> f32 {
    let most = logs.iter().copied().fold(NEVER, f32::max);
    if most == NEVER {
        return NEVER;
    }
    let sum: f64 = logs.iter().map(|log| f64::from(log - most).exp()).sum();
    most + sum.ln() as f32
}

/// Makes logarithms of probabilities of logits.
pub(super) fn logarithms(logits: &mut [f32]) {
    let whole = sum(logits);
    if whole > NEVER {
        logits.iter_mut().for_each(|logit| *logit -= whole);
    }
}

/// The most likely token, and the logarithm of its probability; `None` where nothing is possible.
pub(super) fn best(logs: &[f32]) -> Option<(u32, f32)> {
    let numbered = (0u32..).zip(logs.iter().copied());
    let possible = numbered.filter(|(_, log)| *log > NEVER && !log.is_nan());
    // of equals the first
    possible.reduce(|best, next| if next.1 > best.1 { next } else { best })
}
