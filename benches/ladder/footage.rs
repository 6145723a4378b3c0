//! Three natural clips, looped with timestamps that go on, cut into segments of two seconds as a live encoder makes them:
//! closed groups of pictures, each segment from a key frame. Made once and kept.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use protocol::profile::{VideoProfile, presets};

use super::ffmpeg;

/// Duration of a segment, ms.
pub const DURATION_MS: u32 = 2000;
/// Segments cut of each clip: the most that a stream of a round takes.
pub const SEGMENTS: usize = 3;

/// A clip, cut.
pub struct Footage {
    /// Name in tables.
    pub name: &'static str,
    /// What is made of it.
    pub ladder: Vec<VideoProfile>,
    /// Its segments.
    pub segments: Vec<Segment>,
}

/// A segment on disk, where ffmpeg reads it, and in memory, from where a worker gets it.
pub struct Segment {
    pub path: PathBuf,
    pub bytes: Bytes,
}

/// All of the footage, cut into `directory` when it is not there yet.
pub fn all(directory: &Path) -> Vec<Footage> {
    // the ladder that the reference's own benchmark takes
    let bunny = presets("P240p30fps16x9,P360p30fps16x9,P720p30fps16x9").expect("presets");
    // nothing above the size of the source
    let bikes = vec![
        rendition("136p", 320, 136, 400_000),
        rendition("272p", 640, 272, 1_200_000),
    ];
    let carphone = vec![rendition("144p", 176, 144, 250_000)];
    vec![
        cut(
            directory,
            "animation 1280x720",
            "bigbuckbunny.mp4",
            "4M",
            bunny,
        ),
        cut(directory, "street 640x272", "bikes.mp4", "2M", bikes),
        cut(
            directory,
            "phone 176x144",
            "carphone_pristine.mp4",
            "600k",
            carphone,
        ),
    ]
}

fn rendition(name: &str, width: u32, height: u32, bitrate: u32) -> VideoProfile {
    let preset = presets("P240p30fps16x9").expect("preset").remove(0);
    VideoProfile {
        name: name.to_owned(),
        width,
        height,
        bitrate,
        ..preset
    }
}

fn cut(
    directory: &Path,
    name: &'static str,
    file: &str,
    bitrate: &str,
    ladder: Vec<VideoProfile>,
) -> Footage {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache/clips")
        .join(file);
    assert!(
        source.is_file(),
        "{file} is missing: run `./setup.sh clips`"
    );
    let folder = directory.join("footage").join(file);
    let path = |number: usize| folder.join(format!("{number}.ts"));
    if !path(SEGMENTS - 1).is_file() {
        fs::create_dir_all(&folder).expect("directory of footage");
        let seconds = f64::from(DURATION_MS) / 1000.0;
        let length = seconds * SEGMENTS as f64;
        let encode = format!(
            "-t {length} -map 0:v:0 -map 0:a:0? -c:v libx264 -preset medium -bf 2 -flags +cgop -sc_threshold 0 \
             -b:v {bitrate} -maxrate {bitrate} -bufsize {bitrate} -force_key_frames expr:gte(t,n_forced*{seconds}) \
             -c:a aac -b:a 96k -f segment -segment_time {seconds} -segment_time_delta 0.02 -segment_format mpegts"
        );
        ffmpeg::command()
            .args(["-loglevel", "error", "-stream_loop", "-1", "-i"])
            .arg(&source)
            .args(encode.split_whitespace())
            .arg(folder.join("%d.ts"))
            .finish();
    }
    let segments = (0..SEGMENTS).map(|number| {
        let path = path(number);
        let bytes = Bytes::from(fs::read(&path).expect("a segment of the footage"));
        Segment { path, bytes }
    });
    Footage {
        name,
        ladder,
        segments: segments.collect(),
    }
}
