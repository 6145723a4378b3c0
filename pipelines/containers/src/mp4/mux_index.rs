//! The `moov` atom of a file to be written: sample tables, edit lists and metadata.

use mp4_atom::{
    Any, Co64, Ctts, CttsEntry, Dinf, Dref, Edts, Elst, ElstEntry, FourCC, Hdlr, Mdhd, Mdia, Meta,
    Minf, Moov, Mvhd, Smhd, Stbl, Stco, Stsc, StscEntry, Stsd, Stss, Stsz, StszSamples, Stts,
    SttsEntry, Tkhd, Trak, Udta, Url, Vmhd,
};

use super::mux::{Chunk, MuxTrack, encode, refused};
use crate::{ContainerError, TICKS_PER_SECOND};

/// Movie time is in ticks, so that starts are exact.
const MOVIE_SCALE: u32 = TICKS_PER_SECOND as u32;

/// The index, for media data of `total` bytes that begins at file position `base`.
pub(super) fn moov(
    tracks: &[MuxTrack],
    chunks: &[Vec<Chunk>],
    base: u64,
    total: u64,
    comment: &str,
) -> Result<Moov, ContainerError> {
    // room for an index of 1 GiB, which no file within these limits has
    let wide = total > u64::from(u32::MAX) - (1 << 30);
    let mut trak = Vec::new();
    for (number, (track, chunks)) in (1u32..).zip(tracks.iter().zip(chunks)) {
        trak.push(track.trak(number, chunks, base, wide)?);
    }
    let duration = trak
        .iter()
        .map(|trak| trak.tkhd.duration)
        .max()
        .unwrap_or(0);
    let mvhd = Mvhd {
        creation_time: 0,
        modification_time: 0,
        timescale: MOVIE_SCALE,
        duration,
        rate: 1.into(),
        volume: 1.into(),
        matrix: Default::default(),
        next_track_id: tracks.len() as u32 + 1,
    };
    let udta = (!comment.is_empty())
        .then(|| comment_atom(comment))
        .transpose()?;
    Ok(Moov {
        mvhd,
        meta: None,
        mvex: None,
        trak,
        udta,
        ainf: None,
    })
}

/// The comment as iTunes metadata, the form that players and the reference read.
fn comment_atom(comment: &str) -> Result<Udta, ContainerError> {
    // data atom: type 1 is UTF-8, locale 0
    let mut text = vec![0, 0, 0, 1, 0, 0, 0, 0];
    text.extend_from_slice(comment.as_bytes());
    let mut data = Vec::new();
    encode(&Any::Unknown(b"data".into(), text), &mut data)?;
    let mut item = Vec::new();
    encode(&Any::Unknown(b"\xa9cmt".into(), data), &mut item)?;
    let hdlr = Hdlr {
        handler: b"mdir".into(),
        name: String::new(),
    };
    let meta = Meta {
        hdlr,
        items: vec![Any::Unknown(b"ilst".into(), item)],
    };
    Ok(Udta {
        meta: Some(meta),
        ..Default::default()
    })
}

impl MuxTrack {
    fn trak(
        &self,
        number: u32,
        chunks: &[Chunk],
        base: u64,
        wide: bool,
    ) -> Result<Trak, ContainerError> {
        let media: u64 = self
            .samples
            .iter()
            .map(|sample| u64::from(sample.duration))
            .sum();
        let shown = self.shown();
        let start = u64::try_from(self.start).unwrap_or(0);
        let (width, height) = self.size.unwrap_or((0, 0));
        let video = self.size.is_some();
        let handler: FourCC = if video {
            b"vide".into()
        } else {
            b"soun".into()
        };
        let name = if video {
            "VideoHandler"
        } else {
            "SoundHandler"
        };
        Ok(Trak {
            tkhd: Tkhd {
                track_id: number,
                duration: start.saturating_add(shown),
                alternate_group: u16::from(!video),
                enabled: true,
                in_movie: true,
                volume: u8::from(!video).into(),
                width: width.into(),
                height: height.into(),
                ..Default::default()
            },
            edts: Some(Edts {
                elst: Some(self.edits(start, shown)),
            }),
            mdia: Mdia {
                mdhd: Mdhd {
                    timescale: self.timescale,
                    duration: media,
                    language: "und".into(),
                    ..Default::default()
                },
                hdlr: Hdlr {
                    handler,
                    name: name.into(),
                },
                minf: Minf {
                    vmhd: video.then(Vmhd::default),
                    smhd: (!video).then(Smhd::default),
                    dinf: Dinf {
                        dref: Dref {
                            entries: vec![
                                Url {
                                    location: String::new(),
                                }
                                .into(),
                            ],
                        },
                    },
                    stbl: self.stbl(chunks, base, wide)?,
                    ..Default::default()
                },
            },
            ..Default::default()
        })
    }

    /// Ticks presented: from the media time shown first to the end of the last picture, rounded up.
    fn shown(&self) -> u64 {
        let mut dts = 0i64;
        let mut end = 0i64;
        for sample in &self.samples {
            let next = dts.saturating_add(sample.duration.into());
            end = end.max(next.saturating_add(sample.composition));
            dts = next;
        }
        let units = u128::try_from(end.saturating_sub(self.media_time)).unwrap_or(0);
        let ticks = (units * u128::from(MOVIE_SCALE)).div_ceil(u128::from(self.timescale.max(1)));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    fn edits(&self, start: u64, shown: u64) -> Elst {
        let empty = ElstEntry {
            segment_duration: start,
            media_time: None,
            media_rate: 1.into(),
        };
        let media_time = Some(u64::try_from(self.media_time).unwrap_or(0));
        let media = ElstEntry {
            segment_duration: shown,
            media_time,
            media_rate: 1.into(),
        };
        let entries = if start > 0 {
            vec![empty, media]
        } else {
            vec![media]
        };
        Elst { entries }
    }

    fn stbl(&self, chunks: &[Chunk], base: u64, wide: bool) -> Result<Stbl, ContainerError> {
        let offsets = chunks.iter().map(|chunk| chunk.offset + base);
        let narrow = || {
            let entries: Result<Vec<u32>, _> = offsets.clone().map(u32::try_from).collect();
            entries
                .map(|entries| Stco { entries })
                .map_err(|_| refused("a chunk lies beyond 4 GiB"))
        };
        let durations = runs(self.samples.iter().map(|sample| sample.duration));
        let compositions = runs(self.samples.iter().map(|sample| sample.composition));
        let reordered = self.samples.iter().any(|sample| sample.composition != 0);
        let sync = (1u32..)
            .zip(&self.samples)
            .filter(|(_, sample)| sample.sync)
            .map(|(number, _)| number);
        let all_sync = self.samples.iter().all(|sample| sample.sync);
        let stts = durations.map(|(sample_count, sample_delta)| SttsEntry {
            sample_count,
            sample_delta,
        });
        let ctts = compositions.map(|(sample_count, sample_offset)| CttsEntry {
            sample_count,
            sample_offset,
        });
        Ok(Stbl {
            stsd: Stsd {
                codecs: vec![self.entry.clone()],
            },
            stts: Stts {
                entries: stts.collect(),
            },
            ctts: reordered.then(|| Ctts {
                entries: ctts.collect(),
            }),
            stss: (!all_sync).then(|| Stss {
                entries: sync.collect(),
            }),
            stsc: layout(chunks),
            stsz: Stsz {
                samples: StszSamples::Different {
                    sizes: self.samples.iter().map(|sample| sample.size).collect(),
                },
            },
            stco: if wide { None } else { Some(narrow()?) },
            co64: wide.then(|| Co64 {
                entries: offsets.clone().collect(),
            }),
            ..Default::default()
        })
    }
}

/// Samples per chunk, one entry where the number changes.
fn layout(chunks: &[Chunk]) -> Stsc {
    let mut entries: Vec<StscEntry> = Vec::new();
    for (first_chunk, chunk) in (1u32..).zip(chunks) {
        if entries
            .last()
            .is_none_or(|last| last.samples_per_chunk != chunk.samples)
        {
            entries.push(StscEntry {
                first_chunk,
                samples_per_chunk: chunk.samples,
                sample_description_index: 1,
            });
        }
    }
    Stsc { entries }
}

/// Equal neighbours counted together.
fn runs<T: PartialEq + Copy>(
    mut values: impl Iterator<Item = T>,
) -> impl Iterator<Item = (u32, T)> {
    let mut current = values.next();
    std::iter::from_fn(move || {
        let value = current?;
        let mut count = 1;
        loop {
            current = values.next();
            if current != Some(value) {
                return Some((count, value));
            }
            count += 1;
        }
    })
}
