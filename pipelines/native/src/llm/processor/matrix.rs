//! A matrix of a model's weights, as it lies in a GGUF file and as the processor multiplies it.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, bail};
use half::f16;
use rayon::prelude::*;

use super::tiles::{Activations, BLOCK, Eight, Four, ROWS, Tile, activations, multiply};

/// Weights of a linear layer.
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    tiles: Tiles,
}

enum Tiles {
    Four(Vec<Four>),
    Eight(Vec<Eight>),
}

/// Bytes that `elements` weights of a file's type take here.
pub(crate) fn size(kind: GgmlDType, elements: u64) -> u64 {
    let tile = match kind {
        GgmlDType::Q4_0 | GgmlDType::Q4_1 | GgmlDType::Q4K => size_of::<Four>(),
        _ => size_of::<Eight>(),
    };
    elements.div_ceil((ROWS * BLOCK) as u64) * tile as u64
}

impl Matrix {
    /// Packs a tensor. Weights of four bits keep their values (the scales of Q4_K are rounded to half floats), and so do
    /// those of Q8_0; all others become eight bits with a scale for each 32, which is off by 1/254 of a block's largest at
    /// most.
    pub(super) fn pack(tensor: &QTensor) -> candle_core::Result<Self> {
        let (rows, columns) = tensor.shape().dims2()?;
        let kind = tensor.dtype();
        if rows == 0 || columns == 0 || columns % kind.block_size() != 0 {
            bail!("a matrix of {rows} x {columns} weights cannot be of type {kind:?}");
        }
        let blocks = columns.div_ceil(BLOCK);
        let data = tensor.data()?;
        let tiles = match kind {
            GgmlDType::Q4_0 => Tiles::Four(pack(rows, blocks, |row, at, tile, lane| {
                let (scale, codes) = data[(row * blocks + at) * 18..][..18].split_at(2);
                let scale = half(scale);
                four(
                    tile,
                    lane,
                    scale,
                    f16::from_f32(-8.0 * scale.to_f32()),
                    codes,
                );
            })),
            GgmlDType::Q4_1 => Tiles::Four(pack(rows, blocks, |row, at, tile, lane| {
                let (scales, codes) = data[(row * blocks + at) * 20..][..20].split_at(4);
                four(tile, lane, half(scales), half(&scales[2..]), codes);
            })),
            GgmlDType::Q4K => Tiles::Four(pack(rows, blocks, |row, at, tile, lane| {
                let block = &data[(row * blocks + at) / 8 * 144..][..144];
                let (scale, least, codes) = in_superblock(block, at % 8);
                four(tile, lane, scale, least, &codes);
            })),
            GgmlDType::Q8_0 => Tiles::Eight(pack(rows, blocks, |row, at, tile, lane| {
                let (scale, codes) = data[(row * blocks + at) * 34..][..34].split_at(2);
                eight(tile, lane, half(scale), |k| codes[k].cast_signed());
            })),
            _ => {
                let floats = tensor.dequantize(&Device::Cpu)?.flatten_all()?;
                let floats: Vec<f32> = floats.to_vec1()?;
                Tiles::Eight(pack(rows, blocks, |row, at, tile, lane| {
                    let row = &floats[row * columns..][..columns];
                    let block = &row[at * BLOCK..columns.min((at + 1) * BLOCK)];
                    let largest = block.iter().fold(0.0, |most: f32, one| most.max(one.abs()));
                    let scale = f16::from_f32(largest / 127.0);
                    let inverse = match scale.to_f32() {
                        0.0 => 0.0,
                        scale => 1.0 / scale,
                    };
                    let code = |k: usize| {
                        let number = block.get(k).copied().unwrap_or(0.0);
                        (number * inverse).round() as i8
                    };
                    eight(tile, lane, scale, code);
                }))
            }
        };
        Ok(Self {
            rows,
            columns,
            tiles,
        })
    }

    /// The products with columns of activations, one after another.
    pub(super) fn times(&self, columns: &[f32]) -> Vec<f32> {
        let mut blocks = Vec::with_capacity(columns.len().div_ceil(BLOCK));
        for column in columns.chunks(self.columns) {
            activations(column, &mut blocks);
        }
        match &self.tiles {
            Tiles::Four(tiles) => self.multiply(tiles, &blocks),
            Tiles::Eight(tiles) => self.multiply(tiles, &blocks),
        }
    }

    /// One row, as numbers.
    pub(super) fn row(&self, row: usize) -> Vec<f32> {
        match &self.tiles {
            Tiles::Four(tiles) => self.unpack(tiles, row),
            Tiles::Eight(tiles) => self.unpack(tiles, row),
        }
    }

    /// One column is shared out by rows; of several, each thread takes some, and the weights are read from the cache for
    /// all but the first.
    fn multiply<T: Tile>(&self, tiles: &[T], activations: &[Activations]) -> Vec<f32> {
        let blocks = self.columns.div_ceil(BLOCK);
        let columns = activations.len() / blocks;
        let threads = rayon::current_num_threads();
        let mut products = vec![0.0; columns * self.rows];
        if columns == 1 {
            let share = (tiles.len() / blocks).div_ceil(2 * threads);
            tiles
                .par_chunks(share * blocks)
                .zip(products.par_chunks_mut(share * ROWS))
                .for_each(|(tiles, products)| {
                    let rows = products.len();
                    multiply(tiles, activations, blocks, products, rows);
                });
        } else {
            let share = columns.div_ceil(threads).min(8);
            activations
                .par_chunks(share * blocks)
                .zip(products.par_chunks_mut(share * self.rows))
                .for_each(|(activations, products)| {
                    multiply(tiles, activations, blocks, products, self.rows);
                });
        }
        products
    }

    fn unpack<T: Tile>(&self, tiles: &[T], row: usize) -> Vec<f32> {
        let blocks = self.columns.div_ceil(BLOCK);
        let tiles = &tiles[row / ROWS * blocks..][..blocks];
        (0..self.columns)
            .map(|column| tiles[column / BLOCK].weight(row % ROWS, column % BLOCK))
            .collect()
    }
}

/// Fills tiles block by block: `put` gets a row, which of its blocks, the tile and the row's place in the tile.
fn pack<T: Tile>(
    rows: usize,
    blocks: usize,
    put: impl Fn(usize, usize, &mut T, usize) + Sync,
) -> Vec<T> {
    let mut tiles = vec![T::ZERO; rows.div_ceil(ROWS) * blocks];
    let groups = tiles.par_chunks_mut(blocks).enumerate();
    groups.for_each(|(group, tiles)| {
        for row in group * ROWS..rows.min((group + 1) * ROWS) {
            for (at, tile) in tiles.iter_mut().enumerate() {
                put(row, at, tile, row % ROWS);
            }
        }
    });
    tiles
}

fn half(bytes: &[u8]) -> f16 {
    f16::from_le_bytes([bytes[0], bytes[1]])
}

fn four(tile: &mut Four, lane: usize, scale: f16, least: f16, codes: &[u8]) {
    tile.scales[lane] = scale.to_bits();
    tile.least[lane] = least.to_bits();
    for (row, code) in tile.codes.iter_mut().zip(codes) {
        row[lane] = *code;
    }
}

fn eight(tile: &mut Eight, lane: usize, scale: f16, code: impl Fn(usize) -> i8) {
    tile.scales[lane] = scale.to_bits();
    for (k, row) in tile.codes.iter_mut().enumerate() {
        row[lane] = code(k);
    }
}

/// One of the eight blocks of 32 in a block of Q4_K (ggml-common.h, `block_q4_K`): two half floats, 8 scales and 8 minima of
/// six bits in 12 bytes, then four times 32 bytes, of which each holds two blocks.
fn in_superblock(block: &[u8], at: usize) -> (f16, f16, [u8; BLOCK / 2]) {
    let packed = &block[4..16];
    let (scale, least) = if at < 4 {
        (packed[at] & 63, packed[at + 4] & 63)
    } else {
        let low = packed[at + 4];
        (
            (low & 15) | (packed[at - 4] >> 6 << 4),
            (low >> 4) | (packed[at] >> 6 << 4),
        )
    };
    let bytes = &block[16 + at / 2 * 32..][..32];
    let nibble = |k: usize| {
        if at.is_multiple_of(2) {
            bytes[k] & 15
        } else {
            bytes[k] >> 4
        }
    };
    let codes = std::array::from_fn(|k| nibble(k) | (nibble(k + BLOCK / 2) << 4));
    (
        f16::from_f32(half(block).to_f32() * f32::from(scale)),
        f16::from_f32(-half(&block[2..]).to_f32() * f32::from(least)),
        codes,
    )
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};
    use proptest::prelude::*;

    use super::Matrix;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        use rand::{Rng, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
    }

    const KINDS: [GgmlDType; 11] = [
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q4K,
        GgmlDType::Q8_0,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q2K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
        GgmlDType::F16,
        GgmlDType::F32,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn rows_and_products_are_those_of_the_file(
            kind in 0..KINDS.len(),
            rows in 1_usize..100,
            wide in 1_usize..4,
            count in 1_usize..6,
            seed in any::<u64>(),
        ) {
            let kind = KINDS[kind];
            let columns = wide * kind.block_size().max(8);
            let floats = numbers(rows * columns, seed);
            let floats = Tensor::from_vec(floats, (rows, columns), &Device::Cpu).expect("tensor");
            let tensor = QTensor::quantize(&floats, kind).expect("quantised");
            let theirs: Vec<Vec<f32>> = tensor.dequantize(&Device::Cpu).and_then(|all| all.to_vec2()).expect("floats");
            let matrix = Matrix::pack(&tensor).expect("packed");
            for (row, theirs) in theirs.iter().enumerate() {
                for (ours, theirs) in matrix.row(row).iter().zip(theirs) {
                    prop_assert!((ours - theirs).abs() < 0.006, "{kind:?} {ours} {theirs}");
                }
            }
            let input = numbers(count * columns, !seed);
            let products = matrix.times(&input);
            prop_assert_eq!(products.len(), count * rows);
            for (column, products) in input.chunks(columns).zip(products.chunks(rows)) {
                for (row, product) in theirs.iter().zip(products) {
                    let exact: f32 = row.iter().zip(column).map(|(a, b)| a * b).sum();
                    // activations are off by 1/254 each, some weights too
                    let off = 0.008 * (columns as f32).sqrt() + 0.01;
                    prop_assert!((exact - product).abs() < off, "{kind:?} {exact} {product}");
                }
            }
        }
    }
}
