//! What ffprobe sees in a file: the outside judge of our renditions.

use std::io::Write;
use std::process::Command;

use serde::Deserialize;
use tempfile::NamedTempFile;

/// A file as decoded by ffmpeg. Times in 90 kHz ticks.
#[derive(Debug, Default)]
pub struct Probe {
    /// Width in pixels.
    pub width: u64,
    /// Height in pixels.
    pub height: u64,
    /// Codec of the video.
    pub codec: String,
    /// Profile of the video.
    pub profile: String,
    /// Presentation time of each decoded frame.
    pub frames: Vec<i64>,
    /// Whether the first decoded frame is a key frame.
    pub begins_with_key: bool,
    /// Key frames among the decoded.
    pub key_frames: usize,
    /// Presentation time and digest of each audio packet.
    pub audio: Vec<(i64, String)>,
}

impl Probe {
    /// Width × height × frames: what is billed.
    pub fn pixels(&self) -> i64 {
        i64::try_from(self.width * self.height).unwrap() * i64::try_from(self.frames.len()).unwrap()
    }
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    packets_and_frames: Vec<Entry>,
    #[serde(default)]
    streams: Vec<Track>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    media_type: String,
    pts_time: Option<String>,
    data_hash: Option<String>,
    #[serde(default)]
    key_frame: u8,
}

#[derive(Deserialize)]
struct Track {
    codec_type: String,
    #[serde(default)]
    codec_name: String,
    #[serde(default)]
    profile: String,
    #[serde(default)]
    width: u64,
    #[serde(default)]
    height: u64,
}

/// Decodes a file.
pub fn probe(bytes: &[u8]) -> Probe {
    let mut file = NamedTempFile::new().expect("temporary file");
    file.write_all(bytes).expect("write a rendition");
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-show_streams",
        "-show_packets",
        "-show_frames",
        "-show_data_hash",
        "md5",
        "-of",
        "json",
    ]);
    let output = command
        .arg(file.path())
        .output()
        .expect("run ffprobe; `./setup.sh test` installs it");
    let report: Report = serde_json::from_slice(&output.stdout).expect("report of ffprobe");
    let mut seen = Probe::default();
    if let Some(video) = report
        .streams
        .into_iter()
        .find(|track| track.codec_type == "video")
    {
        (seen.width, seen.height) = (video.width, video.height);
        (seen.codec, seen.profile) = (video.codec_name, video.profile);
    }
    for entry in report.packets_and_frames {
        let time = entry.pts_time.as_deref().map(ticks).unwrap_or(i64::MIN);
        match (
            entry.kind.as_str(),
            entry.codec_type.as_str(),
            entry.media_type.as_str(),
        ) {
            ("frame", _, "video") => {
                seen.begins_with_key |= seen.frames.is_empty() && entry.key_frame == 1;
                seen.key_frames += usize::from(entry.key_frame);
                seen.frames.push(time);
            }
            ("packet", "audio", _) => seen.audio.push((time, entry.data_hash.unwrap_or_default())),
            _ => {}
        }
    }
    seen
}

fn ticks(seconds: &str) -> i64 {
    let seconds: f64 = seconds.parse().expect("seconds");
    (seconds * 90_000.0).round() as i64
}
