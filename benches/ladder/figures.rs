//! All rounds, and the tables made of them.

use std::fmt::Write;

use serde::Serialize;

use super::round::Round;
use super::similarity::Quality;
use super::support::{GOALS, goal, percentile};

/// Who worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Our worker at the reference's encoder settings.
    Equal,
    /// One ffmpeg process per segment at the reference's settings.
    Rival,
    /// Our worker as the node sets it.
    Usual,
}

impl Side {
    /// In the order of their turns.
    pub const ALL: [Self; 3] = [Self::Equal, Self::Rival, Self::Usual];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "ours, medium",
            Self::Rival => "ffmpeg, medium",
            Self::Usual => "ours, defaults",
        }
    }
}

/// A round and what it was of.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Name of the footage.
    pub footage: &'static str,
    /// Streams at once.
    pub streams: usize,
    /// Who.
    pub side: Side,
    /// What it cost.
    #[serde(flatten)]
    pub round: Round,
}

/// The renditions of one stream of one side.
#[derive(Debug, Clone, Serialize)]
struct Likeness {
    footage: &'static str,
    side: Side,
    renditions: Vec<Quality>,
}

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    default_preset: String,
    rounds_each: usize,
    /// In the order of their turns.
    pub rounds: Vec<Row>,
    likeness: Vec<Likeness>,
}

/// All rounds of one side under one load.
struct Summary {
    cpu: f64,
    wall: Vec<f64>,
    peak: f64,
}

impl Figures {
    /// Nothing yet.
    pub fn new(default_preset: &str, rounds_each: usize) -> Self {
        Self {
            default_preset: default_preset.to_owned(),
            rounds_each,
            rounds: Vec::new(),
            likeness: Vec::new(),
        }
    }

    /// Adds the renditions of one stream.
    pub fn likeness(&mut self, footage: &'static str, side: Side, renditions: Vec<Quality>) {
        self.likeness.push(Likeness {
            footage,
            side,
            renditions,
        });
    }

    /// The chapter of the page of results.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "### Ladder on the CPU\n\nDefault preset: `{}`. {} round(s) of each load.\n\n",
            self.default_preset, self.rounds_each
        );
        self.costs(&mut text);
        self.looks(&mut text);
        self.goals(&mut text);
        text
    }

    fn loads(&self) -> Vec<(&'static str, usize)> {
        let mut loads: Vec<_> = self
            .rounds
            .iter()
            .map(|row| (row.footage, row.streams))
            .collect();
        loads.dedup();
        loads
    }

    fn summary(&self, load: (&str, usize), side: Side) -> Summary {
        let rounds: Vec<&Round> = self
            .rounds
            .iter()
            .filter(|row| (row.footage, row.streams) == load && row.side == side)
            .map(|row| &row.round)
            .collect();
        let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| {
            values.sum::<f64>() / count as f64
        };
        let peaks: Vec<f64> = rounds
            .iter()
            .flat_map(|round| &round.peak_mib)
            .copied()
            .collect();
        Summary {
            cpu: mean(
                &mut rounds.iter().map(|round| round.cpu_s_per_segment),
                rounds.len(),
            ),
            wall: rounds
                .iter()
                .flat_map(|round| &round.wall_ms)
                .copied()
                .collect(),
            peak: mean(&mut peaks.iter().copied(), peaks.len()),
        }
    }

    fn costs(&self, text: &mut String) {
        text.push_str(
            "| footage | streams | | CPU s/segment | ratio | wall p50 s | wall p95 s | peak MiB/stream | ratio |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for load in self.loads() {
            let rival = self.summary(load, Side::Rival);
            for side in Side::ALL {
                let seen = self.summary(load, side);
                let wall = |share| percentile(&seen.wall, share) / 1000.0;
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {:.3} | {:.3} | {:.2} | {:.2} | {:.0} | {:.2} |",
                    load.0,
                    load.1,
                    side.name(),
                    seen.cpu,
                    seen.cpu / rival.cpu,
                    wall(0.5),
                    wall(0.95),
                    seen.peak,
                    seen.peak / rival.peak
                );
            }
        }
    }

    fn looks(&self, text: &mut String) {
        text.push_str("\n| footage | | SSIM, mean of the ladder | bytes | each rendition: SSIM (bytes) |\n|---|---|---|---|---|\n");
        for seen in &self.likeness {
            let each: Vec<String> = seen
                .renditions
                .iter()
                .map(|one| format!("{} {:.4} ({})", one.rendition, one.ssim, one.bytes))
                .collect();
            let _ = writeln!(
                text,
                "| {} | {} | {:.4} | {} | {} |",
                seen.footage,
                seen.side.name(),
                seen.ssim(),
                seen.bytes(),
                each.join(", ")
            );
        }
    }

    fn goals(&self, text: &mut String) {
        text.push('\n');
        text.push_str(GOALS);
        for (side, name, cpu, memory, ssim) in [
            (Side::Equal, "equal settings", 1.0, 1.0, 0.0),
            (Side::Usual, "defaults", 0.72, 0.8, -0.001),
        ] {
            for (what, limit, of) in [
                (
                    "CPU",
                    cpu,
                    &(|seen: &Summary| seen.cpu) as &dyn Fn(&Summary) -> f64,
                ),
                ("peak memory per stream", memory, &|seen| seen.peak),
            ] {
                let (all, low, high) = self.ratio(side, of);
                text.push_str(&goal(
                    &format!("{what}, {name}"),
                    &format!("≤ {limit} of ffmpeg"),
                    &format!("{all:.3} over all; single loads {low:.2} to {high:.2}"),
                    all <= limit,
                ));
            }
            let (least, more) = self.beside_rival(side);
            text.push_str(&goal(
                &format!("SSIM, {name}"),
                &format!("≥ ffmpeg {ssim:+}"),
                &format!("{least:+.4} in the worst ladder, bytes {more:+.1} %"),
                // SSIM is compared as it is printed
                least >= ssim - 0.000_05,
            ));
        }
    }

    /// Ratio to the rival of the sums over all loads, and the least and greatest of single loads.
    fn ratio(&self, side: Side, of: &dyn Fn(&Summary) -> f64) -> (f64, f64, f64) {
        let (mut ours, mut theirs) = (0.0, 0.0);
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for load in self.loads() {
            let pair = (
                of(&self.summary(load, side)),
                of(&self.summary(load, Side::Rival)),
            );
            ours += pair.0;
            theirs += pair.1;
            low = low.min(pair.0 / pair.1);
            high = high.max(pair.0 / pair.1);
        }
        (ours / theirs, low, high)
    }

    /// Difference in SSIM in the worst ladder, and the greatest excess of bytes in %.
    fn beside_rival(&self, side: Side) -> (f64, f64) {
        let pairs = self
            .likeness
            .iter()
            .filter(|one| one.side == side)
            .map(|one| {
                let rival = self
                    .likeness
                    .iter()
                    .find(|other| other.side == Side::Rival && other.footage == one.footage)
                    .expect("the rival's renditions");
                let more = one.bytes() as f64 / rival.bytes() as f64 - 1.0;
                (one.ssim() - rival.ssim(), more * 100.0)
            });
        pairs.fold((f64::MAX, f64::MIN), |(ssim, bytes), pair| {
            (ssim.min(pair.0), bytes.max(pair.1))
        })
    }
}

impl Likeness {
    fn ssim(&self) -> f64 {
        self.renditions.iter().map(|one| one.ssim).sum::<f64>() / self.renditions.len() as f64
    }

    fn bytes(&self) -> usize {
        self.renditions.iter().map(|one| one.bytes).sum()
    }
}
