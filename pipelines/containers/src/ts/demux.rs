//! The streaming demuxer: bytes as they come in, access units and audio packets out at once.
//!
//! Follows the first program of the PAT, and in it the first video and the first audio stream. Damage
//! is tolerated and counted, as in the reference; nothing here fails.

use super::access::{PesTime, RawUnit, Splitter};
use super::audio::AudioCollector;
use super::packet::{Framer, Packet};
use super::pes::PesReader;
use super::psi::{ElementaryStream, Sections, elementary_streams, first_program};
use super::times::UnitTimes;
use super::{PACKET_SIZE, STREAM_TYPE_AAC, STREAM_TYPE_H264, STREAM_TYPE_H265};
use crate::timeline::{Unwrapper, rescale_to_ticks, unwrap};
use crate::{AudioCodec, MediaEvent, VideoCodec, h264};

const PID_PAT: u16 = 0;

/// What was found wrong on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TsCounters {
    /// Transport packets read.
    pub packets: u64,
    /// Bytes skipped in search of a sync byte.
    pub skipped_bytes: u64,
    /// Packets whose continuity counter did not follow.
    pub continuity_errors: u64,
    /// Access units or audio packets thrown away for their size.
    pub dropped_units: u64,
}

/// Continuity counter of one PID.
#[derive(Debug, Default)]
struct Continuity {
    last: Option<u8>,
}

/// How a packet follows the one before.
#[derive(PartialEq, Eq)]
enum Follows {
    Well,
    Repeated,
    Badly,
}

impl Continuity {
    fn check(&mut self, packet: &Packet<'_>) -> Follows {
        // Without payload the counter stands still.
        if packet.payload.is_empty() {
            return Follows::Well;
        }
        match self.last.replace(packet.continuity) {
            None => Follows::Well,
            Some(_) if packet.discontinuity => Follows::Well,
            Some(last) if packet.continuity == (last + 1) & 0x0f => Follows::Well,
            Some(last) if packet.continuity == last => Follows::Repeated,
            Some(_) => Follows::Badly,
        }
    }
}

#[derive(Debug)]
struct VideoStream {
    pid: u16,
    codec: VideoCodec,
    continuity: Continuity,
    pes: PesReader,
    /// `None` for a codec whose access units are not known.
    splitter: Option<Splitter>,
    times: UnitTimes,
}

#[derive(Debug)]
struct AudioStream {
    pid: u16,
    continuity: Continuity,
    pes: PesReader,
    collector: AudioCollector,
}

/// Takes a transport stream apart while it arrives. Memory stays within one access unit, one audio
/// packet and one section.
#[derive(Debug, Default)]
pub struct TsDemuxer {
    framer: Framer,
    program: Program,
}

#[derive(Debug, Default)]
struct Program {
    pat: Sections,
    /// Program number and PMT PID.
    chosen: Option<(u16, u16)>,
    pmt: Sections,
    streams: Vec<ElementaryStream>,
    video: Option<VideoStream>,
    audio: Option<AudioStream>,
    unwrapper: Unwrapper,
    /// Access units on their way from the splitter; kept for its allocation.
    units: Vec<RawUnit>,
    counters: TsCounters,
}

impl TsDemuxer {
    /// A demuxer at the start of a segment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, cut anywhere, and appends what they complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<MediaEvent>) {
        let Self { framer, program } = self;
        framer.push(bytes, |raw| program.packet(raw, out));
    }

    /// The stream is over: appends what was still being collected.
    pub fn finish(&mut self, out: &mut Vec<MediaEvent>) {
        let Self { framer, program } = self;
        framer.finish(|raw| program.packet(raw, out));
        program.end_video(out);
        program.end_audio(out);
    }

    /// Counters of this stream so far.
    pub fn counters(&self) -> TsCounters {
        let splitter = self
            .program
            .video
            .as_ref()
            .and_then(|video| video.splitter.as_ref());
        let mut counters = self.program.counters;
        counters.skipped_bytes = self.framer.skipped;
        counters.dropped_units += splitter.map_or(0, |splitter| splitter.dropped);
        counters.dropped_units += self
            .program
            .audio
            .as_ref()
            .map_or(0, |audio| audio.collector.dropped);
        counters
    }

    /// Duration of a video frame in ticks, as far as known.
    pub fn frame_duration(&self) -> Option<i64> {
        self.program
            .video
            .as_ref()
            .map(|video| video.times.frame_duration())
    }

    /// Duration in ticks of the last audio packet, as far as known.
    pub fn last_audio_duration(&self) -> Option<i64> {
        self.program
            .audio
            .as_ref()
            .map(|audio| audio.collector.last_duration())
    }
}

impl Program {
    fn packet(&mut self, raw: &[u8; PACKET_SIZE], out: &mut Vec<MediaEvent>) {
        let Some(packet) = Packet::parse(raw) else {
            return;
        };
        self.counters.packets += 1;
        if self
            .video
            .as_ref()
            .is_some_and(|video| video.pid == packet.pid)
        {
            self.video_packet(&packet, out);
        } else if self
            .audio
            .as_ref()
            .is_some_and(|audio| audio.pid == packet.pid)
        {
            self.audio_packet(&packet, out);
        } else if packet.pid == PID_PAT {
            let mut found = None;
            self.pat.feed(packet.unit_start, packet.payload, |section| {
                found = found.or(first_program(section))
            });
            if found.is_some() && found != self.chosen {
                self.chosen = found;
                self.pmt.reset();
            }
        } else if let Some((number, pid)) = self.chosen
            && pid == packet.pid
        {
            let mut found = None;
            self.pmt.feed(packet.unit_start, packet.payload, |section| {
                found = elementary_streams(section, number).or(found.take());
            });
            if let Some(streams) = found.filter(|streams| *streams != self.streams) {
                self.choose(&streams, out);
                self.streams = streams;
            }
        }
    }

    /// Takes the first decodable video stream, else the first, and the first audio stream.
    fn choose(&mut self, streams: &[ElementaryStream], out: &mut Vec<MediaEvent>) {
        let mut videos = streams.iter().filter(|stream| stream.is_video());
        let known =
            |stream: &&ElementaryStream| !matches!(video_codec(stream), VideoCodec::Other(_));
        let video = videos.clone().find(known).or_else(|| videos.next());
        if let Some(stream) = video {
            let codec = video_codec(stream);
            let before = self.video.as_ref().map(|video| (video.pid, video.codec));
            if before != Some((stream.pid, codec)) {
                self.start_video(stream.pid, codec, out);
            }
            if before.map(|(_, codec)| codec) != Some(codec) {
                out.push(MediaEvent::Video(codec));
            }
        }
        if let Some(stream) = streams.iter().find(|stream| stream.is_audio()) {
            let codec = audio_codec(stream);
            let before = self
                .audio
                .as_ref()
                .map(|audio| (audio.pid, audio.collector.codec.clone()));
            if before.as_ref() != Some(&(stream.pid, codec.clone())) {
                self.start_audio(stream.pid, codec.clone(), out);
            }
            if before.map(|(_, codec)| codec).as_ref() != Some(&codec) {
                out.push(MediaEvent::Audio(codec));
            }
        }
    }

    fn start_video(&mut self, pid: u16, codec: VideoCodec, out: &mut Vec<MediaEvent>) {
        self.end_video(out);
        let before = self.video.take();
        if let Some(splitter) = before.as_ref().and_then(|video| video.splitter.as_ref()) {
            self.counters.dropped_units += splitter.dropped;
        }
        self.video = Some(VideoStream {
            pid,
            codec,
            continuity: Continuity::default(),
            pes: PesReader::default(),
            splitter: Splitter::new(codec),
            times: before.map(|video| video.times).unwrap_or_default(),
        });
    }

    fn start_audio(&mut self, pid: u16, codec: AudioCodec, out: &mut Vec<MediaEvent>) {
        self.end_audio(out);
        if let Some(before) = self.audio.take() {
            self.counters.dropped_units += before.collector.dropped;
        }
        self.audio = Some(AudioStream {
            pid,
            continuity: Continuity::default(),
            pes: PesReader::default(),
            collector: AudioCollector::new(codec),
        });
    }

    fn end_video(&mut self, out: &mut Vec<MediaEvent>) {
        let Some(video) = &mut self.video else { return };
        if let Some(splitter) = &mut video.splitter {
            splitter.finish(&mut self.units);
        }
        place(&mut video.times, &mut self.units, out);
        video.times.flush(out);
    }

    fn end_audio(&mut self, out: &mut Vec<MediaEvent>) {
        if let Some(audio) = &mut self.audio {
            audio.collector.close(out);
        }
    }

    fn video_packet(&mut self, packet: &Packet<'_>, out: &mut Vec<MediaEvent>) {
        let Some(video) = &mut self.video else { return };
        match video.continuity.check(packet) {
            Follows::Well => {}
            Follows::Repeated => return,
            Follows::Badly => self.counters.continuity_errors += 1,
        }
        let piece = video.pes.feed(packet.unit_start, packet.payload);
        let Some(splitter) = &mut video.splitter else {
            return;
        };
        if let Some((header, raw)) = piece.header.and_then(|header| Some((header, header.pts?))) {
            let pts = self.unwrapper.unwrap(raw, video.times.last_dts());
            let dts = header.dts.map_or(pts, |raw| unwrap(raw, pts));
            splitter.mark(PesTime { pts, dts });
        }
        splitter.push(piece.body, &mut self.units);
        place(&mut video.times, &mut self.units, out);
    }

    fn audio_packet(&mut self, packet: &Packet<'_>, out: &mut Vec<MediaEvent>) {
        let Some(audio) = &mut self.audio else { return };
        match audio.continuity.check(packet) {
            Follows::Well => {}
            Follows::Repeated => return,
            Follows::Badly => self.counters.continuity_errors += 1,
        }
        if packet.unit_start {
            audio.collector.close(out);
        }
        let piece = audio.pes.feed(packet.unit_start, packet.payload);
        if let Some(header) = piece.header {
            let last = audio.collector.last_pts();
            audio
                .collector
                .open(header.pts.map(|raw| self.unwrapper.unwrap(raw, last)));
        }
        audio.collector.push(piece.body);
        if piece.complete {
            audio.collector.close(out);
        }
    }
}

fn place(times: &mut UnitTimes, units: &mut Vec<RawUnit>, out: &mut Vec<MediaEvent>) {
    for unit in units.drain(..) {
        if unit.key
            && let Some((num, den)) = h264::find_sps(&unit.data).and_then(|sps| sps.frame_rate)
        {
            times.set_frame_duration(rescale_to_ticks(i64::from(den), num));
        }
        times.place(unit, out);
    }
}

fn video_codec(stream: &ElementaryStream) -> VideoCodec {
    match stream.stream_type {
        STREAM_TYPE_H264 => VideoCodec::H264,
        STREAM_TYPE_H265 => VideoCodec::H265,
        other => VideoCodec::Other(u32::from(other)),
    }
}

fn audio_codec(stream: &ElementaryStream) -> AudioCodec {
    match stream.stream_type {
        STREAM_TYPE_AAC => AudioCodec::Aac,
        stream_type => AudioCodec::Other {
            stream_type,
            descriptors: stream.descriptors.clone(),
        },
    }
}
