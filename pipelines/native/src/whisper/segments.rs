//! Cuts what was written about a window into parts with times, and says where the next window starts.

use super::config::STRIDE;
use super::vocabulary::Vocabulary;

/// A part of the text, with its times in steps of 20 ms from the start of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Text alone.
    pub(super) tokens: Vec<u32>,
}

/// Least that a window is before the next, frames of 10 ms: a model that gets nowhere must still come to an end.
const LEAST: usize = 10;

/// Cuts `written`; `frames` is how many frames of the window have sound. Returns the parts, and how many frames later the
/// next window starts.
///
/// A text that ends within a part is left to the next window, which starts where the last whole part ended.
pub(super) fn cut(
    written: &[u32],
    vocabulary: &Vocabulary,
    frames: usize,
) -> (Vec<Segment>, usize) {
    let steps = (frames / STRIDE) as u32;
    let time = |token: &u32| vocabulary.time(*token).map(|time| time.min(steps));
    let is_time: Vec<bool> = written.iter().map(|token| time(token).is_some()).collect();
    let ended = matches!(is_time.as_slice(), [.., false, true]);
    let mut ends: Vec<usize> = (1..written.len())
        .filter(|at| is_time[at - 1] && is_time[*at])
        .collect();
    if ends.is_empty() {
        let last = written.iter().rev().find_map(time).filter(|last| *last > 0);
        let start = written.first().and_then(time).unwrap_or(0);
        let end = last.filter(|last| *last > start).unwrap_or(steps);
        let whole = segment(written, vocabulary, start, end);
        return (whole.into_iter().collect(), frames);
    }
    if ended {
        ends.push(written.len());
    }
    let mut parts = Vec::new();
    let mut from = 0;
    let mut last = 0;
    for end in ends {
        let part = &written[from..end];
        let start = part.first().and_then(time).unwrap_or(last);
        last = part.last().and_then(time).unwrap_or(start);
        parts.extend(segment(part, vocabulary, start, last));
        from = end;
    }
    let advance = if ended {
        frames
    } else {
        last as usize * STRIDE
    };
    (parts, advance.max(LEAST).min(frames.max(1)))
}

/// `None` where there is no text.
fn segment(part: &[u32], vocabulary: &Vocabulary, start: u32, end: u32) -> Option<Segment> {
    let text = part.iter().copied().filter(|token| *token < vocabulary.end);
    let tokens: Vec<u32> = text.collect();
    (!tokens.is_empty()).then_some(Segment { start, end, tokens })
}
