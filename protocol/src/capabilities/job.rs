//! What a video job demands, as a gateway derives it from its stream and its renditions.

use super::{Capability, CapabilitySet};
use crate::profile::{Format, Gop, H264Profile, VideoCodec, VideoProfile};

/// What a job demands besides its renditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTraits {
    /// Codec of the source.
    pub input: VideoCodec,
    /// One of the `H264Decode…` capabilities when an H.264 source is not 4:2:0 with 8 bits.
    pub input_sampling: Option<Capability>,
    /// The source is pushed as segments over HTTP (and may be clipped), not ingested by RTMP.
    pub segments_pushed: bool,
    /// Perceptual hashes are wanted.
    pub perceptual_hash: bool,
}

/// Capabilities that a job with these renditions demands.
pub fn required(job: &JobTraits, profiles: &[VideoProfile]) -> CapabilitySet {
    let mut set = CapabilitySet::default();
    set.insert(Capability::AuthToken);
    set.insert(match job.input {
        VideoCodec::H264 => Capability::H264,
        VideoCodec::H265 => Capability::HevcDecode,
        VideoCodec::Vp8 => Capability::Vp8Decode,
        VideoCodec::Vp9 => Capability::Vp9Decode,
    });
    if let Some(sampling) = job.input_sampling {
        set.insert(sampling);
    }
    if job.segments_pushed {
        set.insert(Capability::SegmentSlicing);
    }
    if job.perceptual_hash {
        set.insert(Capability::Mpeg7Signature);
    }
    profiles
        .iter()
        .for_each(|profile| insert_profile(&mut set, profile));
    set
}

fn insert_profile(set: &mut CapabilitySet, profile: &VideoProfile) {
    set.insert(match profile.format {
        Format::MpegTs => Capability::MpegTs,
        Format::Mp4 => Capability::Mp4,
    });
    set.insert(match profile.codec {
        VideoCodec::H264 => Capability::H264,
        VideoCodec::H265 => Capability::HevcEncode,
        VideoCodec::Vp8 => Capability::Vp8Encode,
        VideoCodec::Vp9 => Capability::Vp9Encode,
    });
    if profile.fps_den > 0 {
        set.insert(Capability::FractionalFramerates);
    }
    match profile.h264_profile {
        H264Profile::Default => {}
        H264Profile::Baseline => set.insert(Capability::H264Baseline),
        H264Profile::Main => set.insert(Capability::H264Main),
        H264Profile::High => set.insert(Capability::H264High),
        H264Profile::ConstrainedHigh => set.insert(Capability::H264ConstrainedHigh),
    }
    if profile.gop != Gop::Default {
        set.insert(Capability::Gop);
    }
}
