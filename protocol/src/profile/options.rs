//! Renditions as a person writes them: names of presets, or the JSON array that gateways read for
//! `-transcodingOptions`.

use serde::Deserialize;

use super::{Format, Gop, H264Profile, VideoCodec, VideoProfile};
use crate::Error;

/// Name, width, height, bit/s, frames per second.
const PRESETS: &[(&str, u32, u32, u32, u32)] = &[
    ("P144p30fps16x9", 256, 144, 400_000, 30),
    ("P240p30fps16x9", 426, 240, 600_000, 30),
    ("P240p25fps16x9", 426, 240, 600_000, 25),
    ("P240p30fps4x3", 320, 240, 600_000, 30),
    ("P360p30fps16x9", 640, 360, 1_200_000, 30),
    ("P360p25fps16x9", 640, 360, 1_000_000, 25),
    ("P360p30fps4x3", 480, 360, 1_000_000, 30),
    ("P576p30fps16x9", 1024, 576, 1_500_000, 30),
    ("P576p25fps16x9", 1024, 576, 1_500_000, 25),
    ("P720p30fps16x9", 1280, 720, 4_000_000, 30),
    ("P720p25fps16x9", 1280, 720, 3_500_000, 25),
    ("P720p60fps16x9", 1280, 720, 6_000_000, 60),
    ("P720p30fps4x3", 960, 720, 3_500_000, 30),
];

/// Renditions by a comma list of preset names.
///
/// # Errors
/// [`Error::UnknownPreset`] for a name that is none, [`Error::NoProfiles`] for an empty list.
pub fn presets(names: &str) -> Result<Vec<VideoProfile>, Error> {
    let names = names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let profiles = names.map(preset).collect::<Result<Vec<_>, _>>()?;
    if profiles.is_empty() {
        Err(Error::NoProfiles)
    } else {
        Ok(profiles)
    }
}

fn preset(name: &str) -> Result<VideoProfile, Error> {
    let (name, width, height, bitrate, fps) = *PRESETS
        .iter()
        .find(|preset| preset.0 == name)
        .ok_or_else(|| Error::UnknownPreset(name.to_owned()))?;
    Ok(VideoProfile {
        name: name.to_owned(),
        width,
        height,
        bitrate,
        fps,
        fps_den: 0,
        format: Format::MpegTs,
        h264_profile: H264Profile::Default,
        gop: Gop::Default,
        codec: VideoCodec::H264,
        quality: 0,
    })
}

/// One rendition of the JSON array. What is missing is zero or empty; other fields are ignored.
#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct JsonProfile {
    name: String,
    width: u32,
    height: u32,
    bitrate: u32,
    fps: u32,
    fps_den: u32,
    profile: String,
    gop: String,
    encoder: String,
    quality: u32,
}

/// Renditions by a JSON array of objects with `name`, `width`, `height`, `bitrate` (bit/s), `fps`, `fpsDen`,
/// `profile` (`H264Baseline`, …), `gop` (seconds as a text, or `intra`), `encoder` (`H.264`, `HEVC`, `VP8`, `VP9`)
/// and `quality`. A rendition without a name is called `custom_<width>x<height>_<bitrate>`.
///
/// # Errors
/// [`Error::OptionsJson`] or [`Error::OptionsValue`] for what cannot be read, [`Error::NoProfiles`] for an empty array.
pub fn options_json(json: &str) -> Result<Vec<VideoProfile>, Error> {
    let parsed: Vec<JsonProfile> =
        serde_json::from_str(json).map_err(|e| Error::OptionsJson(e.to_string()))?;
    if parsed.is_empty() {
        return Err(Error::NoProfiles);
    }
    parsed.into_iter().map(profile_of).collect()
}

fn profile_of(json: JsonProfile) -> Result<VideoProfile, Error> {
    let name = if json.name.is_empty() {
        format!("custom_{}x{}_{}", json.width, json.height, json.bitrate)
    } else {
        json.name
    };
    let wrong = |field, value: &str, expected| Error::OptionsValue {
        rendition: name.clone(),
        field,
        value: value.to_owned(),
        expected,
    };
    let h264_profile = match json.profile.to_ascii_lowercase().as_str() {
        "" | "none" => H264Profile::Default,
        "h264baseline" => H264Profile::Baseline,
        "h264main" => H264Profile::Main,
        "h264high" => H264Profile::High,
        "h264constrainedhigh" => H264Profile::ConstrainedHigh,
        _ => {
            let expected = "None, H264Baseline, H264Main, H264High, H264ConstrainedHigh";
            return Err(wrong("profile", &json.profile, expected));
        }
    };
    let codec = match json.encoder.as_str() {
        "" | "H.264" => VideoCodec::H264,
        "HEVC" => VideoCodec::H265,
        "VP8" => VideoCodec::Vp8,
        "VP9" => VideoCodec::Vp9,
        _ => return Err(wrong("encoder", &json.encoder, "H.264, HEVC, VP8, VP9")),
    };
    let gop =
        gop_of(&json.gop).ok_or_else(|| wrong("gop", &json.gop, "seconds ≥ 0 as a text, intra"))?;
    Ok(VideoProfile {
        width: json.width,
        height: json.height,
        bitrate: json.bitrate,
        fps: json.fps,
        fps_den: json.fps_den,
        format: Format::MpegTs,
        h264_profile,
        gop,
        codec,
        quality: json.quality,
        name,
    })
}

fn gop_of(text: &str) -> Option<Gop> {
    match text {
        "" => Some(Gop::Default),
        "intra" => Some(Gop::IntraOnly),
        seconds => {
            let ms = seconds.parse::<f64>().ok()? * 1000.0;
            // what the field holds; also false for what is no number
            let fits = (0.0..=f64::from(i32::MAX)).contains(&ms);
            fits.then_some(if ms < 1.0 {
                Gop::Default
            } else {
                Gop::Millis(ms as u32)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn presets_are_taken_in_the_order_given() {
        let both = presets("P720p60fps16x9, P240p30fps4x3").unwrap();
        let rows: Vec<_> = both
            .iter()
            .map(|p| (p.width, p.height, p.bitrate, p.frame_rate()))
            .collect();
        assert_eq!(
            rows,
            [
                (1280, 720, 6_000_000, Some((60, 1))),
                (320, 240, 600_000, Some((30, 1)))
            ]
        );
        assert_eq!(presets("P1p"), Err(Error::UnknownPreset("P1p".into())));
        assert_eq!(presets(" ,"), Err(Error::NoProfiles));
    }

    #[test]
    fn every_field_of_the_json_is_read() {
        let json = r#"[{"name":"p240","width":426,"height":240,"bitrate":600000,"fps":30000,"fpsDen":1001,
            "profile":"H264Baseline","gop":"2.5","encoder":"HEVC","quality":20,"colorDepth":8,"chromaFormat":0}]"#;
        let expected = VideoProfile {
            name: "p240".into(),
            width: 426,
            height: 240,
            bitrate: 600_000,
            fps: 30_000,
            fps_den: 1001,
            format: Format::MpegTs,
            h264_profile: H264Profile::Baseline,
            gop: Gop::Millis(2500),
            codec: VideoCodec::H265,
            quality: 20,
        };
        assert_eq!(options_json(json), Ok(vec![expected]));
    }

    #[test]
    fn missing_fields_have_defaults() {
        let json = r#"[{"width":640,"height":360,"bitrate":1000000},{"gop":"intra"},{"gop":"0"}]"#;
        let profiles = options_json(json).unwrap();
        assert_eq!(profiles[0].name, "custom_640x360_1000000");
        assert_eq!(profiles[0].frame_rate(), None);
        assert_eq!(
            [profiles[1].gop, profiles[2].gop],
            [Gop::IntraOnly, Gop::Default]
        );
    }

    #[test]
    fn mistakes_name_the_rendition_and_the_field() {
        for (json, text) in [
            (r#"[{"name":"a","gop":"-1"}]"#, r#"rendition "a": gop "-1""#),
            (
                r#"[{"name":"a","gop":"NaN"}]"#,
                r#"rendition "a": gop "NaN""#,
            ),
            (
                r#"[{"name":"a","profile":"x"}]"#,
                r#"rendition "a": profile "x""#,
            ),
            (
                r#"[{"name":"a","encoder":"h264"}]"#,
                r#"rendition "a": encoder "h264""#,
            ),
            (r#"{"name":"a"}"#, "not a JSON array"),
            ("[]", "no renditions"),
        ] {
            let error = options_json(json).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn cost_counts_whole_frames_and_assumes_thirty_for_pass_through() {
        let mut profile = presets("P240p25fps16x9").unwrap().remove(0);
        assert_eq!(profile.pixels_per_second(), 426 * 240 * 25);
        (profile.fps, profile.fps_den) = (30_000, 1001);
        assert_eq!(profile.pixels_per_second(), 426 * 240 * 29);
        profile.fps = 0;
        assert_eq!(profile.pixels_per_second(), 426 * 240 * 30);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}", gop in "[0-9.eE+-]{0,12}") {
            let _ = (presets(&text), options_json(&text));
            let _ = options_json(&format!(r#"[{{"gop":"{gop}"}}]"#));
        }
    }
}
