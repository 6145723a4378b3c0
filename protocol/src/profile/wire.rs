//! Renditions to and from their protobuf form, and the choice among the three lists that carry them.

use super::{Format, Gop, H264Profile, VideoCodec, VideoProfile};
use crate::{pb, refusal::Refusal};

/// The three lists of [`pb::SegData`]; exactly one is filled.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProfileLists {
    /// `fullProfiles`: MPEG-TS only, whole frame rates, no H.264 profile, default key frames.
    pub first: Vec<pb::VideoProfile>,
    /// `fullProfiles2`: the same with an MP4 among them.
    pub second: Vec<pb::VideoProfile>,
    /// `fullProfiles3`: all others.
    pub third: Vec<pb::VideoProfile>,
}

/// Renditions of a segment: of the third list, else the second, else the first; none if all are empty.
pub fn from_lists(data: &pb::SegData) -> Result<Vec<VideoProfile>, Refusal> {
    let list = [
        &data.full_profiles3,
        &data.full_profiles2,
        &data.full_profiles,
    ]
    .into_iter()
    .find(|list| !list.is_empty());
    list.into_iter().flatten().map(decode).collect()
}

/// Puts renditions into the list that says what they need, so that older peers refuse what they cannot do.
pub fn encode_lists(profiles: &[VideoProfile]) -> ProfileLists {
    let messages = profiles.iter().map(encode).collect();
    let plain = |p: &VideoProfile| {
        p.fps_den == 0 && p.h264_profile == H264Profile::Default && p.gop == Gop::Default
    };
    let mut lists = ProfileLists::default();
    if !profiles.iter().all(plain) {
        lists.third = messages;
    } else if profiles.iter().any(|p| p.format == Format::Mp4) {
        lists.second = messages;
    } else {
        lists.first = messages;
    }
    lists
}

/// Reads one rendition. Unknown enum values are refused; colour depth and chroma format are not looked at.
/// Negative sizes and bit rates, which no encoder takes, become 0 after a missing name was made from them.
pub fn decode(message: &pb::VideoProfile) -> Result<VideoProfile, Refusal> {
    use pb::video_profile as wire;
    let format = match wire::Format::try_from(message.format) {
        Ok(wire::Format::Mpegts) => Format::MpegTs,
        Ok(wire::Format::Mp4) => Format::Mp4,
        Err(_) => return Err(Refusal::OutputFormat),
    };
    let h264_profile = match wire::Profile::try_from(message.profile) {
        Ok(wire::Profile::EncoderDefault) => H264Profile::Default,
        Ok(wire::Profile::H264Baseline) => H264Profile::Baseline,
        Ok(wire::Profile::H264Main) => H264Profile::Main,
        Ok(wire::Profile::H264High) => H264Profile::High,
        Ok(wire::Profile::H264ConstrainedHigh) => H264Profile::ConstrainedHigh,
        Err(_) => return Err(Refusal::EncoderProfile),
    };
    let codec = match wire::VideoCodec::try_from(message.encoder) {
        Ok(wire::VideoCodec::H264) => VideoCodec::H264,
        Ok(wire::VideoCodec::H265) => VideoCodec::H265,
        Ok(wire::VideoCodec::Vp8) => VideoCodec::Vp8,
        Ok(wire::VideoCodec::Vp9) => VideoCodec::Vp9,
        Err(_) => return Err(Refusal::VideoCodec),
    };
    let gop = match message.gop {
        0 => Gop::Default,
        -1 => Gop::IntraOnly,
        other => u32::try_from(other).map_or(Gop::Invalid(other), Gop::Millis),
    };
    let name = if message.name.is_empty() {
        format!(
            "net_{}x{}_{}",
            message.width, message.height, message.bitrate
        )
    } else {
        message.name.clone()
    };
    Ok(VideoProfile {
        name,
        width: u32::try_from(message.width).unwrap_or(0),
        height: u32::try_from(message.height).unwrap_or(0),
        bitrate: u32::try_from(message.bitrate).unwrap_or(0),
        fps: message.fps,
        fps_den: message.fps_den,
        format,
        h264_profile,
        gop,
        codec,
        quality: message.quality,
    })
}

/// Writes one rendition. Values above the range of the field are written as its largest.
pub fn encode(profile: &VideoProfile) -> pb::VideoProfile {
    use pb::video_profile as wire;
    let signed = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    pb::VideoProfile {
        name: profile.name.clone(),
        width: signed(profile.width),
        height: signed(profile.height),
        bitrate: signed(profile.bitrate),
        fps: profile.fps,
        fps_den: profile.fps_den,
        format: match profile.format {
            Format::MpegTs => wire::Format::Mpegts,
            Format::Mp4 => wire::Format::Mp4,
        }
        .into(),
        profile: match profile.h264_profile {
            H264Profile::Default => wire::Profile::EncoderDefault,
            H264Profile::Baseline => wire::Profile::H264Baseline,
            H264Profile::Main => wire::Profile::H264Main,
            H264Profile::High => wire::Profile::H264High,
            H264Profile::ConstrainedHigh => wire::Profile::H264ConstrainedHigh,
        }
        .into(),
        encoder: match profile.codec {
            VideoCodec::H264 => wire::VideoCodec::H264,
            VideoCodec::H265 => wire::VideoCodec::H265,
            VideoCodec::Vp8 => wire::VideoCodec::Vp8,
            VideoCodec::Vp9 => wire::VideoCodec::Vp9,
        }
        .into(),
        gop: match profile.gop {
            Gop::Default => 0,
            Gop::IntraOnly => -1,
            Gop::Millis(ms) => signed(ms),
            Gop::Invalid(value) => value,
        },
        quality: profile.quality,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::profile::presets;

    #[test]
    fn intra_only_is_a_ten_byte_varint() {
        let message = pb::VideoProfile {
            gop: -1,
            ..Default::default()
        };
        assert_eq!(
            hex::encode(message.encode_to_vec()),
            "c001ffffffffffffffffff01"
        );
        assert_eq!(decode(&message).unwrap().gop, Gop::IntraOnly);
    }

    #[test]
    fn unknown_enum_values_are_refused_each_with_its_text() {
        let good = pb::VideoProfile::default();
        let cases = [
            (
                pb::VideoProfile {
                    format: 2,
                    ..good.clone()
                },
                "unrecognized profile output format",
            ),
            (
                pb::VideoProfile {
                    format: -1,
                    profile: 9,
                    ..good.clone()
                },
                "unrecognized profile output format",
            ),
            (
                pb::VideoProfile {
                    profile: 5,
                    encoder: 9,
                    ..good.clone()
                },
                "unrecognized encoder profile",
            ),
            (
                pb::VideoProfile { encoder: 4, ..good },
                "unrecognized video codec",
            ),
        ];
        for (message, text) in cases {
            assert_eq!(decode(&message).unwrap_err().wire_text(), text);
        }
    }

    #[test]
    fn a_missing_name_is_made_of_the_raw_numbers() {
        let message = pb::VideoProfile {
            width: -5,
            height: 240,
            bitrate: 600_000,
            gop: -2,
            ..Default::default()
        };
        let profile = decode(&message).unwrap();
        assert_eq!(profile.name, "net_-5x240_600000");
        assert_eq!((profile.width, profile.gop), (0, Gop::Invalid(-2)));
    }

    #[test]
    fn the_list_tells_what_the_renditions_need() {
        let plain = presets("P240p30fps16x9,P360p30fps16x9").unwrap();
        let with = |change: fn(&mut VideoProfile)| {
            let mut profiles = plain.clone();
            change(&mut profiles[1]);
            let lists = encode_lists(&profiles);
            (lists.first.len(), lists.second.len(), lists.third.len())
        };
        assert_eq!(with(|_| {}), (2, 0, 0));
        assert_eq!(with(|p| p.format = Format::Mp4), (0, 2, 0));
        assert_eq!(with(|p| p.fps_den = 1), (0, 0, 2));
        assert_eq!(with(|p| p.h264_profile = H264Profile::Main), (0, 0, 2));
        assert_eq!(with(|p| p.gop = Gop::Millis(1)), (0, 0, 2));
    }

    #[test]
    fn the_third_list_wins_over_the_second_over_the_first() {
        let named = |name: &str| {
            vec![pb::VideoProfile {
                name: name.into(),
                ..Default::default()
            }]
        };
        let mut data = pb::SegData::default();
        assert_eq!(from_lists(&data), Ok(vec![]));
        data.full_profiles = named("1");
        assert_eq!(from_lists(&data).unwrap()[0].name, "1");
        data.full_profiles2 = named("2");
        assert_eq!(from_lists(&data).unwrap()[0].name, "2");
        data.full_profiles3 = named("3");
        assert_eq!(from_lists(&data).unwrap()[0].name, "3");
    }

    proptest! {
        #[test]
        fn any_message_is_read_or_refused_and_what_is_read_round_trips(
            name in "[a-z]{0,3}", sizes: [i32; 3], rate: [u32; 2], gop: i32, quality: u32,
            format in -1..4, profile in -1..7, encoder in -1..6
        ) {
            let message = pb::VideoProfile {
                name, width: sizes[0], height: sizes[1], bitrate: sizes[2], fps: rate[0], fps_den: rate[1],
                gop, quality, format, profile, encoder, ..Default::default()
            };
            if let Ok(read) = decode(&message) {
                prop_assert!(!read.name.is_empty());
                let _ = read.pixels_per_second();
                prop_assert_eq!(decode(&encode(&read)).unwrap(), read);
            } else {
                prop_assert!(!(0..2).contains(&format) || !(0..5).contains(&profile) || !(0..4).contains(&encoder));
            }
        }
    }
}
