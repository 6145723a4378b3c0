//! Cuts a long file into segments at key pictures, without touching a picture, a packet or a time.

use containers::AudioPacket;

use super::media::{Media, frame_ticks};

/// Segments of at least `least` ticks (but for the last), each beginning with a key picture. Pictures before the first key
/// picture are dropped, since nobody could decode them. Audio goes where its time falls.
pub fn split(media: Media, least: i64) -> Vec<Media> {
    let frame = frame_ticks(&media.display_times());
    let Media {
        container,
        video_codec,
        units,
        audio_codec,
        audio,
    } = media;
    let mut parts: Vec<Media> = Vec::new();
    let mut start = 0;
    for unit in units {
        // Half a frame of grace: a file cut at 2 s may be a tick short of it.
        let due = parts.is_empty() || unit.pts.saturating_sub(start) >= least - frame / 2;
        if unit.key && due {
            start = unit.pts;
            parts.push(Media {
                container,
                video_codec,
                units: Vec::new(),
                audio_codec: audio_codec.clone(),
                audio: Vec::new(),
            });
        }
        if let Some(part) = parts.last_mut() {
            part.units.push(unit);
        }
    }
    deal(audio, &mut parts);
    parts
}

/// Gives each packet to the last segment that has begun by its time, the first ones to the first segment.
fn deal(audio: Vec<AudioPacket>, parts: &mut [Media]) {
    let starts: Vec<i64> = parts
        .iter()
        .map(|part| part.units.iter().map(|unit| unit.pts).min().unwrap_or(0))
        .collect();
    for packet in audio {
        let index = starts
            .partition_point(|start| *start <= packet.pts)
            .saturating_sub(1);
        if let Some(part) = parts.get_mut(index) {
            part.audio.push(packet);
        }
    }
    for part in parts {
        if part.audio.is_empty() {
            part.audio_codec = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::media::tests::made;
    use super::*;

    #[test]
    fn cuts_lie_at_key_pictures_and_nothing_is_lost() {
        let whole = made(126_000, 150, 25);
        let parts = split(whole.clone(), 180_000);
        assert_eq!(
            parts
                .iter()
                .map(|part| part.units.len())
                .collect::<Vec<_>>(),
            [75, 75]
        );
        assert!(parts.iter().all(|part| part.units[0].key));
        let audio: Vec<AudioPacket> = parts.iter().flat_map(|part| part.audio.clone()).collect();
        assert_eq!(audio, whole.audio);
        assert!(parts[1].audio[0].pts >= parts[1].units[0].pts);
    }

    #[test]
    fn pictures_before_the_first_key_picture_are_dropped() {
        let mut whole = made(0, 60, 30);
        whole.units[0].key = false;
        let parts = split(whole, 90_000);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].units.len(), 30);
    }
}
