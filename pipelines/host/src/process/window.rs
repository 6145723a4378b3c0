//! How much input of each job may be on its way: what the worker has not used up yet is bounded, so that the worker's
//! control loop never has to wait for a job and heartbeats are answered however slow decoding is.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::job::JobId;

/// Input of one job that may be sent and not used up, bytes.
pub const INPUT_WINDOW: usize = 8 << 20;

/// Windows of all jobs of a link.
#[derive(Debug, Clone, Default)]
pub(super) struct Windows(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<JobId, Arc<Semaphore>>,
    closed: bool,
}

/// Answer of [`Windows::enter`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The bytes may be sent.
    Free,
    /// The job has ended: nobody wants them.
    JobOver,
    /// The link is gone.
    LinkOver,
}

impl Windows {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock())
    }

    /// A job begins.
    pub(super) fn open(&self, job: JobId) {
        self.with(|state| {
            if !state.closed {
                let window = Arc::new(Semaphore::new(INPUT_WINDOW));
                state.jobs.insert(job, window);
            }
        });
    }

    /// Waits until `bytes` of input fit into the job's window. Safe to cancel.
    pub(super) async fn enter(&self, job: JobId, bytes: u32) -> Entry {
        let window = match self.with(|state| (state.jobs.get(&job).cloned(), state.closed)) {
            (_, true) => return Entry::LinkOver,
            (None, false) => return Entry::JobOver,
            (Some(window), false) => window,
        };
        match window.acquire_many(bytes).await {
            Ok(permit) => {
                permit.forget();
                Entry::Free
            }
            Err(_) if self.with(|state| state.closed) => Entry::LinkOver,
            Err(_) => Entry::JobOver,
        }
    }

    /// The worker used up `bytes`.
    pub(super) fn give_back(&self, job: JobId, bytes: u64) {
        self.with(|state| {
            if let Some(window) = state.jobs.get(&job) {
                // A worker that returns more than it got must not overflow the count.
                let room = INPUT_WINDOW.saturating_sub(window.available_permits());
                window.add_permits(usize::try_from(bytes).unwrap_or(room).min(room));
            }
        });
    }

    /// The job has ended; input that still waits is dropped.
    pub(super) fn close(&self, job: JobId) {
        self.with(|state| {
            if let Some(window) = state.jobs.remove(&job) {
                window.close();
            }
        });
    }

    /// The link is gone; nobody waits any more.
    pub(super) fn close_all(&self) {
        self.with(|state| {
            state.closed = true;
            for (_, window) in state.jobs.drain() {
                window.close();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(1);
    const WHOLE: u32 = INPUT_WINDOW as u32;

    #[tokio::test]
    async fn a_full_window_waits_until_the_worker_took_something() {
        let windows = Windows::default();
        windows.open(JOB);
        assert_eq!(windows.enter(JOB, WHOLE).await, Entry::Free);
        let mut waiting = std::pin::pin!(windows.enter(JOB, 10));
        assert!(futures_pending(waiting.as_mut()).await);
        windows.give_back(JOB, 10);
        assert_eq!(waiting.await, Entry::Free);
    }

    #[tokio::test]
    async fn a_worker_that_returns_too_much_gains_nothing() {
        let windows = Windows::default();
        windows.open(JOB);
        windows.give_back(JOB, u64::MAX);
        assert_eq!(windows.enter(JOB, WHOLE).await, Entry::Free);
        let mut waiting = std::pin::pin!(windows.enter(JOB, 1));
        assert!(futures_pending(waiting.as_mut()).await);
    }

    #[tokio::test]
    async fn the_end_of_job_or_link_wakes_whoever_waits() {
        let windows = Windows::default();
        for job in [JOB, JobId(2)] {
            windows.open(job);
            assert_eq!(windows.enter(job, WHOLE).await, Entry::Free);
        }
        let first = windows.enter(JOB, 1);
        let second = windows.enter(JobId(2), 1);
        let ends = async {
            windows.close(JOB);
            windows.close_all();
        };
        let (first, second, ()) = tokio::join!(first, second, ends);
        assert_eq!(second, Entry::LinkOver);
        assert_ne!(first, Entry::Free);
        assert_eq!(windows.enter(JobId(3), 1).await, Entry::LinkOver);
    }

    /// Whether a future is still waiting after one poll.
    async fn futures_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
        tokio::select! { biased; _ = future => false, () = std::future::ready(()) => true }
    }
}
