//! AAC in ADTS frames, as files `.aac` have it.

use host::job::JobError;
use rusty_aac::{AacDecoder, parse_adts};

use super::broken;
use super::sink::Sink;

/// Decodes all frames. The last may be cut off.
pub(super) fn decode(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), JobError> {
    let failed = |error| broken("AAC", error);
    let mut decoder = AacDecoder::new();
    let mut rest = bytes;
    // texts may follow
    while rest.len() >= 7 && !rest.starts_with(b"TAG") && !rest.starts_with(b"ID3") {
        let header = parse_adts(rest).map_err(failed)?;
        let Some((frame, after)) = rest.split_at_checked(header.frame_length) else {
            break;
        };
        rest = after;
        let sound = decoder.decode(frame, None).map_err(failed)?;
        sink.put(
            sound.sample_rate,
            usize::from(sound.channels),
            &sound.samples,
        )?;
    }
    Ok(())
}
