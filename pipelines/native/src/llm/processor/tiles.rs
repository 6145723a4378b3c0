//! Weights in tiles of 32 rows by 32 columns, and their products with activations.
//!
//! In a tile the rows lie side by side, so that one instruction works on as many rows as it has lanes and no sum runs across
//! lanes. All of it is plain integer arithmetic on arrays of known length, which the compiler turns into the vector
//! instructions of each processor generation named below; the fitting one is chosen when it first runs.

use multiversion::multiversion;

/// Rows of a tile.
pub(super) const ROWS: usize = 32;
/// Columns of a tile, and numbers that share a scale: the block of GGUF's own formats.
pub(super) const BLOCK: usize = 32;

/// Four bits a weight: `scale * code + least`, codes 0 to 15. Byte `k` of a row holds columns `k` and `k + 16`.
#[derive(Clone)]
pub(super) struct Four {
    pub(super) codes: [[u8; ROWS]; BLOCK / 2],
    pub(super) scales: [u16; ROWS],
    pub(super) least: [u16; ROWS],
}

/// Eight bits a weight: `scale * code`, codes -128 to 127.
#[derive(Clone)]
pub(super) struct Eight {
    pub(super) codes: [[i8; ROWS]; BLOCK],
    pub(super) scales: [u16; ROWS],
}

/// A block of activations: `scale * code`, codes -127 to 127.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Activations {
    codes: [i16; BLOCK],
    scale: f32,
    /// Of what the codes stand for.
    sum: f32,
}

/// What weights of both widths can do.
pub(super) trait Tile: Clone + Send + Sync {
    /// All weights zero.
    const ZERO: Self;

    /// Adds the products of all rows with a block of each of `N` columns of activations.
    fn add<const N: usize>(&self, blocks: [&Activations; N], sums: &mut [[f32; ROWS]; N]);

    /// One weight.
    fn weight(&self, row: usize, column: usize) -> f32;
}

impl Tile for Four {
    const ZERO: Self = Self {
        codes: [[0; ROWS]; BLOCK / 2],
        scales: [0; ROWS],
        least: [0; ROWS],
    };

    #[inline(always)]
    fn add<const N: usize>(&self, blocks: [&Activations; N], sums: &mut [[f32; ROWS]; N]) {
        // 16 products of 15 * 127 stay below 2^15.
        let mut low = [[0_i16; ROWS]; N];
        let mut high = [[0_i16; ROWS]; N];
        for k in 0..BLOCK / 2 {
            for n in 0..N {
                let (left, right) = (blocks[n].codes[k], blocks[n].codes[k + BLOCK / 2]);
                for row in 0..ROWS {
                    let code = self.codes[k][row];
                    low[n][row] = low[n][row].wrapping_add(i16::from(code & 15).wrapping_mul(left));
                    high[n][row] =
                        high[n][row].wrapping_add(i16::from(code >> 4).wrapping_mul(right));
                }
            }
        }
        for n in 0..N {
            for row in 0..ROWS {
                let codes = i32::from(low[n][row]).wrapping_add(i32::from(high[n][row]));
                sums[n][row] += float(self.scales[row]) * blocks[n].scale * codes as f32
                    + float(self.least[row]) * blocks[n].sum;
            }
        }
    }

    fn weight(&self, row: usize, column: usize) -> f32 {
        let both = self.codes[column % (BLOCK / 2)][row];
        let code = if column < BLOCK / 2 {
            both & 15
        } else {
            both >> 4
        };
        float(self.scales[row]) * f32::from(code) + float(self.least[row])
    }
}

impl Tile for Eight {
    const ZERO: Self = Self {
        codes: [[0; ROWS]; BLOCK],
        scales: [0; ROWS],
    };

    #[inline(always)]
    #[allow(
        clippy::needless_range_loop,
        reason = "two arrays of the same known length, which become lanes"
    )]
    fn add<const N: usize>(&self, blocks: [&Activations; N], sums: &mut [[f32; ROWS]; N]) {
        let mut wide = [[0_i32; ROWS]; N];
        for k in 0..BLOCK / 2 {
            for n in 0..N {
                let (left, right) = (blocks[n].codes[2 * k], blocks[n].codes[2 * k + 1]);
                for row in 0..ROWS {
                    // Two products of 128 * 127 stay below 2^15.
                    let first = i16::from(self.codes[2 * k][row]).wrapping_mul(left);
                    let second = i16::from(self.codes[2 * k + 1][row]).wrapping_mul(right);
                    wide[n][row] = wide[n][row].wrapping_add(i32::from(first.wrapping_add(second)));
                }
            }
        }
        for n in 0..N {
            for row in 0..ROWS {
                sums[n][row] += float(self.scales[row]) * blocks[n].scale * wide[n][row] as f32;
            }
        }
    }

    fn weight(&self, row: usize, column: usize) -> f32 {
        float(self.scales[row]) * f32::from(self.codes[column][row])
    }
}

/// Every row of `tiles` times every column of activations. A row has `blocks` tiles and a column `blocks` blocks; the product
/// with a column has `rows` numbers, and the columns' products follow one another in `products`.
///
/// Two columns at a time where there are two: unpacking a weight costs as much as using it.
#[multiversion(targets(
    "x86_64+avx2+fma+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma"
))]
pub(super) fn multiply<T: Tile>(
    tiles: &[T],
    activations: &[Activations],
    blocks: usize,
    products: &mut [f32],
    rows: usize,
) {
    let pairs = activations.chunks(2 * blocks);
    for (pair, products) in pairs.zip(products.chunks_mut(2 * rows)) {
        let (first, second) = pair.split_at(blocks);
        let (upper, lower) = products.split_at_mut(rows);
        for (at, tiles) in tiles.chunks_exact(blocks).enumerate() {
            if second.is_empty() {
                let mut sums = [[0.0; ROWS]; 1];
                for (tile, block) in tiles.iter().zip(first) {
                    tile.add([block], &mut sums);
                }
                put(&sums[0], upper, at);
            } else {
                let mut sums = [[0.0; ROWS]; 2];
                for ((tile, first), second) in tiles.iter().zip(first).zip(second) {
                    tile.add([first, second], &mut sums);
                }
                put(&sums[0], upper, at);
                put(&sums[1], lower, at);
            }
        }
    }
}

/// Puts the sums of row `at` of tiles into a product, whose last tile may stick out.
#[inline(always)]
fn put(sums: &[f32; ROWS], product: &mut [f32], at: usize) {
    let rest = &mut product[at * ROWS..];
    let rows = rest.len().min(ROWS);
    rest[..rows].copy_from_slice(&sums[..rows]);
}

/// A column of activations in blocks; the last one is filled up with zeros.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(super) fn activations(column: &[f32], into: &mut Vec<Activations>) {
    for chunk in column.chunks(BLOCK) {
        let mut numbers = [0.0; BLOCK];
        numbers[..chunk.len()].copy_from_slice(chunk);
        let mut largest = [0.0_f32; 8];
        for eight in numbers.chunks_exact(8) {
            for (largest, number) in largest.iter_mut().zip(eight) {
                *largest = largest.max(number.abs());
            }
        }
        let largest = largest.into_iter().fold(0.0, f32::max);
        let scale = largest / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let mut codes = [0_i16; BLOCK];
        let mut sum = 0_i32;
        for (code, number) in codes.iter_mut().zip(&numbers) {
            // Away from zero at a half, as llama.cpp rounds; `as` saturates.
            let rounded = number * inverse + 0.5_f32.copysign(*number);
            *code = rounded as i32 as i16;
            sum = sum.wrapping_add(i32::from(*code));
        }
        into.push(Activations {
            codes,
            scale,
            sum: scale * sum as f32,
        });
    }
}

/// The number that the bits of a half float stand for, exactly; neither infinite nor NaN. Unlike the processors' own
/// instruction for it, this is arithmetic that compilers spread over lanes.
#[inline(always)]
pub(super) fn float(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff) << 13;
    // 2^112 moves the exponent from a half's bias to a float's, for subnormal numbers too.
    const BIAS: f32 = f32::from_bits((127 + 112) << 23);
    f32::from_bits(sign | magnitude) * BIAS
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::float;

    #[test]
    fn every_finite_half_is_the_float_that_it_stands_for() {
        let finite = (0..=u16::MAX).filter(|bits| f16::from_bits(*bits).is_finite());
        for bits in finite {
            assert_eq!(
                float(bits).to_bits(),
                f16::from_bits(bits).to_f32().to_bits()
            );
        }
    }
}
