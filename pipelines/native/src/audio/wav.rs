//! WAV: whole numbers of 8 to 32 bits, and floats.

use std::borrow::Cow;
use std::io::Read;

use host::job::JobError;
use hound::{SampleFormat, WavReader};

use super::broken;
use super::sink::Sink;

/// Samples that are put on at once.
const BLOCK: usize = 4096;

/// Decodes all samples that the header promises; that there are fewer is an error.
pub(super) fn decode(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
    let (head, body) = with_length(bytes);
    let failed = |error| broken("WAV", error);
    let reader = WavReader::new(head.chain(body)).map_err(failed)?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels);
    sink.start(spec.sample_rate, channels)?;
    match spec.sample_format {
        SampleFormat::Float => put(reader.into_samples::<f32>(), &spec, 1.0, sink),
        SampleFormat::Int => {
            let scale = 2f32.powi(1 - i32::from(spec.bits_per_sample));
            let samples = reader.into_samples::<i32>();
            put(
                samples.map(|sample| sample.map(|sample| sample as f32)),
                &spec,
                scale,
                sink,
            )
        }
    }
}

fn put(
    samples: impl Iterator<Item = hound::Result<f32>>,
    spec: &hound::WavSpec,
    scale: f32,
    sink: &mut Sink<'_>,
) -> Result<(), JobError> {
    let channels = usize::from(spec.channels);
    let mut block = Vec::with_capacity(BLOCK * channels);
    for sample in samples {
        block.push(sample.map_err(|error| broken("WAV", error))? * scale);
        if block.len() == BLOCK * channels {
            sink.put(spec.sample_rate, channels, &block)?;
            block.clear();
        }
    }
    sink.put(spec.sample_rate, channels, &block)
}

/// The file in two pieces. One that was written into a pipe has no length of its data; it gets the one that it has.
fn with_length(bytes: &[u8]) -> (std::io::Cursor<Cow<'_, [u8]>>, &[u8]) {
    let whole = (std::io::Cursor::new(Cow::Borrowed(bytes)), [].as_slice());
    let mut at = 12;
    let mut block = None;
    while let Some(head) = bytes.get(at..at + 8) {
        let (kind, size) = head.split_at(4);
        let size = size.try_into().map_or(0, u32::from_le_bytes);
        let body = at + 8;
        if kind == b"fmt " {
            let align = bytes.get(body + 12..body + 14);
            block = align
                .and_then(|align| Some(usize::from(u16::from_le_bytes(align.try_into().ok()?))));
        }
        if kind == b"data" {
            let Some(block) = block.filter(|block| size == u32::MAX && *block > 0) else {
                return whole;
            };
            let rest = &bytes[body..];
            let length = rest.len() - rest.len() % block;
            let Ok(stated) = u32::try_from(length) else {
                return whole;
            };
            let mut head = bytes[..body].to_vec();
            head[body - 4..].copy_from_slice(&stated.to_le_bytes());
            return (std::io::Cursor::new(Cow::Owned(head)), rest);
        }
        at = body + size as usize + size as usize % 2;
    }
    whole
}
