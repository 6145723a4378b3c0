//! Attention of one layer over everything that was said so far, on the processor.

use multiversion::multiversion;
use rayon::prelude::*;

/// Shape of attention.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    /// Heads that ask.
    pub(super) queries: usize,
    /// Heads that keep keys and values; each serves `queries / kept` that ask.
    pub(super) kept: usize,
    /// Numbers of a head.
    pub(super) width: usize,
}

/// Keys and values of one layer, one list per kept head.
#[derive(Debug, Default)]
pub(super) struct Kept {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

impl Kept {
    /// Adds those of one token.
    pub(super) fn push(&mut self, heads: &Heads, keys: &[f32], values: &[f32]) {
        self.keys.resize_with(heads.kept, Vec::new);
        self.values.resize_with(heads.kept, Vec::new);
        for (kept, keys) in self.keys.iter_mut().zip(keys.chunks(heads.width)) {
            kept.extend_from_slice(keys);
        }
        for (kept, values) in self.values.iter_mut().zip(values.chunks(heads.width)) {
            kept.extend_from_slice(values);
        }
    }

    /// What the tokens from `position` on, whose queries these are, attend to: each to itself and all before it.
    pub(super) fn attend(&self, heads: &Heads, queries: &[f32], position: usize) -> Vec<f32> {
        let mut seen = vec![0.0; queries.len()];
        let each = heads.width;
        let share = heads.queries / heads.kept;
        seen.par_chunks_mut(each)
            .zip(queries.par_chunks(each))
            .enumerate()
            .for_each(|(at, (seen, query))| {
                let (token, head) = (at / heads.queries, at % heads.queries / share);
                let reach = (position + token + 1) * each;
                let (keys, values) = (&self.keys[head][..reach], &self.values[head][..reach]);
                attend(query, keys, values, seen);
            });
        seen
    }
}

/// Softmax of the query's products with all keys, over the square root of their width, times the values.
#[multiversion(targets("x86_64+avx2+fma"))]
fn attend(query: &[f32], keys: &[f32], values: &[f32], seen: &mut [f32]) {
    let width = query.len();
    let scale = 1.0 / (width as f32).sqrt();
    let mut weights: Vec<f32> = keys
        .chunks_exact(width)
        .map(|key| dot(query, key) * scale)
        .collect();
    let most = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for weight in &mut weights {
        *weight = (*weight - most).exp();
        total += *weight;
    }
    for (weight, value) in weights.iter().zip(values.chunks_exact(width)) {
        let weight = weight / total;
        for (seen, value) in seen.iter_mut().zip(value) {
            *seen += weight * value;
        }
    }
}

/// In sixteen sums, which the compiler keeps in lanes.
#[inline(always)]
fn dot(left: &[f32], right: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (lefts, rights) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest: f32 = lefts
        .remainder()
        .iter()
        .zip(rights.remainder())
        .map(|(left, right)| left * right)
        .sum();
    for (left, right) in lefts.zip(rights) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}
