//! How much renditions look like their source: SSIM against the source scaled by ffmpeg (bicubic) on the same frame grid.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::ffmpeg;
use super::footage::Footage;
use super::round::StreamRun;

/// A rendition of a stream, judged.
#[derive(Debug, Clone, Serialize)]
pub struct Quality {
    /// Name of the rendition.
    pub rendition: String,
    /// Mean over the frames of all segments, 1 = the same.
    pub ssim: f64,
    /// Size of all segments together.
    pub bytes: usize,
}

/// Judges each rendition of `run`; `directory` takes files.
pub fn judge(footage: &Footage, run: &StreamRun, directory: &Path) -> Vec<Quality> {
    let renditions = footage.ladder.iter().enumerate();
    renditions
        .map(|(index, profile)| {
            let (width, height) = (profile.width, profile.height);
            let (mut sum, mut bytes) = (0.0, 0);
            for (segment, renditions) in footage.segments.iter().zip(&run.renditions) {
                let file = directory.join("judged.ts");
                fs::write(&file, &renditions[index]).expect("write a rendition");
                bytes += renditions[index].len();
                // frames are compared by their number: both lie on the same grid
                let number = "settb=1/30,setpts=N";
                let graph = format!(
                    "[0:v]{number}[ours];[1:v]scale={width}:{height}:flags=bicubic,fps={},{number}[source];\
                     [ours][source]ssim=shortest=1",
                    profile.fps
                );
                let said = ffmpeg::command()
                    .arg("-copyts")
                    .arg("-i")
                    .arg(&file)
                    .arg("-i")
                    .arg(&segment.path)
                    .args(["-lavfi", &graph, "-f", "null", "-"])
                    .finish();
                sum += ssim(&said);
            }
            Quality {
                rendition: profile.name.clone(),
                ssim: sum / run.renditions.len() as f64,
                bytes,
            }
        })
        .collect()
}

/// `SSIM Y:… All:0.98 (…)`.
fn ssim(said: &str) -> f64 {
    let (_, rest) = said.rsplit_once("All:").expect("ffmpeg tells the SSIM");
    rest.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .expect("SSIM")
}
