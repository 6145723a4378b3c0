//! The one picture in front of a software encoder, into which decoded frames are scaled one after the other.
//!
//! x264enc keeps every buffer that it was given until the frame comes out again, although x264 copies the samples at once: with
//! its look-ahead that makes some fifty pictures of each rendition, held for nothing. Here all buffers of a rendition have the
//! same memory, and a frame that is shown twice is scaled once.

use std::cell::UnsafeCell;
use std::sync::Arc;

use gst::prelude::*;
use gst_video::prelude::*;
use gst_video::{VideoFormat, VideoFrameRef, VideoInfo};
use parking_lot::Mutex;

use crate::error::{VideoError, worker};
use crate::scale::{Plane, Scaler};
use crate::shared::Shared;

/// Puts a canvas in front of an encoder. It takes I420 of any size, and carriers of such frames (see [`carry`]); the encoder gets
/// the size of branch `index`, which must be known with the first format.
///
/// The encoder must not look at a buffer's samples after its chain function has returned. x264enc does not.
pub(crate) fn put_before(
    encoder: &gst::Element,
    index: usize,
    shared: &Arc<Shared>,
) -> Result<(), VideoError> {
    let entry = encoder
        .static_pad("sink")
        .ok_or_else(|| VideoError::Build("encoder without sink pad".into()))?;
    let canvas = Mutex::new(None::<Canvas>);
    let shared = Arc::clone(shared);
    let passing = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    entry.add_probe(passing, move |_, info| {
        let mut canvas = canvas.lock();
        let outcome = match &mut info.data {
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Caps(caps) => {
                    let size = shared.lock().branches.get(index).map(|branch| branch.size);
                    Canvas::fit(&mut canvas, caps.caps(), size.unwrap_or_default())
                        .map(|caps| *event = gst::event::Caps::new(&caps))
                }
                _ => Ok(()),
            },
            Some(gst::PadProbeData::Buffer(buffer)) => match canvas.as_mut() {
                Some(canvas) => canvas.paint(buffer).map(|painted| *buffer = painted),
                None => Err("frame without format".to_owned()),
            },
            _ => Ok(()),
        };
        match outcome {
            Ok(()) => gst::PadProbeReturn::Ok,
            Err(what) => {
                shared.fail(worker(format!("scaling for branch {index}: {what}")));
                gst::PadProbeReturn::Drop
            }
        }
    });
    accept_frames(&entry);
    Ok(())
}

/// Answers for everything behind `pad`: frames of any size, with planes wherever the decoder wants them.
pub(crate) fn accept_frames(pad: &gst::Pad) {
    let frames = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .build();
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, move |_, info| {
        let Some(gst::PadProbeData::Query(query)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        match query.view_mut() {
            gst::QueryViewMut::Allocation(query) => {
                query.add_allocation_meta::<gst_video::VideoMeta>(None);
            }
            gst::QueryViewMut::AcceptCaps(query) => {
                let accepted = query.caps().can_intersect(&frames);
                query.set_result(accepted);
            }
            gst::QueryViewMut::Caps(query) => {
                let wanted = query.filter().map(|filter| filter.intersect(&frames));
                query.set_result(wanted.as_ref().unwrap_or(&frames));
            }
            _ => return gst::PadProbeReturn::Ok,
        }
        gst::PadProbeReturn::Handled
    });
}

/// A buffer without samples of its own that stands for `frame`, so that one frame can be shown several times. (Buffers that share
/// memory would keep it from its pool.)
pub(crate) fn carry(frame: &gst::Buffer) -> gst::Buffer {
    let mut carrier = gst::Buffer::new();
    if let Some(carrier) = carrier.get_mut() {
        gst::ParentBufferMeta::add(carrier, frame);
    }
    carrier
}

struct Canvas {
    source: VideoInfo,
    target: VideoInfo,
    scaler: Scaler,
    sheet: Sheet,
    /// What is painted.
    painted: Option<gst::Buffer>,
}

impl Canvas {
    /// Makes ready for frames of `caps`; returns the format of what is painted, which has `size` and the same shape on a screen.
    fn fit(
        canvas: &mut Option<Self>,
        caps: &gst::CapsRef,
        size: (u32, u32),
    ) -> Result<gst::Caps, String> {
        let read = |caps: &gst::CapsRef| {
            let info = VideoInfo::from_caps(caps).map_err(|error| error.to_string())?;
            let usable =
                info.format() == VideoFormat::I420 && info.width() > 0 && info.height() > 0;
            usable
                .then_some(info)
                .ok_or_else(|| format!("cannot scale {caps}"))
        };
        let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
        let source = read(caps)?;
        let mut caps = caps.to_owned();
        {
            let caps = caps.make_mut();
            caps.set("width", side(size.0));
            caps.set("height", side(size.1));
            caps.set("pixel-aspect-ratio", pixel_aspect(&source, size));
        }
        let target = read(&caps)?;
        let pixels = |info: &VideoInfo| (info.width() as usize, info.height() as usize);
        *canvas = Some(Self {
            scaler: Scaler::new(pixels(&source), pixels(&target)),
            sheet: Sheet::new(target.size()),
            painted: None,
            source,
            target,
        });
        Ok(caps)
    }

    /// Paints a frame unless it is there already; returns a buffer of the canvas with the times of `told`.
    fn paint(&mut self, told: &gst::Buffer) -> Result<gst::Buffer, String> {
        let carried = told.meta::<gst::ParentBufferMeta>();
        let frame = match carried {
            Some(carried) if told.size() == 0 => carried.parent_owned(),
            _ => told.clone(),
        };
        let there = self
            .painted
            .as_ref()
            .is_some_and(|painted| painted.as_ptr() == frame.as_ptr());
        if !there {
            self.scale(&frame).map_err(|error| error.to_string())?;
            self.painted = Some(frame);
        }
        let mut buffer = gst::Buffer::new();
        if let Some(buffer) = buffer.get_mut() {
            let kept = gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS;
            told.copy_into(buffer, kept, ..)
                .map_err(|error| error.to_string())?;
            buffer.append_memory(self.sheet.memory.clone());
        }
        Ok(buffer)
    }

    fn scale(&mut self, frame: &gst::Buffer) -> Result<(), gst::glib::BoolError> {
        let frame = VideoFrameRef::from_buffer_ref_readable(frame, &self.source)?;
        let plane = |number: usize| -> Result<_, gst::glib::BoolError> {
            Ok(Plane {
                samples: frame.plane_data(number as u32)?,
                stride: frame
                    .plane_stride()
                    .get(number)
                    .map_or(0, |stride| *stride as usize),
            })
        };
        let source = [plane(0)?, plane(1)?, plane(2)?];
        let [_, first_chroma, second_chroma] = *self.target.offset() else {
            return Err(gst::glib::bool_error!("not three planes"));
        };
        let (luma, chroma) = self.sheet.samples().split_at_mut(first_chroma);
        let (blue, red) = chroma.split_at_mut(second_chroma - first_chroma);
        let stride = |number: usize| {
            self.target
                .stride()
                .get(number)
                .map_or(0, |stride| *stride as usize)
        };
        let target = [(luma, stride(0)), (blue, stride(1)), (red, stride(2))];
        self.scaler.scale(source, target);
        Ok(())
    }
}

/// The pixel aspect that gives `size` the shape of the source; square where numbers fail.
fn pixel_aspect(source: &VideoInfo, size: (u32, u32)) -> gst::Fraction {
    let (num, den) = (source.par().numer().max(1), source.par().denom().max(1));
    let num = i128::from(num) * i128::from(source.width()) * i128::from(size.1);
    let den = i128::from(den) * i128::from(source.height()) * i128::from(size.0);
    let (mut divisor, mut rest) = (num, den);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let part = |number: i128| {
        i32::try_from(number / divisor.max(1))
            .ok()
            .filter(|part| *part > 0)
    };
    match (part(num), part(den)) {
        (Some(num), Some(den)) => gst::Fraction::new(num, den),
        _ => gst::Fraction::new(1, 1),
    }
}

/// Memory that is written again while buffers that show it are still held.
struct Sheet {
    bytes: Arc<Bytes>,
    memory: gst::Memory,
}

struct Bytes(Box<[UnsafeCell<u8>]>);

// SAFETY: threads share only the address. What is behind it is read and written by the encoder's streaming thread alone: written
// through `Sheet::samples`, by the pad probe that owns the sheet, and read by the encoder's chain function, which that thread
// enters after the probe has returned.
#[allow(unsafe_code)]
unsafe impl Sync for Bytes {}

/// What GStreamer takes for the owner of the memory.
struct Shown(Arc<Bytes>);

impl AsRef<[u8]> for Shown {
    fn as_ref(&self) -> &[u8] {
        let bytes = &self.0.0;
        // SAFETY: `UnsafeCell<u8>` has the layout of `u8`, and the bytes live as long as `self`. `gst::Memory::from_slice`, the
        // only caller, takes address and length and lets go of the slice, before anything is written.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len())
        }
    }
}

impl Sheet {
    fn new(len: usize) -> Self {
        let blank = std::iter::repeat_with(|| UnsafeCell::new(0)).take(len);
        let bytes = Arc::new(Bytes(blank.collect()));
        let memory = gst::Memory::from_slice(Shown(Arc::clone(&bytes)));
        Self { bytes, memory }
    }

    fn samples(&mut self) -> &mut [u8] {
        let bytes = &self.bytes.0;
        // SAFETY: the layout and the life of the bytes as above. `&mut self` keeps out a second slice from here; buffers hold the
        // bare address, which the encoder follows only in its chain function, never while this thread is in the probe before it
        // (see the proof at `Bytes`).
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(UnsafeCell::raw_get(bytes.as_ptr()), bytes.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(size: (u32, u32), par: (i32, i32)) -> VideoInfo {
        crate::init().unwrap();
        VideoInfo::builder(VideoFormat::I420, size.0, size.1)
            .par(gst::Fraction::new(par.0, par.1))
            .build()
            .unwrap()
    }

    fn frame(info: &VideoInfo, value: u8) -> gst::Buffer {
        gst::Buffer::from_mut_slice(vec![value; info.size()])
    }

    fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
        buffer.map_readable().unwrap().to_vec()
    }

    #[test]
    fn the_shape_on_a_screen_is_kept() {
        for (from, par, to, expected) in [
            ((1280, 720), (1, 1), (640, 360), (1, 1)),
            ((1280, 720), (1, 1), (426, 240), (640, 639)),
            ((720, 576), (16, 15), (640, 512), (16, 15)),
            ((4095, 1), (i32::MAX, 1), (2, 16_384), (1, 1)),
        ] {
            let aspect = pixel_aspect(&info(from, par), to);
            assert_eq!(
                (aspect.numer(), aspect.denom()),
                expected,
                "{from:?} to {to:?}"
            );
        }
    }

    #[test]
    fn buffers_share_one_picture_and_keep_their_own_times() {
        let source = info((64, 32), (1, 1));
        let mut canvas = None;
        let caps = Canvas::fit(&mut canvas, &source.to_caps().unwrap(), (32, 16)).unwrap();
        let target = VideoInfo::from_caps(&caps).unwrap();
        assert_eq!((target.width(), target.height()), (32, 16));
        let mut canvas = canvas.unwrap();
        let mut first = carry(&frame(&source, 40));
        first
            .get_mut()
            .unwrap()
            .set_pts(gst::ClockTime::from_mseconds(40));
        let first = canvas.paint(&first).unwrap();
        assert_eq!(bytes(&first), vec![40; target.size()]);
        let second = canvas.paint(&frame(&source, 90)).unwrap();
        assert_eq!(bytes(&second), vec![90; target.size()]);
        assert_eq!(first.pts(), Some(gst::ClockTime::from_mseconds(40)));
        assert_eq!(
            first.peek_memory(0).as_ptr(),
            second.peek_memory(0).as_ptr()
        );
    }

    #[test]
    fn a_new_size_of_the_input_changes_nothing_behind() {
        let mut canvas = None;
        for size in [(64, 32), (31, 45)] {
            let source = info(size, (1, 1));
            let caps = Canvas::fit(&mut canvas, &source.to_caps().unwrap(), (32, 16)).unwrap();
            let target = VideoInfo::from_caps(&caps).unwrap();
            let painted = canvas.as_mut().unwrap().paint(&frame(&source, 77)).unwrap();
            assert_eq!(
                (target.width(), target.height(), painted.size()),
                (32, 16, target.size())
            );
            assert_eq!(bytes(&painted)[0], 77);
        }
    }

    #[test]
    fn other_formats_and_frames_that_are_too_short_are_refused() {
        let mut canvas = None;
        let other = VideoInfo::builder(VideoFormat::Nv12, 64, 32)
            .build()
            .unwrap();
        assert!(Canvas::fit(&mut canvas, &other.to_caps().unwrap(), (32, 16)).is_err());
        let source = info((64, 32), (1, 1));
        Canvas::fit(&mut canvas, &source.to_caps().unwrap(), (32, 16)).unwrap();
        let short = gst::Buffer::from_mut_slice(vec![0; 100]);
        assert!(canvas.unwrap().paint(&short).is_err());
    }
}
