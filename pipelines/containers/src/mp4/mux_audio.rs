//! AAC in ADTS turned into the samples of an audio track, whose clock is the sampling rate.

use super::codec_config::audio_entry;
use super::mux::{MuxSample, MuxTrack, duration, refused};
use crate::aac::{AacConfig, AdtsFrame, FrameSplitter, SAMPLES_PER_FRAME};
use crate::{AudioPacket, ContainerError, TICKS_PER_SECOND};

/// Packet times that stray by less than this part of a second from the sum of the frame durations are
/// rounding of the source, not gaps.
const TOLERANCE: i64 = 1000;

/// Builds the track; `None` if there is no whole frame. Times grow by `shift` ticks.
pub(super) fn audio_track(
    packets: &[AudioPacket],
    shift: i64,
) -> Result<Option<MuxTrack>, ContainerError> {
    let mut frames = Vec::new();
    let mut splitter = FrameSplitter::default();
    for packet in packets {
        splitter.push(Some(packet.pts), &packet.data, &mut frames);
    }
    splitter.finish(&mut frames);
    let (Some(packet), Some(first)) = (packets.first(), frames.first()) else {
        return Ok(None);
    };
    let config = first.header.config;
    let start = first.pts.unwrap_or(packet.pts);
    let rate = i64::from(config.sample_rate());
    let mut positions: Vec<i64> = Vec::with_capacity(frames.len() + 1);
    let mut expected = 0;
    for frame in &frames {
        check(frame, config)?;
        let position = match frame.pts {
            Some(pts) => follow(expected, to_samples(pts.saturating_sub(start), rate), rate),
            None => expected,
        };
        let position = positions
            .last()
            .map_or(position, |last| position.max(last + 1));
        positions.push(position);
        expected = position + i64::from(SAMPLES_PER_FRAME * frame.header.blocks);
    }
    positions.push(expected);

    let mut payload = Vec::new();
    let mut samples = Vec::with_capacity(frames.len());
    for (frame, span) in frames.iter().zip(positions.windows(2)) {
        let [begin, end] = span else { continue };
        payload.extend_from_slice(&frame.payload);
        samples.push(MuxSample {
            size: u32::try_from(frame.payload.len())
                .map_err(|_| refused("an audio frame is too large"))?,
            duration: duration(end - begin)?,
            composition: 0,
            sync: true,
            time: to_ticks(*begin, rate)
                .saturating_add(start)
                .saturating_add(shift),
        });
    }
    let start = start.saturating_add(shift);
    let bits = 8 * rate.saturating_mul(payload.len() as i64) / expected.max(1);
    Ok(Some(MuxTrack {
        entry: audio_entry(config, u32::try_from(bits).unwrap_or(0)),
        size: None,
        timescale: config.sample_rate(),
        samples,
        payload,
        // what lies before time zero is priming: media that is decoded, not presented
        start: start.max(0),
        media_time: to_samples(start.min(0).saturating_neg(), rate),
    }))
}

fn check(frame: &AdtsFrame, config: AacConfig) -> Result<(), ContainerError> {
    if frame.header.config != config {
        return Err(refused("the AAC format changes within the segment"));
    }
    if config.channels == 0 {
        return Err(refused(
            "the AAC channel layout is given inside the stream only",
        ));
    }
    if frame.header.blocks > 1 && frame.header.header_len > crate::aac::ADTS_HEADER_LEN {
        return Err(refused(
            "ADTS frames with several blocks and checksums cannot be taken apart",
        ));
    }
    Ok(())
}

fn follow(expected: i64, stated: i64, rate: i64) -> i64 {
    if (stated - expected).abs() > rate / TOLERANCE {
        stated
    } else {
        expected
    }
}

fn to_samples(ticks: i64, rate: i64) -> i64 {
    rescale(ticks, rate, TICKS_PER_SECOND)
}

fn to_ticks(samples: i64, rate: i64) -> i64 {
    rescale(samples, TICKS_PER_SECOND, rate)
}

fn rescale(value: i64, to: i64, from: i64) -> i64 {
    let from = i128::from(from);
    crate::timeline::clamp((i128::from(value) * i128::from(to) * 2 + from).div_euclid(from * 2))
}
