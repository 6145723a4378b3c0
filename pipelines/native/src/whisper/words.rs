//! When each word is said: the decoder's attention to the sound, followed along the one path through it that fits best.
//!
//! The method of Whisper's authors: read the text again, take the heads that are known to follow the sound, and warp text
//! and time onto each other.

use candle_core::{D, Result, Tensor};

use super::vocabulary::Vocabulary;

/// Width of the median over time, positions.
const MEDIAN: usize = 7;

/// A word, with its times in steps of 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// How much each token looks at each position, tokens × positions, of `looks` (heads × tokens × positions): sharpened, and
/// the mean over the heads.
pub(super) fn focus(looks: &Tensor) -> Result<Vec<Vec<f32>>> {
    let mean = looks.mean_keepdim(1)?;
    let apart = looks.broadcast_sub(&mean)?;
    let deviation = apart.sqr()?.mean_keepdim(1)?.sqrt()?;
    let even = apart.broadcast_div(&(deviation + 1e-12)?)?;
    let heads: Vec<Vec<Vec<f32>>> = even.to_vec3()?;
    let count = heads.len().max(1) as f32;
    let mut sum = vec![vec![0.0; looks.dim(D::Minus1)?]; looks.dim(1)?];
    for head in &heads {
        for (row, sum) in head.iter().zip(&mut sum) {
            for (value, sum) in median(row).into_iter().zip(sum) {
                *sum += value / count;
            }
        }
    }
    Ok(sum)
}

/// The median around each value, the ends mirrored.
fn median(row: &[f32]) -> Vec<f32> {
    let half = MEDIAN / 2;
    if row.len() <= half {
        return row.to_vec();
    }
    let last = row.len() - 1;
    let around = |at: usize| {
        let mut near: Vec<f32> = (0..MEDIAN)
            .map(|offset| {
                let at = (at + offset).abs_diff(half);
                row[if at > last { 2 * last - at } else { at }]
            })
            .collect();
        near.sort_unstable_by(f32::total_cmp);
        near[half]
    };
    (0..row.len()).map(around).collect()
}

/// For each token the position at which it starts, by dynamic time warping; both only go forward.
pub(super) fn starts(focus: &[Vec<f32>]) -> Vec<u32> {
    let (rows, columns) = (focus.len(), focus.first().map_or(0, Vec::len));
    if columns == 0 {
        return vec![0; rows];
    }
    let width = columns + 1;
    let mut costs = vec![f32::INFINITY; (rows + 1) * width];
    // 0 = both go on, 1 = the token, 2 = the position
    let mut steps = vec![0u8; (rows + 1) * width];
    costs[0] = 0.0;
    for column in 1..=columns {
        for row in 1..=rows {
            let both = costs[(row - 1) * width + column - 1];
            let token = costs[(row - 1) * width + column];
            let position = costs[row * width + column - 1];
            let (before, step) = if both < token && both < position {
                (both, 0)
            } else if token < both && token < position {
                (token, 1)
            } else {
                (position, 2)
            };
            costs[row * width + column] = before - focus[row - 1][column - 1];
            steps[row * width + column] = step;
        }
    }
    let mut starts = vec![0; rows];
    let (mut row, mut column) = (rows, columns);
    while row > 0 && column > 0 {
        // walked backwards, the last that is written is the first position
        starts[row - 1] = (column - 1) as u32;
        match steps[row * width + column] {
            0 => (row, column) = (row - 1, column - 1),
            1 => row -= 1,
            _ => column -= 1,
        }
    }
    starts
}

/// Joins tokens to words; `starts` has one position more than there are tokens, the end of the last.
pub(super) fn join(
    tokens: &[u32],
    starts: &[u32],
    vocabulary: &Vocabulary,
) -> std::result::Result<Vec<Word>, tokenizers::Error> {
    let mut words: Vec<Word> = Vec::new();
    let mut from = 0;
    for at in 0..tokens.len() {
        let text = vocabulary.text(&tokens[from..=at])?;
        // a letter may be spread over tokens
        if text.ends_with('\u{fffd}') && at + 1 < tokens.len() {
            continue;
        }
        let start = starts.get(from).copied().unwrap_or(0);
        let end = starts.get(at + 1).copied().unwrap_or(start).max(start);
        from = at + 1;
        match words.last_mut() {
            Some(word) if goes_on(&text) => {
                word.text.push_str(&text);
                word.end = end;
            }
            _ => words.push(Word { text, start, end }),
        }
    }
    Ok(words)
}

/// Whether `text` belongs to the word before it: it has no blank in front, and is not of a script that has none.
fn goes_on(text: &str) -> bool {
    let first = text.chars().next();
    first.is_some_and(|first| !first.is_whitespace() && !has_no_blanks(first))
}

/// Thai, Lao, Burmese, Khmer, and the letters of Chinese and Japanese: each stands for itself.
fn has_no_blanks(letter: char) -> bool {
    matches!(letter,
        '\u{0e01}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{323af}')
}
