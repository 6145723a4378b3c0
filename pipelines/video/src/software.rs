//! Decoding, scaling and encoding on the processor: libav, videoconvertscale, x264.
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

/// Lines up to which a picture is small.
const SMALL: u32 = 240;

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

/// By default this element recodes untagged pictures from BT.709 to BT.601 when they shrink below 720
/// lines, and paints borders for sizes that are not exactly the source's aspect. Neither is wanted.
pub(crate) fn scaler() -> Result<gst::Element, VideoError> {
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

/// Speed of x264: a preset of its own, and how far motion is searched below whole pixels where that differs.
#[derive(Debug, PartialEq, Eq)]
struct Speed<'s> {
    preset: &'s str,
    subme: Option<u32>,
}

impl<'s> Speed<'s> {
    /// `balanced` is ours: measured on natural clips at the reference's rate control it is within 0.001 SSIM of the
    /// reference's `medium` at every size, for about three quarters of the time. Small pictures need the finer search and
    /// cost little.
    fn of(name: &'s str, plan: &BranchPlan) -> Self {
        match name {
            BALANCED => Self {
                preset: "faster",
                subme: Some(if plan.asked.0.min(plan.asked.1) <= SMALL {
                    6
                } else {
                    5
                }),
            },
            preset => Self {
                preset,
                subme: None,
            },
        }
    }
}

/// x264 as the plan asks. Bitrate and VBV buffer are both one second of the asked rate.
pub(crate) fn encoder(
    plan: &BranchPlan,
    settings: &EncoderSettings,
) -> Result<gst::Element, VideoError> {
    let element = make("x264enc")?;
    let speed = Speed::of(&settings.x264_preset, plan);
    let mut options = vec![
        ("speed-preset", speed.preset.to_owned()),
        ("key-int-max", plan.key_interval.to_string()),
        ("bframes", plan.b_frames.to_string()),
        ("threads", settings.x264_threads.to_string()),
        ("sliced-threads", "false".into()),
        // the muxer puts the delimiters that TS wants
        ("aud", "false".into()),
    ];
    if let Some(level) = speed.subme {
        options.push(("subme", level.to_string()));
    }
    if let Some(frames) = settings.x264_lookahead {
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
