//! Owns the list of workers and the spare processes: who serves which stream, on which device.
//!
//! Asked by sessions for a worker and by workers for a fresh process. One started process per device is kept in reserve, so
//! that a new stream, or one whose process died, waits for no start.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture,
};
use host::job::{Device, EncoderSettings};
use host::message::Wall;
use host::process::WorkerLauncher;
use parking_lot::Mutex;
use protocol::texts;
use serde::Serialize;
use telemetry::metrics::Metrics;
use telemetry::metrics::label::{WorkerEnd, WorkerState};

use crate::death::DeathNotice;
use crate::device_worker::{DeviceWorker, Process, WorkerLease};
use crate::failure::{Cause, SegmentFailure};
use crate::front::Front;
use crate::published::{Entry, List};
use crate::supervisor::AddrCell;

/// Requests to the registry that may be under way at once.
const FRONT: usize = 256;

/// What a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerView {
    /// Number of the worker on this node.
    pub id: u64,
    /// `cpu`, or `nvidia-0`.
    pub device: String,
    /// Session it serves.
    pub session_id: String,
    /// As in the worker gauge.
    pub state: &'static str,
    /// Process ID, 0 while there is no process.
    pub pid: u32,
    /// Segments delivered.
    pub delivered: u64,
    /// Processes lost.
    pub lost: u64,
    /// Resident memory as last reported, bytes.
    pub memory: u64,
}

/// A worker's place in the published list.
pub type WorkerEntry = Entry<u64, WorkerView>;

/// How others reach the registry.
#[derive(Clone)]
pub struct Workers {
    front: Front<WorkerRegistry>,
    list: List<u64, WorkerView>,
    walls: Arc<Mutex<Vec<Wall>>>,
    next_id: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

impl Workers {
    /// A front for the registry whose address is published in `addr`.
    pub fn new(addr: AddrCell<WorkerRegistry>, metrics: Arc<Metrics>) -> Self {
        Self {
            front: Front::new(addr, FRONT, Arc::clone(&metrics)),
            list: List::default(),
            walls: Arc::default(),
            next_id: Arc::default(),
            metrics,
        }
    }

    /// A worker for a stream, placed on the device with the fewest streams.
    pub async fn lease(&self, session_id: String) -> Result<WorkerLease, SegmentFailure> {
        let none =
            |detail: String| SegmentFailure::new(Cause::NoWorker, texts::NO_TRANSCODERS, detail);
        let placed = self.front.ask(Place).await;
        let (device, process) = placed
            .ok_or_else(|| none("the worker registry is restarting or full".into()))?
            .map_err(none)?;
        let entry = self.enter(&device, session_id, &process);
        Ok(DeviceWorker::lease(
            device,
            Some(process),
            self.clone(),
            entry,
            Arc::clone(&self.metrics),
        ))
    }

    /// A process that has done nothing yet; why not, for the log.
    pub async fn fresh_process(&self, device: Device) -> Result<Process, String> {
        self.front
            .ask(TakeProcess(device))
            .await
            .unwrap_or_else(|| Err("the worker registry is restarting or full".into()))
    }

    /// What every worker is doing.
    pub fn views(&self) -> Vec<WorkerView> {
        self.list.values()
    }

    /// Walls of the sandbox as the last started process found them.
    pub fn walls(&self) -> Vec<Wall> {
        self.walls.lock().clone()
    }

    fn enter(&self, device: &Device, session_id: String, process: &Process) -> WorkerEntry {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let view = WorkerView {
            id,
            device: device_name(device),
            session_id,
            state: WorkerState::Idle.as_str(),
            pid: process.pid(),
            delivered: 0,
            lost: 0,
            memory: 0,
        };
        self.list.enter(id, view)
    }
}

/// Name of a device in labels and logs.
pub fn device_name(device: &Device) -> String {
    match device {
        Device::Cpu => "cpu".into(),
        Device::Nvidia(index) => format!("nvidia-{index}"),
    }
}

// ---- messages: asked by the front ----

/// Choose a device and give a process on it.
#[derive(Message)]
#[rtype(result = "Result<(Device, Process), String>")]
struct Place;

/// Give a fresh process.
#[derive(Message)]
#[rtype(result = "Result<Process, String>")]
struct TakeProcess(Device);

// ---- sent by itself ----

/// Start a spare where one is missing.
#[derive(Message)]
#[rtype(result = "()")]
struct Refill(Device);

/// See the module.
pub struct WorkerRegistry {
    launcher: Arc<WorkerLauncher>,
    devices: Vec<EncoderSettings>,
    spares: HashMap<Device, Process>,
    starting: HashMap<Device, usize>,
    front: Workers,
    metrics: Arc<Metrics>,
    _notice: DeathNotice<&'static str>,
}

impl WorkerRegistry {
    /// A registry of `devices` (at least one), each with the settings of its encoders.
    pub fn new(
        launcher: Arc<WorkerLauncher>,
        devices: Vec<EncoderSettings>,
        front: Workers,
        metrics: Arc<Metrics>,
        notice: DeathNotice<&'static str>,
    ) -> Self {
        for settings in &devices {
            metrics
                .worker
                .declare_device(&device_name(&settings.device));
        }
        Self {
            launcher,
            devices,
            spares: HashMap::new(),
            starting: HashMap::new(),
            front,
            metrics,
            _notice: notice,
        }
    }

    /// The device with the fewest streams; the first of equals.
    fn least_loaded(&self) -> Option<Device> {
        let load = |device: &Device| {
            let name = device_name(device);
            self.front.list.count(|view| view.device == name)
        };
        self.devices
            .iter()
            .map(|settings| &settings.device)
            .min_by_key(|device| load(device))
            .cloned()
    }

    fn spare(&mut self, device: &Device) -> Option<Process> {
        self.spares
            .remove(device)
            .and_then(|process| process.alive().ok())
    }

    fn launch(&self, device: &Device) -> impl Future<Output = Result<Process, String>> + 'static {
        let settings = self
            .devices
            .iter()
            .find(|settings| settings.device == *device)
            .cloned();
        let launcher = Arc::clone(&self.launcher);
        let metrics = Arc::clone(&self.metrics);
        let walls = Arc::clone(&self.front.walls);
        let name = device_name(device);
        async move {
            let settings = settings.ok_or_else(|| format!("no such device: {name}"))?;
            let guard = metrics.worker.started(&name);
            match launcher.launch(settings).await {
                Ok(link) => {
                    tell_of_walls(&mut walls.lock(), &link.walls);
                    tracing::debug!(worker = name, pid = link.handle.pid(), "worker started");
                    Ok(Process::new(link, guard))
                }
                Err(error) => {
                    guard.ended(WorkerEnd::StartFailed);
                    tracing::error!(worker = name, %error, "worker did not start");
                    Err(error.to_string())
                }
            }
        }
    }

    fn take(
        &mut self,
        device: Device,
        ctx: &mut Context<Self>,
    ) -> ResponseActFuture<Self, Result<Process, String>> {
        let spare = self.spare(&device);
        ctx.notify(Refill(device.clone()));
        match spare {
            Some(process) => Box::pin(actix::fut::ready(Ok(process))),
            None => Box::pin(self.launch(&device).into_actor(self)),
        }
    }
}

impl Actor for WorkerRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(FRONT);
        for settings in &self.devices {
            ctx.notify(Refill(settings.device.clone()));
        }
    }
}

impl Handler<Place> for WorkerRegistry {
    type Result = ResponseActFuture<Self, Result<(Device, Process), String>>;

    fn handle(&mut self, _: Place, ctx: &mut Self::Context) -> Self::Result {
        let Some(device) = self.least_loaded() else {
            return Box::pin(actix::fut::ready(Err("the node has no device".into())));
        };
        let taken = self.take(device.clone(), ctx);
        Box::pin(taken.map(|process, _, _| process.map(|process| (device, process))))
    }
}

impl Handler<TakeProcess> for WorkerRegistry {
    type Result = ResponseActFuture<Self, Result<Process, String>>;

    fn handle(&mut self, message: TakeProcess, ctx: &mut Self::Context) -> Self::Result {
        self.take(message.0, ctx)
    }
}

impl Handler<Refill> for WorkerRegistry {
    type Result = ();

    fn handle(&mut self, message: Refill, ctx: &mut Self::Context) {
        let device = message.0;
        let starting = self.starting.entry(device.clone()).or_insert(0);
        if *starting > 0 || self.spares.get(&device).is_some_and(Process::is_alive) {
            return;
        }
        *starting += 1;
        let started = self.launch(&device).into_actor(self);
        ctx.spawn(started.map(move |process, registry, _| {
            registry.starting.remove(&device);
            // One that fails is asked for again by the next stream.
            if let Ok(process) = process {
                registry.spares.insert(device, process);
            }
        }));
    }
}
/// Says what stands around workers when that is news.
fn tell_of_walls(known: &mut Vec<Wall>, found: &[Wall]) {
    if *known == found {
        return;
    }
    for wall in found {
        if let Some(reason) = &wall.missing {
            tracing::warn!(wall = wall.name, reason, "a wall around workers is missing");
        }
    }
    let standing: Vec<_> = found
        .iter()
        .filter(|wall| wall.missing.is_none())
        .map(|wall| wall.name.as_str())
        .collect();
    tracing::info!(standing = standing.join(","), "walls around workers");
    found.clone_into(known);
}
