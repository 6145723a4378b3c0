//! A development tool: transcodes one file as a worker would and prints what it cost.
//!
//! `transcode_file INPUT OUTPUT_PREFIX PRESET REPEAT WxH@BITRATE[@FPS]…`

use std::sync::Arc;
use std::time::Instant;

use host::job::{Device, EncoderSettings, SegmentJob};
use protocol::profile::{Format, Gop, H264Profile, VideoCodec, VideoProfile};

fn profile(text: &str) -> Option<VideoProfile> {
    let mut parts = text.split('@');
    let (width, height) = parts.next()?.split_once('x')?;
    Some(VideoProfile {
        name: text.to_owned(),
        width: width.parse().ok()?,
        height: height.parse().ok()?,
        bitrate: parts.next()?.parse().ok()?,
        fps: parts.next().map_or(Some(0), |fps| fps.parse().ok())?,
        fps_den: 1,
        format: Format::MpegTs,
        h264_profile: H264Profile::Default,
        gop: Gop::Default,
        codec: VideoCodec::H264,
        quality: 0,
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, prefix, preset, repeat, profiles @ ..] = args.as_slice() else {
        return Err("usage: INPUT OUTPUT_PREFIX PRESET REPEAT WxH@BITRATE[@FPS]...".into());
    };
    let bytes = std::fs::read(input)?;
    let settings = EncoderSettings {
        device: Device::Cpu,
        x264_preset: preset.clone(),
        x264_lookahead: None,
        x264_threads: 0,
    };
    let profiles: Vec<VideoProfile> = profiles
        .iter()
        .map(|text| profile(text))
        .collect::<Option<_>>()
        .ok_or("profile")?;
    orchestrion_video::init()?;
    for seq in 0..repeat.parse::<i64>()? {
        let job = SegmentJob {
            stream: input.clone(),
            seq,
            profiles: profiles.clone(),
            duration_ms: 2000,
            clip: None,
            provider: "transcode_file".into(),
            perceptual_hash: true,
        };
        let begun = Instant::now();
        let mut run = orchestrion_video::SegmentRun::start(job, &settings, Arc::new(|_| {}))?;
        for chunk in bytes.chunks(64 << 10) {
            run.push(chunk)?;
        }
        let (renditions, stats) = run.finish()?;
        println!(
            "{:.3} s wall, {:.3} s cpu, {stats:?}",
            begun.elapsed().as_secs_f64(),
            stats.cpu_us as f64 / 1e6
        );
        for (rendition, data) in renditions {
            println!("  {rendition:?} {} bytes", data.len());
            let (file, hash) = rendition.split(data);
            std::fs::write(format!("{prefix}{}.ts", rendition.index), file)?;
            std::fs::write(format!("{prefix}{}.phash", rendition.index), hash)?;
        }
    }
    Ok(())
}
