//! One segment taken apart: its pictures and audio packets, moved in time and put together again. Nothing is decoded here.

use bytes::Bytes;
use containers::demux::ContainerKind;
use containers::h264::find_sps;
use containers::mp4::{Mp4Output, mux_mp4};
use containers::ts::{TsOutput, mux_ts};
use containers::{
    AccessUnit, AudioCodec, AudioPacket, ContainerError, Demuxer, MediaEvent, TICKS_PER_SECOND,
    VideoCodec,
};
use protocol::capabilities::Capability;

/// Provider named in segments that were put together here.
const PROVIDER: &str = "orchestrion push";

/// Length of a frame where a single picture does not show it, in ticks: 25 per second.
const DEFAULT_FRAME: i64 = TICKS_PER_SECOND / 25;

/// Pictures and audio packets of a file, times in ticks of 1/90000 s.
#[derive(Debug, Clone)]
pub struct Media {
    /// Container it came in.
    pub container: ContainerKind,
    /// Codec of the pictures.
    pub video_codec: VideoCodec,
    /// Pictures in decoding order; never empty.
    pub units: Vec<AccessUnit>,
    /// Codec of the audio packets, `None` without audio.
    pub audio_codec: Option<AudioCodec>,
    /// Audio packets in the order of the file.
    pub audio: Vec<AudioPacket>,
}

impl Media {
    /// Takes a TS or MP4 apart.
    ///
    /// # Errors
    /// What is neither, or has no pictures.
    pub fn parse(bytes: &[u8]) -> Result<Self, MediaError> {
        let mut demuxer = Demuxer::new();
        let mut events = Vec::new();
        demuxer.push(bytes, &mut events)?;
        demuxer.finish(&mut events)?;
        let (mut video_codec, mut audio_codec) = (None, None);
        let (mut units, mut audio) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                MediaEvent::Video(codec) => video_codec = Some(codec),
                MediaEvent::Audio(codec) => audio_codec = Some(codec),
                MediaEvent::AccessUnit(unit) => units.push(unit),
                MediaEvent::AudioPacket(packet) => audio.push(packet),
            }
        }
        let (Some(container), Some(video_codec), false) =
            (demuxer.summary().kind, video_codec, units.is_empty())
        else {
            return Err(MediaError::NoVideo);
        };
        if audio.is_empty() {
            audio_codec = None;
        }
        Ok(Self {
            container,
            video_codec,
            units,
            audio_codec,
            audio,
        })
    }

    /// The same, `ticks` later.
    pub fn shifted(&self, ticks: i64) -> Self {
        let mut moved = self.clone();
        for unit in &mut moved.units {
            unit.pts = unit.pts.saturating_add(ticks);
            unit.dts = unit.dts.saturating_add(ticks);
        }
        for packet in &mut moved.audio {
            packet.pts = packet.pts.saturating_add(ticks);
        }
        moved
    }

    /// Puts it together in the container it came in.
    ///
    /// # Errors
    /// Only for MP4: see [`mux_mp4`].
    pub fn mux(&self) -> Result<Bytes, ContainerError> {
        match self.container {
            ContainerKind::Ts => Ok(self.mux_ts()),
            ContainerKind::Mp4 => mux_mp4(&Mp4Output {
                codec: self.video_codec,
                video: &self.units,
                audio: self
                    .audio_codec
                    .as_ref()
                    .map(|codec| (codec, &self.audio[..])),
                comment: PROVIDER,
            }),
        }
    }

    /// Puts it together as a transport stream.
    pub fn mux_ts(&self) -> Bytes {
        Bytes::from(mux_ts(&TsOutput {
            video_codec: self.video_codec,
            access_units: &self.units,
            audio_codec: self.audio_codec.as_ref(),
            audio_packets: &self.audio,
            service_provider: PROVIDER,
        }))
    }

    /// Presentation times of the pictures, rising.
    pub fn display_times(&self) -> Vec<i64> {
        let mut times: Vec<i64> = self.units.iter().map(|unit| unit.pts).collect();
        times.sort_unstable();
        times
    }

    /// Codec of the source as a job names it, with the capability that its pixel format demands.
    ///
    /// # Errors
    /// [`MediaError::Codec`] for a codec that no job can name.
    pub fn job_codec(
        &self,
    ) -> Result<(protocol::profile::VideoCodec, Option<Capability>), MediaError> {
        match self.video_codec {
            VideoCodec::H264 => Ok((protocol::profile::VideoCodec::H264, self.sampling())),
            VideoCodec::H265 => Ok((protocol::profile::VideoCodec::H265, None)),
            VideoCodec::Other(kind) => Err(MediaError::Codec(kind)),
        }
    }

    fn sampling(&self) -> Option<Capability> {
        let sps = self.units.iter().find_map(|unit| find_sps(&unit.data))?;
        match (sps.chroma_format_idc, sps.bit_depth) {
            (1, 10) => Some(Capability::H264Decode420At10),
            (2, 8) => Some(Capability::H264Decode422At8),
            (2, 10) => Some(Capability::H264Decode422At10),
            (3, 8) => Some(Capability::H264Decode444At8),
            (3, 10) => Some(Capability::H264Decode444At10),
            _ => None,
        }
    }
}

/// Length of a frame in ticks: the middle one of the distances between rising `times`.
pub fn frame_ticks(times: &[i64]) -> i64 {
    let mut steps: Vec<i64> = times
        .windows(2)
        .filter_map(|pair| Some(pair.get(1)? - pair.first()?))
        .filter(|step| *step > 0)
        .collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or(DEFAULT_FRAME)
}

/// Why a file is of no use as a source.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Not a container that is known, or a broken one.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// No video track, or one without pictures.
    #[error("no video in it")]
    NoVideo,
    /// Neither H.264 nor H.265.
    #[error("video codec {0:#x} is neither H.264 nor H.265")]
    Codec(u32),
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `frames` pictures of 30 per second from `start` ticks on, a key picture every `gop`, and an audio packet beside each.
    pub(in crate::commands::push) fn made(start: i64, frames: i64, gop: i64) -> Media {
        // access unit delimiter, then a slice of an IDR or of another picture
        let picture = |key: bool| {
            Bytes::from(
                [
                    &[0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1][..],
                    if key { &[0x65, 0x88] } else { &[0x41, 0x9a] },
                    &[7; 40],
                ]
                .concat(),
            )
        };
        let unit = |n: i64| AccessUnit {
            pts: start + n * 3000,
            dts: start + n * 3000,
            key: n % gop == 0,
            data: picture(n % gop == 0),
        };
        Media {
            container: ContainerKind::Ts,
            video_codec: VideoCodec::H264,
            units: (0..frames).map(unit).collect(),
            audio_codec: Some(AudioCodec::Other {
                stream_type: 0x03,
                descriptors: Bytes::new(),
            }),
            audio: (0..frames)
                .map(|n| AudioPacket {
                    pts: start + n * 3000 + 500,
                    data: Bytes::from(vec![n as u8; 30]),
                })
                .collect(),
        }
    }

    #[test]
    fn a_shift_survives_the_way_through_a_transport_stream() {
        let media = made(90_000, 10, 5);
        let back = Media::parse(&media.shifted(45_000).mux().unwrap()).unwrap();
        assert_eq!(
            back.display_times(),
            media
                .display_times()
                .iter()
                .map(|pts| pts + 45_000)
                .collect::<Vec<_>>()
        );
        assert_eq!(back.audio.len(), 10);
        assert_eq!(back.audio[3].pts, media.audio[3].pts + 45_000);
    }

    #[test]
    fn frames_last_as_long_as_most_of_them() {
        assert_eq!(frame_ticks(&[0, 3000, 6000, 12_000, 15_000]), 3000);
        assert_eq!(frame_ticks(&[5]), DEFAULT_FRAME);
    }
}
