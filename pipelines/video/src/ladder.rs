//! The pipeline of one segment: one decode, one encoder per rendition.
//!
//! ```text
//! on the processor
//! source ! parser ! decoder ! converter ! caps ! tee ┬ queue ! canvas, encoder ! caps ! sink      frames pass through
//!                                                    ├ sink → Retimer → source ! canvas, encoder ! caps ! sink
//!                                                    └ …
//! on a card
//! source ! parser ! decoder ! tee ┬ queue ! scaler ! caps ┬ encoder ! caps ! sink
//!                                 │                       └ sink → Retimer → source ! encoder ! caps ! sink
//!                                 └ …
//! ```
//! On the processor each encoder has its canvas, which scales; the converter touches only what is not 4:2:0 of eight bits. On a
//! card renditions of one size share a scaler. End of stream at a sink proves that exactly this segment's frames have left its encoder, so a pipeline
//! lives for one segment. Every sink collects without limit, so no branch can hold up another for good.

use std::sync::Arc;

use containers::{AccessUnit, VideoCodec};
use gst::prelude::*;
use host::job::{Clip, EncoderSettings, JobError};

use crate::backend::{Backend, make};
use crate::branch::{self, BranchContext};
use crate::cadence::Cadence;
use crate::canvas;
use crate::clock::MediaClock;
use crate::colour;
use crate::decode::{self, Head, add_chain};
use crate::error::{VideoError, input, text};
use crate::plan::BranchPlan;
use crate::shared::{BranchOutput, Progress, Shared};
use crate::signature::{self, TimeUnits};
use crate::size::{Limits, output_size};
use crate::watch::Watcher;

/// Raw frames that may wait in a queue.
const QUEUED_FRAMES: u32 = 2;

/// What a ladder is made from.
pub(crate) struct LadderSpec<'a> {
    pub(crate) backend: Backend,
    pub(crate) codec: VideoCodec,
    pub(crate) cadence: Cadence,
    /// Decoding time of the first access unit, ticks.
    pub(crate) start: i64,
    pub(crate) plans: &'a [BranchPlan],
    pub(crate) clip: Option<Clip>,
    pub(crate) settings: &'a EncoderSettings,
    /// Sign the renditions.
    pub(crate) hash: bool,
    /// Write the source's colours into the renditions.
    pub(crate) tagged: bool,
}

/// A running ladder. Dropping it cancels the work.
pub(crate) struct Ladder {
    pipeline: gst::Pipeline,
    head: Head,
    shared: Arc<Shared>,
    retimed: Vec<gst_app::AppSrc>,
    watcher: Option<Watcher>,
}

/// What a ladder gives at its end.
pub(crate) struct LadderOutput {
    pub(crate) branches: Vec<BranchOutput>,
    pub(crate) decoded_frames: u64,
    pub(crate) input_size: (u32, u32),
}

/// Branches of one size, and the filter behind the scaler that they share, if they do.
struct Group {
    asked: (u32, u32),
    limits: Limits,
    branches: Vec<usize>,
    filter: Option<gst::Element>,
}

/// What is settled when the decoder announces its format.
struct Formats {
    backend: Backend,
    rate: gst::Fraction,
    /// Fixes the format of frames before they are scaled.
    converted: Option<gst::Element>,
    groups: Vec<Group>,
}

impl Ladder {
    /// Builds the pipeline and sets it playing.
    pub(crate) fn start(spec: &LadderSpec<'_>, progress: Progress) -> Result<Self, JobError> {
        let shared = Shared::new(spec.plans.len(), progress);
        let pipeline = gst::Pipeline::new();
        let clock = MediaClock::new(spec.start);
        let head = Head::add(
            &pipeline,
            spec.backend,
            spec.codec,
            spec.cadence,
            clock,
            &shared,
        )?;
        // from here on dropping the ladder takes the pipeline down
        let mut ladder = Self {
            pipeline,
            head,
            shared,
            retimed: Vec::new(),
            watcher: None,
        };
        ladder.build(spec, clock)?;
        ladder.watcher = Some(Watcher::start(
            &ladder.pipeline,
            Arc::clone(&ladder.shared),
        )?);
        ladder
            .pipeline
            .set_state(gst::State::Playing)
            .map_err(|error| VideoError::Build(format!("start: {error}")))?;
        Ok(ladder)
    }

    fn build(&mut self, spec: &LadderSpec<'_>, clock: MediaClock) -> Result<(), JobError> {
        let lacks = |pad: &str| VideoError::Build(format!("no {pad}"));
        let tee = make("tee")?;
        let converted = match spec.backend.make_converter()? {
            Some(converter) => {
                let filter = make("capsfilter")?;
                add_chain(
                    &self.pipeline,
                    &[&self.head.decoder, &converter, &filter, &tee],
                )?;
                canvas::accept_frames(&tee.static_pad("sink").ok_or_else(|| lacks("tee"))?);
                Some(filter)
            }
            None => {
                add_chain(&self.pipeline, &[&self.head.decoder, &tee])?;
                None
            }
        };
        let exit = self.head.decoder.static_pad("src");
        let entry = exit
            .and_then(|exit| exit.peer())
            .ok_or_else(|| lacks("pad behind the decoder"))?;
        let groups = distinct_sizes(spec.plans)
            .into_iter()
            .map(|asked| self.add_group(spec, clock, &tee, asked))
            .collect::<Result<_, _>>()?;
        decode::count_and_repair(&entry, spec.cadence, clock, Arc::clone(&self.shared));
        let formats = Formats {
            backend: spec.backend,
            rate: spec.cadence.fraction(),
            converted,
            groups,
        };
        formats.fix_at(&entry, Arc::clone(&self.shared));
        Ok(())
    }

    /// Adds the renditions of one size, and their scaler where there is one.
    fn add_group(
        &mut self,
        spec: &LadderSpec<'_>,
        clock: MediaClock,
        tee: &gst::Element,
        (asked, limits): AskedSize,
    ) -> Result<Group, JobError> {
        let members: Vec<(usize, &BranchPlan)> = (0..)
            .zip(spec.plans)
            .filter(|(_, plan)| (plan.asked, plan.limits) == (asked, limits))
            .collect();
        let filter = match spec.backend.make_scaler()? {
            Some(scaler) => {
                let (queue, filter) = (self.queue_behind(tee)?, make("capsfilter")?);
                add_chain(&self.pipeline, &[&queue, &scaler, &filter])?;
                Some(filter)
            }
            None => None,
        };
        let split = match &filter {
            Some(filter) if members.len() > 1 => {
                let split = make("tee")?;
                add_chain(&self.pipeline, &[filter, &split])?;
                Some(split)
            }
            _ => None,
        };
        for (index, plan) in &members {
            let context = BranchContext {
                pipeline: &self.pipeline,
                shared: &self.shared,
                index: *index,
                plan,
                clock,
                cadence: spec.cadence,
                clip: spec.clip,
                carried: filter.is_none(),
            };
            let from = match (&split, &filter) {
                (Some(split), _) => self.queue_behind(split)?,
                (None, Some(filter)) => filter.clone(),
                // the detour has a queue of its own
                (None, None) if context.detours() => tee.clone(),
                (None, None) => self.queue_behind(tee)?,
            };
            let encoder = spec.backend.make_encoder(plan, spec.settings)?;
            if encoder.has_property("insert-vui") {
                encoder.set_property("insert-vui", spec.tagged);
            }
            if filter.is_none() {
                canvas::put_before(&encoder, *index, &self.shared)?;
            }
            // frames in the memory of a device cannot be looked at
            if spec.hash && filter.is_none() {
                let units = TimeUnits {
                    rate: plan.rate,
                    source: spec.cadence.rate(),
                    format: plan.format,
                };
                signature::watch(
                    &encoder,
                    *index,
                    context.clock_behind(),
                    units,
                    &self.shared,
                )?;
            }
            let retimed = branch::attach(&context, &from, &encoder)?;
            self.retimed.extend(retimed);
        }
        Ok(Group {
            asked,
            limits,
            branches: members.into_iter().map(|(index, _)| index).collect(),
            filter,
        })
    }

    /// Adds a queue behind an element.
    fn queue_behind(&self, from: &gst::Element) -> Result<gst::Element, VideoError> {
        let queue = make("queue")?;
        queue.set_property("max-size-buffers", QUEUED_FRAMES);
        queue.set_property("max-size-bytes", 0u32);
        queue.set_property("max-size-time", 0u64);
        add_chain(&self.pipeline, &[from, &queue])?;
        Ok(queue)
    }

    /// Feeds one access unit.
    pub(crate) fn push(&self, unit: AccessUnit) -> Result<(), JobError> {
        self.head.push(unit, &self.shared)
    }

    /// Ends the input and waits until every branch has reached its end.
    pub(crate) fn finish(self) -> Result<LadderOutput, JobError> {
        self.head.end(&self.shared)?;
        self.shared
            .wait(|state| state.branches.iter().all(|branch| branch.done))?;
        let mut state = self.shared.lock();
        Ok(LadderOutput {
            branches: std::mem::take(&mut state.branches),
            decoded_frames: self.shared.decoded(),
            input_size: state.input_size,
        })
    }
}

impl Drop for Ladder {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(watcher) = self.watcher.take() {
            watcher.stop();
        }
        // first, because a streaming thread may wait for room in one of them
        for source in &self.retimed {
            let _ = source.set_state(gst::State::Null);
        }
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

type AskedSize = ((u32, u32), Limits);

fn distinct_sizes(plans: &[BranchPlan]) -> Vec<AskedSize> {
    let mut sizes = Vec::new();
    for plan in plans {
        let size = (plan.asked, plan.limits);
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    sizes
}

impl Formats {
    /// When the decoder announces its format, and before anything behind it sees that: the size rule is
    /// applied, interlaced pictures are declared whole frames, and colours are named in full.
    fn fix_at(self, entry: &gst::Pad, shared: Arc<Shared>) {
        entry.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            let Some(gst::PadProbeData::Event(event)) = &mut info.data else {
                return gst::PadProbeReturn::Ok;
            };
            let gst::EventView::Caps(view) = event.view() else {
                return gst::PadProbeReturn::Ok;
            };
            let mut caps = view.caps_owned();
            let told = |name: &str| caps.structure(0).and_then(|s| s.get::<String>(name).ok());
            let height = caps
                .structure(0)
                .and_then(|s| s.get::<i32>("height").ok())
                .unwrap_or(0);
            let colours = colour::complete(told("colorimetry").as_deref(), height);
            {
                let caps = caps.make_mut();
                caps.set("interlace-mode", "progressive");
                caps.set("framerate", self.rate);
                caps.set("colorimetry", colours);
            }
            if let Err(error) = self.set_sizes(&shared, &caps) {
                shared.fail(error);
                return gst::PadProbeReturn::Ok;
            }
            if let Some(filter) = &self.converted {
                filter.set_property("caps", coloured(self.backend.converted_caps(), &caps));
            }
            *event = gst::event::Caps::new(&caps);
            gst::PadProbeReturn::Ok
        });
    }

    /// Applies the size rule to the first format; a later one is scaled to the same sizes.
    fn set_sizes(&self, shared: &Shared, caps: &gst::Caps) -> Result<(), JobError> {
        let field = |name| {
            caps.structure(0)
                .and_then(|s| s.get::<i32>(name).ok())
                .and_then(|v| u32::try_from(v).ok())
        };
        let (Some(width), Some(height)) = (field("width"), field("height")) else {
            return Err(input(text::INVALID_DATA, "decoder told no picture size"));
        };
        let mut state = shared.lock();
        if state.input_size == (0, 0) {
            state.input_size = (width, height);
        }
        for group in &self.groups {
            let size = output_size(state.input_size, group.asked, group.limits);
            let size = size.ok_or_else(|| {
                input(
                    text::INVALID_ARGUMENT,
                    format!(
                        "no output size for {width}x{height} asked as {:?}",
                        group.asked
                    ),
                )
            })?;
            for index in &group.branches {
                if let Some(branch) = state.branches.get_mut(*index) {
                    branch.size = size;
                }
            }
            if let Some(filter) = &group.filter {
                filter.set_property("caps", coloured(self.backend.scaled_caps(size), caps));
            }
        }
        Ok(())
    }
}

/// `wanted` with the colours of `told`: left to itself a converter chooses them by the height of the picture, and converts.
fn coloured(mut wanted: gst::Caps, told: &gst::Caps) -> gst::Caps {
    for field in ["colorimetry", "chroma-site"] {
        if let Some(value) = told.structure(0).and_then(|s| s.get::<String>(field).ok()) {
            wanted.make_mut().set(field, value);
        }
    }
    wanted
}
