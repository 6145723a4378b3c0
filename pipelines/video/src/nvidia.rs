//! Decoding, scaling and encoding on an NVIDIA card through GStreamer's nvcodec plugin.
//!
//! **Not run on hardware yet.** The plugin registers its elements only where the driver is present, so
//! this file is reached only there. Names and options are tested without a card; behaviour is not.
//! Frames stay in the card's memory from decoder to encoder. Session and encoder are new per segment.

use crate::backend::{configure, make};
use crate::error::VideoError;
use crate::plan::{BranchPlan, RateControl};

/// Caps feature of frames in the card's memory.
pub(crate) const MEMORY: &str = "memory:CUDAMemory";

/// The reference adds this to a quality to get the card's constant quality.
const QUALITY_OFFSET: u32 = 7;
const MAX_QUALITY: u32 = 51;

/// Factory of a decoder for `codec` (`h264`, `h265`): the first card has the plain name.
pub(crate) fn decoder(codec: &str, index: u32) -> String {
    match index {
        0 => format!("nv{codec}dec"),
        n => format!("nv{codec}device{n}dec"),
    }
}

/// Factory of an encoder for `codec` that takes frames in the card's memory.
pub(crate) fn encoder(codec: &str, index: u32) -> String {
    match index {
        0 => format!("nvcuda{codec}enc"),
        n => format!("nvcuda{codec}device{n}enc"),
    }
}

/// True if everything that an H.264 ladder on this card needs is registered.
pub(crate) fn present(index: u32) -> bool {
    [
        decoder("h264", index),
        encoder("h264", index),
        "cudaconvertscale".to_owned(),
    ]
    .iter()
    .all(|name| gst::ElementFactory::find(name).is_some())
}

pub(crate) fn scaler(index: u32) -> Result<gst::Element, VideoError> {
    let element = make("cudaconvertscale")?;
    configure(
        &element,
        &[
            ("add-borders", "false".into()),
            ("cuda-device-id", index.to_string()),
        ],
    )?;
    Ok(element)
}

pub(crate) fn make_encoder(plan: &BranchPlan, index: u32) -> Result<gst::Element, VideoError> {
    let codec = match plan.codec {
        protocol::profile::VideoCodec::H265 => "h265",
        _ => "h264",
    };
    let element = make(&encoder(codec, index))?;
    configure(&element, &options(plan))?;
    Ok(element)
}

/// Encoder options of a plan. B-frames only where they were asked for by profile and the rate is fixed:
/// the reference switches them off for frames that pass through, and by default.
fn options(plan: &BranchPlan) -> Vec<(&'static str, String)> {
    let b_frames = if plan.profile.is_some() && plan.rate.is_some() {
        plan.b_frames
    } else {
        0
    };
    let mut options = vec![
        ("gop-size", plan.key_interval.to_string()),
        ("b-frames", b_frames.to_string()),
    ];
    match plan.control {
        RateControl::Constant { kbit } => options.extend([
            ("rate-control", "cbr".into()),
            ("bitrate", kbit.to_string()),
            ("vbv-buffer-size", kbit.to_string()),
        ]),
        RateControl::Quality { crf, cap_kbit } => {
            options.push(("rate-control", "vbr".into()));
            if crf + QUALITY_OFFSET <= MAX_QUALITY {
                options.push(("const-quality", (crf + QUALITY_OFFSET).to_string()));
            }
            options.extend(cap_kbit.map(|kbit| ("max-bitrate", kbit.to_string())));
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use protocol::profile::{Format, VideoCodec};

    use super::*;
    use crate::size;

    fn plan() -> BranchPlan {
        BranchPlan {
            codec: VideoCodec::H264,
            asked: (640, 360),
            limits: size::H264,
            rate: Some((30, 1)),
            control: RateControl::Constant { kbit: 1200 },
            key_interval: 60,
            force_key_after: None,
            b_frames: 3,
            profile: Some("high"),
            format: Format::MpegTs,
        }
    }

    fn value(plan: &BranchPlan, name: &str) -> Option<String> {
        options(plan)
            .into_iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    #[test]
    fn only_the_first_card_has_plain_factory_names() {
        assert_eq!(
            (decoder("h264", 0), encoder("h264", 0)),
            ("nvh264dec".into(), "nvcudah264enc".into())
        );
        assert_eq!(
            (decoder("h265", 2), encoder("h265", 2)),
            ("nvh265device2dec".into(), "nvcudah265device2enc".into())
        );
    }

    #[test]
    fn frames_that_pass_through_are_encoded_without_b_frames() {
        assert_eq!(value(&plan(), "b-frames").as_deref(), Some("3"));
        assert_eq!(
            value(
                &BranchPlan {
                    rate: None,
                    ..plan()
                },
                "b-frames"
            )
            .as_deref(),
            Some("0")
        );
        assert_eq!(
            value(
                &BranchPlan {
                    profile: None,
                    ..plan()
                },
                "b-frames"
            )
            .as_deref(),
            Some("0")
        );
    }

    #[test]
    fn quality_is_offset_and_capped_by_the_bitrate() {
        let asked = |crf| BranchPlan {
            control: RateControl::Quality {
                crf,
                cap_kbit: Some(900),
            },
            ..plan()
        };
        assert_eq!(value(&asked(30), "const-quality").as_deref(), Some("37"));
        assert_eq!(value(&asked(45), "const-quality"), None);
        assert_eq!(value(&asked(30), "max-bitrate").as_deref(), Some("900"));
    }
}
