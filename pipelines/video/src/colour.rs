//! Colour tags: a rendition carries those of its source, or none if the source has none.
//!
//! Colours are never converted, so what matters is that both sides of every scaler name the same ones;
//! where a side names none, or only half, GStreamer picks by the height of the picture.

use containers::annexb::nal_units;
use containers::{VideoCodec, h264};
use gst_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoTransferFunction,
};
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};

/// Lines from which untagged pictures count as BT.709.
const HD_LINES: i32 = 720;

/// True if the first access unit's parameter sets state colours or full range. For H.265 always: its
/// renditions are tagged with what a player would assume of the source.
pub(crate) fn is_tagged(codec: VideoCodec, first: &[u8]) -> bool {
    if codec != VideoCodec::H264 {
        return true;
    }
    nal_units(first)
        .filter(|nal| h264::nal_type(nal.bytes) == Some(h264::NAL_SPS))
        .filter_map(|nal| {
            SeqParameterSet::from_bits(RefNal::new(nal.bytes, &[], true).rbsp_bits()).ok()
        })
        .filter_map(|sps| sps.vui_parameters?.video_signal_type)
        .any(|signal| signal.video_full_range_flag || signal.colour_description.is_some())
}

/// The decoder's colorimetry with its gaps filled, in GStreamer's notation.
pub(crate) fn complete(told: Option<&str>, height: i32) -> String {
    let told = told.and_then(|text| text.parse::<VideoColorimetry>().ok());
    if let Some(told) = &told
        && told.matrix() != VideoColorMatrix::Unknown
    {
        return told.to_string();
    }
    let range = match told.map(|told| told.range()) {
        Some(VideoColorRange::Range0_255) => VideoColorRange::Range0_255,
        _ => VideoColorRange::Range16_235,
    };
    let (matrix, transfer, primaries) = if height >= HD_LINES {
        (
            VideoColorMatrix::Bt709,
            VideoTransferFunction::Bt709,
            VideoColorPrimaries::Bt709,
        )
    } else {
        (
            VideoColorMatrix::Bt601,
            VideoTransferFunction::Bt601,
            VideoColorPrimaries::Smpte170m,
        )
    };
    VideoColorimetry::new(range, matrix, transfer, primaries).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untagged_pictures_count_as_what_their_height_suggests() {
        crate::init().unwrap();
        assert_eq!(complete(None, 720), "bt709");
        assert_eq!(complete(None, 576), "bt601");
        assert_eq!(complete(Some("1:0:0:0"), 720), "1:3:5:1");
    }

    #[test]
    fn stated_colours_are_kept() {
        crate::init().unwrap();
        assert_eq!(complete(Some("bt601"), 1080), "bt601");
        assert_eq!(complete(Some("bt2020"), 1080), "bt2020");
        assert_eq!(complete(Some("2:3:0:0"), 480), "2:3:0:0");
    }
}
