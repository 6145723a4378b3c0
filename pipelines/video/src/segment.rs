//! One segment from first byte to finished renditions. Decoding runs while the input arrives.

use std::time::Instant;

use bytes::Bytes;
use containers::AccessUnit;
use host::job::{EncoderSettings, JobError, JobStats, Rendition, SegmentJob};

use crate::backend::Backend;
use crate::cadence::{Cadence, SAMPLE};
use crate::colour;
use crate::error::{input, text};
use crate::intake::Intake;
use crate::ladder::{Ladder, LadderOutput, LadderSpec};
use crate::output::{self, Media};
use crate::plan::{self, BranchPlan};
use crate::shared::Progress;
use crate::usage;

/// A segment being transcoded. Dropping it cancels the work and waits until its threads are gone.
pub struct SegmentRun {
    job: SegmentJob,
    settings: EncoderSettings,
    plans: Vec<BranchPlan>,
    backend: Backend,
    progress: Progress,
    intake: Intake,
    /// First access units, kept until the frame rate can be told.
    gathered: Vec<AccessUnit>,
    ladder: Option<Ladder>,
    begun: Instant,
    cpu_before: u64,
}

impl SegmentRun {
    /// Checks the job and makes ready for its input. `progress` is called with the frames decoded so far,
    /// from a streaming thread, and must not block.
    pub fn start(
        job: SegmentJob,
        settings: &EncoderSettings,
        progress: Progress,
    ) -> Result<Self, JobError> {
        crate::init()?;
        let plans = plan::plan(&job)?;
        let backend = Backend::choose(&settings.device);
        for plan in &plans {
            let encoder = backend.encoder(plan.codec);
            if encoder.is_none_or(|factory| gst::ElementFactory::find(&factory).is_none()) {
                return Err(input(
                    text::NO_ENCODER,
                    format!("no encoder for {:?}", plan.codec),
                ));
            }
        }
        Ok(Self {
            job,
            settings: settings.clone(),
            plans,
            backend,
            progress,
            intake: Intake::default(),
            gathered: Vec::new(),
            ladder: None,
            begun: Instant::now(),
            cpu_before: usage::cpu_us(),
        })
    }

    /// Takes the next bytes of the segment, cut anywhere. Waits while the decoder is far behind.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        let units = self.intake.push(bytes)?;
        self.feed(units)?;
        if self.ladder.is_none() && self.gathered.len() >= SAMPLE {
            self.launch()?;
        }
        Ok(())
    }

    /// The input is complete: waits for every rendition. They come in the order of the profiles.
    pub fn finish(mut self) -> Result<(Vec<(Rendition, Bytes)>, JobStats), JobError> {
        let input_ended = Instant::now();
        let units = self.intake.finish()?;
        self.feed(units)?;
        if self.ladder.is_none() {
            if self.gathered.is_empty() {
                return Err(self.intake.why_nothing());
            }
            self.launch()?;
        }
        let Some(ladder) = self.ladder.take() else {
            return Err(self.intake.why_nothing());
        };
        let output = ladder.finish()?;
        let renditions = self.package(&output)?;
        let (width, height) = output.input_size;
        let stats = JobStats {
            decoded_frames: output.decoded_frames,
            decoded_pixels: output.decoded_frames * u64::from(width) * u64::from(height),
            total_us: micros(self.begun),
            after_input_us: micros(input_ended),
            cpu_us: usage::cpu_us().saturating_sub(self.cpu_before),
            peak_rss: usage::peak_rss(),
            input_codec: output::codec_name(self.intake.codec()?).to_owned(),
        };
        Ok((renditions, stats))
    }

    fn feed(&mut self, units: Vec<AccessUnit>) -> Result<(), JobError> {
        match &self.ladder {
            Some(ladder) => units.into_iter().try_for_each(|unit| ladder.push(unit)),
            None => {
                self.gathered.extend(units);
                Ok(())
            }
        }
    }

    fn launch(&mut self) -> Result<(), JobError> {
        let dts: Vec<i64> = self.gathered.iter().map(|unit| unit.dts).collect();
        let codec = self.intake.codec()?;
        let spec = LadderSpec {
            backend: self.backend,
            codec,
            tagged: self
                .gathered
                .first()
                .is_some_and(|unit| colour::is_tagged(codec, &unit.data)),
            cadence: Cadence::measure(&dts),
            start: dts.first().copied().unwrap_or(0),
            plans: &self.plans,
            clip: self
                .job
                .clip
                .filter(|clip| clip.from_ms > 0 || clip.to_ms > 0),
            settings: &self.settings,
            hash: self.job.perceptual_hash,
        };
        self.ladder = Some(Ladder::start(&spec, self.progress.clone())?);
        let units = std::mem::take(&mut self.gathered);
        self.feed(units)
    }

    fn package(&self, output: &LadderOutput) -> Result<Vec<(Rendition, Bytes)>, JobError> {
        if output.decoded_frames == 0 {
            return Err(input(text::INVALID_DATA, "no frame could be decoded"));
        }
        let clip = self
            .job
            .clip
            .filter(|clip| clip.from_ms > 0 || clip.to_ms > 0);
        let media = Media {
            audio_codec: self.intake.audio_codec.as_ref(),
            audio: output::clip_audio(&self.intake.audio, clip),
            provider: &self.job.provider,
        };
        let mut renditions = Vec::with_capacity(self.plans.len());
        for (index, (plan, branch)) in self.plans.iter().zip(&output.branches).enumerate() {
            if branch.units.is_empty() {
                return Err(input(text::CLIP, "the clip leaves no frame"));
            }
            let (width, height) = branch.size;
            let frames = branch.units.len() as u64;
            let rendition = Rendition {
                index,
                width,
                height,
                frames,
                hash_len: branch.hash.len(),
            };
            let file = media.write(plan, branch)?;
            renditions.push((rendition, rendition_payload(file, &branch.hash)));
        }
        Ok(renditions)
    }
}

/// What [`Rendition::split`] takes apart again.
fn rendition_payload(file: Bytes, hash: &[u8]) -> Bytes {
    if hash.is_empty() {
        return file;
    }
    [&file, hash].concat().into()
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
