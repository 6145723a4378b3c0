//! Access units in Annex B turned into the samples of a video track.

use super::codec_config::{ParameterSets, video_entry};
use super::mux::{MuxSample, MuxTrack, duration, refused};
use super::nal::annex_b;
use crate::{AccessUnit, ContainerError, TICKS_PER_SECOND, VideoCodec};

/// Ticks of the only picture of a track, whose duration nothing tells.
const LONE_PICTURE: u32 = TICKS_PER_SECOND as u32 / 30;

/// Builds the track. Times grow by `shift` ticks.
pub(super) fn video_track(
    codec: VideoCodec,
    units: &[AccessUnit],
    shift: i64,
) -> Result<MuxTrack, ContainerError> {
    let sets = ParameterSets::collect(codec, units);
    let (entry, size) = video_entry(codec, &sets)?;
    let (first_dts, first_pts) = match (units.first(), units.iter().map(|unit| unit.pts).min()) {
        (Some(first), Some(pts)) => (first.dts, pts),
        _ => return Err(refused("there is no video")),
    };
    // a picture presented before the first is decoded: media time begins with the picture
    let lift = first_dts.saturating_sub(first_pts).max(0);
    let mut payload = Vec::new();
    let mut samples: Vec<MuxSample> = Vec::with_capacity(units.len());
    let mut times: Vec<i64> = Vec::with_capacity(units.len());
    for unit in units {
        let begin = payload.len();
        for nal in annex_b(&unit.data).filter(|nal| !sets.replaces(codec, nal)) {
            let length =
                u32::try_from(nal.len()).map_err(|_| refused("a NAL unit is too large"))?;
            payload.extend_from_slice(&length.to_be_bytes());
            payload.extend_from_slice(nal);
        }
        // decoding times must grow, or durations would be negative
        let dts = times
            .last()
            .map_or(unit.dts, |last| unit.dts.max(last.saturating_add(1)));
        times.push(dts);
        samples.push(MuxSample {
            size: u32::try_from(payload.len() - begin)
                .map_err(|_| refused("an access unit is too large"))?,
            duration: 0,
            composition: unit.pts.saturating_sub(dts).saturating_add(lift),
            sync: unit.key,
            time: dts.saturating_add(shift),
        });
    }
    let mut last = LONE_PICTURE;
    let ends = times.iter().skip(1).copied().map(Some).chain([None]);
    for ((sample, dts), end) in samples.iter_mut().zip(&times).zip(ends) {
        if let Some(end) = end {
            last = duration(end.saturating_sub(*dts))?;
        }
        sample.duration = last;
    }
    Ok(MuxTrack {
        entry,
        size: Some(size),
        timescale: TICKS_PER_SECOND as u32,
        samples,
        payload,
        start: first_pts.saturating_add(shift),
        media_time: first_pts.saturating_sub(first_dts).saturating_add(lift),
    })
}
