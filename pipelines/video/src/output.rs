//! From encoded frames and copied audio to the bytes of a rendition.

use std::borrow::Cow;

use bytes::Bytes;
use containers::mp4::{Mp4Output, mux_mp4};
use containers::ts::{TsOutput, mux_ts};
use containers::{AccessUnit, AudioCodec, AudioPacket, TICKS_PER_SECOND, VideoCodec};
use host::job::{Clip, JobError};
use protocol::profile::Format;

use crate::error::{input, text};
use crate::plan::BranchPlan;
use crate::retime::Window;
use crate::shared::BranchOutput;

/// What all renditions of a segment have in common.
pub(crate) struct Media<'a> {
    pub(crate) audio_codec: Option<&'a AudioCodec>,
    pub(crate) audio: Cow<'a, [AudioPacket]>,
    pub(crate) provider: &'a str,
}

impl Media<'_> {
    /// The file of one rendition.
    pub(crate) fn write(
        &self,
        plan: &BranchPlan,
        branch: &BranchOutput,
    ) -> Result<Bytes, JobError> {
        let units = ordered(&branch.units);
        let video_codec = match plan.codec {
            protocol::profile::VideoCodec::H265 => VideoCodec::H265,
            _ => VideoCodec::H264,
        };
        match plan.format {
            Format::MpegTs => {
                let (units, audio) = non_negative(units, Cow::Borrowed(&*self.audio));
                Ok(Bytes::from(mux_ts(&TsOutput {
                    video_codec,
                    access_units: &units,
                    audio_codec: self.audio_codec,
                    audio_packets: &audio,
                    service_provider: self.provider,
                })))
            }
            Format::Mp4 => mux_mp4(&Mp4Output {
                codec: video_codec,
                video: &units,
                audio: self.audio_codec.map(|codec| (codec, &*self.audio)),
                comment: &format!("Processed by {}", self.provider),
            })
            .map_err(|error| input(text::INVALID_ARGUMENT, error.to_string())),
        }
    }
}

/// Audio of the clipped part: counted from the first audio packet, as video is from its first frame.
pub(crate) fn clip_audio(packets: &[AudioPacket], clip: Option<Clip>) -> Cow<'_, [AudioPacket]> {
    let Some(clip) = clip else {
        return Cow::Borrowed(packets);
    };
    let mut window = Window::new(clip, (TICKS_PER_SECOND as u64, 1));
    let kept = packets.iter().filter_map(|packet| {
        window.admit(packet.pts).map(|pts| AudioPacket {
            pts,
            data: packet.data.clone(),
        })
    });
    Cow::Owned(kept.collect())
}

/// Decoding times strictly increasing, and none after its presentation time.
fn ordered(units: &[AccessUnit]) -> Cow<'_, [AccessUnit]> {
    let good = units
        .windows(2)
        .all(|w| matches!(w, [a, b] if a.dts < b.dts));
    if good && units.iter().all(|unit| unit.dts <= unit.pts) {
        return Cow::Borrowed(units);
    }
    let mut times = containers::timeline::Monotonic::default();
    let repaired = units.iter().map(|unit| {
        let dts = times.raise(unit.dts);
        AccessUnit {
            dts,
            pts: unit.pts.max(dts),
            ..unit.clone()
        }
    });
    Cow::Owned(repaired.collect())
}

/// Moves everything later so that the first decoding time is not negative, which TS cannot say. Happens
/// at the very start of a timeline only, and as in the reference to video and audio alike.
fn non_negative<'a>(
    units: Cow<'a, [AccessUnit]>,
    audio: Cow<'a, [AudioPacket]>,
) -> (Cow<'a, [AccessUnit]>, Cow<'a, [AudioPacket]>) {
    let first = units.first().map_or(0, |unit| unit.dts);
    let shift = -first;
    // times far below zero are a wrapped clock, which TS can say
    if !(1..TICKS_PER_SECOND).contains(&shift) {
        return (units, audio);
    }
    let units = units
        .iter()
        .map(|unit| AccessUnit {
            pts: unit.pts + shift,
            dts: unit.dts + shift,
            ..unit.clone()
        })
        .collect();
    let audio = audio
        .iter()
        .map(|packet| AudioPacket {
            pts: packet.pts + shift,
            ..packet.clone()
        })
        .collect();
    (Cow::Owned(units), Cow::Owned(audio))
}

/// Name of an input codec on the wire.
pub(crate) fn codec_name(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "H264",
        VideoCodec::H265 => "H265",
        VideoCodec::Other(_) => "unknown",
    }
}
