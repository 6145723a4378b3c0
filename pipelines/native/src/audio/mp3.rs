//! MP3, and the layers 1 and 2 before it.

use host::job::JobError;
use nanomp3::{Options, SliceReader};

use super::broken;
use super::sink::Sink;

/// Decodes all frames; what is none is passed over, as all players do.
pub(super) fn decode(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
    let mut reader = SliceReader::<f32>::with_options(bytes, Options::default().skip_scan(true));
    loop {
        let (rate, channels) = (reader.sample_rate(), reader.channels());
        let frame = reader
            .read_frame()
            .map_err(|error| broken("MP3", format!("{error:?}")))?;
        let (Some(frame), Some(channels)) = (frame, channels) else {
            return Ok(());
        };
        sink.put(rate, channels.num() as usize, frame)?;
    }
}
