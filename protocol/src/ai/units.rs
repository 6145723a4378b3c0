//! What a request is charged for, in the units in which gateways count.

use super::{AiRequest, BadRequest, Pipeline};

/// Most pixels that one request may ask for: 64 pictures of 4096 × 4096.
pub const PIXELS_MOST: u64 = 64 << 24;
/// Most tokens that one answer may have.
pub const TOKENS_MOST: i64 = 1 << 20;

/// What was learnt about the file of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Media {
    /// There is none.
    None,
    /// Size of a picture as its header tells it, pixels.
    Picture {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// Length of a recording, seconds.
    Sound(f64),
}

impl AiRequest {
    /// Units of work: pixels, milliseconds of sound by whole seconds, tokens or bytes of text. What was asked for counts, never what
    /// a runner made of it.
    ///
    /// Text-to-speech counts bytes, as gateways do; the reference's orchestrator counts characters times 1000, by which
    /// every honest gateway would run out of balance.
    ///
    /// # Errors
    /// When nothing can be charged, or more than the bounds.
    pub fn units(&self, media: Media) -> Result<u64, BadRequest> {
        let side = |name, default| u64::try_from(self.int(name).unwrap_or(default)).unwrap_or(0);
        let images = || {
            let number = self.int("num_images_per_prompt").unwrap_or(1).max(1);
            u64::try_from(number).unwrap_or(u64::MAX)
        };
        let product = |factors: [u64; 3]| {
            let product = factors.into_iter().try_fold(1_u64, u64::checked_mul);
            product.filter(|pixels| (1..=PIXELS_MOST).contains(pixels))
        };
        let picture = || match media {
            Media::Picture { width, height } => (u64::from(width), u64::from(height)),
            _ => (0, 0),
        };
        let pixels = match self.pipeline() {
            Pipeline::TextToImage => product([side("height", 512), side("width", 512), images()]),
            Pipeline::ImageToImage => product([picture().0, picture().1, images()]),
            Pipeline::ImageToVideo => product([side("height", 576), side("width", 1024), 25]),
            Pipeline::Upscale | Pipeline::SegmentAnything2 | Pipeline::ImageToText => {
                product([picture().0, picture().1, 1])
            }
            Pipeline::AudioToText => return self.sound(media),
            Pipeline::Llm => return self.tokens(),
            Pipeline::TextToSpeech => return self.speech(),
        };
        pixels.ok_or_else(|| {
            BadRequest(format!(
                "pixels in all must be 1 to {PIXELS_MOST}: ask for fewer or smaller pictures"
            ))
        })
    }

    fn sound(&self, media: Media) -> Result<u64, BadRequest> {
        let Media::Sound(seconds) = media else {
            return Err(BadRequest("Unable to calculate duration".into()));
        };
        // a float to integer cast saturates: not a number and negative lengths count as none
        match seconds as u64 {
            0 => Err(BadRequest("Unable to calculate duration".into())),
            whole => Ok(whole.saturating_mul(1000)),
        }
    }

    fn tokens(&self) -> Result<u64, BadRequest> {
        match self.int("max_tokens") {
            None | Some(0) => Err(BadRequest("MaxTokens not specified".into())),
            Some(tokens @ 1..=TOKENS_MOST) => Ok(tokens.unsigned_abs()),
            Some(tokens) => Err(BadRequest(format!(
                "max_tokens is {tokens}, must be 1 to {TOKENS_MOST}"
            ))),
        }
    }

    fn speech(&self) -> Result<u64, BadRequest> {
        match self.str("text").unwrap_or_default().len() {
            0 => Err(BadRequest("text is missing".into())),
            bytes => Ok(bytes as u64),
        }
    }
}
