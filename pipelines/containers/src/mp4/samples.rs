//! The sample tables of a track (ISO/IEC 14496-12 8.6 and 8.7), expanded to one entry per sample.

use mp4_atom::{Co64, Ctts, Stco, Stsc, StscEntry, Stss, Stsz, StszSamples, Stts};

use super::boxes::{child, damaged, leaf_child, missing};
use super::{MAX_FILE_BYTES, MAX_SAMPLE_BYTES, MAX_SAMPLES};
use crate::ContainerError;

/// One sample; times in units of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub offset: u64,
    pub size: u32,
    pub dts: i64,
    /// Composition time: decoding time plus composition offset.
    pub cts: i64,
    /// What the container says; the demuxer looks at the picture itself.
    pub sync: bool,
}

/// Counts samples and their bytes over the whole file, so that no table can ask for more than a file can hold.
#[derive(Debug, Default)]
pub(super) struct Budget {
    samples: u64,
    bytes: u64,
}

impl Budget {
    pub fn take(&mut self, size: u32) -> Result<(), ContainerError> {
        let size = u64::from(size);
        self.samples += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.samples > MAX_SAMPLES {
            Err(ContainerError::Mp4TooLarge {
                what: "sample count",
                limit: MAX_SAMPLES,
            })
        } else if size > MAX_SAMPLE_BYTES {
            Err(ContainerError::Mp4TooLarge {
                what: "sample size in bytes",
                limit: MAX_SAMPLE_BYTES,
            })
        } else if self.bytes > MAX_FILE_BYTES {
            Err(ContainerError::Mp4TooLarge {
                what: "sum of sample sizes in bytes",
                limit: MAX_FILE_BYTES,
            })
        } else {
            Ok(())
        }
    }
}

/// The tables of one track as they are stored.
#[derive(Debug)]
pub(super) struct SampleTables {
    sizes: StszSamples,
    chunks: Vec<u64>,
    layout: Vec<StscEntry>,
    durations: Stts,
    composition: Option<Ctts>,
    sync: Option<Stss>,
}

impl SampleTables {
    pub fn parse(stbl: &[u8]) -> Result<Self, ContainerError> {
        if child(stbl, b"stz2").is_some() {
            return Err(damaged("stz2", "compact sample sizes are not supported"));
        }
        let sizes = leaf_child::<Stsz>("stsz", stbl)?
            .map(|stsz| stsz.samples)
            .unwrap_or_default();
        let chunks = match leaf_child::<Co64>("co64", stbl)? {
            Some(co64) => co64.entries,
            None => match leaf_child::<Stco>("stco", stbl)? {
                Some(stco) => stco.entries.into_iter().map(u64::from).collect(),
                None => return Err(missing("stco")),
            },
        };
        Ok(Self {
            sizes,
            chunks,
            layout: leaf_child::<Stsc>("stsc", stbl)?
                .unwrap_or_default()
                .entries,
            durations: leaf_child::<Stts>("stts", stbl)?.unwrap_or_default(),
            composition: leaf_child("ctts", stbl)?,
            sync: leaf_child("stss", stbl)?,
        })
    }

    pub fn count(&self) -> usize {
        match &self.sizes {
            StszSamples::Identical { count, .. } => *count as usize,
            StszSamples::Different { sizes } => sizes.len(),
        }
    }

    /// Sum of all sample sizes in bytes, as stated.
    pub fn bytes(&self) -> u64 {
        match &self.sizes {
            StszSamples::Identical { count, size } => u64::from(*count) * u64::from(*size),
            StszSamples::Different { sizes } => sizes.iter().copied().map(u64::from).sum(),
        }
    }

    fn size(&self, index: usize) -> Option<u32> {
        match &self.sizes {
            StszSamples::Identical { count, size } => (index < *count as usize).then_some(*size),
            StszSamples::Different { sizes } => sizes.get(index).copied(),
        }
    }

    /// One entry per sample, in decoding order. Samples for which no chunk is left are not there.
    pub fn expand(&self, budget: &mut Budget) -> Result<Vec<Sample>, ContainerError> {
        let mut samples = Vec::new();
        let mut times = Times::new(self);
        let mut layout = self.layout.iter().peekable();
        let mut per_chunk = 0;
        for (chunk, start) in self.chunks.iter().enumerate() {
            while let Some(entry) = layout.next_if(|entry| entry.first_chunk as usize <= chunk + 1)
            {
                per_chunk = entry.samples_per_chunk;
            }
            let mut offset = *start;
            for _ in 0..per_chunk {
                let Some(size) = self.size(samples.len()) else {
                    return Ok(samples);
                };
                budget.take(size)?;
                let (dts, cts, sync) = times.next();
                samples.push(Sample {
                    offset,
                    size,
                    dts,
                    cts,
                    sync,
                });
                offset = offset
                    .checked_add(u64::from(size))
                    .ok_or_else(|| damaged("stco", "a chunk offset overflows"))?;
            }
        }
        Ok(samples)
    }

    /// The largest amount by which a composition offset lies below zero.
    pub fn negative_offset(&self) -> i64 {
        let offsets = self.composition.iter().flat_map(|ctts| &ctts.entries);
        offsets
            .map(|entry| entry.sample_offset.saturating_neg())
            .max()
            .unwrap_or(0)
            .max(0)
    }
}

/// Walks durations, composition offsets and sync samples side by side.
struct Times<'a> {
    tables: &'a SampleTables,
    dts: i64,
    number: u32,
    duration: Run,
    offset: Run,
    sync: usize,
}

#[derive(Default)]
struct Run {
    next: usize,
    left: u32,
}

impl<'a> Times<'a> {
    fn new(tables: &'a SampleTables) -> Self {
        Self {
            tables,
            dts: 0,
            number: 0,
            duration: Run::default(),
            offset: Run::default(),
            sync: 0,
        }
    }

    fn next(&mut self) -> (i64, i64, bool) {
        self.number = self.number.saturating_add(1);
        let durations = &self.tables.durations.entries;
        // past the end of the table the last duration goes on
        let duration = self
            .duration
            .advance(|index| durations.get(index).map(|entry| entry.sample_count))
            .and_then(|index| durations.get(index))
            .or(durations.last())
            .map_or(0, |entry| i64::from(entry.sample_delta));
        let offset = self.tables.composition.as_ref().and_then(|ctts| {
            let index = self
                .offset
                .advance(|index| ctts.entries.get(index).map(|entry| entry.sample_count))?;
            ctts.entries.get(index)
        });
        let sync = match &self.tables.sync {
            None => true,
            Some(stss) => {
                while stss
                    .entries
                    .get(self.sync)
                    .is_some_and(|number| *number < self.number)
                {
                    self.sync += 1;
                }
                stss.entries.get(self.sync) == Some(&self.number)
            }
        };
        let dts = self.dts;
        self.dts = self.dts.saturating_add(duration);
        (
            dts,
            dts.saturating_add(offset.map_or(0, |entry| entry.sample_offset)),
            sync,
        )
    }
}

impl Run {
    /// The index of the table entry that the next sample falls into, given each entry's sample count.
    fn advance(&mut self, count: impl Fn(usize) -> Option<u32>) -> Option<usize> {
        while self.left == 0 {
            self.left = count(self.next)?;
            self.next += 1;
        }
        self.left -= 1;
        self.next.checked_sub(1)
    }
}
