//! What this process has used so far: CPU time and peak memory, as the kernel counts them.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// User + system CPU time of the process so far, µs; zero if the kernel refuses.
pub(crate) fn cpu_us() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return 0;
    };
    let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    u64::try_from(us).unwrap_or(0)
}

/// Peak resident memory of the process so far, bytes; zero if the kernel refuses.
pub(crate) fn peak_rss() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return 0;
    };
    // Linux counts in KiB
    u64::try_from(usage.max_rss())
        .unwrap_or(0)
        .saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_as_cpu_time_and_memory() {
        let before = cpu_us();
        let mut sum = 0u64;
        while cpu_us() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(peak_rss() > 1 << 20);
    }
}
