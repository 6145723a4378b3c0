//! Takes decoded samples of any rate and number of channels, and makes them mono at 16 kHz.

use host::job::JobError;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler};

use super::{RATE, SECONDS_MOST};
use crate::{Parts, refused, unable};

/// Rates that are taken, Hz.
const RATES: std::ops::RangeInclusive<u32> = 2_000..=384_000;
/// Most channels.
const CHANNELS_MOST: usize = 32;
/// Samples that are resampled at once.
const CHUNK: usize = 4096;
/// Resampling filters per chunk: long ones keep more of the highest frequencies.
const FILTERS: usize = 4;
/// Beyond this a floating point sample is noise of a broken file.
const LOUDEST: f32 = 16.0;

/// Where decoders put what they find.
pub(super) struct Sink<'r> {
    parts: &'r dyn Parts,
    /// Rate of what is put in, Hz; 0 before the first sample.
    rate: u32,
    resampler: Option<Fft<f32>>,
    /// Mono samples that are not resampled yet.
    waiting: Vec<f32>,
    /// What comes out, and before it what the resampler is late.
    samples: Vec<f32>,
    taken: u64,
}

impl<'r> Sink<'r> {
    pub(super) fn new(parts: &'r dyn Parts) -> Self {
        Self {
            parts,
            rate: 0,
            resampler: None,
            waiting: Vec::new(),
            samples: Vec::new(),
            taken: 0,
        }
    }

    /// Takes samples of all channels in turn.
    ///
    /// # Errors
    /// Refuses other rates than before, and what is too long; stops when nobody waits.
    pub(super) fn put(
        &mut self,
        rate: u32,
        channels: usize,
        interleaved: &[f32],
    ) -> Result<(), JobError> {
        self.start(rate, channels)?;
        for frame in interleaved.chunks_exact(channels) {
            self.mono(frame.iter().sum::<f32>() / channels as f32)?;
        }
        Ok(())
    }

    /// The same for samples that lie channel by channel.
    pub(super) fn put_planes(&mut self, rate: u32, planes: &[Vec<f32>]) -> Result<(), JobError> {
        self.start(rate, planes.len())?;
        let length = planes.iter().map(Vec::len).min().unwrap_or(0);
        for at in 0..length {
            let sum: f32 = planes.iter().filter_map(|plane| plane.get(at)).sum();
            self.mono(sum / planes.len() as f32)?;
        }
        Ok(())
    }

    /// Checks what a header claims, before any memory is taken for it.
    pub(super) fn start(&mut self, rate: u32, channels: usize) -> Result<(), JobError> {
        if !(1..=CHANNELS_MOST).contains(&channels) {
            return Err(refused(format!(
                "the audio has {channels} channels; 1 to {CHANNELS_MOST} are taken"
            )));
        }
        if !RATES.contains(&rate) {
            return Err(refused(format!(
                "the audio says that it has {rate} samples a second; {} to {} are taken",
                RATES.start(),
                RATES.end()
            )));
        }
        if self.rate == rate {
            return Ok(());
        }
        if self.rate != 0 {
            return Err(refused(format!(
                "the audio changes from {} Hz to {rate} Hz; encode it at one rate",
                self.rate
            )));
        }
        self.rate = rate;
        if rate != RATE {
            let (from, to) = (rate as usize, RATE as usize);
            let window = rubato::WindowFunction::BlackmanHarris2;
            let fixed = FixedSync::Input;
            let made = Fft::new_custom(from, to, CHUNK, FILTERS, 1, window, fixed);
            self.resampler = Some(made.map_err(unable)?);
        }
        Ok(())
    }

    fn mono(&mut self, sample: f32) -> Result<(), JobError> {
        self.taken += 1;
        if self.taken > u64::from(self.rate) * u64::from(SECONDS_MOST) {
            return Err(refused(format!(
                "the audio is longer than {} minutes; cut it",
                SECONDS_MOST / 60
            )));
        }
        let sample = if sample.is_finite() { sample } else { 0.0 };
        self.waiting.push(sample.clamp(-LOUDEST, LOUDEST));
        if self.waiting.len() == CHUNK {
            self.parts.check().map_err(unable)?;
            self.resample()?;
        }
        Ok(())
    }

    /// Moves one chunk on; the last may be shorter.
    fn resample(&mut self) -> Result<(), JobError> {
        let Some(resampler) = &mut self.resampler else {
            self.samples.append(&mut self.waiting);
            return Ok(());
        };
        let length = self.waiting.len();
        self.waiting.resize(CHUNK, 0.0);
        let input = SequentialSlice::new(&self.waiting, 1, CHUNK).map_err(unable)?;
        let from = self.samples.len();
        let room = from + resampler.output_frames_next();
        self.samples.resize(room, 0.0);
        let mut output = SequentialSlice::new_mut(&mut self.samples, 1, room).map_err(unable)?;
        let place = Indexing::new().output_offset(from).partial_len(length);
        let (_, written) = resampler
            .process_into_buffer(&input, &mut output, Some(&place))
            .map_err(unable)?;
        self.samples.truncate(from + written);
        self.waiting.clear();
        Ok(())
    }

    /// All samples.
    ///
    /// # Errors
    /// Refuses a recording without any.
    pub(super) fn finish(mut self) -> Result<Vec<f32>, JobError> {
        if self.taken == 0 {
            return Err(refused("the audio has no samples"));
        }
        self.resample()?;
        let late = self.resampler.as_ref().map_or(0, Resampler::output_delay);
        let length = self.taken * u64::from(RATE) / u64::from(self.rate);
        let length = usize::try_from(length).map_err(unable)?;
        while self.samples.len() < late + length {
            self.resample()?;
        }
        self.samples.drain(..late.min(self.samples.len()));
        self.samples.truncate(length.max(1));
        Ok(self.samples)
    }
}
