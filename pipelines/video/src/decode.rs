//! The head of every pipeline: access units in, decoded frames out, times repaired on the way.

use std::sync::Arc;

use containers::timeline::Monotonic;
use containers::{AccessUnit, VideoCodec};
use gst::prelude::*;
use gst_app::AppSrc;
use host::job::JobError;
use parking_lot::Mutex;

use crate::backend::{Backend, make};
use crate::cadence::Cadence;
use crate::clock::MediaClock;
use crate::error::{VideoError, input, text, worker};
use crate::shared::Shared;
use crate::watch;

/// Compressed bytes that may wait in front of the decoder.
const QUEUED_BYTES: u64 = 4 << 20;

/// Source, parser and decoder of one pipeline.
pub(crate) struct Head {
    source: AppSrc,
    /// The decoder, to be linked on.
    pub(crate) decoder: gst::Element,
    clock: MediaClock,
}

impl Head {
    /// Adds the head to a pipeline.
    pub(crate) fn add(
        pipeline: &gst::Pipeline,
        backend: Backend,
        codec: VideoCodec,
        cadence: Cadence,
        clock: MediaClock,
        shared: &Arc<Shared>,
    ) -> Result<Self, JobError> {
        let not_found = || input(text::NO_DECODER, format!("no decoder for {codec:?}"));
        let (parser, decoder) = backend.decoder(codec).ok_or_else(not_found)?;
        if gst::ElementFactory::find(&decoder).is_none() {
            return Err(not_found());
        }
        let media_type = if codec == VideoCodec::H265 {
            "video/x-h265"
        } else {
            "video/x-h264"
        };
        let caps = gst::Caps::builder(media_type)
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .field("framerate", cadence.fraction())
            .build();
        let source = AppSrc::builder()
            .name("source")
            .caps(&caps)
            .format(gst::Format::Time)
            .max_bytes(0)
            .max_buffers(0)
            .build();
        let wake = Arc::clone(shared);
        source.set_callbacks(
            gst_app::AppSrcCallbacks::builder()
                .need_data(move |_, _| wake.poke())
                .build(),
        );
        let parser = named(make(parser)?, watch::PARSER);
        let decoder = named(backend.make_decoder(&decoder)?, watch::DECODER);
        add_chain(pipeline, &[source.upcast_ref(), &parser, &decoder])?;
        Ok(Self {
            source,
            decoder,
            clock,
        })
    }

    /// Feeds one access unit, waiting while the decoder is behind.
    pub(crate) fn push(&self, unit: AccessUnit, shared: &Shared) -> Result<(), JobError> {
        shared.wait(|_| self.source.current_level_bytes() < QUEUED_BYTES)?;
        let mut buffer = gst::Buffer::from_slice(unit.data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(self.clock.to_pipeline(unit.pts));
            buffer.set_dts(self.clock.to_pipeline(unit.dts));
        }
        self.source
            .push_buffer(buffer)
            .map(drop)
            .map_err(|flow| refused(flow, shared))
    }

    /// Says that no access unit follows.
    pub(crate) fn end(&self, shared: &Shared) -> Result<(), JobError> {
        self.source
            .end_of_stream()
            .map(drop)
            .map_err(|flow| refused(flow, shared))
    }
}

/// The failure behind a refused push: the pipeline's own if it has told one.
fn refused(flow: gst::FlowError, shared: &Shared) -> JobError {
    let told = shared.lock().failure.clone();
    told.unwrap_or_else(|| worker(format!("decoder takes no more data: {flow}")))
}

/// Counts decoded frames at `pad` and makes their times strictly increasing, in display order: a missing
/// time becomes previous + frame duration, one that does not increase previous + 1 tick.
pub(crate) fn count_and_repair(
    pad: &gst::Pad,
    cadence: Cadence,
    clock: MediaClock,
    shared: Arc<Shared>,
) {
    let times = Mutex::new(Monotonic::default());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer_mut() {
            let pts = buffer.pts();
            let told = pts.map(|pts| clock.to_ticks(pts.nseconds() as i64));
            let mut times = times.lock();
            let told = told.or_else(|| times.last().is_none().then(|| clock.to_ticks(0)));
            let repaired = clock.to_pipeline(times.repair(told, cadence.frame_ticks()));
            if pts != Some(repaired) {
                buffer.make_mut().set_pts(repaired);
            }
        }
        shared.frame_decoded();
        gst::PadProbeReturn::Ok
    });
}

/// Adds elements to a pipeline and links them one after the other.
pub(crate) fn add_chain(
    pipeline: &gst::Pipeline,
    elements: &[&gst::Element],
) -> Result<(), VideoError> {
    for element in elements {
        // elements that are in the pipeline already keep their place
        if element.parent().is_none() {
            pipeline
                .add(*element)
                .map_err(|error| VideoError::Build(error.to_string()))?;
        }
    }
    gst::Element::link_many(elements).map_err(|error| VideoError::Build(error.to_string()))
}

fn named(element: gst::Element, name: &str) -> gst::Element {
    element.set_property("name", name);
    element
}
