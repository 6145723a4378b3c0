//! One runner as doors and discovery see it: its state, its free places, and reservations, which are values.
//!
//! A reservation is taken before a payment is accepted, moved into the answer, and gives its place back when it is dropped: by
//! a refusal, a failure, a client that leaves, or a panic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use protocol::ai::Pipeline;
use runners::launch::Launch;
use runners::{Answer, Facts, Request, RunError, Runner};
use telemetry::metrics::label::{RunnerKind, RunnerState};
use telemetry::metrics::{GaugeGuard, Metrics, ModelMetrics, RunnerGauges};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::machine::{Machine, Share};

/// What one runner is to be.
#[derive(Clone)]
pub struct Plan {
    /// Its pipeline.
    pub pipeline: Pipeline,
    /// Its model.
    pub model: String,
    /// Started with the node and again when it ends; a cold one is started when it is asked for.
    pub warm: bool,
    /// Requests at once.
    pub capacity: usize,
    /// What it is.
    pub kind: RunnerKind,
    /// Starts it.
    pub launch: Arc<dyn Launch>,
    /// Tells plans apart when the settings change: equal ones leave a running runner alone.
    pub identity: String,
    /// Of a worker on another machine: it comes and goes with that, whatever the settings say.
    pub guest: bool,
}

/// What a runner is doing.
#[derive(Clone, Default)]
pub enum State {
    /// It is started when it is asked for.
    #[default]
    Cold,
    /// It loads.
    Starting,
    /// It answers.
    Ready {
        /// Asks it.
        runner: Arc<dyn Runner>,
        /// What it said about itself.
        facts: Arc<Facts>,
        /// A process, a container, an address.
        name: Arc<str>,
    },
    /// It failed, for this reason, and is started again in a while.
    BackOff(Arc<str>),
    /// It is gone for good.
    Gone,
}

impl State {
    /// As it is counted.
    pub fn label(&self) -> RunnerState {
        match self {
            Self::Cold | Self::Gone => RunnerState::Cold,
            Self::Starting => RunnerState::Starting,
            Self::Ready { .. } => RunnerState::Ready,
            Self::BackOff(_) => RunnerState::BackOff,
        }
    }
}

/// See the module.
pub struct Seat {
    /// What the runner is.
    pub plan: Plan,
    /// Its number on this node.
    pub id: u64,
    permits: Arc<Semaphore>,
    machine: Machine,
    /// Processors that the runner claims, thousandths of a core.
    cpu: u64,
    /// Held by every reservation: the runner computes with the same threads however many it answers.
    computing: Mutex<Weak<Share>>,
    state: watch::Sender<State>,
    drained: AtomicBool,
    retired: AtomicBool,
    /// Somebody waits for a cold runner.
    wanted: Notify,
    /// The runner is to end: the model is served no more, or its room is needed.
    leave: Notify,
    gauges: Mutex<RunnerGauges>,
    metrics: ModelMetrics,
    /// Rises with whatever discovery must know.
    changed: Arc<watch::Sender<u64>>,
}

impl Seat {
    /// A cold runner on `machine`. `changed` rises with whatever discovery must know.
    pub fn new(
        id: u64,
        plan: Plan,
        machine: Machine,
        metrics: &Metrics,
        changed: Arc<watch::Sender<u64>>,
    ) -> Self {
        let model = metrics.ai.model(plan.pipeline.name(), &plan.model);
        Self {
            id,
            permits: Arc::new(Semaphore::new(plan.capacity)),
            machine,
            cpu: plan.launch.need().cpu,
            computing: Mutex::default(),
            state: watch::Sender::default(),
            drained: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            wanted: Notify::new(),
            leave: Notify::new(),
            gauges: Mutex::new(model.runner(plan.kind)),
            metrics: model,
            changed,
            plan,
        }
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Requests that it could take now; 0 while it cannot answer, or streams need the processors.
    pub fn free(&self) -> usize {
        let computes = || self.computing.lock().strong_count() > 0;
        if self.can_serve() && (computes() || self.machine.fits_ai(self.cpu)) {
            self.permits.available_permits()
        } else {
            0
        }
    }

    /// Requests that hold a place.
    pub fn in_use(&self) -> usize {
        self.plan
            .capacity
            .saturating_sub(self.permits.available_permits())
    }

    /// Whether it is to be found in discovery: it answers, or is started when it is asked.
    pub fn can_serve(&self) -> bool {
        let state = self.state.borrow();
        let able = match &*state {
            State::Ready { .. } => true,
            State::Cold | State::Starting => !self.plan.warm,
            State::BackOff(_) | State::Gone => false,
        };
        able && !self.is_drained() && !self.is_retired()
    }

    /// Whether the operator wants no new requests on it.
    pub fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    /// Takes no new requests, or takes them again.
    pub fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Ordering::Release);
        self.tell();
    }

    /// Takes a place, if one is free.
    pub fn reserve(self: &Arc<Self>) -> Option<Reservation> {
        if !self.can_serve() {
            return None;
        }
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let reservation = Reservation {
            computing: Some(self.compute()?),
            seat: Arc::clone(self),
            permit: Some(permit),
            _gauge: self.metrics.reserved(),
        };
        self.show_load();
        self.tell();
        Some(reservation)
    }

    /// The processors that it computes with, which all its requests share.
    fn compute(&self) -> Option<Arc<Share>> {
        let mut computing = self.computing.lock();
        if let Some(share) = computing.upgrade() {
            return Some(share);
        }
        let share = Arc::new(self.machine.take_cpu(self.cpu)?);
        *computing = Arc::downgrade(&share);
        Some(share)
    }

    /// The counters of its model.
    pub fn metrics(&self) -> &ModelMetrics {
        &self.metrics
    }

    pub(crate) fn gauges<T>(&self, act: impl FnOnce(&mut RunnerGauges) -> T) -> T {
        act(&mut self.gauges.lock())
    }

    /// Says what it is doing now.
    pub(crate) fn set(&self, state: State) {
        let label = state.label();
        self.gauges(|gauges| gauges.set_state(label));
        self.state.send_replace(state);
        self.show_load();
        self.tell();
    }

    /// Returns when somebody waits for a cold runner.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Returns when the runner is to end.
    pub(crate) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Whether its model is served no more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Its model is served no more: no new requests, and the runner ends when the last has its answer.
    pub(crate) fn retire(self: &Arc<Self>) {
        self.retired.store(true, Ordering::Release);
        self.tell();
        let seat = Arc::clone(self);
        tokio::spawn(async move {
            seat.idle().await;
            seat.dismiss();
        });
    }

    /// Tells the runner to end.
    pub(crate) fn dismiss(&self) {
        self.leave.notify_one();
    }

    /// Takes all free places of an idle runner, so that nobody comes while it is sent away.
    fn close_if_idle(&self) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(self.plan.capacity).ok()?;
        Arc::clone(&self.permits).try_acquire_many_owned(all).ok()
    }

    /// Sends a ready runner away that is cold by its settings and has nothing to do. Whether there was one.
    pub(crate) fn evict_if_idle(self: &Arc<Self>) -> bool {
        if self.plan.warm || !matches!(self.state(), State::Ready { .. }) {
            return false;
        }
        let Some(closed) = self.close_if_idle() else {
            return false;
        };
        self.dismiss();
        let seat = Arc::clone(self);
        tokio::spawn(async move {
            let mut state = seat.state.subscribe();
            let _ = state
                .wait_for(|state| !matches!(state, State::Ready { .. }))
                .await;
            drop(closed);
        });
        true
    }

    /// Returns when no request holds a place any more. None can be reserved from then on.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(self.plan.capacity).unwrap_or(u32::MAX);
        if let Ok(permits) = self.permits.acquire_many(all).await {
            permits.forget();
        }
    }

    /// Returns when the runner has ended for good.
    pub(crate) async fn gone(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| matches!(state, State::Gone)).await;
    }

    fn show_load(&self) {
        let ready = matches!(&*self.state.borrow(), State::Ready { .. });
        if ready {
            let busy = self.in_use() > 0;
            self.gauges(|gauges| gauges.set_busy(busy));
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version += 1);
    }
}

/// A place on a runner.
#[must_use = "the place is given back when this is dropped"]
pub struct Reservation {
    seat: Arc<Seat>,
    permit: Option<OwnedSemaphorePermit>,
    computing: Option<Arc<Share>>,
    _gauge: GaugeGuard,
}

impl Reservation {
    /// Where it is.
    pub fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Runs a request on it; a cold runner is started first. Keep the reservation until a streamed answer has ended.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn run(&self, request: Request) -> Result<Answer, RunError> {
        self.runner().await?.run(request).await
    }

    async fn runner(&self) -> Result<Arc<dyn Runner>, RunError> {
        let pipeline = self.seat.plan.pipeline;
        let broken = |detail: &str| RunError::Broken {
            pipeline,
            detail: detail.to_owned(),
        };
        let mut state = self.seat.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                State::Ready { runner, .. } => return Ok(Arc::clone(runner)),
                State::Cold => self.seat.wanted.notify_one(),
                State::Starting => {}
                State::BackOff(why) => return Err(broken(why)),
                State::Gone => return Err(broken("the model is served no more")),
            }
            let changed = state.changed().await;
            changed.map_err(|_| broken("the model is served no more"))?;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        drop((self.permit.take(), self.computing.take()));
        self.seat.show_load();
        self.seat.tell();
    }
}
