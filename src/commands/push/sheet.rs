//! The contact sheet: one row for the source and one for each rendition, one column for each moment.

use std::path::Path;

use host::job::ProbeReport;
use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};

/// Width of a picture on the sheet in pixels.
pub const CELL_WIDTH: u32 = 240;
/// Space around pictures in pixels.
const GAP: u32 = 6;
/// Moments shown.
const COLUMNS: usize = 6;
const BACKGROUND: Rgb<u8> = Rgb([24, 24, 24]);

/// Which segments are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetPlan {
    seqs: Vec<i64>,
    per_segment: u32,
}

impl SheetPlan {
    /// Moments spread evenly over a stream of `count` segments.
    pub fn new(count: usize) -> Self {
        let shown = count.clamp(1, COLUMNS);
        let seqs = (0..shown)
            .filter_map(|n| i64::try_from(n * count / shown).ok())
            .collect();
        Self {
            seqs,
            per_segment: COLUMNS.div_ceil(shown) as u32,
        }
    }

    /// Whether pictures of this segment are shown.
    pub fn wants(&self, seq: i64) -> bool {
        self.seqs.contains(&seq)
    }

    /// Pictures taken of each segment shown.
    pub fn per_segment(&self) -> u32 {
        self.per_segment
    }
}

/// One decoded picture and where it belongs.
#[derive(Debug, Clone)]
pub struct Picture {
    seq: i64,
    moment: usize,
    row: usize,
    image: RgbImage,
}

impl Picture {
    /// Pictures of one probe; `row` is 0 for the source, then the renditions.
    pub fn cut(seq: i64, row: usize, report: &ProbeReport, rgb: &[u8]) -> Vec<Self> {
        let mut rest = rgb;
        let mut pictures = Vec::new();
        for (moment, (width, height)) in report.thumbnails.iter().enumerate() {
            let Some((bytes, after)) =
                rest.split_at_checked(*width as usize * *height as usize * 3)
            else {
                break;
            };
            rest = after;
            if let Some(image) = RgbImage::from_raw(*width, *height, bytes.to_vec()) {
                pictures.push(Self {
                    seq,
                    moment,
                    row,
                    image,
                });
            }
        }
        pictures
    }
}

/// Lays the pictures out and writes a PNG.
///
/// # Errors
/// No pictures, or the file cannot be written.
pub fn write(path: &Path, pictures: &[Picture]) -> Result<(), SheetError> {
    let sheet = lay_out(pictures).ok_or(SheetError::NoPictures)?;
    sheet
        .save_with_format(path, image::ImageFormat::Png)
        .map_err(|source| SheetError::Write {
            path: path.display().to_string(),
            source,
        })
}

fn lay_out(pictures: &[Picture]) -> Option<RgbImage> {
    let mut columns: Vec<(i64, usize)> = pictures
        .iter()
        .map(|picture| (picture.seq, picture.moment))
        .collect();
    columns.sort_unstable();
    columns.dedup();
    let rows = pictures.iter().map(|picture| picture.row).max()? + 1;
    let scaled = |picture: &Picture| {
        let height = (picture.image.height() * CELL_WIDTH / picture.image.width().max(1)).max(1);
        resize(&picture.image, CELL_WIDTH, height, FilterType::Triangle)
    };
    let cells: Vec<(usize, usize, RgbImage)> = pictures
        .iter()
        .filter_map(|picture| {
            Some((
                picture.row,
                columns.binary_search(&(picture.seq, picture.moment)).ok()?,
                scaled(picture),
            ))
        })
        .collect();
    let height = cells.iter().map(|(_, _, image)| image.height()).max()?;
    let size = |cells: usize, length: u32| {
        u32::try_from(cells)
            .ok()
            .map(|cells| cells * (length + GAP) + GAP)
    };
    let mut sheet = RgbImage::from_pixel(
        size(columns.len(), CELL_WIDTH)?,
        size(rows, height)?,
        BACKGROUND,
    );
    for (row, column, image) in &cells {
        let at = |n: &usize, length: u32| *n as i64 * i64::from(length + GAP) + i64::from(GAP);
        overlay(&mut sheet, image, at(column, CELL_WIDTH), at(row, height));
    }
    Some(sheet)
}

/// Why there is no sheet.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// Nothing was decoded.
    #[error("no pictures for the contact sheet")]
    NoPictures,
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Where.
        path: String,
        /// Why.
        source: image::ImageError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread_over_the_stream() {
        let plan = SheetPlan::new(60);
        assert_eq!(
            (plan.seqs.clone(), plan.per_segment()),
            (vec![0, 10, 20, 30, 40, 50], 1)
        );
        let plan = SheetPlan::new(2);
        assert_eq!((plan.seqs.clone(), plan.per_segment()), (vec![0, 1], 3));
    }

    #[test]
    fn pictures_come_to_lie_in_rows_and_columns() {
        let report = ProbeReport {
            thumbnails: vec![(240, 10), (240, 10)],
            ..ProbeReport::default()
        };
        let mut pictures = Picture::cut(0, 0, &report, &vec![255; 2 * 240 * 10 * 3]);
        pictures.extend(Picture::cut(0, 1, &report, &vec![128; 2 * 240 * 10 * 3]));
        let sheet = lay_out(&pictures).unwrap();
        assert_eq!(sheet.dimensions(), (2 * 246 + 6, 2 * 16 + 6));
        assert_eq!(sheet.get_pixel(6 + 246, 6).0, [255; 3]);
        assert_eq!(sheet.get_pixel(6, 6 + 16).0, [128; 3]);
        assert_eq!(sheet.get_pixel(0, 0), &BACKGROUND);
    }

    #[test]
    fn fewer_bytes_than_promised_give_fewer_pictures() {
        let report = ProbeReport {
            thumbnails: vec![(2, 2), (2, 2)],
            ..ProbeReport::default()
        };
        assert_eq!(Picture::cut(0, 0, &report, &[0; 13]).len(), 1);
    }
}
