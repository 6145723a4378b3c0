//! Test clips, made with ffmpeg once and kept under the target directory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;

/// A segment to be pushed.
#[derive(Debug, Clone)]
pub struct Clip {
    /// The file.
    pub bytes: Bytes,
    /// What the gateway states.
    pub duration_ms: u32,
}

impl Clip {
    /// Any bytes, stated to last a second.
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            duration_ms: 1000,
        }
    }
}

const PICTURE: &str = "testsrc2=s=320x180:r=30";
const SOUND: &str = "sine=f=440:r=48000:beep_factor=4";
const X264: &str =
    "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 30 -keyint_min 30 -sc_threshold 0";

/// One second, 160x90 at 10 fps, no sound: costs next to nothing.
pub fn tiny() -> &'static Clip {
    static CLIP: LazyLock<Clip> = LazyLock::new(|| {
        clip(
            "tiny.ts",
            "-f lavfi -i testsrc2=s=160x90:r=10 -t 1 -c:v libx264 -pix_fmt yuv420p -preset veryfast",
        )
    });
    &CLIP
}

/// One second of [`stream`], to be damaged.
pub fn second() -> &'static Clip {
    &stream()[1]
}

/// Four consecutive segments of a second: 320x180 at 30 fps with B-frames and AAC.
pub fn stream() -> &'static [Clip] {
    static CLIPS: OnceLock<Vec<Clip>> = OnceLock::new();
    CLIPS.get_or_init(|| {
        let arguments = format!(
            "-f lavfi -i {PICTURE} -f lavfi -i {SOUND} -t 4 {X264} -bf 2 -c:a aac -b:a 64k \
             -f segment -segment_time 1 -segment_format mpegts"
        );
        let directory = made("%d.ts", &arguments);
        (0..4)
            .map(|number| Clip::of(read(&directory.join(format!("{number}.ts")))))
            .collect()
    })
}

/// A clip by the name of its file and the arguments that make it.
pub fn clip(file: &str, arguments: &str) -> Clip {
    Clip::of(read(&made(file, arguments).join(file)))
}

/// One second of picture and sound in another form: `video` are the options of the encoder, `muxer` those of the file.
pub fn variant(file: &str, video: &str, muxer: &str) -> Clip {
    clip(
        file,
        &format!(
            "-f lavfi -i {PICTURE} -f lavfi -i {SOUND} -t 1 {video} -c:a aac -b:a 64k {muxer}"
        ),
    )
}

/// One second of H.264 and AAC in another container.
pub fn h264(file: &str, muxer: &str) -> Clip {
    variant(file, X264, muxer)
}

/// A clip made from `source` by `arguments`, which say what is done to it.
pub fn derived(source: &Clip, file: &str, arguments: &str) -> Clip {
    let directory = super::node::scratch();
    let input = directory.path().join("source");
    std::fs::write(&input, &source.bytes).expect("write a source");
    let output = directory.path().join(file);
    ffmpeg(&format!("-i {} {arguments}", input.display()), &output);
    Clip::of(read(&output))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The directory with the files that `arguments` make. A name stands for exactly these arguments.
fn made(file: &str, arguments: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (file, arguments).hash(&mut hasher);
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clips-{:016x}", hasher.finish()));
    if !directory.is_dir() {
        let fresh = super::node::scratch().keep();
        ffmpeg(arguments, &fresh.join(file));
        // Whoever comes second keeps what the first one made.
        if std::fs::rename(&fresh, &directory).is_err() {
            let _ = std::fs::remove_dir_all(&fresh);
        }
    }
    directory
}

fn ffmpeg(arguments: &str, output: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
    command
        .args(arguments.split_whitespace())
        .arg(output)
        .stdin(Stdio::null());
    let made = command
        .output()
        .expect("run ffmpeg; `./setup.sh test` installs it");
    assert!(
        made.status.success(),
        "ffmpeg {arguments}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// The same bytes every time, and noise all the same (a linear congruential generator).
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// Bytes of a transport packet.
pub const PACKET: usize = 188;

/// Packet identifier of a transport packet.
pub fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1], packet[2]]) & 0x1fff
}
