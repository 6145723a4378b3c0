//! Log-mel spectrograms as Whisper was trained on: 25 ms windows every 10 ms, mel scale of Slaney, the loudest 80 dB.

use std::f64::consts::PI;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use super::config::HOP;

/// Samples of a window.
const WINDOW: usize = 400;
/// Samples in a second.
const RATE: f64 = 16_000.0;
/// Power that counts as none.
const FLOOR: f64 = 1e-10;
/// How far below the loudest a value may be, in powers of ten.
const RANGE: f64 = 8.0;

/// Computes spectrograms of one number of bins.
pub(super) struct Mel {
    filters: Vec<Filter>,
    window: Vec<f64>,
    transform: Arc<dyn RealToComplex<f64>>,
}

/// A triangle over neighbouring frequencies.
struct Filter {
    first: usize,
    weights: Vec<f64>,
}

impl Mel {
    /// `bins` is 80, since the third large model 128.
    pub(super) fn new(bins: usize) -> Self {
        let window = (0..WINDOW)
            .map(|at| 0.5 - 0.5 * (2.0 * PI * at as f64 / WINDOW as f64).cos())
            .collect();
        Self {
            filters: filters(bins),
            window,
            transform: RealFftPlanner::new().plan_fft_forward(WINDOW),
        }
    }

    /// The spectrogram of the first `frames` × 10 ms of `samples` at 16 kHz, bins × frames; silence where they end.
    pub(super) fn spectrogram(&self, samples: &[f32], frames: usize) -> Vec<f32> {
        let length = frames * HOP;
        let sample = |at: usize| -> f64 {
            // mirrored at both ends, so that each frame has its time in the middle
            let at = at as isize - (WINDOW / 2) as isize;
            let at = at.unsigned_abs();
            let at = if at < length { at } else { 2 * length - 2 - at };
            samples.get(at).copied().map_or(0.0, f64::from)
        };
        let mut input = self.transform.make_input_vec();
        let mut output = self.transform.make_output_vec();
        let mut values = vec![0.0; self.filters.len() * frames];
        let mut loudest = f64::NEG_INFINITY;
        for frame in 0..frames {
            for (at, (input, window)) in input.iter_mut().zip(&self.window).enumerate() {
                *input = sample(frame * HOP + at) * window;
            }
            if self.transform.process(&mut input, &mut output).is_err() {
                // buffers of another length, and these are its own
                continue;
            }
            for (bin, filter) in self.filters.iter().enumerate() {
                let powers = output
                    .iter()
                    .skip(filter.first)
                    .map(|value| value.norm_sqr());
                let power: f64 = powers
                    .zip(&filter.weights)
                    .map(|(power, weight)| power * weight)
                    .sum();
                let value = power.max(FLOOR).log10();
                loudest = loudest.max(value);
                values[bin * frames + frame] = value;
            }
        }
        let least = loudest - RANGE;
        let scaled = values
            .iter()
            .map(|value| ((value.max(least) + 4.0) / 4.0) as f32);
        scaled.collect()
    }
}

/// Slaney's scale: linear below 1 kHz, logarithmic above.
fn hertz(mel: f64) -> f64 {
    if mel < 15.0 {
        mel * 200.0 / 3.0
    } else {
        1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp()
    }
}

fn mel(hertz: f64) -> f64 {
    if hertz < 1000.0 {
        hertz * 3.0 / 200.0
    } else {
        15.0 + (hertz / 1000.0).ln() * 27.0 / 6.4f64.ln()
    }
}

/// Triangles of equal area, evenly spread over 0 to 8 kHz.
fn filters(bins: usize) -> Vec<Filter> {
    let top = mel(RATE / 2.0);
    let corners: Vec<f64> = (0..bins + 2)
        .map(|corner| hertz(top * corner as f64 / (bins + 1) as f64))
        .collect();
    let triangle = |corners: &[f64]| {
        let [low, middle, high] = corners else {
            return Filter {
                first: 0,
                weights: Vec::new(),
            };
        };
        let weights: Vec<f64> = (0..=WINDOW / 2)
            .map(|line| {
                let hertz = line as f64 * RATE / WINDOW as f64;
                let rising = (hertz - low) / (middle - low);
                let falling = (high - hertz) / (high - middle);
                rising.min(falling).max(0.0) * 2.0 / (high - low)
            })
            .collect();
        let first = weights.iter().position(|weight| *weight > 0.0).unwrap_or(0);
        let last = weights.iter().rposition(|weight| *weight > 0.0);
        let weights = last.map_or_else(Vec::new, |last| weights[first..=last].to_vec());
        Filter { first, weights }
    };
    corners.windows(3).map(triangle).collect()
}

#[cfg(test)]
impl Mel {
    /// Filters in full, bins × frequencies.
    pub(super) fn dense(&self) -> Vec<Vec<f64>> {
        let dense = |filter: &Filter| {
            let mut row = vec![0.0; WINDOW / 2 + 1];
            row[filter.first..filter.first + filter.weights.len()].copy_from_slice(&filter.weights);
            row
        };
        self.filters.iter().map(dense).collect()
    }
}
