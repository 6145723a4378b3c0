//! Walls of the process itself: descriptors, privileges, core dumps, resource limits.
//!
//! The number of threads is limited where the worker has a user of its own only: `RLIMIT_NPROC` counts all processes of
//! the user, else the daemon's threads too. New processes are refused by the call filter, and each thread's stack counts
//! as memory. CPU time is not limited: a worker lives as long as its stream, and a deadline ends what takes too long.

use std::os::fd::RawFd;

use caps::CapSet;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

/// Largest file in the scratch directory, bytes.
const FILE_SIZE: u64 = 256 << 20;
/// Open descriptors: the link, and a few per pipeline for its wake-ups.
const DESCRIPTORS: u64 = 4096;

/// Closes whatever the daemon or its parents left open across the start.
pub(super) fn close_descriptors() -> std::io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&descriptor| descriptor > 2)
        .collect();
    for descriptor in open {
        // The descriptor of the directory itself is in the list and closed already.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

pub(super) fn die_with_parent() -> nix::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)
}

pub(super) fn no_new_privileges() -> nix::Result<()> {
    prctl::set_no_new_privs()
}

/// Neither a core file nor a debugger of the same user gets at the memory.
pub(super) fn not_dumpable() -> nix::Result<()> {
    prctl::set_dumpable(false)
}

/// Memory is bounded by what is written (`RLIMIT_DATA`), not by address space: device drivers and allocators reserve
/// far more than they use.
pub(super) fn set(memory: Option<u64>) -> nix::Result<()> {
    let bound = |resource, limit| match setrlimit(resource, limit, limit) {
        // A lower hard limit already stands.
        Err(Errno::EPERM) => Ok(()),
        other => other,
    };
    bound(Resource::RLIMIT_CORE, 0)?;
    bound(Resource::RLIMIT_FSIZE, FILE_SIZE)?;
    bound(Resource::RLIMIT_NOFILE, DESCRIPTORS)?;
    memory.map_or(Ok(()), |memory| bound(Resource::RLIMIT_DATA, memory))
}

/// Bounds the threads of this process's user.
pub(super) fn threads(most: u64) -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_NPROC, most, most)
}

/// A daemon that runs as root does not make its workers mighty.
pub(super) fn drop_capabilities() -> Result<(), caps::errors::CapsError> {
    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set)?;
    }
    Ok(())
}
