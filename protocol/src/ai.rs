//! AI requests: the batch pipelines of the network, the fields of their requests, and the units that are paid for.
//!
//! Names, fields and units are those that gateways use; what a runner is given is what the gateway sent.

mod fields;
mod job;
mod request;
mod units;

#[cfg(test)]
mod tests;

pub use fields::{Field, Kind, MessageProblem};
pub use job::WorkerJob;
pub use request::{AiRequest, BadRequest};
pub use units::{Media, PIXELS_MOST, TOKENS_MOST};

use crate::capabilities::Capability;

macro_rules! pipelines {
    ($($variant:ident $name:literal $label:literal $body:ident $port:literal,)*) => {
        /// A batch pipeline: one request, one answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Pipeline { $($variant,)* }

        impl Pipeline {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Name in settings, in paths and at runners.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Path on the public port.
            pub fn path(self) -> &'static str {
                match self { $(Self::$variant => concat!("/", $name),)* }
            }

            /// Name in texts about a runner's errors, which gateways match.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// How its request travels.
            pub fn body(self) -> BodyKind {
                match self { $(Self::$variant => BodyKind::$body,)* }
            }

            /// First of the ports that its containers are published on.
            pub fn port_base(self) -> u16 {
                match self { $(Self::$variant => $port,)* }
            }

            /// What is advertised for it.
            pub fn capability(self) -> Capability {
                match self { $(Self::$variant => Capability::$variant,)* }
            }
        }
    };
}

pipelines! {
    TextToImage "text-to-image" "text-to-image" Json 8000,
    ImageToImage "image-to-image" "image-to-image" Image 8100,
    ImageToVideo "image-to-video" "image-to-video" Image 8200,
    Upscale "upscale" "upscale" Image 8300,
    AudioToText "audio-to-text" "audio-to-text" Audio 8400,
    SegmentAnything2 "segment-anything-2" "segment anything 2" Image 8600,
    Llm "llm" "LLM" Json 8500,
    ImageToText "image-to-text" "image-to-text" Image 8700,
    TextToSpeech "text-to-speech" "text-to-speech" Json 8800,
}

/// How the request of a pipeline travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// One JSON object.
    Json,
    /// A form with a picture in `image`.
    Image,
    /// A form with a recording in `audio`.
    Audio,
}

impl BodyKind {
    /// Name of the form's file, where there is one.
    pub fn file(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Image => Some("image"),
            Self::Audio => Some("audio"),
        }
    }
}

impl Pipeline {
    /// By its name in settings and paths.
    pub fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|pipeline| pipeline.name() == name);
        found.copied()
    }

    /// By what is advertised for it.
    pub fn from_capability(capability: Capability) -> Option<Self> {
        let found = Self::ALL.iter();
        found.copied().find(|one| one.capability() == capability)
    }

    /// Name of the field that says which model is meant.
    pub fn model_field(self) -> &'static str {
        match self {
            Self::Llm => "model",
            _ => "model_id",
        }
    }

    /// Manifest ID of its batch jobs: `<capability>_<model>`. Balances and fixed prices are kept under it.
    pub fn manifest(self, model: &str) -> String {
        format!("{}_{model}", self.capability().number())
    }

    /// Whether answers carry pictures that are stored and linked to.
    pub fn makes_pictures(self) -> bool {
        matches!(self, Self::TextToImage | Self::ImageToImage | Self::Upscale)
    }
}

impl std::fmt::Display for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
