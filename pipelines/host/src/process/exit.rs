//! Why a worker process ended, and whether its job can be blamed for it.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::libc;

/// How a worker process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// By itself, with code 0.
    Clean,
    /// By itself, with another code.
    Code(i32),
    /// We killed it.
    Killed,
    /// A signal that only others send: the kernel for lack of memory, an operator, a service manager.
    Outside(i32),
    /// A signal that the process brought on itself, e.g. `SIGSEGV`, `SIGABRT`, `SIGBUS`.
    Crash(i32),
}

impl Exit {
    /// `by_us` tells our own SIGKILL from somebody else's.
    pub(super) fn from_status(status: ExitStatus, by_us: bool) -> Self {
        match (status.code(), status.signal()) {
            (Some(0), _) => Self::Clean,
            (Some(code), _) => Self::Code(code),
            (None, Some(libc::SIGKILL)) if by_us => Self::Killed,
            (None, Some(signal)) if comes_from_outside(signal) => Self::Outside(signal),
            (None, signal) => Self::Crash(signal.unwrap_or(0)),
        }
    }

    /// Whether the job that ran may have caused it. A kill from outside is nobody's guilt; our own kill is judged by
    /// whoever ordered it.
    pub fn accuses_job(self) -> bool {
        matches!(self, Self::Crash(_) | Self::Code(_))
    }
}

fn comes_from_outside(signal: i32) -> bool {
    matches!(
        signal,
        libc::SIGKILL | libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT
    )
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => write!(f, "ended by itself"),
            Self::Code(code) => write!(f, "ended with code {code}"),
            Self::Killed => write!(f, "killed by the orchestrator"),
            Self::Outside(signal) => write!(f, "killed from outside by {}", name(*signal)),
            Self::Crash(signal) => write!(f, "crashed with {}", name(*signal)),
        }
    }
}

fn name(signal: i32) -> &'static str {
    nix::sys::signal::Signal::try_from(signal).map_or("an unknown signal", |signal| signal.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_from_outside_is_told_from_ours_and_from_a_crash() {
        let killed = ExitStatus::from_raw(libc::SIGKILL);
        assert_eq!(Exit::from_status(killed, true), Exit::Killed);
        assert_eq!(Exit::from_status(killed, false), Exit::Outside(9));
        let crashed = ExitStatus::from_raw(libc::SIGSEGV);
        assert_eq!(Exit::from_status(crashed, true), Exit::Crash(11));
        assert!(Exit::Crash(11).accuses_job());
        assert!(!Exit::Outside(9).accuses_job());
    }

    #[test]
    fn an_end_is_told_in_words() {
        assert_eq!(Exit::Crash(11).to_string(), "crashed with SIGSEGV");
        assert_eq!(Exit::Code(3).to_string(), "ended with code 3");
    }
}
