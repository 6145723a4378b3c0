//! The ladder on the CPU beside the reference's way of working: CPU time, latency, memory and likeness for 1, 2, 4 and 8 streams.
//!
//! Sides take turns within a round (ours, the rival, ours …), so that what else the machine does meets all of them.
//! `cargo bench --bench ladder -- --quick` measures one stream in one round.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark ends at the first thing that fails"
)]

mod ffmpeg;
mod figures;
mod footage;
mod ours;
mod rival;
mod round;
mod similarity;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use host::job::{Device, EncoderSettings};

use figures::{Figures, Row, Side};
use footage::Footage;
use ours::Workers;
use support::results;

/// Streams at once, and the segments of each.
const LOADS: [(usize, usize); 4] = [(1, 3), (2, 3), (4, 2), (8, 2)];
/// Times that every load is measured.
const ROUNDS: usize = 2;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (loads, rounds) = if quick {
        (&LOADS[..1], 1)
    } else {
        (&LOADS[..], ROUNDS)
    };
    let directory = results::directory();
    let bench = Bench {
        workers: Workers::prepare(&directory),
        equal: settings("medium".to_owned(), None, 0),
        usual: node_defaults(),
    };
    let mut figures = Figures::new(&bench.usual.x264_preset, rounds);
    for footage in footage::all(&directory) {
        for &(streams, segments) in loads {
            for round in 0..rounds {
                eprintln!(
                    "{}, {streams} streams, round {} of {rounds}",
                    footage.name,
                    round + 1
                );
                let judged = streams == 1 && round == 0;
                bench.turns(
                    &footage,
                    (streams, segments),
                    judged,
                    &directory,
                    &mut figures,
                );
            }
        }
    }
    results::publish("ladder", &figures, &figures.markdown());
}

struct Bench {
    workers: Workers,
    equal: EncoderSettings,
    usual: EncoderSettings,
}

impl Bench {
    /// Each side once.
    fn turns(
        &self,
        footage: &Footage,
        (streams, segments): (usize, usize),
        judged: bool,
        directory: &Path,
        figures: &mut Figures,
    ) {
        for side in Side::ALL {
            let (round, runs) = match side {
                Side::Equal => self.workers.round(&self.equal, footage, streams, segments),
                Side::Rival => rival::round(footage, streams, segments, directory),
                Side::Usual => self.workers.round(&self.usual, footage, streams, segments),
            };
            eprintln!("  {}: {:.3} CPU s", side.name(), round.cpu_s_per_segment);
            if let (true, Some(run)) = (judged, runs.first()) {
                let found = similarity::judge(footage, run, directory);
                figures.likeness(footage.name, side, found);
            }
            figures.rounds.push(Row {
                footage: footage.name,
                streams,
                side,
                round,
            });
        }
    }
}

/// What the node sets when nobody sets anything.
fn node_defaults() -> EncoderSettings {
    // named only because it has no default without a home directory; nothing is written
    let arguments = ["-dataDir", "."].map(OsString::from);
    let loaded = config::load(arguments, &BTreeMap::new()).expect("the defaults");
    let x264 = loaded.settings.video.x264;
    settings(x264.preset, x264.lookahead, x264.threads.unwrap_or(0))
}

fn settings(
    x264_preset: String,
    x264_lookahead: Option<u32>,
    x264_threads: u32,
) -> EncoderSettings {
    EncoderSettings {
        device: Device::Cpu,
        x264_preset,
        x264_lookahead,
        x264_threads,
    }
}
