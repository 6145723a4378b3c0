//! Pictures of requests in, pictures of answers out.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host::job::JobError;
use image::{ImageFormat, ImageReader, Limits, RgbImage};

use crate::{refused, unable};

/// Largest side of a picture, pixels.
const SIDE: u32 = 16_384;
/// Most memory of a decoded picture, bytes.
const MEMORY: u64 = 512 << 20;

/// Decodes PNG, JPEG or GIF; whatever its header claims, no more memory than allowed is taken.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, JobError> {
    if bytes.is_empty() {
        return Err(refused("image is missing"));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(unable)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE);
    limits.max_image_height = Some(SIDE);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let decoded = reader
        .decode()
        .map_err(|error| refused(format!("the image cannot be decoded: {error}")))?;
    Ok(decoded.into_rgb8())
}

/// A PNG as a data URL.
pub(crate) fn data_url(picture: &RgbImage) -> Result<String, JobError> {
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(unable)?;
    Ok(format!(
        "data:image/png;base64,{}",
        STANDARD.encode(png.into_inner())
    ))
}
