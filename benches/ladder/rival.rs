//! The rival: one ffmpeg process per segment, set as the reference sets its library.
//!
//! The reference opens decoder, scalers and encoders anew for each segment of a CPU stream, decodes on one thread, scales every
//! rendition from the full source (bicubic), and encodes with x264 `medium` at a constant bitrate with a buffer of one second. Its
//! second look at each segment, its scan for missing frames and its hashes are left out, in its favour.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use bytes::Bytes;

use super::ffmpeg;
use super::footage::{Footage, Segment};
use super::round::{Round, StreamRun, cpu_of_ended_children};

/// Transcodes the first `segments` of the footage in `streams` streams at once. `directory` takes the files.
pub fn round(
    footage: &Footage,
    streams: usize,
    segments: usize,
    directory: &Path,
) -> (Round, Vec<StreamRun>) {
    let before = cpu_of_ended_children();
    let runs: Vec<StreamRun> = thread::scope(|scope| {
        let running: Vec<_> = (0..streams)
            .map(|number| {
                let folder = directory.join(format!("rival-{number}"));
                scope.spawn(move || stream(footage, segments, &folder))
            })
            .collect();
        running
            .into_iter()
            .map(|stream| stream.join().expect("a stream of ffmpeg"))
            .collect()
    });
    let cpu = cpu_of_ended_children() - before;
    (Round::new(cpu, &runs), runs)
}

fn stream(footage: &Footage, segments: usize, folder: &Path) -> StreamRun {
    fs::create_dir_all(folder).expect("directory of a stream");
    let mut run = StreamRun::default();
    for segment in footage.segments.iter().take(segments) {
        let begun = Instant::now();
        let said = transcode(footage, segment, folder);
        run.wall_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
        run.peak_mib = run.peak_mib.max(peak_mib(&said));
        let renditions = (0..footage.ladder.len()).map(|number| {
            let file = folder.join(format!("{number}.ts"));
            Bytes::from(fs::read(file).expect("a rendition of ffmpeg"))
        });
        run.renditions.push(renditions.collect());
    }
    run
}

fn transcode(footage: &Footage, segment: &Segment, folder: &Path) -> String {
    let mut call = ffmpeg::command()
        .args(["-benchmark", "-copyts", "-threads", "1", "-i"])
        .arg(&segment.path);
    for (number, profile) in footage.ladder.iter().enumerate() {
        let (width, height, rate) = (profile.width, profile.height, profile.bitrate);
        let filters = format!("scale={width}:{height}:flags=bicubic,fps={}/1", profile.fps);
        let encode = format!(
            "-map 0:v:0 -map 0:a:0? -c:v libx264 -preset medium -forced-idr 1 -bf 3 \
             -b:v {rate} -minrate {rate} -maxrate {rate} -bufsize {rate} -c:a copy -muxdelay 0 -f mpegts -vf"
        );
        call = call
            .args(encode.split_whitespace())
            .arg(filters)
            .arg(folder.join(format!("{number}.ts")));
    }
    call.finish()
}

/// `bench: maxrss=123kB`, which ffmpeg takes from the system before it ends.
fn peak_mib(said: &str) -> f64 {
    let (_, rest) = said.split_once("maxrss=").expect("ffmpeg tells its memory");
    let digits = rest.split(|sign: char| !sign.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse::<f64>().ok())
        .expect("kB")
        / 1024.0
}
