//! Gives jobs of the link to the ladder.

use std::sync::Arc;

use host::job::{EncoderSettings, JobError, ProbeJob, SegmentJob};
use host::worker::{Outcome, Progress, RunningJob, WorkHandler};
use video::{ProbeRun, SegmentRun};

/// Transcodes and probes with the settings of this process.
pub(crate) struct Transcoder {
    settings: EncoderSettings,
}

impl Transcoder {
    pub(crate) fn new(settings: EncoderSettings) -> Self {
        Self { settings }
    }
}

impl WorkHandler for Transcoder {
    fn segment(
        &self,
        spec: SegmentJob,
        progress: Progress,
    ) -> Result<Box<dyn RunningJob>, JobError> {
        let progress = Arc::new(move |frames| progress.decoded(frames));
        let run = SegmentRun::start(spec, &self.settings, progress)?;
        Ok(Box::new(Segment(run)))
    }

    fn probe(&self, spec: ProbeJob, _progress: Progress) -> Result<Box<dyn RunningJob>, JobError> {
        Ok(Box::new(Probe(ProbeRun::start(spec)?)))
    }
}

struct Segment(SegmentRun);

impl RunningJob for Segment {
    fn push(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        self.0.push(bytes)
    }

    fn finish(self: Box<Self>) -> Result<Outcome, JobError> {
        let (renditions, stats) = self.0.finish()?;
        Ok(Outcome::Transcoded(renditions, stats))
    }
}

struct Probe(ProbeRun);

impl RunningJob for Probe {
    fn push(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        self.0.push(bytes)
    }

    fn finish(self: Box<Self>) -> Result<Outcome, JobError> {
        let (report, thumbnails) = self.0.finish()?;
        Ok(Outcome::Probed(report, thumbnails))
    }
}
