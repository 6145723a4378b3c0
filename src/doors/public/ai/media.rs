//! What a request is charged by: the size of a picture as its header tells it, the length of a recording.

use std::io::Cursor;

use image::{ImageFormat, ImageReader};
use lofty::file::AudioFile;
use lofty::probe::Probe;
use protocol::ai::{BadRequest, BodyKind, Media};
use runners::Request;

/// Looks at the file of a request, without decoding it.
pub(super) fn facts(request: &Request) -> Result<Media, BadRequest> {
    let file = request.file.as_ref().map(|file| &file.bytes[..]);
    match request.ask.pipeline().body() {
        BodyKind::Json => Ok(Media::None),
        BodyKind::Image => picture(file.unwrap_or_default()),
        BodyKind::Audio => sound(file.unwrap_or_default()),
    }
}

fn picture(bytes: &[u8]) -> Result<Media, BadRequest> {
    let unknown = || BadRequest("image: unknown format".into());
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let reader = reader.map_err(|_| unknown())?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif];
    if !reader
        .format()
        .is_some_and(|format| known.contains(&format))
    {
        return Err(unknown());
    }
    let (width, height) = reader.into_dimensions().map_err(|_| unknown())?;
    Ok(Media::Picture { width, height })
}

fn sound(bytes: &[u8]) -> Result<Media, BadRequest> {
    let unable = |_| BadRequest("Unable to calculate duration".into());
    let probe = Probe::new(Cursor::new(bytes));
    let file = probe.guess_file_type().map_err(|_| unable(()))?;
    let file = file.read().map_err(|_| unable(()))?;
    Ok(Media::Sound(file.properties().duration().as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG's beginning that claims this size.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut picture = Cursor::new(Vec::new());
        image::RgbImage::new(2, 2)
            .write_to(&mut picture, ImageFormat::Png)
            .expect("written");
        let mut bytes = picture.into_inner();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Of PNG chunks.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    #[test]
    fn a_header_that_lies_is_taken_at_its_word_and_costs_no_memory() {
        let size = |width, height| Media::Picture { width, height };
        assert_eq!(picture(&png(2, 2)), Ok(size(2, 2)));
        assert_eq!(picture(&png(100_000, 100_000)), Ok(size(100_000, 100_000)));
    }

    #[test]
    fn what_is_no_picture_or_recording_is_refused_with_its_text() {
        for bytes in [
            &b""[..],
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"<svg>",
            &png(2, 2)[..20],
        ] {
            let refused = picture(bytes).expect_err("no picture");
            assert_eq!(refused.0, "image: unknown format");
            let refused = sound(bytes).expect_err("no recording");
            assert_eq!(refused.0, "Unable to calculate duration");
        }
    }

    #[test]
    fn the_length_of_a_recording_is_read_from_its_header() {
        let samples: u32 = 8000 * 3;
        let mut wav = b"RIFF".to_vec();
        wav.extend((36 + samples).to_le_bytes());
        wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        wav.extend(8000u32.to_le_bytes());
        wav.extend(8000u32.to_le_bytes());
        wav.extend(b"\x01\0\x08\0data");
        wav.extend(samples.to_le_bytes());
        wav.extend(vec![0x80; samples as usize]);
        assert_eq!(sound(&wav), Ok(Media::Sound(3.0)));
    }
}
