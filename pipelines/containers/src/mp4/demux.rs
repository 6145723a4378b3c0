//! The demuxer: takes the file in any chunking, keeps only bytes still needed, and hands out samples in
//! file order as their last byte arrives. What it hands out does not depend on the chunking.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::{Buf, Bytes, BytesMut};

use super::boxes::{Header, damaged};
use super::movie::{Movie, Track};
use super::nal::to_annex_b;
use super::sample_entry::Entry;
use super::samples::{Budget, Sample};
use super::{MAX_FILE_BYTES, MAX_INDEX_BYTES, fragment};
use crate::{AccessUnit, AudioPacket, ContainerError, MediaEvent, VideoCodec};

/// Takes an MP4 file apart. With the index first, or in fragments, samples come out as they arrive; with the
/// index last, the media data is held until then. Memory stays below the file limit plus the index.
///
/// Only the best video and the best audio track are handed out. Rotation and further edits than the first are ignored.
#[derive(Debug, Default)]
pub struct Mp4Demuxer {
    /// Bytes still needed; the first lies at file position `start`.
    window: BytesMut,
    start: u64,
    /// File position of the next box header; beyond any file once a box reaches to the end of it.
    next_box: u64,
    /// Position from which everything is held, while media data came without an index.
    hold: Option<u64>,
    movie: Option<Movie>,
    /// Samples not handed out, by file position.
    pending: BinaryHeap<Reverse<Pending>>,
    listed: u64,
    budget: Budget,
    /// Bytes handed out: parameter sets are repeated, so it is not bounded by the bytes taken in.
    handed_out: u64,
    video_begun: bool,
    failed: Option<ContainerError>,
}

/// A sample in file order; those at one position keep the order of their table.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    offset: u64,
    listed: u64,
    track: usize,
    size: u32,
    pts: i64,
    dts: i64,
    sync: bool,
}

enum Step {
    /// The first pending sample is there.
    Sample,
    /// The box at that position can be entered.
    Box(Header, u64),
    Wait,
}

impl Mp4Demuxer {
    /// A demuxer at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes and appends what they complete. After an error every further call gives the same one.
    ///
    /// # Errors
    /// A file that contradicts itself, is larger than a segment may be, or whose only audio is of a kind that
    /// cannot be carried over.
    pub fn push(
        &mut self,
        data: &[u8],
        events: &mut Vec<MediaEvent>,
    ) -> Result<(), ContainerError> {
        self.guard(|this| {
            if this.position() + data.len() as u64 > MAX_FILE_BYTES {
                return Err(ContainerError::Mp4TooLarge {
                    what: "file size in bytes",
                    limit: MAX_FILE_BYTES,
                });
            }
            this.window.extend_from_slice(data);
            this.run(false, events)
        })
    }

    /// The file has ended. Samples cut off by the end are not handed out.
    ///
    /// # Errors
    /// No index was found, or one that is damaged.
    pub fn finish(&mut self, events: &mut Vec<MediaEvent>) -> Result<(), ContainerError> {
        self.guard(|this| {
            this.run(true, events)?;
            if this.movie.is_none() {
                Err(ContainerError::Mp4WithoutMoov)
            } else {
                Ok(())
            }
        })
    }

    fn guard(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), ContainerError>,
    ) -> Result<(), ContainerError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        work(self).inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// File position behind the last byte taken in.
    fn position(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    fn run(&mut self, end: bool, events: &mut Vec<MediaEvent>) -> Result<(), ContainerError> {
        loop {
            match self.step(end)? {
                Step::Sample => self.hand_out(events)?,
                Step::Box(header, at) => self.enter(header, at, events)?,
                Step::Wait => break,
            }
        }
        self.release();
        Ok(())
    }

    /// What is complete first, by file position. Deciding by position makes the outcome independent of chunking.
    fn step(&self, end: bool) -> Result<Step, ContainerError> {
        let sample = self
            .pending
            .peek()
            .map(|Reverse(sample)| sample.offset.saturating_add(sample.size.into()));
        let at = self.next_box;
        let head = self.bytes_from(at);
        let (complete, step) = match Header::parse(head) {
            Some(header) => (self.complete(header, end), Ok(Step::Box(header, at))),
            None if head.len() < Header::needed(head) => (u64::MAX, Ok(Step::Wait)),
            None => (
                at + Header::needed(head) as u64,
                Err(damaged("box", "its size is smaller than its header")),
            ),
        };
        match sample {
            Some(sample) if sample <= complete && sample <= self.position() => Ok(Step::Sample),
            _ if complete <= self.position() => step,
            _ => Ok(Step::Wait),
        }
    }

    /// File position at which the box at `next_box` can be entered: an index needs its body, if that is not too large.
    fn complete(&self, header: Header, end: bool) -> u64 {
        let entered = self.next_box.saturating_add(header.len as u64);
        match header.size {
            _ if !is_index(header) => entered,
            Some(size) if size > MAX_INDEX_BYTES => entered,
            Some(size) => self.next_box.saturating_add(size),
            None if end => self.position(),
            None => u64::MAX,
        }
    }

    fn bytes_from(&self, at: u64) -> &[u8] {
        let skip = at
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.window.get(skip..))
            .unwrap_or_default()
    }

    fn enter(
        &mut self,
        header: Header,
        at: u64,
        events: &mut Vec<MediaEvent>,
    ) -> Result<(), ContainerError> {
        let end = at.saturating_add(header.size.unwrap_or(u64::MAX));
        self.next_box = end;
        if is_index(header) {
            let size = end.min(self.position()) - at;
            if header.size.unwrap_or(size) > MAX_INDEX_BYTES {
                return Err(ContainerError::Mp4TooLarge {
                    what: "index size in bytes",
                    limit: MAX_INDEX_BYTES,
                });
            }
            let body = self
                .bytes_from(at)
                .get(header.len..size as usize)
                .unwrap_or_default();
            let body = Bytes::copy_from_slice(body);
            return self.index(header, at, &body, events);
        }
        if &header.kind == b"mdat" && self.movie.is_none() {
            self.hold.get_or_insert(at);
        }
        Ok(())
    }

    fn index(
        &mut self,
        header: Header,
        at: u64,
        body: &[u8],
        events: &mut Vec<MediaEvent>,
    ) -> Result<(), ContainerError> {
        let mut found: Vec<(usize, Sample)> = Vec::new();
        let mut list = |track, sample| found.push((track, sample));
        match (&header.kind, &mut self.movie) {
            (b"moov", None) => {
                let movie = Movie::parse(body, &mut self.budget, &mut list)?;
                events.extend(movie.announcements());
                self.movie = Some(movie);
            }
            (b"moof", Some(movie)) => {
                fragment::parse(body, at, movie, &mut self.budget, &mut list)?
            }
            // a second index adds nothing, a fragment before the index cannot be understood
            _ => return Ok(()),
        }
        // what lies before this may have been given back, whatever the chunking
        let first = self.hold.take().unwrap_or(at);
        let Some(movie) = &self.movie else {
            return Ok(());
        };
        for (track, sample) in found {
            let Some(Track { entry, clock, .. }) = movie.tracks.get(track) else {
                continue;
            };
            if sample.size == 0 || matches!(entry, Entry::Video(VideoCodec::Other(_), _)) {
                continue;
            }
            if sample.offset < first {
                return Err(damaged("stco", "sample data lies before the media data"));
            }
            self.listed += 1;
            self.pending.push(Reverse(Pending {
                offset: sample.offset,
                listed: self.listed,
                track,
                size: sample.size,
                pts: clock.pts(&sample),
                dts: clock.dts(&sample),
                sync: sample.sync,
            }));
        }
        Ok(())
    }

    fn hand_out(&mut self, events: &mut Vec<MediaEvent>) -> Result<(), ContainerError> {
        let Some(Reverse(sample)) = self.pending.pop() else {
            return Ok(());
        };
        let Some(track) = self
            .movie
            .as_ref()
            .and_then(|movie| movie.tracks.get(sample.track))
        else {
            return Ok(());
        };
        let data = self
            .bytes_from(sample.offset)
            .get(..sample.size as usize)
            .unwrap_or_default();
        let (pts, dts) = (sample.pts, sample.dts);
        let event = match &track.entry {
            Entry::Video(codec, config) => {
                let entry_point = sample.sync || !self.video_begun;
                to_annex_b(*codec, config, data, entry_point).map(|unit| {
                    MediaEvent::AccessUnit(AccessUnit {
                        pts,
                        dts,
                        key: unit.key,
                        data: unit.data.into(),
                    })
                })
            }
            Entry::Aac(config) => config.adts_header(data.len()).map(|header| {
                let data = [header.as_slice(), data].concat().into();
                MediaEvent::AudioPacket(AudioPacket { pts, data })
            }),
            Entry::Plain(_) => Some(MediaEvent::AudioPacket(AudioPacket {
                pts,
                data: Bytes::copy_from_slice(data),
            })),
            Entry::UnsupportedAudio(_) => None,
        };
        if let Some(event) = event {
            let (video, len) = match &event {
                MediaEvent::AccessUnit(unit) => (true, unit.data.len()),
                MediaEvent::AudioPacket(packet) => (false, packet.data.len()),
                MediaEvent::Video(_) | MediaEvent::Audio(_) => (false, 0),
            };
            self.video_begun |= video;
            self.handed_out += len as u64;
            if self.handed_out > 2 * MAX_FILE_BYTES {
                let limit = 2 * MAX_FILE_BYTES;
                return Err(ContainerError::Mp4TooLarge {
                    what: "media handed out in bytes",
                    limit,
                });
            }
            events.push(event);
        }
        Ok(())
    }

    /// Gives back the bytes before everything that is still needed.
    fn release(&mut self) {
        let sample = self.pending.peek().map(|Reverse(sample)| sample.offset);
        let end = self.position();
        let keep = [Some(self.next_box), self.hold, sample]
            .into_iter()
            .flatten()
            .fold(end, u64::min);
        let done = usize::try_from(keep.saturating_sub(self.start)).unwrap_or(0);
        self.window.advance(done.min(self.window.len()));
        self.start += done as u64;
    }
}

fn is_index(header: Header) -> bool {
    matches!(&header.kind, b"moov" | b"moof")
}
