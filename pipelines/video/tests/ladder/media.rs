//! Makes clips with ffmpeg, runs segments, and reads results back with the demuxer and ffprobe.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use containers::{AccessUnit, AudioPacket, Demuxer, MediaEvent};
use host::job::{Clip, Device, EncoderSettings, JobError, JobStats, Rendition, SegmentJob};
use orchestrion_video::SegmentRun;
use protocol::profile::{Format, Gop, H264Profile, VideoCodec, VideoProfile};
use tempfile::TempDir;

/// Encodes synthetic H.264 with reordering, a key frame per second, no scene cuts.
pub const H264: &str =
    "-c:v libx264 -preset veryfast -g 30 -keyint_min 30 -sc_threshold 0 -bf 2 -pix_fmt yuv420p";
/// Stereo AAC.
pub const AAC: &str = "-c:a aac -ac 2";
/// Keeps times as they are.
pub const KEEP: &str = "-muxdelay 0 -muxpreload 0";

/// Runs ffmpeg in a folder; its arguments are split at spaces.
pub fn ffmpeg(folder: &Path, arguments: &str) {
    let run = Command::new("ffmpeg")
        .args(["-hide_banner", "-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("these tests need ffmpeg; install the Debian package ffmpeg");
    assert!(
        run.status.success(),
        "ffmpeg {arguments}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// One file made by ffmpeg from lavfi sources.
pub fn make(arguments: &str, name: &str) -> Bytes {
    let folder = TempDir::new().unwrap();
    ffmpeg(folder.path(), &format!("{arguments} {name}"));
    std::fs::read(folder.path().join(name)).unwrap().into()
}

/// `seconds` of 320x180 at 30 frames per second with sound, as input arguments.
pub fn source(seconds: u32) -> String {
    format!(
        "-f lavfi -i testsrc2=s=320x180:r=30:d={seconds} -f lavfi -i sine=r=48000:beep_factor=4:d={seconds}"
    )
}

/// Three consecutive segments of one second, starting 1.4 s into their stream.
pub fn segments() -> &'static [Bytes] {
    static MADE: OnceLock<Vec<Bytes>> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let source = source(3);
        ffmpeg(
            folder.path(),
            &format!(
                "{source} {H264} {AAC} -f segment -segment_time 1 -segment_format mpegts %d.ts"
            ),
        );
        (0..3)
            .map(|i| {
                std::fs::read(folder.path().join(format!("{i}.ts")))
                    .unwrap()
                    .into()
            })
            .collect()
    })
}

/// 160x90 at 300 kbit/s, frames passed through, everything else by default.
pub fn profile() -> VideoProfile {
    VideoProfile {
        name: "small".into(),
        width: 160,
        height: 90,
        bitrate: 300_000,
        fps: 0,
        fps_den: 0,
        format: Format::MpegTs,
        h264_profile: H264Profile::Default,
        gop: Gop::Default,
        codec: VideoCodec::H264,
        quality: 0,
    }
}

pub fn job(profiles: Vec<VideoProfile>) -> SegmentJob {
    SegmentJob {
        stream: "test".into(),
        seq: 0,
        profiles,
        duration_ms: 1000,
        clip: None,
        provider: "Test Provider".into(),
        perceptual_hash: false,
    }
}

pub fn settings(preset: &str) -> EncoderSettings {
    EncoderSettings {
        device: Device::Cpu,
        x264_preset: preset.into(),
        x264_lookahead: None,
        x264_threads: 0,
    }
}

/// What a run gives.
pub type Outcome = Result<(Vec<(Rendition, Bytes)>, JobStats), JobError>;

/// Runs one job, its input in small pieces.
pub fn run(job: SegmentJob, input: &[u8]) -> Outcome {
    run_with(job, input, &settings("superfast"))
}

pub fn run_with(job: SegmentJob, input: &[u8], settings: &EncoderSettings) -> Outcome {
    let mut run = SegmentRun::start(job, settings, Arc::new(|_| {}))?;
    for piece in input.chunks(5000) {
        run.push(piece)?;
    }
    run.finish()
}

/// One rendition of an input.
pub fn one(profile: VideoProfile, input: &[u8]) -> (Rendition, Bytes) {
    run(job(vec![profile]), input).unwrap().0.remove(0)
}

/// One rendition of a part of an input.
pub fn clipped(profile: VideoProfile, input: &[u8], from_ms: u64, to_ms: u64) -> Outcome {
    run(
        SegmentJob {
            clip: Some(Clip { from_ms, to_ms }),
            ..job(vec![profile])
        },
        input,
    )
}

/// What lies in a container.
pub struct Parts {
    pub units: Vec<AccessUnit>,
    pub audio: Vec<AudioPacket>,
}

impl Parts {
    /// Takes a file apart and checks what holds for every file: decoding times increase and do not come
    /// after presentation times, and the first unit is a key frame.
    pub fn of(bytes: &[u8]) -> Self {
        let mut events = Vec::new();
        let mut demuxer = Demuxer::new();
        demuxer.push(bytes, &mut events).unwrap();
        demuxer.finish(&mut events).unwrap();
        let mut parts = Self {
            units: Vec::new(),
            audio: Vec::new(),
        };
        for event in events {
            match event {
                MediaEvent::AccessUnit(unit) => parts.units.push(unit),
                MediaEvent::AudioPacket(packet) => parts.audio.push(packet),
                MediaEvent::Video(_) | MediaEvent::Audio(_) => {}
            }
        }
        assert!(
            parts.units.windows(2).all(|w| w[0].dts < w[1].dts),
            "decoding times do not increase"
        );
        assert!(
            parts.units.iter().all(|unit| unit.dts <= unit.pts),
            "a picture is shown before it is decoded"
        );
        assert!(
            parts.units.first().is_some_and(|unit| unit.key),
            "first unit is no key frame"
        );
        parts
    }

    /// Presentation times in order of presentation.
    pub fn pts(&self) -> Vec<i64> {
        let mut pts: Vec<i64> = self.units.iter().map(|unit| unit.pts).collect();
        pts.sort_unstable();
        pts
    }

    /// Positions of key frames in order of decoding.
    pub fn keys(&self) -> Vec<usize> {
        (0..)
            .zip(&self.units)
            .filter(|(_, unit)| unit.key)
            .map(|(i, _)| i)
            .collect()
    }
}

/// A file on disk for other tools.
pub struct OnDisk {
    pub folder: TempDir,
    pub path: PathBuf,
}

impl OnDisk {
    pub fn new(bytes: &[u8], name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self { folder, path }
    }

    /// Values of the video stream as ffprobe tells them, after it has decoded every frame.
    pub fn video(&self, entries: &str) -> Vec<String> {
        self.ffprobe(&[
            "-count_frames",
            "-select_streams",
            "v:0",
            "-show_entries",
            &format!("stream={entries}"),
        ])
    }

    pub fn ffprobe(&self, arguments: &[&str]) -> Vec<String> {
        let run = Command::new("ffprobe")
            .args(["-hide_banner", "-v", "error", "-of", "default=nk=1:nw=1"])
            .args(arguments)
            .arg(&self.path)
            .output()
            .expect("these tests need ffprobe; install the Debian package ffmpeg");
        assert!(
            run.stderr.is_empty(),
            "ffprobe: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        // a stream that belongs to a program is told twice
        let lines: Vec<String> = String::from_utf8(run.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        let half = lines.len() / 2;
        if lines.len().is_multiple_of(2) && lines[..half] == lines[half..] {
            lines[..half].to_vec()
        } else {
            lines
        }
    }
}
