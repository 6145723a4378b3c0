//! The signature of one frame: 380 comparisons of brightness, each below, about or above, five to a byte.

use super::regions::{CATEGORIES, Element, GRID, Region};
use crate::scale::Plane;

/// Elements of a frame.
pub(super) const ELEMENTS: usize = 380;
/// Words picked from the elements of a frame.
pub(super) const WORDS: usize = 5;
/// Which elements make up each word, in order of their weight.
const WORD_ELEMENTS: [[usize; 5]; WORDS] = [
    [210, 217, 219, 274, 334],
    [44, 175, 233, 270, 273],
    [57, 70, 103, 237, 269],
    [100, 285, 295, 337, 354],
    [101, 102, 111, 275, 296],
];
/// Weights of five ternary digits in a byte.
const WEIGHTS: [u8; 5] = [81, 27, 9, 3, 1];
/// Where the threshold of a category lies among the sizes of its elements.
const THRESHOLD: f64 = 0.333;
/// Divisible by the cells of every region, so that means stay whole numbers.
const PRECISE: u64 = 476_985_600;
/// In its place for pictures whose sums would not fit; means are cut off.
const ROUGH: u64 = 65_536;

/// Signature of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fine {
    /// How much its elements tell, 0 to 255.
    pub(super) confidence: u8,
    pub(super) words: [u8; WORDS],
    /// Five elements to a byte.
    pub(super) elements: [u8; ELEMENTS / 5],
}

/// How a picture size falls on the grid.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    columns: Side,
    rows: Side,
    /// Every mean carries this factor.
    unit: i64,
    precision: u64,
    /// What scaled sums are divided by at once.
    divisor: u64,
}

/// One direction of the grid.
#[derive(Debug, Clone)]
struct Side {
    /// The cell of each sample.
    cell: Vec<usize>,
    /// What the sum of each cell is multiplied with, so that all cells weigh the same.
    weight: [u64; GRID],
    /// Product of the two widths a cell can have.
    common: u64,
}

impl Side {
    /// `None` where cells would be empty.
    fn new(samples: usize) -> Option<Self> {
        let narrow = (samples / GRID) as u64;
        if narrow == 0 {
            return None;
        }
        let cell: Vec<usize> = (0..samples).map(|sample| sample * GRID / samples).collect();
        if samples.is_multiple_of(GRID) {
            return Some(Self {
                cell,
                weight: [1; GRID],
                common: narrow,
            });
        }
        let wide = narrow + 1;
        // last sample that lies before the cell's end
        let last = |end: usize| (samples * end).div_ceil(GRID) as i64 - 1;
        let weight = std::array::from_fn(|index| {
            let count = last(index + 1) - last(index);
            if count == narrow as i64 { wide } else { narrow }
        });
        Some(Self {
            cell,
            weight,
            common: narrow * wide,
        })
    }
}

impl Cells {
    /// For pictures of a size in pixels; `None` for those with fewer pixels than cells in a direction, which have no
    /// signature.
    pub(super) fn new(width: usize, height: usize) -> Option<Self> {
        let (columns, rows) = (Side::new(width)?, Side::new(height)?);
        let (w, h) = (width as u64, height as u64);
        let product = (w / 32) * (w / 32 + 1) * (h / 32 * h / 32 + 1);
        let rough = product > i64::MAX.unsigned_abs() / (PRECISE * 255);
        let common = columns.common * rows.common;
        let (precision, divisor) = if rough { (ROUGH, common) } else { (PRECISE, 1) };
        let unit = precision * if rough { 1 } else { common };
        Some(Self {
            columns,
            rows,
            unit: unit as i64,
            precision,
            divisor,
        })
    }

    /// Sums of all cells above and to the left of each, that one included.
    fn table(&self, luma: Plane<'_>) -> [[u64; GRID]; GRID] {
        let mut table = [[0u64; GRID]; GRID];
        for (y, row) in self.rows.cell.iter().enumerate() {
            let line = luma.line(y, self.columns.cell.len());
            for (sample, cell) in line.iter().zip(&self.columns.cell) {
                table[*row][*cell] += u64::from(*sample);
            }
        }
        let mut above = [0u64; GRID];
        for (row, tall) in table.iter_mut().zip(self.rows.weight) {
            let mut before = 0u64;
            let columns = row.iter_mut().zip(&mut above).zip(self.columns.weight);
            for ((cell, above), wide) in columns {
                // the reference's filter wraps here for the very largest odd sizes, and must be equalled
                let scaled = (*cell * tall * wide).wrapping_mul(self.precision);
                before = before.wrapping_add(scaled / self.divisor);
                *cell = before.wrapping_add(*above);
                *above = *cell;
            }
        }
        table
    }

    /// Signature of a picture.
    pub(super) fn sign(&self, luma: Plane<'_>) -> Fine {
        let table = self.table(luma);
        let mut ternary = Vec::with_capacity(ELEMENTS);
        let mut strengths = Vec::with_capacity(ELEMENTS);
        for category in CATEGORIES.iter() {
            let values: Vec<i64> = category
                .iter()
                .map(|element| self.value(&table, element))
                .collect();
            let compared = category.iter().zip(&values);
            strengths.extend(
                compared
                    .filter(|(element, _)| !element.those.is_empty())
                    .map(|(_, value)| (value.wrapping_mul(8) / self.unit).unsigned_abs()),
            );
            let mut sizes: Vec<i64> = values.iter().map(|value| value.wrapping_abs()).collect();
            sizes.sort_unstable();
            let threshold = sizes[(sizes.len() as f64 * THRESHOLD) as usize];
            ternary.extend(values.iter().map(|&value| match value {
                value if value < -threshold => 0u8,
                value if value <= threshold => 1,
                _ => 2,
            }));
        }
        strengths.sort_unstable();
        let median = strengths[strengths.len() / 2];
        let digits = |five: [u8; 5]| {
            let weighed = five
                .iter()
                .zip(WEIGHTS)
                .map(|(digit, weight)| digit * weight);
            weighed.sum::<u8>()
        };
        Fine {
            confidence: u8::try_from(median).unwrap_or(u8::MAX),
            words: WORD_ELEMENTS.map(|elements| digits(elements.map(|element| ternary[element]))),
            elements: std::array::from_fn(|byte| {
                digits(std::array::from_fn(|digit| ternary[byte * 5 + digit]))
            }),
        }
    }

    fn value(&self, table: &[[u64; GRID]; GRID], element: &Element) -> i64 {
        let these = mean(table, &element.these).cast_signed();
        if element.those.is_empty() {
            these.wrapping_sub(128 * self.unit)
        } else {
            these.wrapping_sub(mean(table, &element.those).cast_signed())
        }
    }
}

fn mean(table: &[[u64; GRID]; GRID], regions: &[Region]) -> u64 {
    let sum = regions
        .iter()
        .fold(0u64, |all, region| all.wrapping_add(sum(table, *region)));
    sum / regions.iter().map(|region| region.cells()).sum::<u64>()
}

fn sum(table: &[[u64; GRID]; GRID], region: Region) -> u64 {
    let [left, top, right, bottom] =
        [region.left, region.top, region.right, region.bottom].map(usize::from);
    let until = |x: Option<usize>, y: Option<usize>| match (x, y) {
        (Some(x), Some(y)) => table[y][x],
        _ => 0,
    };
    let (x, y) = (left.checked_sub(1), top.checked_sub(1));
    table[bottom][right]
        .wrapping_add(until(x, y))
        .wrapping_sub(until(x, Some(bottom)))
        .wrapping_sub(until(Some(right), y))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(width: usize, height: usize, sample: impl Fn(usize, usize) -> u8) -> Fine {
        let samples: Vec<u8> = (0..width * height)
            .map(|at| sample(at % width, at / width))
            .collect();
        let plane = Plane {
            samples: &samples,
            stride: width,
        };
        Cells::new(width, height).expect("large enough").sign(plane)
    }

    #[test]
    fn a_flat_picture_tells_nothing_and_compares_equal_everywhere() {
        // the mean elements are above the middle grey by the same amount, which is not above their own threshold
        let fine = sign(100, 70, |_, _| 200);
        assert_eq!(fine.confidence, 0);
        assert!(fine.elements.iter().all(|&byte| byte == 121), "{fine:?}");
    }

    #[test]
    fn weights_make_cells_of_different_sizes_equal() {
        for samples in [32, 33, 47, 63, 64, 146, 1079, 1920] {
            let side = Side::new(samples).expect("large enough");
            let mut counts = [0u64; GRID];
            side.cell.iter().for_each(|&cell| counts[cell] += 1);
            for (count, weight) in counts.iter().zip(side.weight) {
                assert_eq!(count * weight, side.common, "{samples} samples");
            }
        }
    }

    #[test]
    fn the_largest_pictures_are_signed_without_a_panic() {
        for (width, height) in [(4096, 4096), (3840, 2160), (4095, 4095)] {
            let cells = Cells::new(width, height).expect("large enough");
            let line = vec![255; width];
            let plane = Plane {
                samples: &line,
                stride: 0,
            };
            let fine = cells.sign(plane);
            assert_eq!(fine, cells.sign(plane), "{width}x{height}");
        }
    }

    #[test]
    fn a_picture_smaller_than_the_grid_has_no_signature() {
        assert!(Cells::new(31, 100).is_none());
        assert!(Cells::new(100, 31).is_none());
        assert!(Cells::new(32, 32).is_some());
    }
}
