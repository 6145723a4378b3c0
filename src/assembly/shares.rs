//! How this machine is shared between streams and models, from the settings.

use actors::machine::{Amount, Shares};
use config::Settings;

/// The kernel gives each step of niceness this much less weight (sched(7)).
const STEP: f64 = 1.25;
/// As far as a process can step back.
const NICEST: f64 = 19.0;
/// What the container engine gives to a container that nothing is said about.
const DEFAULT_WEIGHT: i64 = 1024;

/// The machine, and what of it is video's.
pub fn of(settings: &Settings) -> Shares {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A node that transcodes nothing keeps nothing for it.
    let share = |percent| match settings.roles.transcoder {
        true => percent,
        false => 0,
    };
    Shares {
        total: Amount {
            cpu: u64::try_from(cores).unwrap_or(1).saturating_mul(1000),
            memory: memory(),
        },
        video_cpu: share(settings.limits.video_cpu),
        video_memory: share(settings.limits.video_memory),
        sessions: settings.video.max_sessions as usize,
    }
}

/// How far processes of streams step back behind those of models.
pub fn niceness_of_video(settings: &Settings) -> u8 {
    niceness(ratio(settings))
}

/// How far processes of models step back behind those of streams.
pub fn niceness_of_ai(settings: &Settings) -> u8 {
    match settings.roles.transcoder {
        true => niceness(ratio(settings).recip()),
        false => 0,
    }
}

/// Weight of the processors for a container with a model: what a process of video has is 1024.
pub fn weight_of_container(settings: &Settings) -> Option<i64> {
    if !settings.roles.transcoder {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "between 10 and 101,376")]
    Some((DEFAULT_WEIGHT as f64 * ratio(settings)) as i64)
}

/// AI's share for one part of video's.
fn ratio(settings: &Settings) -> f64 {
    let video = f64::from(settings.limits.video_cpu);
    (100.0 - video) / video
}

/// The step at which `ahead` times the weight is left to the others.
fn niceness(ahead: f64) -> u8 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 19"
    )]
    let steps = ahead.max(1.0).log(STEP).round().min(NICEST) as u8;
    steps
}

/// Memory of this machine, bytes; 4 GiB when it does not say.
pub fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| {
        let number = line.trim().trim_end_matches("kB").trim();
        number.parse::<u64>().ok()
    });
    kib.map_or(4 << 30, |kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_share_steps_back_by_what_the_other_is_larger() {
        let steps = [1.0, 1.25, 3.0, 9.0, 99.0, 0.3].map(niceness);
        assert_eq!(steps, [0, 1, 5, 10, 19, 0]);
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory() > 1 << 28);
    }
}
