//! The `moov` atom: its tracks, and the choice of the best video and the best audio track.

use mp4_atom::{Elst, Mdhd, Trex};

use super::boxes::{child, children, damaged, descend, leaf, leaf_child, missing};
use super::sample_entry::{self, Entry};
use super::samples::{Budget, Sample, SampleTables};
use super::timing::{Clock, Edit};
use crate::{AudioCodec, ContainerError, MediaEvent};

/// More tracks than this are not looked at.
const MAX_TRACKS: usize = 64;

/// A track that is handed out.
#[derive(Debug)]
pub(super) struct Track {
    pub id: u32,
    pub entry: Entry,
    pub clock: Clock,
    /// Defaults for fragments.
    pub trex: Trex,
    /// Decoding time after the last sample known, in track units.
    pub end: i64,
}

/// What is kept of a `moov` atom. Tracks are video first, then audio; either may be missing.
#[derive(Debug, Default)]
pub(super) struct Movie {
    pub tracks: Vec<Track>,
}

/// A track before it is chosen.
struct Candidate {
    id: u32,
    enabled: bool,
    timescale: u32,
    edit: Edit,
    entry: Entry,
    tables: SampleTables,
    duration: u64,
}

impl Movie {
    /// Reads `moov` and hands out the samples listed in it, with the index of their track.
    pub fn parse(
        moov: &[u8],
        budget: &mut Budget,
        out: &mut impl FnMut(usize, Sample),
    ) -> Result<Self, ContainerError> {
        let movie_scale = movie_timescale(moov)?;
        let trex = fragment_defaults(moov)?;
        let mut video: Option<Candidate> = None;
        let mut audio: Option<Candidate> = None;
        for (_, trak) in children(moov)
            .filter(|(kind, _)| kind == b"trak")
            .take(MAX_TRACKS)
        {
            let Some(candidate) = Candidate::parse(trak, movie_scale)? else {
                continue;
            };
            let best = if candidate.is_video() {
                &mut video
            } else {
                &mut audio
            };
            if best
                .as_ref()
                .is_none_or(|best| candidate.rank() > best.rank())
            {
                *best = Some(candidate);
            }
        }
        let mut movie = Self::default();
        for candidate in [video, audio].into_iter().flatten() {
            if let Entry::UnsupportedAudio(codec) = candidate.entry {
                return Err(ContainerError::UnsupportedAudio { codec });
            }
            let index = movie.tracks.len();
            let defaults = trex
                .iter()
                .find(|trex| trex.track_id == candidate.id)
                .cloned();
            let track = candidate.into_track(defaults.unwrap_or_default(), budget, |sample| {
                out(index, sample)
            })?;
            movie.tracks.push(track);
        }
        Ok(movie)
    }

    /// The events that announce the tracks.
    pub fn announcements(&self) -> impl Iterator<Item = MediaEvent> {
        self.tracks.iter().filter_map(|track| match &track.entry {
            Entry::Video(codec, _) => Some(MediaEvent::Video(*codec)),
            Entry::Aac(_) => Some(MediaEvent::Audio(AudioCodec::Aac)),
            Entry::Plain(codec) => Some(MediaEvent::Audio(codec.clone())),
            Entry::UnsupportedAudio(_) => None,
        })
    }
}

impl Candidate {
    /// `None` for a track that is neither video nor audio.
    fn parse(trak: &[u8], movie_scale: u32) -> Result<Option<Self>, ContainerError> {
        let Some(handler) = descend(trak, &[b"mdia", b"hdlr"]).and_then(|hdlr| hdlr.get(8..12))
        else {
            return Ok(None);
        };
        if handler != b"vide" && handler != b"soun" {
            return Ok(None);
        }
        let mdia = child(trak, b"mdia").ok_or_else(|| missing("mdia"))?;
        let mdhd: Mdhd = leaf_child("mdhd", mdia)?.ok_or_else(|| missing("mdhd"))?;
        if mdhd.timescale == 0 {
            return Err(damaged("mdhd", "the timescale is zero"));
        }
        let (id, enabled) = track_header(trak)?;
        let edit = match descend(trak, &[b"edts", b"elst"]) {
            Some(elst) => Edit::new(&leaf::<Elst>("elst", elst)?, movie_scale, mdhd.timescale),
            None => Edit::default(),
        };
        let stbl = descend(mdia, &[b"minf", b"stbl"]).ok_or_else(|| missing("stbl"))?;
        let stsd = child(stbl, b"stsd").ok_or_else(|| missing("stsd"))?;
        let entry = if handler == b"vide" {
            sample_entry::video(stsd)?
        } else {
            sample_entry::audio(stsd)?
        };
        let (timescale, duration) = (mdhd.timescale, mdhd.duration);
        Ok(Some(Self {
            id,
            enabled,
            timescale,
            edit,
            entry,
            tables: SampleTables::parse(stbl)?,
            duration,
        }))
    }

    fn is_video(&self) -> bool {
        matches!(self.entry, Entry::Video(..))
    }

    /// Enabled tracks come first, then those with several samples, then the higher bit rate, as in the reference.
    /// Audio that cannot be carried over comes last.
    fn rank(&self) -> (bool, bool, usize, u64) {
        let supported = !matches!(self.entry, Entry::UnsupportedAudio(_));
        let seconds = (self.duration / u64::from(self.timescale.max(1))).max(1);
        (
            supported,
            self.enabled,
            self.tables.count().min(5),
            self.tables.bytes() / seconds,
        )
    }

    fn into_track(
        self,
        trex: Trex,
        budget: &mut Budget,
        out: impl FnMut(Sample),
    ) -> Result<Track, ContainerError> {
        let samples = self.tables.expand(budget)?;
        let shown = self.shown(&samples);
        let first = self.first_shown(shown);
        let clock = Clock::new(
            self.timescale,
            &self.edit,
            first,
            self.tables.negative_offset(),
        );
        let end = match samples.as_slice() {
            [.., before, last] => last.dts.saturating_add(last.dts.saturating_sub(before.dts)),
            [only] => only.dts,
            [] => 0,
        };
        shown.iter().copied().for_each(out);
        Ok(Track {
            id: self.id,
            entry: self.entry,
            clock,
            trex,
            end,
        })
    }

    /// The samples needed to present the edit: for video from the sync sample before it, for audio one second
    /// early, as the reference does to prime the decoder, and up to the last one shown.
    fn shown<'a>(&self, samples: &'a [Sample]) -> &'a [Sample] {
        let Some(media_time) = self.edit.media_time else {
            return samples;
        };
        let end = samples
            .iter()
            .rposition(|sample| self.edit.shows(sample.cts))
            .map_or(0, |last| last + 1);
        let kept = samples.get(..end).unwrap_or_default();
        let latest = if self.is_video() {
            media_time
        } else {
            media_time.saturating_sub(self.timescale.into())
        };
        let start = kept
            .iter()
            .rposition(|sample| sample.sync && sample.cts <= latest)
            .unwrap_or(0);
        kept.get(start..).unwrap_or_default()
    }

    /// The composition time that falls on the start of the presentation. Video begins with its first picture
    /// shown, audio may begin within a frame.
    fn first_shown(&self, samples: &[Sample]) -> i64 {
        let Some(media_time) = self.edit.media_time else {
            return 0;
        };
        let shown = samples
            .iter()
            .map(|sample| sample.cts)
            .filter(|cts| self.edit.shows(*cts))
            .min();
        match shown {
            Some(cts) if self.is_video() => cts,
            _ => samples
                .first()
                .map_or(media_time, |first| first.cts.max(media_time)),
        }
    }
}

fn movie_timescale(moov: &[u8]) -> Result<u32, ContainerError> {
    let mvhd = child(moov, b"mvhd").ok_or_else(|| missing("mvhd"))?;
    // after version, flags and two times of 32 or 64 bits
    let at = if mvhd.first() == Some(&1) { 20 } else { 12 };
    let scale = mvhd
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map(|bytes| u32::from_be_bytes(*bytes));
    scale
        .filter(|scale| *scale > 0)
        .ok_or_else(|| damaged("mvhd", "the timescale is missing or zero"))
}

/// Track id and whether the track is enabled.
fn track_header(trak: &[u8]) -> Result<(u32, bool), ContainerError> {
    let tkhd = child(trak, b"tkhd").ok_or_else(|| missing("tkhd"))?;
    let at = if tkhd.first() == Some(&1) { 20 } else { 12 };
    let id = tkhd
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map(|bytes| u32::from_be_bytes(*bytes));
    let id = id.ok_or_else(|| damaged("tkhd", "it is cut off"))?;
    Ok((id, tkhd.get(3).is_some_and(|flags| flags & 1 == 1)))
}

fn fragment_defaults(moov: &[u8]) -> Result<Vec<Trex>, ContainerError> {
    let mvex = child(moov, b"mvex").unwrap_or_default();
    children(mvex)
        .filter(|(kind, _)| kind == b"trex")
        .take(MAX_TRACKS)
        .map(|(_, body)| leaf("trex", body))
        .collect()
}
