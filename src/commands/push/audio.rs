//! Whether a rendition carries the audio of its source untouched.

use bytes::Bytes;
use containers::aac::FrameSplitter;
use containers::demux::ContainerKind;
use containers::timeline::wrap;
use containers::{AudioCodec, AudioPacket};

use super::media::Media;

/// How far a time may be off where a container counts in other units than ticks.
const ROUNDING: i64 = 2;

/// Compares the audio of a rendition with its source, whose times are `shift` ticks later now. Gives what differs, in words.
///
/// Between transport streams packets must be the same, bytes and times. MP4 has no packets of ADTS frames: there the AAC
/// frames and the time of the first one are compared.
pub fn differs(source: &Media, shift: i64, rendition: &Media) -> Option<String> {
    let same_container =
        source.container == ContainerKind::Ts && rendition.container == ContainerKind::Ts;
    match (&source.audio_codec, &rendition.audio_codec) {
        (None, None) => None,
        (Some(_), None) => Some("audio is missing".to_owned()),
        (None, Some(_)) => Some("audio where the source has none".to_owned()),
        (Some(AudioCodec::Aac), Some(AudioCodec::Aac)) if !same_container => {
            frames_differ(source, shift, rendition)
        }
        (Some(a), Some(b)) if a != b => Some("audio of another codec".to_owned()),
        _ => packets_differ(&source.audio, shift, &rendition.audio),
    }
}

fn packets_differ(source: &[AudioPacket], shift: i64, rendition: &[AudioPacket]) -> Option<String> {
    if source.len() != rendition.len() {
        return Some(format!(
            "{} audio packets instead of {}",
            rendition.len(),
            source.len()
        ));
    }
    let differ = |(wanted, found): (&AudioPacket, &AudioPacket)| {
        wrap(wanted.pts.saturating_add(shift)) != wrap(found.pts) || wanted.data != found.data
    };
    let n = source.iter().zip(rendition).position(differ)?;
    Some(format!("audio packet {n} is not the source's"))
}

fn frames_differ(source: &Media, shift: i64, rendition: &Media) -> Option<String> {
    let (wanted, found) = (aac_frames(&source.audio), aac_frames(&rendition.audio));
    if wanted != found {
        return Some(format!(
            "{} AAC frames that are not the source's {}",
            found.len(),
            wanted.len()
        ));
    }
    let first = |media: &Media| media.audio.first().map_or(0, |packet| packet.pts);
    let off = first(rendition) - first(source).saturating_add(shift);
    (off.abs() > ROUNDING).then(|| format!("audio begins {off} ticks off"))
}

fn aac_frames(packets: &[AudioPacket]) -> Vec<Bytes> {
    let mut splitter = FrameSplitter::default();
    let mut frames = Vec::new();
    for packet in packets {
        splitter.push(Some(packet.pts), &packet.data, &mut frames);
    }
    splitter.finish(&mut frames);
    frames.into_iter().map(|frame| frame.payload).collect()
}

#[cfg(test)]
mod tests {
    use super::super::media::tests::made;
    use super::*;

    #[test]
    fn a_moved_copy_is_the_same_audio() {
        let source = made(90_000, 10, 5);
        assert_eq!(differs(&source, 700, &source.shifted(700)), None);
    }

    #[test]
    fn a_changed_byte_time_or_count_is_found() {
        let source = made(90_000, 10, 5);
        assert!(differs(&source, 0, &source.shifted(1)).is_some());
        let mut changed = source.clone();
        changed.audio[4].data = Bytes::from_static(b"else");
        assert_eq!(
            differs(&source, 0, &changed).as_deref(),
            Some("audio packet 4 is not the source's")
        );
        changed.audio.pop();
        assert!(differs(&source, 0, &changed).is_some());
        changed.audio_codec = None;
        assert_eq!(
            differs(&source, 0, &changed).as_deref(),
            Some("audio is missing")
        );
    }
}
