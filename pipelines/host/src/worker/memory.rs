//! How much memory this process holds.

/// Resident memory, bytes; 0 when the kernel does not say.
pub(super) fn resident() -> u64 {
    // Second field, in pages: proc_pid_statm(5).
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| u64::try_from(size).ok());
    pages.unwrap_or(0) * page.unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_running_process_holds_memory() {
        assert!(super::resident() > 100_000);
    }
}
