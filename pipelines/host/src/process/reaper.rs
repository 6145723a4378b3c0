//! The end of a worker process: who kills it, who waits for it, why it ended.

use std::process::Child;
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::watch;

use super::Exit;

/// The process behind a link. Dropping it kills the process.
#[derive(Debug)]
pub struct WorkerHandle {
    process: Arc<Mutex<Process>>,
    pid: u32,
    exit: watch::Receiver<Option<Exit>>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    killed_by_us: bool,
    /// From now on the number may belong to another process.
    reaped: bool,
}

impl WorkerHandle {
    /// Watches over `child`; `scratch` is its own directory and goes with it.
    pub(super) fn watch(child: Child, scratch: TempDir) -> std::io::Result<Self> {
        let pid = child.id();
        let process = Arc::new(Mutex::new(Process {
            child,
            killed_by_us: false,
            reaped: false,
        }));
        let (tell, exit) = watch::channel(None);
        // Built first, so that the child is killed also when no thread can be had.
        let handle = Self {
            process: Arc::clone(&process),
            pid,
            exit,
        };
        std::thread::Builder::new()
            .name(format!("reap-{pid}"))
            .stack_size(128 << 10)
            .spawn(move || {
                let exit = reap(pid, &process);
                drop(scratch);
                let _ = tell.send(Some(exit));
            })?;
        Ok(handle)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the process at once with SIGKILL. Does nothing once it has ended.
    pub fn kill(&self) {
        let mut process = self.process.lock();
        if !process.reaped {
            process.killed_by_us = true;
            // ESRCH cannot happen before it is reaped; there is no other reason for a child of ours.
            let _ = kill(pid_of(self.pid), Signal::SIGKILL);
        }
    }

    /// How the process ended, if it has.
    pub fn ended(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits for the end of the process. Safe to cancel; may be asked again. Does not kill.
    pub fn exit(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut exit = self.exit.clone();
        async move {
            let end = exit
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|end| *end);
            // The watching thread cannot go without telling.
            end.unwrap_or(Exit::Killed)
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits without taking the process off the table, then takes it off under the lock, so that a kill never meets a
/// number that was given to somebody else.
fn reap(pid: u32, process: &Mutex<Process>) -> Exit {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while let Err(nix::errno::Errno::EINTR) = waitid(Id::Pid(pid_of(pid)), flags) {}
    let mut process = process.lock();
    process.reaped = true;
    let status = process.child.wait().unwrap_or_default();
    Exit::from_status(status, process.killed_by_us)
}

fn pid_of(pid: u32) -> Pid {
    // Process numbers are positive `pid_t`; std only hands them out as unsigned.
    Pid::from_raw(pid.cast_signed())
}
