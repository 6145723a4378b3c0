//! Watches one pipeline: turns its error messages and its silence into the job's failure.
//!
//! GStreamer's words go into the detail only. A decoder that fails on a stream blames the input, anything
//! else blames this worker.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use gst::prelude::*;
use host::job::JobError;

use crate::error::{VideoError, input, text, worker};
use crate::shared::Shared;

/// Longest time that a pipeline somebody waits for may stand still.
const STALL: Duration = Duration::from_secs(30);
const POLL: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// The watching thread of one pipeline.
pub(crate) struct Watcher {
    bus: gst::Bus,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Starts to watch, until the pipeline has failed or [`Self::stop`] is called.
    pub(crate) fn start(pipeline: &gst::Pipeline, shared: Arc<Shared>) -> Result<Self, VideoError> {
        let bus = pipeline
            .bus()
            .ok_or_else(|| VideoError::Build("pipeline has no bus".into()))?;
        let messages = bus.clone();
        let thread = std::thread::Builder::new()
            .name("video-watch".into())
            .spawn(move || watch(&messages, &shared))
            .map_err(|error| VideoError::Build(format!("watching thread: {error}")))?;
        Ok(Self { bus, thread })
    }

    /// Ends the thread. Call after [`Shared::stop`] and before the pipeline is taken down, which would
    /// discard the message that wakes it.
    pub(crate) fn stop(self) {
        let _ = self
            .bus
            .post(gst::message::Application::new(gst::Structure::new_empty(
                "stop",
            )));
        let _ = self.thread.join();
    }
}

fn watch(bus: &gst::Bus, shared: &Shared) {
    let awaited = [gst::MessageType::Error, gst::MessageType::Application];
    while !shared.stopped() {
        if let Some(message) = bus.timed_pop_filtered(POLL, &awaited)
            && message.type_() == gst::MessageType::Error
        {
            return shared.fail(classify(&message));
        }
        let stalled = shared.stalled_for();
        if stalled > STALL {
            return shared.fail(worker(format!(
                "pipeline stood still for {} s",
                stalled.as_secs()
            )));
        }
    }
}

fn classify(message: &gst::Message) -> JobError {
    let source = message
        .src()
        .map(|src| src.name().to_string())
        .unwrap_or_default();
    let detail = match message.view() {
        gst::MessageView::Error(error) => {
            format!(
                "{source}: {} ({})",
                error.error(),
                error.debug().unwrap_or_default()
            )
        }
        _ => source.clone(),
    };
    if source.starts_with(PARSER) || source.starts_with(DECODER) {
        input(text::INVALID_DATA, detail)
    } else {
        worker(detail)
    }
}

/// Name of the parsing element in every pipeline.
pub(crate) const PARSER: &str = "parser";
/// Name of the decoding element in every pipeline.
pub(crate) const DECODER: &str = "decoder";
