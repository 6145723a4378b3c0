//! What a node can do, and whether that is enough for what a peer asks.

mod compatible;
mod job;
mod set;

use std::{collections::BTreeMap, fmt};

pub use compatible::{Incompatible, version_at_least};
pub use job::{JobTraits, required};
pub use set::CapabilitySet;

use crate::pb;

macro_rules! capabilities {
    ($($number:literal $variant:ident $name:literal,)*) => {
        /// One thing a node can do; the number is its bit in [`pb::Capabilities::bitstring`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        #[repr(u32)]
        pub enum Capability { $($variant = $number,)* }

        impl Capability {
            /// All of them, by rising number.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// From its bit number; `None` for numbers that have no meaning yet.
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// Name for people, as the reference prints it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

capabilities! {
    0 H264 "H.264",
    1 MpegTs "MPEGTS",
    2 Mp4 "MP4",
    3 FractionalFramerates "Fractional framerates",
    4 StorageDirect "Storage direct",
    5 StorageS3 "Storage S3",
    6 StorageGcs "Storage GCS",
    7 H264Baseline "H264 Baseline profile",
    8 H264Main "H264 Main profile",
    9 H264High "H264 High profile",
    10 H264ConstrainedHigh "H264 Constrained, Contained High profile",
    11 Gop "GOP",
    12 AuthToken "Auth token",
    13 SceneClassification "Scene classification",
    14 Mpeg7Signature "MPEG7 signature",
    15 HevcDecode "HEVC decode",
    16 HevcEncode "HEVC encode",
    17 Vp8Decode "VP8 decode",
    18 Vp9Decode "VP9 decode",
    19 Vp8Encode "VP8 encode",
    20 Vp9Encode "VP9 encode",
    21 H264Decode444At8 "H264 Decode YUV444 8-bit",
    22 H264Decode422At8 "H264 Decode YUV422 8-bit",
    23 H264Decode444At10 "H264 Decode YUV444 10-bit",
    24 H264Decode422At10 "H264 Decode YUV422 10-bit",
    25 H264Decode420At10 "H264 Decode YUV420 10-bit",
    26 SegmentSlicing "Segment slicing",
    27 TextToImage "Text to image",
    28 ImageToImage "Image to image",
    29 ImageToVideo "Image to video",
    30 Upscale "Upscale",
    31 AudioToText "Audio to text",
    32 SegmentAnything2 "Segment anything 2",
    33 Llm "Llm",
    34 ImageToText "Image to text",
    35 LiveVideoToVideo "Live video to video",
    36 TextToSpeech "Text to speech",
    37 Byoc "byoc",
}

impl Capability {
    /// What the reference's orchestrator always advertises. Gateways looking for AI demand all of it.
    pub const VIDEO_DEFAULT: &[Self] = {
        use Capability::*;
        &[
            H264,
            MpegTs,
            Mp4,
            FractionalFramerates,
            StorageDirect,
            StorageS3,
            StorageGcs,
            H264Baseline,
            H264Main,
            H264High,
            H264ConstrainedHigh,
            Gop,
            AuthToken,
            Mpeg7Signature,
            SegmentSlicing,
        ]
    };

    /// What every node of ours can do whatever hardware it has: containers, rates, tokens, its own segment store and gateways' at S3.
    /// Codecs, pixel formats and signatures join when a test of the machine passed ([`Capabilities::tested`]).
    pub const WITHOUT_TEST: &[Self] = {
        use Capability::*;
        &[
            MpegTs,
            Mp4,
            FractionalFramerates,
            StorageDirect,
            StorageS3,
            H264Baseline,
            H264Main,
            H264High,
            H264ConstrainedHigh,
            Gop,
            AuthToken,
            SegmentSlicing,
        ]
    };

    /// What depends on the machine that transcodes: codecs, pixel formats and signatures. An orchestrator offers them as
    /// soon as one of its workers has them; everything else is its own affair.
    pub const OF_WORKERS: &[Self] = {
        use Capability::*;
        &[
            H264,
            Mpeg7Signature,
            HevcDecode,
            HevcEncode,
            Vp8Decode,
            Vp9Decode,
            Vp8Encode,
            Vp9Encode,
            H264Decode444At8,
            H264Decode422At8,
            H264Decode444At10,
            H264Decode422At10,
            H264Decode420At10,
        ]
    };

    /// Whether it stands for AI models.
    pub fn is_ai(self) -> bool {
        (Self::TextToImage.number()..=Self::Byoc.number()).contains(&self.number())
    }

    /// Bit number on the wire.
    pub fn number(self) -> u32 {
        self as u32
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How one model must be, or is, served.
pub type ModelConstraint = pb::capabilities::capability_constraints::ModelConstraint;

/// A node's capabilities, or a job's demands, as they travel in [`pb::Capabilities`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Capabilities {
    /// What is offered or demanded.
    pub set: CapabilitySet,
    /// What a server wants every requester to know. Empty in practice.
    pub mandatory: CapabilitySet,
    /// How much of each capability (by number) there is.
    pub capacities: BTreeMap<u32, u32>,
    /// Release of the node, e.g. `0.9.1`; gateways send none.
    pub version: String,
    /// Least release that a requester accepts; empty = any.
    pub min_version: String,
    /// Models by capability number and model name.
    pub models: BTreeMap<u32, BTreeMap<String, ModelConstraint>>,
}

impl Capabilities {
    /// A node's own set: each with capacity 1, no mandatory ones.
    pub fn of(set: CapabilitySet, version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            ..Self {
                set,
                ..Self::default()
            }
            .with_unit_capacities()
        }
    }

    /// What a node of ours advertises when start-up tests passed for `tested`.
    pub fn tested(
        tested: impl IntoIterator<Item = Capability>,
        version: impl Into<String>,
    ) -> Self {
        let set = Capability::WITHOUT_TEST
            .iter()
            .copied()
            .chain(tested)
            .collect();
        Self::of(set, version)
    }

    /// The demands of a job: only a set.
    pub fn demand(set: CapabilitySet) -> Self {
        Self {
            set,
            ..Self::default()
        }
    }

    /// Gives capacity 1 to each capability when the sender stated none, as older peers do.
    /// Numbers of 1024 and above are left out, so that a peer's list cannot make this one large.
    pub fn with_unit_capacities(mut self) -> Self {
        if self.capacities.is_empty() {
            self.capacities = self
                .set
                .numbers()
                .take_while(|n| *n < 1024)
                .map(|n| (n, 1))
                .collect();
        }
        self
    }

    /// Takes over what another node, working for this one, adds: capacities are summed, bits follow them.
    pub fn absorb(&mut self, other: &Self) {
        for (number, capacity) in &other.clone().with_unit_capacities().capacities {
            let sum = self.capacities.entry(*number).or_default();
            *sum = sum.saturating_add(*capacity);
            self.set.insert_number(*number);
        }
    }

    /// Takes over what a remote transcoder adds to this node: only [`Capability::OF_WORKERS`], whatever else it claims.
    pub fn absorb_worker(&mut self, worker: &Self) {
        let has = |capability: &&Capability| worker.set.contains(**capability);
        let added = Capability::OF_WORKERS.iter().filter(has).copied();
        self.absorb(&Self::of(added.collect(), ""));
    }

    /// Whether AI is asked for: by a bit, or by naming models.
    pub fn demands_ai(&self) -> bool {
        let bits = Capability::ALL.iter().filter(|one| one.is_ai());
        bits.into_iter().any(|one| self.set.contains(*one)) || !self.models.is_empty()
    }

    /// The same with everything that gateways which look for AI demand beside it, tested or not.
    #[must_use]
    pub fn for_ai(&self) -> Self {
        let mut all = self.clone();
        let missing = Capability::VIDEO_DEFAULT.iter().copied();
        let missing = missing.filter(|one| !self.set.contains(*one));
        all.absorb(&Self::of(missing.collect(), ""));
        all
    }

    /// From a message; an absent one is an empty set.
    pub fn from_pb(message: Option<pb::Capabilities>) -> Self {
        let message = message.unwrap_or_default();
        let constraints = message.constraints.unwrap_or_default();
        Self {
            set: CapabilitySet::from_words(message.bitstring),
            mandatory: CapabilitySet::from_words(message.mandatories),
            capacities: message.capacities,
            version: message.version,
            min_version: constraints.min_version,
            models: constraints
                .per_capability
                .into_iter()
                .map(|(n, c)| (n, c.models))
                .collect(),
        }
    }

    /// As a message; its constraints are always present, if only empty.
    pub fn to_pb(&self) -> pb::Capabilities {
        let per_capability = self
            .models
            .iter()
            .map(|(n, models)| {
                (
                    *n,
                    pb::capabilities::CapabilityConstraints {
                        models: models.clone(),
                    },
                )
            })
            .collect();
        pb::Capabilities {
            bitstring: self.set.words().to_vec(),
            mandatories: self.mandatory.words().to_vec(),
            capacities: self.capacities.clone(),
            version: self.version.clone(),
            constraints: Some(pb::capabilities::Constraints {
                min_version: self.min_version.clone(),
                per_capability,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
