//! Movie fragments (ISO/IEC 14496-12 8.8): the samples of one `moof` atom.

use mp4_atom::{Tfdt, Tfhd, Trun};

use super::boxes::{children, damaged, leaf, leaf_child, missing};
use super::movie::{Movie, Track};
use super::samples::{Budget, Sample};
use crate::ContainerError;

/// Flag of a sample that is no sync sample.
const NON_SYNC: u32 = 0x0001_0000;

/// Hands out the samples of the chosen tracks in the `moof` that begins at file position `start`.
pub(super) fn parse(
    moof: &[u8],
    start: u64,
    movie: &mut Movie,
    budget: &mut Budget,
    out: &mut impl FnMut(usize, Sample),
) -> Result<(), ContainerError> {
    // without a base offset of its own, a track's data goes on where the track before it ended
    let mut base = start;
    for (_, traf) in children(moof).filter(|(kind, _)| kind == b"traf") {
        let tfhd: Tfhd = leaf_child("tfhd", traf)?.ok_or_else(|| missing("tfhd"))?;
        let origin = match tfhd.base_data_offset {
            Some(offset) => offset,
            None if tfhd.default_base_is_moof => start,
            None => base,
        };
        let chosen = movie
            .tracks
            .iter_mut()
            .enumerate()
            .find(|(_, track)| track.id == tfhd.track_id);
        let Some((index, track)) = chosen else {
            base = origin;
            continue;
        };
        if let Some(tfdt) = leaf_child::<Tfdt>("tfdt", traf)? {
            track.end = i64::try_from(tfdt.base_media_decode_time)
                .map_err(|_| damaged("tfdt", "the decode time does not fit 63 bits"))?;
        }
        base = origin;
        for (_, body) in children(traf).filter(|(kind, _)| kind == b"trun") {
            let trun: Trun = leaf("trun", body)?;
            if let Some(offset) = trun.data_offset {
                base = origin
                    .checked_add_signed(i64::from(offset))
                    .ok_or_else(|| damaged("trun", "the data offset leaves the file"))?;
            }
            base = run(&trun, &tfhd, base, track, budget, &mut |sample| {
                out(index, sample)
            })?;
        }
    }
    Ok(())
}

/// Hands out one run that begins at `offset`; returns where it ends.
fn run(
    trun: &Trun,
    tfhd: &Tfhd,
    mut offset: u64,
    track: &mut Track,
    budget: &mut Budget,
    out: &mut impl FnMut(Sample),
) -> Result<u64, ContainerError> {
    let duration = tfhd
        .default_sample_duration
        .unwrap_or(track.trex.default_sample_duration);
    let size = tfhd
        .default_sample_size
        .unwrap_or(track.trex.default_sample_size);
    let flags = tfhd
        .default_sample_flags
        .unwrap_or(track.trex.default_sample_flags);
    for entry in &trun.samples {
        let size = entry.size.unwrap_or(size);
        budget.take(size)?;
        let composition = entry.cts.unwrap_or(0);
        track.clock.cover(composition);
        let dts = track.end;
        let sync = entry.flags.unwrap_or(flags) & NON_SYNC == 0;
        out(Sample {
            offset,
            size,
            dts,
            cts: dts.saturating_add(composition),
            sync,
        });
        track.end = dts.saturating_add(i64::from(entry.duration.unwrap_or(duration)));
        offset = offset
            .checked_add(u64::from(size))
            .ok_or_else(|| damaged("trun", "the sample data leaves the file"))?;
    }
    Ok(offset)
}
