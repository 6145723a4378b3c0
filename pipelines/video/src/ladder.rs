//! The pipeline of one segment: one decode, one scaler per asked size, one encoder per rendition.
//!
//! ```text
//! source ! parser ! decoder ! tee ┬ queue ! scaler ! caps ┬ encoder ! caps ! sink      frames pass through
//!                                 │                       └ sink → Retimer → source ! encoder ! caps ! sink
//!                                 └ …
//! ```
//! End of stream at a sink proves that exactly this segment's frames have left its encoder, so a pipeline
//! lives for one segment. Every sink collects without limit, so no branch can hold up another for good.

use std::sync::Arc;

use containers::{AccessUnit, VideoCodec};
use gst::prelude::*;
use host::job::{Clip, EncoderSettings, JobError};

use crate::backend::{Backend, make};
use crate::branch::{self, BranchContext};
use crate::cadence::Cadence;
use crate::clock::MediaClock;
use crate::colour;
use crate::decode::{self, Head, add_chain};
use crate::error::{VideoError, input, text};
use crate::plan::BranchPlan;
use crate::shared::{BranchOutput, Progress, Shared};
use crate::size::{Limits, output_size};
use crate::watch::Watcher;

/// Raw frames that may wait in front of a scaler or an encoder.
const QUEUED_FRAMES: u32 = 4;

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

/// Branches that share a scaler, and the filter that fixes its output.
struct Group {
    asked: (u32, u32),
    limits: Limits,
    branches: Vec<usize>,
    filter: gst::Element,
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
        let tee = make("tee")?;
        add_chain(&self.pipeline, &[&self.head.decoder, &tee])?;
        let groups = distinct_sizes(spec.plans)
            .into_iter()
            .map(|asked| self.add_group(spec, clock, &tee, asked))
            .collect::<Result<_, _>>()?;
        let entry = tee
            .static_pad("sink")
            .ok_or_else(|| VideoError::Build("tee without sink".into()))?;
        decode::count_and_repair(&entry, spec.cadence, clock, Arc::clone(&self.shared));
        self.fix_formats(spec, &entry, groups);
        Ok(())
    }

    /// Adds one scaler and the renditions of its size.
    fn add_group(
        &mut self,
        spec: &LadderSpec<'_>,
        clock: MediaClock,
        tee: &gst::Element,
        (asked, limits): AskedSize,
    ) -> Result<Group, JobError> {
        let (scaler, filter) = (spec.backend.make_scaler()?, make("capsfilter")?);
        add_chain(&self.pipeline, &[tee, &queue()?, &scaler, &filter])?;
        let members: Vec<(usize, &BranchPlan)> = (0..)
            .zip(spec.plans)
            .filter(|(_, plan)| (plan.asked, plan.limits) == (asked, limits))
            .collect();
        let split = if members.len() > 1 {
            let split = make("tee")?;
            add_chain(&self.pipeline, &[&filter, &split])?;
            Some(split)
        } else {
            None
        };
        for (index, plan) in &members {
            let from = match &split {
                Some(split) => {
                    let queue = queue()?;
                    add_chain(&self.pipeline, &[split, &queue])?;
                    queue
                }
                None => filter.clone(),
            };
            let encoder = spec.backend.make_encoder(plan, spec.settings)?;
            if encoder.has_property("insert-vui") {
                encoder.set_property("insert-vui", spec.tagged);
            }
            let context = BranchContext {
                pipeline: &self.pipeline,
                shared: &self.shared,
                index: *index,
                plan,
                clock,
                cadence: spec.cadence,
                clip: spec.clip,
            };
            self.retimed
                .extend(branch::attach(&context, &from, &encoder)?);
        }
        Ok(Group {
            asked,
            limits,
            branches: members.into_iter().map(|(index, _)| index).collect(),
            filter,
        })
    }

    /// When the decoder announces its format, and before anything behind it sees that: the size rule is
    /// applied, interlaced pictures are declared whole frames, and colours are named in full.
    fn fix_formats(&self, spec: &LadderSpec<'_>, entry: &gst::Pad, groups: Vec<Group>) {
        let shared = Arc::clone(&self.shared);
        let (backend, rate) = (spec.backend, spec.cadence.fraction());
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
                caps.set("framerate", rate);
                caps.set("colorimetry", colours);
            }
            if let Err(error) = set_sizes(&shared, backend, &caps, &groups) {
                shared.fail(error);
                return gst::PadProbeReturn::Ok;
            }
            *event = gst::event::Caps::new(&caps);
            gst::PadProbeReturn::Ok
        });
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

/// Applies the size rule to the first format; a later one is scaled to the same sizes.
fn set_sizes(
    shared: &Shared,
    backend: Backend,
    caps: &gst::Caps,
    groups: &[Group],
) -> Result<(), JobError> {
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
    for group in groups {
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
        let mut scaled = backend.scaled_caps(size);
        // left to itself the scaler chooses both by the height of the picture, and converts
        for field in ["colorimetry", "chroma-site"] {
            if let Some(value) = caps.structure(0).and_then(|s| s.get::<String>(field).ok()) {
                scaled.make_mut().set(field, value);
            }
        }
        group.filter.set_property("caps", &scaled);
    }
    Ok(())
}

fn queue() -> Result<gst::Element, VideoError> {
    let queue = make("queue")?;
    queue.set_property("max-size-buffers", QUEUED_FRAMES);
    queue.set_property("max-size-bytes", 0u32);
    queue.set_property("max-size-time", 0u64);
    Ok(queue)
}
