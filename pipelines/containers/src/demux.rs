//! The one door for outside bytes: finds out which container they are and takes it apart as they come.

use crate::mp4::Mp4Demuxer;
use crate::ts::{PACKET_SIZE, SYNC_BYTE, TsDemuxer};
use crate::{ContainerError, MediaEvent};

/// Sync bytes that must follow each other at packet distance.
const SYNC_RUN: usize = 3;

/// Bytes looked at before the stream is given up as unknown.
const PROBE_BYTES: usize = 64 << 10;

/// The containers that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerKind {
    /// MPEG transport stream.
    Ts,
    /// ISO base media, whole or fragmented.
    Mp4,
}

/// Recognises a container by its first bytes. With `complete` false, `Ok(None)` asks for more.
pub fn probe(head: &[u8], complete: bool) -> Result<Option<ContainerKind>, ContainerError> {
    const BOXES: [&[u8; 4]; 10] = [
        b"ftyp", b"moov", b"styp", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"emsg",
    ];
    let exhausted = head.len() >= PROBE_BYTES;
    let head = head.get(..PROBE_BYTES).unwrap_or(head);
    if head.len() < 8 && !complete {
        return Ok(None);
    }
    if head
        .get(4..8)
        .is_some_and(|kind| BOXES.iter().any(|known| kind == *known))
    {
        return Ok(Some(ContainerKind::Mp4));
    }
    // Garbage before the first packet is stepped over; a short file may end before the run is whole.
    let is_run = |start: usize| {
        (0..SYNC_RUN).all(|n| match head.get(start + n * PACKET_SIZE) {
            Some(byte) => *byte == SYNC_BYTE,
            None => complete && n > 0 && start == 0,
        })
    };
    if memchr::memchr_iter(SYNC_BYTE, head).any(is_run) {
        return Ok(Some(ContainerKind::Ts));
    }
    if complete || exhausted {
        Err(ContainerError::Unrecognised)
    } else {
        Ok(None)
    }
}

/// What has come out of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Set as soon as the container is recognised.
    pub kind: Option<ContainerKind>,
    /// Pictures of the video track.
    pub access_units: u64,
    /// Pictures at which decoding can begin.
    pub key_units: u64,
    /// Packets of the audio track.
    pub audio_packets: u64,
    /// Earliest presentation time of either track in ticks.
    pub first_pts: Option<i64>,
    /// Latest presentation time of either track in ticks.
    pub last_pts: Option<i64>,
    /// From the earliest start to the latest end of either track in ticks; 0 if there is none.
    pub duration: i64,
    /// Transport packets that did not follow their predecessor.
    pub continuity_errors: u64,
}

#[derive(Debug)]
enum State {
    Probing(Vec<u8>),
    Ts(Box<TsDemuxer>),
    Mp4(Box<Mp4Demuxer>),
}

/// First and last PTS of one track.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    first: Option<i64>,
    last: Option<i64>,
    /// Smallest positive distance of consecutive DTS or PTS, the guess for the last duration.
    step: Option<i64>,
    before: Option<i64>,
}

impl Span {
    fn add(&mut self, pts: i64, order: i64) {
        self.first = Some(self.first.map_or(pts, |first| first.min(pts)));
        self.last = Some(self.last.map_or(pts, |last| last.max(pts)));
        if let Some(step) = self
            .before
            .map(|before| order.saturating_sub(before))
            .filter(|step| *step > 0)
        {
            self.step = Some(self.step.map_or(step, |least| least.min(step)));
        }
        self.before = Some(order);
    }

    fn end(&self, duration: Option<i64>) -> Option<i64> {
        Some(
            self.last?
                .saturating_add(duration.or(self.step).unwrap_or(0)),
        )
    }
}

/// Takes a TS or MP4 apart while it arrives.
#[derive(Debug)]
pub struct Demuxer {
    state: State,
    summary: Summary,
    video: Span,
    audio: Span,
}

impl Default for Demuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl Demuxer {
    /// A demuxer at the start of a segment.
    pub fn new() -> Self {
        Self {
            state: State::Probing(Vec::new()),
            summary: Summary::default(),
            video: Span::default(),
            audio: Span::default(),
        }
    }

    /// Takes the next bytes, cut anywhere, and appends what they complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<MediaEvent>) -> Result<(), ContainerError> {
        let before = out.len();
        let result = match &mut self.state {
            State::Probing(head) => {
                head.extend_from_slice(bytes);
                self.settle(false, out)
            }
            State::Ts(demuxer) => {
                demuxer.push(bytes, out);
                Ok(())
            }
            State::Mp4(demuxer) => demuxer.push(bytes, out),
        };
        self.note(out.get(before..).unwrap_or_default());
        result
    }

    /// The container is over: appends what was still being collected.
    pub fn finish(&mut self, out: &mut Vec<MediaEvent>) -> Result<(), ContainerError> {
        let before = out.len();
        self.settle(true, out)?;
        let result = match &mut self.state {
            State::Probing(_) => Err(ContainerError::Unrecognised),
            State::Ts(demuxer) => {
                demuxer.finish(out);
                Ok(())
            }
            State::Mp4(demuxer) => demuxer.finish(out),
        };
        self.note(out.get(before..).unwrap_or_default());
        result
    }

    /// What came out so far.
    pub fn summary(&self) -> Summary {
        let (video_step, audio_step, continuity_errors) = match &self.state {
            State::Ts(ts) => (
                ts.frame_duration(),
                ts.last_audio_duration(),
                ts.counters().continuity_errors,
            ),
            State::Probing(_) | State::Mp4(_) => (None, None, 0),
        };
        let first_pts = [self.video.first, self.audio.first]
            .into_iter()
            .flatten()
            .min();
        let end = self.video.end(video_step).max(self.audio.end(audio_step));
        Summary {
            first_pts,
            last_pts: self.video.last.max(self.audio.last),
            duration: end
                .zip(first_pts)
                .map_or(0, |(end, first)| end.saturating_sub(first)),
            continuity_errors,
            ..self.summary
        }
    }

    /// Decides on the container if the bytes kept so far allow it, and hands them on.
    fn settle(&mut self, complete: bool, out: &mut Vec<MediaEvent>) -> Result<(), ContainerError> {
        let State::Probing(head) = &mut self.state else {
            return Ok(());
        };
        let Some(kind) = probe(head, complete)? else {
            return Ok(());
        };
        let head = std::mem::take(head);
        self.summary.kind = Some(kind);
        match kind {
            ContainerKind::Ts => {
                let mut demuxer = Box::new(TsDemuxer::new());
                demuxer.push(&head, out);
                self.state = State::Ts(demuxer);
                Ok(())
            }
            ContainerKind::Mp4 => {
                let mut demuxer = Box::new(Mp4Demuxer::new());
                let result = demuxer.push(&head, out);
                self.state = State::Mp4(demuxer);
                result
            }
        }
    }

    fn note(&mut self, events: &[MediaEvent]) {
        for event in events {
            match event {
                MediaEvent::AccessUnit(unit) => {
                    self.summary.access_units += 1;
                    self.summary.key_units += u64::from(unit.key);
                    self.video.add(unit.pts, unit.dts);
                }
                MediaEvent::AudioPacket(packet) => {
                    self.summary.audio_packets += 1;
                    self.audio.add(packet.pts, packet.pts);
                }
                MediaEvent::Video(_) | MediaEvent::Audio(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_told_apart_by_their_first_bytes() {
        let mut ts = vec![0; PACKET_SIZE * 3];
        (0..3).for_each(|n| ts[n * PACKET_SIZE] = SYNC_BYTE);
        assert_eq!(probe(&ts, false), Ok(Some(ContainerKind::Ts)));
        assert_eq!(
            probe(&[&[1, 2, 3][..], &ts].concat(), false),
            Ok(Some(ContainerKind::Ts))
        );
        assert_eq!(
            probe(&ts[..PACKET_SIZE + 50], true),
            Ok(Some(ContainerKind::Ts))
        );
        assert_eq!(probe(&ts[..PACKET_SIZE + 50], false), Ok(None));
        assert_eq!(
            probe(b"\0\0\0\x18ftypisom", false),
            Ok(Some(ContainerKind::Mp4))
        );
    }

    #[test]
    fn anything_else_is_refused_at_the_end_or_after_the_probe_window() {
        assert_eq!(probe(b"", true), Err(ContainerError::Unrecognised));
        assert_eq!(probe(b"GIF89a..........", false), Ok(None));
        assert_eq!(
            probe(&vec![0; PROBE_BYTES], false),
            Err(ContainerError::Unrecognised)
        );
        let mut demuxer = Demuxer::new();
        let mut out = Vec::new();
        demuxer
            .push(b"<html>no video here</html>", &mut out)
            .unwrap();
        assert_eq!(demuxer.finish(&mut out), Err(ContainerError::Unrecognised));
    }
}
