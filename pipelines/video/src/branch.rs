//! One rendition's end of the pipeline: from decoded or scaled frames to encoded ones.
//!
//! Frames pass straight into the encoder, unless a changed rate or a clip needs a choice of frames; then
//! they take a detour through Rust, by reference.

use std::sync::Arc;

use containers::AccessUnit;
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks, AppSrc};
use host::job::{Clip, JobError};
use parking_lot::Mutex;

use crate::backend::make;
use crate::cadence::{Cadence, fraction};
use crate::canvas;
use crate::clock::MediaClock;
use crate::decode::add_chain;
use crate::error::{VideoError, input, text};
use crate::plan::BranchPlan;
use crate::retime::{Retimer, Timed};
use crate::shared::Shared;

/// Chosen frames that may wait in front of an encoder.
const QUEUED_FRAMES: u64 = 2;

/// What a branch is attached with.
pub(crate) struct BranchContext<'a> {
    pub(crate) pipeline: &'a gst::Pipeline,
    pub(crate) shared: &'a Arc<Shared>,
    /// Position of the rendition.
    pub(crate) index: usize,
    pub(crate) plan: &'a BranchPlan,
    pub(crate) clock: MediaClock,
    pub(crate) cadence: Cadence,
    pub(crate) clip: Option<Clip>,
    /// Chosen frames go on in carriers, because the encoder has a canvas.
    pub(crate) carried: bool,
}

impl BranchContext<'_> {
    /// True if frames are chosen on a detour, in front of which no queue is needed.
    pub(crate) fn detours(&self) -> bool {
        self.plan.rate.is_some() || self.clip.is_some()
    }

    /// The clock of what goes into the encoder: a clip with a start shifts its output to begin near zero.
    pub(crate) fn clock_behind(&self) -> MediaClock {
        if self.clip.is_some_and(|clip| clip.from_ms > 0) {
            MediaClock::new(0)
        } else {
            self.clock
        }
    }
}

/// Links `encoder` behind `from` and a sink behind it. Returns the source of chosen frames, if there is one.
pub(crate) fn attach(
    context: &BranchContext<'_>,
    from: &gst::Element,
    encoder: &gst::Element,
) -> Result<Option<AppSrc>, JobError> {
    let clock = context.clock_behind();
    let source = if context.detours() {
        let source = AppSrc::builder()
            .format(gst::Format::Time)
            .block(true)
            .max_buffers(QUEUED_FRAMES)
            .max_bytes(0)
            .build();
        let sink = detour(context, clock, &source);
        add_chain(context.pipeline, &[from, sink.upcast_ref()])?;
        Some(source)
    } else {
        None
    };
    let head = source.as_ref().map_or(from, |source| source.upcast_ref());
    let profile = make("capsfilter")?;
    profile.set_property("caps", encoded_caps(context.plan));
    let sink = collector(context, clock);
    add_chain(
        context.pipeline,
        &[head, encoder, &profile, sink.upcast_ref()],
    )?;
    if let Some(after) = context.plan.force_key_after {
        force_key_frames(encoder, after, clock)?;
    }
    Ok(source)
}

fn encoded_caps(plan: &BranchPlan) -> gst::Caps {
    let media_type = match plan.codec {
        protocol::profile::VideoCodec::H265 => "video/x-h265",
        _ => "video/x-h264",
    };
    let mut caps = gst::Caps::builder(media_type)
        .field("stream-format", "byte-stream")
        .field("alignment", "au");
    if let Some(profile) = plan.profile {
        caps = caps.field("profile", profile);
    }
    caps.build()
}

fn sink(callbacks: AppSinkCallbacks) -> AppSink {
    AppSink::builder()
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .callbacks(callbacks)
        .build()
}

/// Takes encoded frames out of the pipeline. An encoder may move times together with its segment, so they
/// are told relative to the segment.
fn collector(context: &BranchContext<'_>, clock: MediaClock) -> AppSink {
    let (index, shared, ended) = (
        context.index,
        Arc::clone(context.shared),
        Arc::clone(context.shared),
    );
    sink(
        AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let unit = encoded_unit(&sample, clock).ok_or(gst::FlowError::Error)?;
                shared.frame_encoded(index, unit);
                Ok(gst::FlowSuccess::Ok)
            })
            .eos(move |_| ended.branch_done(index))
            .build(),
    )
}

fn encoded_unit(sample: &gst::Sample, clock: MediaClock) -> Option<AccessUnit> {
    let buffer = sample.buffer()?;
    let start = sample
        .segment()?
        .downcast_ref::<gst::ClockTime>()?
        .start()?
        .nseconds() as i64;
    let ticks = |time: gst::ClockTime| clock.to_ticks(time.nseconds() as i64 - start);
    let pts = ticks(buffer.pts()?);
    Some(AccessUnit {
        pts,
        dts: buffer.dts().map_or(pts, ticks),
        key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        data: bytes::Bytes::copy_from_slice(&buffer.map_readable().ok()?),
    })
}

/// Takes frames out of the pipeline and puts the chosen ones back in through `source`.
fn detour(context: &BranchContext<'_>, clock: MediaClock, source: &AppSrc) -> AppSink {
    let plan = context.plan;
    let retimer = Retimer::new(
        plan.grid(),
        plan.rate,
        context.clip,
        context.cadence.frame_ticks(),
    );
    let retimer = Arc::new(Mutex::new(retimer));
    let rate = plan
        .rate
        .map_or_else(|| context.cadence.fraction(), fraction);
    let detour = Arc::new(Detour {
        clock,
        rate,
        source: source.clone(),
        carried: context.carried,
        shared: Arc::clone(context.shared),
    });
    let (settled, rest, decoded_clock) = (Arc::clone(&retimer), Arc::clone(&detour), context.clock);
    sink(
        AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                detour.describe(&sample);
                let buffer = sample.buffer_owned().ok_or(gst::FlowError::Error)?;
                let pts = buffer.pts().ok_or(gst::FlowError::Error)?.nseconds() as i64;
                let chosen = retimer.lock().push(buffer, decoded_clock.to_ticks(pts));
                detour.forward(chosen).map(|()| gst::FlowSuccess::Ok)
            })
            .eos(move |_| {
                let last = settled.lock().finish();
                // after a failure the watcher or the failed branch has told the owner already
                if rest.forward(last).is_ok() {
                    let _ = rest.source.end_of_stream();
                }
            })
            .build(),
    )
}

struct Detour {
    clock: MediaClock,
    rate: gst::Fraction,
    source: AppSrc,
    carried: bool,
    shared: Arc<Shared>,
}

impl Detour {
    /// Tells the encoder the format of the frames, with the frame rate they will have.
    fn describe(&self, sample: &gst::Sample) {
        let Some(mut caps) = sample.caps_owned() else {
            return;
        };
        caps.make_mut().set("framerate", self.rate);
        if self.source.caps().as_ref() != Some(&caps) {
            self.source.set_caps(Some(&caps));
        }
    }

    fn forward(
        &self,
        chosen: Result<Vec<Timed<gst::Buffer>>, containers::ContainerError>,
    ) -> Result<(), gst::FlowError> {
        let chosen = chosen.map_err(|error| {
            self.shared.fail(input(text::RUNAWAY, error.to_string()));
            gst::FlowError::Error
        })?;
        for (frame, pts) in chosen {
            let mut frame = if self.carried {
                canvas::carry(&frame)
            } else {
                frame
            };
            let buffer = frame.make_mut();
            buffer.set_pts(self.clock.to_pipeline(pts));
            buffer.set_dts(None);
            buffer.set_duration(None);
            // waits while the encoder is behind; taking the source down ends the wait
            self.source.push_buffer(frame)?;
        }
        Ok(())
    }
}

/// Asks for a key frame whenever the time passes that of the previous forced one by `after` ticks.
fn force_key_frames(
    encoder: &gst::Element,
    after: i64,
    clock: MediaClock,
) -> Result<(), VideoError> {
    let lacks = |pad: &str| VideoError::Build(format!("encoder without {pad} pad"));
    let entry = encoder.static_pad("sink").ok_or_else(|| lacks("sink"))?;
    let exit = encoder.static_pad("src").ok_or_else(|| lacks("src"))?;
    let next = Mutex::new(None::<i64>);
    entry.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(pts) = info.buffer().and_then(|buffer| buffer.pts()) {
            let ticks = clock.to_ticks(pts.nseconds() as i64);
            let mut next = next.lock();
            if next.is_none_or(|next| ticks >= next) {
                *next = Some(ticks.saturating_add(after));
                exit.send_event(
                    gst_video::UpstreamForceKeyUnitEvent::builder()
                        .running_time(pts)
                        .all_headers(true)
                        .build(),
                );
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}
