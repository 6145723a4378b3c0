//! Measures what streams take of this machine, for the permit of [`crate::machine`].
//!
//! Every two seconds: processor time and memory of the worker processes that serve streams, shared out evenly. Streams that remote
//! transcoders carry count as well and take nothing, as far as this machine is concerned.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::machine::{Amount, Machine};
use crate::model_catalog::Models;
use crate::worker_registry::Workers;

const EVERY: Duration = Duration::from_secs(2);
/// Weight of the newest measurement, per cent: half of a change is seen after about two of them.
const NEWEST: u64 = 30;

/// Measures until it is dropped.
pub async fn follow(machine: Machine, workers: Workers, models: Models) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gauge = Gauge::new(Instant::now());
    loop {
        ticks.tick().await;
        let pids = workers
            .views()
            .into_iter()
            .filter(|view| view.is_stream && view.pid != 0)
            .map(|view| view.pid);
        let used = pids.filter_map(used_by).collect();
        let sessions = machine.sessions();
        if let Some(each) = gauge.measure(used, Instant::now(), sessions) {
            machine.set_session(smoothed(machine.session(), each));
        }
        models.refresh();
    }
}

/// What one process has used and holds.
#[derive(Debug, Clone, Copy)]
struct Used {
    /// Process ID and the moment of its start, which together never come again.
    process: (u32, u64),
    /// Processor time since its start, milliseconds.
    cpu_ms: u64,
    /// Bytes.
    memory: u64,
}

/// Nothing for a process that has just ended.
fn used_by(pid: u32) -> Option<Used> {
    let process = procfs::process::Process::new(pid.cast_signed()).ok()?;
    let stat = process.stat().ok()?;
    let ticks = stat.utime.saturating_add(stat.stime);
    Some(Used {
        process: (pid, stat.starttime),
        cpu_ms: ticks.saturating_mul(1000) / procfs::ticks_per_second().max(1),
        memory: stat.rss.saturating_mul(procfs::page_size()),
    })
}

#[derive(Debug)]
struct Gauge {
    at: Instant,
    cpu_ms: HashMap<(u32, u64), u64>,
}

impl Gauge {
    fn new(at: Instant) -> Self {
        Self {
            at,
            cpu_ms: HashMap::new(),
        }
    }

    /// What each of `sessions` took since the last time; nothing without any.
    fn measure(&mut self, used: Vec<Used>, now: Instant, sessions: usize) -> Option<Amount> {
        let elapsed = now.duration_since(self.at).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.at = now;
        let sessions = u64::try_from(sessions).ok()?;
        // One process may serve several streams, and is counted once.
        let used: HashMap<_, _> = used.into_iter().map(|used| (used.process, used)).collect();
        let before = std::mem::take(&mut self.cpu_ms);
        let mut sum = Amount::default();
        for (process, used) in &used {
            let spent = used.cpu_ms - before.get(process).copied().unwrap_or(0).min(used.cpu_ms);
            sum.cpu += spent;
            sum.memory = sum.memory.saturating_add(used.memory);
        }
        self.cpu_ms = used
            .into_iter()
            .map(|(process, used)| (process, used.cpu_ms))
            .collect();
        if sessions == 0 || elapsed == 0 {
            return None;
        }
        Some(Amount {
            cpu: sum.cpu.saturating_mul(1000) / elapsed / sessions,
            memory: sum.memory / sessions,
        })
    }
}

fn smoothed(old: Amount, new: Amount) -> Amount {
    let mix = |old: u64, new: u64| {
        old / 100 * (100 - NEWEST)
            + new / 100 * NEWEST
            + (old % 100 * (100 - NEWEST) + new % 100 * NEWEST) / 100
    };
    Amount {
        cpu: mix(old.cpu, new.cpu),
        memory: mix(old.memory, new.memory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(pid: u32, cpu_ms: u64, memory: u64) -> Used {
        Used {
            process: (pid, 1),
            cpu_ms,
            memory,
        }
    }

    #[test]
    fn streams_share_what_their_processes_spent_since_the_last_time() {
        let begun = Instant::now();
        let mut gauge = Gauge::new(begun);
        let second = |number| begun + Duration::from_secs(number);
        let first = gauge.measure(vec![used(1, 500, 100), used(2, 300, 60)], second(1), 2);
        let expected = Amount {
            cpu: 400,
            memory: 80,
        };
        assert_eq!(first, Some(expected));
        // 2 has ended and 3 has begun; 1 is named by two streams
        let now = vec![used(1, 1500, 100), used(1, 1500, 100), used(3, 200, 60)];
        let next = gauge.measure(now, second(2), 2);
        let expected = Amount {
            cpu: 600,
            memory: 80,
        };
        assert_eq!(next, Some(expected));
        assert_eq!(gauge.measure(Vec::new(), second(3), 0), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let used = used_by(std::process::id()).expect("it runs");
        assert!(used.memory > 1 << 20);
    }

    #[test]
    fn a_change_is_believed_step_by_step() {
        let old = Amount {
            cpu: 1000,
            memory: 0,
        };
        let new = Amount {
            cpu: 2000,
            memory: 1050,
        };
        let expected = Amount {
            cpu: 1300,
            memory: 315,
        };
        assert_eq!(smoothed(old, new), expected);
    }
}
