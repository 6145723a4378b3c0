//! What a pipeline's threads and its owner share: what came out, what went wrong, and when it last moved.
//!
//! The first failure wins and ends every wait. Nothing here blocks longer than [`TICK`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use containers::AccessUnit;
use host::job::JobError;
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Longest sleep of a waiting thread before it looks again.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Called with the number of frames decoded so far.
pub(crate) type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// What one branch has given.
#[derive(Debug, Default)]
pub(crate) struct BranchOutput {
    /// Encoded frames, in decoding order.
    pub(crate) units: Vec<AccessUnit>,
    /// Size in pixels, known with the first decoded frame.
    pub(crate) size: (u32, u32),
    /// Perceptual hash; empty where none is wanted or possible.
    pub(crate) hash: Vec<u8>,
    /// The branch has reached its end of stream.
    pub(crate) done: bool,
}

/// What changes under the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) failure: Option<JobError>,
    pub(crate) input_size: (u32, u32),
    pub(crate) branches: Vec<BranchOutput>,
    moved: Instant,
}

/// Shared between the owner, the streaming threads and the watcher of one pipeline.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    decoded: AtomicU64,
    stopping: AtomicBool,
    /// Somebody waits for the pipeline to move; only then is standing still a fault.
    waiting: AtomicBool,
    progress: Progress,
}

impl Shared {
    pub(crate) fn new(branches: usize, progress: Progress) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                failure: None,
                input_size: (0, 0),
                branches: std::iter::repeat_with(BranchOutput::default)
                    .take(branches)
                    .collect(),
                moved: Instant::now(),
            }),
            changed: Condvar::new(),
            decoded: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            progress,
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Records a failure unless there is one, and wakes everybody.
    pub(crate) fn fail(&self, error: JobError) {
        let mut state = self.state.lock();
        tracing::debug!(%error, "pipeline failed");
        state.failure.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Tells every waiting thread to give up; for tearing down.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// True once [`Self::stop`] was called.
    pub(crate) fn stopped(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Counts one decoded frame.
    pub(crate) fn frame_decoded(&self) {
        let decoded = self.decoded.fetch_add(1, Ordering::SeqCst) + 1;
        self.state.lock().moved = Instant::now();
        (self.progress)(decoded);
    }

    /// Frames decoded so far.
    pub(crate) fn decoded(&self) -> u64 {
        self.decoded.load(Ordering::SeqCst)
    }

    /// Takes one encoded frame of a branch.
    pub(crate) fn frame_encoded(&self, branch: usize, unit: AccessUnit) {
        let mut state = self.state.lock();
        state.moved = Instant::now();
        if let Some(branch) = state.branches.get_mut(branch) {
            branch.units.push(unit);
        }
    }

    /// Marks a branch as complete.
    pub(crate) fn branch_done(&self, branch: usize) {
        let mut state = self.state.lock();
        state.moved = Instant::now();
        if let Some(branch) = state.branches.get_mut(branch) {
            branch.done = true;
        }
        self.changed.notify_all();
    }

    /// Wakes waiting threads so that they look again.
    pub(crate) fn poke(&self) {
        self.changed.notify_all();
    }

    /// Waits until `ready`, or returns the failure. The watcher turns standing still into one.
    pub(crate) fn wait(&self, mut ready: impl FnMut(&State) -> bool) -> Result<(), JobError> {
        let mut state = self.state.lock();
        state.moved = Instant::now();
        self.waiting.store(true, Ordering::SeqCst);
        let result = loop {
            if let Some(failure) = &state.failure {
                break Err(failure.clone());
            }
            if ready(&state) {
                break Ok(());
            }
            self.changed.wait_for(&mut state, TICK);
        };
        self.waiting.store(false, Ordering::SeqCst);
        result
    }

    /// How long somebody has been waiting for a pipeline that does not move.
    pub(crate) fn stalled_for(&self) -> Duration {
        if !self.waiting.load(Ordering::SeqCst) {
            return Duration::ZERO;
        }
        self.state.lock().moved.elapsed()
    }
}
