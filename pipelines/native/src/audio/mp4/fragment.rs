//! Samples of a fragment of MP4, as recorders write it that do not know yet how long it gets.

use super::{boxes, child, number};

/// Which fields a `tfhd` has.
const BASE_OFFSET: u32 = 0x1;
const DESCRIPTION: u32 = 0x2;
const DEFAULT_DURATION: u32 = 0x8;
const DEFAULT_SIZE: u32 = 0x10;
/// Which fields a `trun` has, first of itself, then of each sample.
const DATA_OFFSET: u32 = 0x1;
const FIRST_FLAGS: u32 = 0x4;
const DURATION: u32 = 0x100;
const SIZE: u32 = 0x200;
const FLAGS: u32 = 0x400;
const COMPOSITION: u32 = 0x800;

/// Most samples of a fragment: half an hour of the shortest.
const SAMPLES_MOST: usize = 1 << 20;

/// Bytes of each sample of a track where fragments say nothing else; 0 where the movie does not either.
pub(super) fn default_size(movie: &[u8], track: u32) -> u32 {
    let extends = child(movie, b"mvex").unwrap_or_default();
    let mut found = boxes(extends).filter(|found| found.kind == *b"trex");
    let own = found.find(|found| number(found.body, 4) == Some(track));
    own.and_then(|own| number(own.body, 16)).unwrap_or(0)
}

/// Where the samples lie that a `traf` has of `track`: offset and length. `start` is where the `moof` around it starts.
pub(super) fn runs(
    part: &[u8],
    start: usize,
    track: u32,
    default_size: u32,
) -> Option<Vec<(usize, usize)>> {
    let head = child(part, b"tfhd")?;
    let flags = number(head, 0)? & 0x00ff_ffff;
    if number(head, 4)? != track {
        return Some(Vec::new());
    }
    let mut at = 8;
    let mut base = start;
    if flags & BASE_OFFSET != 0 {
        let long = u64::from(number(head, at)?) << 32 | u64::from(number(head, at + 4)?);
        base = usize::try_from(long).ok()?;
        at += 8;
    }
    at += 4 * (flags & DESCRIPTION != 0) as usize + 4 * (flags & DEFAULT_DURATION != 0) as usize;
    let size = if flags & DEFAULT_SIZE != 0 {
        number(head, at)?
    } else {
        default_size
    };
    let mut samples = Vec::new();
    let mut next = base;
    for run in boxes(part).filter(|found| found.kind == *b"trun") {
        next = add(run.body, base, next, size, &mut samples)?;
    }
    Some(samples)
}

/// Adds the samples of one `trun`, and says where the next one starts.
fn add(
    run: &[u8],
    base: usize,
    next: usize,
    default_size: u32,
    samples: &mut Vec<(usize, usize)>,
) -> Option<usize> {
    let flags = number(run, 0)? & 0x00ff_ffff;
    let count = number(run, 4)?;
    let mut at = 8;
    let mut from = next;
    if flags & DATA_OFFSET != 0 {
        let offset = number(run, at)?.cast_signed();
        from = base.checked_add_signed(isize::try_from(offset).ok()?)?;
        at += 4;
    }
    at += 4 * (flags & FIRST_FLAGS != 0) as usize;
    let skipped = 4 * (flags & DURATION != 0) as usize;
    let width = [DURATION, SIZE, FLAGS, COMPOSITION]
        .iter()
        .filter(|field| flags & **field != 0)
        .count()
        * 4;
    if count as usize > SAMPLES_MOST - samples.len() {
        return None;
    }
    for _ in 0..count {
        let size = if flags & SIZE != 0 {
            number(run, at + skipped)?
        } else {
            default_size
        };
        // cut off, whatever the fields are
        if width > 0 {
            run.get(at..at + width)?;
        }
        at += width;
        samples.push((from, size as usize));
        from = from.checked_add(size as usize)?;
    }
    Some(from)
}
