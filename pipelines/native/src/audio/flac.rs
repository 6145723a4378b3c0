//! FLAC.

use claxon::{FlacReader, FlacReaderOptions};
use host::job::JobError;

use super::broken;
use super::sink::Sink;

/// Decodes all blocks.
pub(super) fn decode(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
    let failed = |error| broken("FLAC", error);
    let options = FlacReaderOptions {
        metadata_only: false,
        // texts and covers are of no use here
        read_vorbis_comment: false,
    };
    let mut reader = FlacReader::new_ext(bytes, options).map_err(failed)?;
    let info = reader.streaminfo();
    sink.start(info.sample_rate, info.channels as usize)?;
    let scale = 2f32.powi(1 - info.bits_per_sample as i32);
    let mut blocks = reader.blocks();
    let mut buffer = Vec::new();
    while let Some(block) = blocks.read_next_or_eof(buffer).map_err(failed)? {
        let planes: Vec<Vec<f32>> = (0..block.channels())
            .map(|channel| {
                block
                    .channel(channel)
                    .iter()
                    .map(|sample| *sample as f32 * scale)
                    .collect()
            })
            .collect();
        sink.put_planes(info.sample_rate, &planes)?;
        buffer = block.into_buffer();
    }
    Ok(())
}
