//! Decoding, converting and encoding on the processor: libav, videoconvertscale, x264. Scaling is done by the [canvas](crate::canvas).
//!
//! The settings reproduce the reference's: its options line of x264 at preset medium, bicubic scaling
//! of the whole picture, and no conversion of colours.

use host::job::EncoderSettings;

use crate::backend::{configure, make};
use crate::error::VideoError;
use crate::plan::{BranchPlan, RateControl};

/// Largest rate factor that x264enc takes; x264 itself treats everything above 51 alike.
const MAX_CRF: u32 = 50;

/// The preset that is ours.
const BALANCED: &str = "balanced";

/// Lines of a picture that keep one thread of its encoder busy.
const LINES_PER_THREAD: u32 = 240;

/// One thread decodes: encoders keep the other cores busy, and frame threads only add memory.
/// Frames before the decoder has recovered are withheld, as in the reference.
pub(crate) fn decoder(factory: &str) -> Result<gst::Element, VideoError> {
    let element = make(factory)?;
    configure(
        &element,
        &[
            ("max-threads", "1".into()),
            ("output-corrupt", "false".into()),
            ("qos", "false".into()),
        ],
    )?;
    Ok(element)
}

/// Hands frames of 4:2:0 with eight bits through, and brings all others to that in their own size.
///
/// By default this element recodes untagged pictures between BT.601 and BT.709. That is not wanted.
pub(crate) fn converter() -> Result<gst::Element, VideoError> {
    let element = make("videoconvertscale")?;
    configure(
        &element,
        &[
            ("add-borders", "false".into()),
            ("matrix-mode", "none".into()),
            ("method", "catrom".into()),
            ("qos", "false".into()),
        ],
    )?;
    Ok(element)
}

/// Speed of x264: a preset of its own, and how many frames it looks ahead where that differs.
#[derive(Debug, PartialEq, Eq)]
struct Speed<'s> {
    preset: &'s str,
    lookahead: Option<u32>,
}

impl<'s> Speed<'s> {
    /// `balanced` is ours: measured at the reference's rate control it keeps the mean SSIM of a ladder within 0.001 of the
    /// reference's `medium`, for about 0.7 of its time. Large pictures cost most and lose least; small ones are cheap, and lose
    /// most by a coarse search and a short look-ahead.
    fn of(name: &'s str, plan: &BranchPlan) -> Self {
        let (preset, lookahead) = match (name, lines(plan)) {
            (BALANCED, ..=240) => ("fast", None),
            (BALANCED, ..=360) => ("faster", Some(30)),
            (BALANCED, _) => ("faster", None),
            (preset, _) => (preset, None),
        };
        Self { preset, lookahead }
    }
}

/// Threads of an encoder for which none were asked: x264's own choice (half as many again as there are processors), but no more
/// than the picture keeps busy. Each one more holds frames of its own, and costs time and quality; a small rendition of a ladder
/// gains nothing by them, since it waits for the largest.
fn threads(lines: u32, processors: usize) -> u32 {
    let usual = u32::try_from(processors * 3 / 2).unwrap_or(u32::MAX);
    (lines / LINES_PER_THREAD).clamp(1, usual.max(1))
}

/// The asked lines of a picture that lies on its longer side; zero asks for whatever the other side gives.
fn lines(plan: &BranchPlan) -> u32 {
    match plan.asked {
        (0, side) | (side, 0) => side,
        (width, height) => width.min(height),
    }
}

/// x264 as the plan asks. Bitrate and VBV buffer are both one second of the asked rate.
pub(crate) fn encoder(
    plan: &BranchPlan,
    settings: &EncoderSettings,
) -> Result<gst::Element, VideoError> {
    let element = make("x264enc")?;
    let speed = Speed::of(&settings.x264_preset, plan);
    let threads = match settings.x264_threads {
        0 => {
            let processors = std::thread::available_parallelism();
            threads(lines(plan), processors.map_or(1, std::num::NonZero::get))
        }
        asked => asked,
    };
    let mut options = vec![
        ("speed-preset", speed.preset.to_owned()),
        ("key-int-max", plan.key_interval.to_string()),
        ("bframes", plan.b_frames.to_string()),
        ("threads", threads.to_string()),
        ("sliced-threads", "false".into()),
        // the muxer puts the delimiters that TS wants
        ("aud", "false".into()),
    ];
    if let Some(frames) = settings.x264_lookahead.or(speed.lookahead) {
        options.push(("rc-lookahead", frames.min(250).to_string()));
    }
    match plan.control {
        RateControl::Constant { kbit } => options.extend([
            ("pass", "cbr".into()),
            ("bitrate", kbit.min(2_048_000).to_string()),
            ("vbv-buf-capacity", "1000".into()),
        ]),
        RateControl::Quality { crf, cap_kbit } => options.extend([
            ("pass", "qual".into()),
            ("quantizer", crf.min(MAX_CRF).to_string()),
            (
                "bitrate",
                cap_kbit.unwrap_or(2048).clamp(1, 2_048_000).to_string(),
            ),
            (
                "vbv-buf-capacity",
                if cap_kbit.is_some() { "1000" } else { "0" }.into(),
            ),
        ]),
    }
    configure(&element, &options)?;
    Ok(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pictures_take_one_thread_and_none_takes_more_than_x264_would() {
        for (lines, processors, expected) in [
            (90, 64, 1),
            (360, 64, 1),
            (480, 64, 2),
            (720, 2, 3),
            (1080, 64, 4),
            (2160, 2, 3),
            (2160, 1, 1),
        ] {
            assert_eq!(
                threads(lines, processors),
                expected,
                "{lines} lines, {processors}"
            );
        }
    }
}
