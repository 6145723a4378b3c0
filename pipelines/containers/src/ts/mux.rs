//! Writes one segment as a transport stream: video first, audio copied, source times kept.
//!
//! Layout as the reference's muxer has it: service 1, PMT on PID 0x1000, video 0x100, audio 0x101, an
//! SDT that names the provider.

use super::pes::write_timestamp;
use super::psi::seal;
use super::write::{OutputPid, adaptation};
use super::{STREAM_TYPE_AAC, STREAM_TYPE_H264, STREAM_TYPE_H265};
use crate::timeline::{Monotonic, wrap};
use crate::{AccessUnit, AudioCodec, AudioPacket, VideoCodec, h264, h265};

const PID_PAT: u16 = 0x0000;
const PID_SDT: u16 = 0x0011;
const PID_VIDEO: u16 = 0x0100;
const PID_AUDIO: u16 = 0x0101;
const PID_PMT: u16 = 0x1000;
const SERVICE_ID: u16 = 1;
const TRANSPORT_STREAM_ID: u16 = 1;
const ORIGINAL_NETWORK_ID: u16 = 0xff01;
const SERVICE_NAME: &str = "Service01";

/// PAT and PMT come at least this often, in ticks: DVB asks for half a second.
const TABLE_PERIOD: i64 = 36_000;

/// How far the clock runs behind the DTS, in ticks: the time a receiver has to take in a picture.
const PCR_LEAD: i64 = 9000;

/// What one segment consists of.
#[derive(Debug, Clone, Copy)]
pub struct TsOutput<'a> {
    /// Codec of the access units.
    pub video_codec: VideoCodec,
    /// Pictures in decoding order.
    pub access_units: &'a [AccessUnit],
    /// Codec of the audio packets; `None` leaves audio out of the PMT.
    pub audio_codec: Option<&'a AudioCodec>,
    /// Packets in order; each becomes one PES packet.
    pub audio_packets: &'a [AudioPacket],
    /// `service_provider` of the SDT; cut after 200 bytes.
    pub service_provider: &'a str,
}

/// The segment as transport stream bytes. Bytes and times are kept, except that a DTS that does not
/// increase becomes the previous + 1 tick, and a picture without access unit delimiter gets one.
pub fn mux_ts(output: &TsOutput<'_>) -> Vec<u8> {
    let payload: usize = output
        .access_units
        .iter()
        .map(|unit| unit.data.len())
        .sum::<usize>()
        + output
            .audio_packets
            .iter()
            .map(|packet| packet.data.len())
            .sum::<usize>();
    let mut muxer = Muxer::new(output, payload + payload / 16 + 4096);
    let mut audio = output
        .audio_packets
        .iter()
        .filter(|_| output.audio_codec.is_some())
        .peekable();
    for unit in output.access_units {
        while let Some(packet) = audio.next_if(|packet| packet.pts <= unit.dts) {
            muxer.audio(packet);
        }
        muxer.video(unit);
    }
    audio.for_each(|packet| muxer.audio(packet));
    muxer.out
}

struct Muxer {
    out: Vec<u8>,
    pat: (OutputPid, Vec<u8>),
    sdt: (OutputPid, Vec<u8>),
    pmt: (OutputPid, Vec<u8>),
    video: OutputPid,
    video_codec: VideoCodec,
    video_times: Monotonic,
    audio: OutputPid,
    audio_stream_id: u8,
    audio_times: Monotonic,
    /// The clock travels with the audio where there is no picture.
    clock_on_audio: bool,
    tables_at: Option<i64>,
}

impl Muxer {
    fn new(output: &TsOutput<'_>, capacity: usize) -> Self {
        let clock_on_audio = output.access_units.is_empty();
        Self {
            out: Vec::with_capacity(capacity),
            pat: (OutputPid::new(PID_PAT), pat()),
            sdt: (OutputPid::new(PID_SDT), sdt(output.service_provider)),
            pmt: (
                OutputPid::new(PID_PMT),
                pmt(output, if clock_on_audio { PID_AUDIO } else { PID_VIDEO }),
            ),
            video: OutputPid::new(PID_VIDEO),
            video_codec: output.video_codec,
            video_times: Monotonic::default(),
            audio: OutputPid::new(PID_AUDIO),
            audio_stream_id: audio_stream_id(output.audio_codec),
            audio_times: Monotonic::default(),
            clock_on_audio,
            tables_at: None,
        }
    }

    /// Writes the tables if `due` or if the last ones are too long ago at `time`.
    fn tables(&mut self, time: i64, due: bool) {
        if !due
            && self
                .tables_at
                .is_some_and(|last| time.saturating_sub(last) < TABLE_PERIOD)
        {
            return;
        }
        self.tables_at = Some(time);
        for (pid, section) in [&mut self.sdt, &mut self.pat, &mut self.pmt] {
            pid.section(section, &mut self.out);
        }
    }

    fn video(&mut self, unit: &AccessUnit) {
        let dts = self.video_times.raise(unit.dts);
        let pts = unit.pts.max(dts);
        self.tables(dts, unit.key);
        let mut header = vec![0, 0, 1, 0xe0, 0, 0, 0x84];
        push_times(pts, dts, &mut header);
        header.extend_from_slice(missing_delimiter(self.video_codec, &unit.data));
        let clock = adaptation(unit.key, clock(dts));
        self.video.unit(&header, &unit.data, &clock, &mut self.out);
    }

    fn audio(&mut self, packet: &AudioPacket) {
        let pts = self.audio_times.raise(packet.pts);
        self.tables(pts, false);
        let length = u16::try_from(packet.data.len() + 8).unwrap_or(0);
        let [l1, l0] = length.to_be_bytes();
        let mut header = vec![0, 0, 1, self.audio_stream_id, l1, l0, 0x80];
        push_times(pts, pts, &mut header);
        let clock = adaptation(true, clock(pts));
        let clock = if self.clock_on_audio { &clock[..] } else { &[] };
        self.audio.unit(&header, &packet.data, clock, &mut self.out);
    }
}

fn clock(dts: i64) -> u64 {
    wrap(dts.saturating_sub(PCR_LEAD))
}

/// Flags, header length and times of a PES header; the DTS only where it differs.
fn push_times(pts: i64, dts: i64, header: &mut Vec<u8>) {
    if pts == dts {
        header.extend([0x80, 5]);
        write_timestamp(2, wrap(pts), header);
    } else {
        header.extend([0xc0, 10]);
        write_timestamp(3, wrap(pts), header);
        write_timestamp(1, wrap(dts), header);
    }
}

/// The delimiter that ISO/IEC 13818-1 wants before each picture, if `data` does not begin with one.
fn missing_delimiter(codec: VideoCodec, data: &[u8]) -> &'static [u8] {
    let first = crate::annexb::nal_units(data).next().map(|nal| nal.bytes);
    match codec {
        VideoCodec::H264 if first.and_then(h264::nal_type) != Some(h264::NAL_AUD) => {
            &[0, 0, 0, 1, 9, 0xf0]
        }
        VideoCodec::H265 if first.and_then(h265::nal_type) != Some(h265::NAL_AUD) => {
            &[0, 0, 0, 1, 0x46, 1, 0x50]
        }
        _ => &[],
    }
}

fn stream_type(codec: VideoCodec) -> u8 {
    match codec {
        VideoCodec::H264 => STREAM_TYPE_H264,
        VideoCodec::H265 => STREAM_TYPE_H265,
        VideoCodec::Other(stream_type) => stream_type as u8,
    }
}

/// MPEG audio has ids of its own; everything else travels as private stream 1.
fn audio_stream_id(codec: Option<&AudioCodec>) -> u8 {
    match codec {
        None
        | Some(
            AudioCodec::Aac
            | AudioCodec::Other {
                stream_type: 0x03 | 0x04 | 0x0f | 0x11,
                ..
            },
        ) => 0xc0,
        Some(AudioCodec::Other { .. }) => 0xbd,
    }
}

fn section(table: u8, extension: u16) -> Vec<u8> {
    let [e1, e0] = extension.to_be_bytes();
    // Version 0, current, section 0 of 0.
    vec![table, 0xb0, 0, e1, e0, 0xc1, 0, 0]
}

fn pat() -> Vec<u8> {
    let mut pat = section(0x00, TRANSPORT_STREAM_ID);
    pat.extend(SERVICE_ID.to_be_bytes());
    pat.extend((0xe000 | PID_PMT).to_be_bytes());
    seal(pat)
}

fn pmt(output: &TsOutput<'_>, pcr_pid: u16) -> Vec<u8> {
    let mut pmt = section(0x02, SERVICE_ID);
    pmt.extend((0xe000 | pcr_pid).to_be_bytes());
    pmt.extend(0xf000u16.to_be_bytes());
    let registration: &[u8] = if output.video_codec == VideoCodec::H265 {
        b"\x05\x04HEVC"
    } else {
        &[]
    };
    push_stream(
        stream_type(output.video_codec),
        PID_VIDEO,
        registration,
        &mut pmt,
    );
    match output.audio_codec {
        None => {}
        Some(AudioCodec::Aac) => push_stream(STREAM_TYPE_AAC, PID_AUDIO, &[], &mut pmt),
        Some(AudioCodec::Other {
            stream_type,
            descriptors,
        }) => {
            push_stream(*stream_type, PID_AUDIO, descriptors, &mut pmt);
        }
    }
    seal(pmt)
}

fn push_stream(stream_type: u8, pid: u16, descriptors: &[u8], pmt: &mut Vec<u8>) {
    // A section holds 1021 bytes; what does not fit could not have come from one.
    let descriptors = descriptors
        .get(..descriptors.len().min(900))
        .unwrap_or_default();
    pmt.push(stream_type);
    pmt.extend((0xe000 | pid).to_be_bytes());
    pmt.extend((0xf000 | descriptors.len() as u16).to_be_bytes());
    pmt.extend_from_slice(descriptors);
}

fn sdt(provider: &str) -> Vec<u8> {
    let provider = provider
        .get(..provider.floor_char_boundary(200))
        .unwrap_or_default()
        .as_bytes();
    let mut descriptor = vec![0x01, provider.len() as u8];
    descriptor.extend_from_slice(provider);
    descriptor.push(SERVICE_NAME.len() as u8);
    descriptor.extend_from_slice(SERVICE_NAME.as_bytes());
    let mut sdt = section(0x42, TRANSPORT_STREAM_ID);
    sdt.extend(ORIGINAL_NETWORK_ID.to_be_bytes());
    sdt.push(0xff);
    sdt.extend(SERVICE_ID.to_be_bytes());
    sdt.push(0xfc);
    // Running, not scrambled.
    sdt.extend((0x8000 | (descriptor.len() + 2) as u16).to_be_bytes());
    sdt.extend([0x48, descriptor.len() as u8]);
    sdt.extend(descriptor);
    seal(sdt)
}
