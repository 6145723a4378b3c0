//! A decoded picture made small and RGB, for people to look at.

use gst_video::prelude::*;
use gst_video::{VideoConverter, VideoFormat, VideoFrame, VideoFrameRef, VideoInfo};

use crate::error::VideoError;

/// Widest thumbnail in pixels.
const MAX_WIDTH: u32 = 1920;

/// The picture of a sample scaled to `width`, its height following the aspect: size, and rows of RGB24
/// without padding.
pub(crate) fn rgb24(sample: &gst::Sample, width: u32) -> Result<((u32, u32), Vec<u8>), VideoError> {
    let bad = |what: &str| VideoError::Build(format!("thumbnail: {what}"));
    let (caps, buffer) = sample
        .caps()
        .zip(sample.buffer())
        .ok_or_else(|| bad("no picture"))?;
    let info = VideoInfo::from_caps(caps).map_err(|_| bad("unknown format"))?;
    let width = width.clamp(2, MAX_WIDTH);
    let height = u64::from(width) * u64::from(info.height()) / u64::from(info.width().max(1));
    let height = u32::try_from(height)
        .unwrap_or(MAX_WIDTH)
        .clamp(2, MAX_WIDTH * 4);
    // the converter wants both sides to agree on everything that is not size, format or colour
    let target = VideoInfo::builder(VideoFormat::Rgb, width, height)
        .fps(info.fps())
        .interlace_mode(info.interlace_mode())
        .build()
        .map_err(|_| bad("size"))?;

    let source =
        VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|_| bad("unreadable"))?;
    let room = gst::Buffer::with_size(target.size()).map_err(|_| bad("no memory"))?;
    let mut scaled =
        VideoFrame::from_buffer_writable(room, &target).map_err(|_| bad("not writable"))?;
    let converter = VideoConverter::new(&info, &target, None).map_err(|_| bad("no conversion"))?;
    converter.frame_ref(&source, &mut scaled.as_mut_video_frame_ref());

    let stride = usize::try_from(*scaled.plane_stride().first().unwrap_or(&0))
        .unwrap_or(0)
        .max(1);
    let plane = scaled.plane_data(0).map_err(|_| bad("no plane"))?;
    let row = width as usize * 3;
    let pixels = plane
        .chunks(stride)
        .take(height as usize)
        .flat_map(|line| line.iter().take(row))
        .copied()
        .collect();
    Ok(((width, height), pixels))
}
