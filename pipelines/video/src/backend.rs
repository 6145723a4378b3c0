//! Which elements decode, scale and encode: software or one NVIDIA card. Chosen once per job from what
//! is asked and what is installed; everything else in this crate is the same for both.

use containers::VideoCodec as InputCodec;
use host::job::{Device, EncoderSettings};
use protocol::profile::VideoCodec;

use crate::error::VideoError;
use crate::plan::BranchPlan;
use crate::{nvidia, software};

/// Where the pixels of a job live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Software,
    Nvidia(u32),
}

impl Backend {
    /// The asked device, or software where the card's elements are not registered.
    pub(crate) fn choose(device: &Device) -> Self {
        match device {
            Device::Nvidia(index) if nvidia::present(*index) => Self::Nvidia(*index),
            Device::Nvidia(index) => {
                tracing::warn!(
                    device = index,
                    "no nvcodec elements for this card; using the processor"
                );
                Self::Software
            }
            Device::Cpu => Self::Software,
        }
    }

    /// Factory names of the parser and the decoder; `None` for a codec that nothing decodes.
    pub(crate) fn decoder(self, codec: InputCodec) -> Option<(&'static str, String)> {
        let (parser, name) = match codec {
            InputCodec::H264 => ("h264parse", "h264"),
            InputCodec::H265 => ("h265parse", "h265"),
            InputCodec::Other(_) => return None,
        };
        let decoder = match self {
            Self::Software => format!("avdec_{name}"),
            Self::Nvidia(index) => nvidia::decoder(name, index),
        };
        Some((parser, decoder))
    }

    /// Factory name of the encoder; `None` for a codec this backend does not encode.
    pub(crate) fn encoder(self, codec: VideoCodec) -> Option<String> {
        match (self, codec) {
            (Self::Software, VideoCodec::H264) => Some("x264enc".to_owned()),
            (Self::Nvidia(index), VideoCodec::H264) => Some(nvidia::encoder("h264", index)),
            (Self::Nvidia(index), VideoCodec::H265) => Some(nvidia::encoder("h265", index)),
            _ => None,
        }
    }

    pub(crate) fn make_decoder(self, factory: &str) -> Result<gst::Element, VideoError> {
        match self {
            Self::Software => software::decoder(factory),
            Self::Nvidia(_) => make(factory),
        }
    }

    /// What brings decoded frames into the one format that is scaled; none where the decoder gives that.
    pub(crate) fn make_converter(self) -> Result<Option<gst::Element>, VideoError> {
        match self {
            Self::Software => software::converter().map(Some),
            Self::Nvidia(_) => Ok(None),
        }
    }

    /// Caps of frames that are scaled, whatever their size.
    pub(crate) fn converted_caps(self) -> gst::Caps {
        let caps = gst::Caps::builder("video/x-raw");
        match self {
            Self::Software => caps.field("format", "I420").build(),
            Self::Nvidia(_) => caps
                .field("format", "NV12")
                .features([nvidia::MEMORY])
                .build(),
        }
    }

    /// An element that scales; none where each encoder's canvas does.
    pub(crate) fn make_scaler(self) -> Result<Option<gst::Element>, VideoError> {
        match self {
            Self::Software => Ok(None),
            Self::Nvidia(index) => nvidia::scaler(index).map(Some),
        }
    }

    pub(crate) fn make_encoder(
        self,
        plan: &BranchPlan,
        settings: &EncoderSettings,
    ) -> Result<gst::Element, VideoError> {
        match self {
            Self::Software => software::encoder(plan, settings),
            Self::Nvidia(index) => nvidia::make_encoder(plan, index),
        }
    }

    /// Caps of scaled frames.
    pub(crate) fn scaled_caps(self, size: (u32, u32)) -> gst::Caps {
        let cut = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
        let mut caps = self.converted_caps();
        let sized = caps.make_mut();
        sized.set("width", cut(size.0));
        sized.set("height", cut(size.1));
        caps
    }
}

/// An element of `factory`, or which package lacks.
pub(crate) fn make(factory: &str) -> Result<gst::Element, VideoError> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|_| crate::available::missing(factory))
}

/// Sets properties by their textual form, so that a value the installed version does not know is an error.
pub(crate) fn configure(
    element: &gst::Element,
    settings: &[(&str, String)],
) -> Result<(), VideoError> {
    use gst::prelude::*;
    for (name, value) in settings {
        let spec = element
            .find_property(name)
            .ok_or_else(|| VideoError::Build(format!("{}: no property {name}", element.name())))?;
        let value = gst::glib::Value::deserialize_with_pspec(value, &spec).map_err(|_| {
            VideoError::Build(format!("{}: {name} cannot be {value}", element.name()))
        })?;
        element.set_property_from_value(name, &value);
    }
    Ok(())
}
