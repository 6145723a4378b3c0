//! Owns the list of workers and the spare processes: who serves which stream, on which device or remote transcoder.
//!
//! Asked by sessions for a worker, by workers for a fresh process, and by the door for a place for a remote transcoder. One
//! started process per device is kept in reserve, so that a new stream, or one whose process died, waits for no start.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult,
    ResponseActFuture, WrapFuture,
};
use arc_swap::ArcSwapOption;
use host::job::{Device, EncoderSettings};
use host::message::Wall;
use host::process::WorkerLauncher;
use parking_lot::Mutex;
use protocol::capabilities::{Capabilities, Capability};
use protocol::texts;
use serde::Serialize;
use telemetry::metrics::Metrics;
use telemetry::metrics::label::{WorkerEnd, WorkerState};

use crate::death::DeathNotice;
use crate::device_worker::{DeviceWorker, Process, WorkerLease};
use crate::failure::{Cause, SegmentFailure};
use crate::front::Front;
use crate::placement::{Facts, NoPlace, choose};
use crate::published::{Entry, List};
use crate::remote_transcoder::{
    Connection, Registration, RemoteLease, RemoteSeat, RemoteTranscoder, Roster,
};
use crate::supervisor::AddrCell;

/// Requests to the registry that may be under way at once.
const FRONT: usize = 256;

/// Streams that a device takes above its part, because one that has just ended may still be counted.
const STALE: usize = 1;

/// What a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerView {
    /// Number of the worker on this node.
    pub id: u64,
    /// `cpu`, or `nvidia-0`.
    pub device: String,
    /// Session it serves.
    pub session_id: String,
    /// Whether that is a stream, which counts as load, or a test.
    #[serde(skip)]
    pub is_stream: bool,
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
    roster: Roster,
    local: Arc<Local>,
    metrics: Arc<Metrics>,
}

/// Published facts of all devices of this machine together.
struct Local {
    /// What they passed the test for; `None` until that is known, and then everything is tried.
    capabilities: ArcSwapOption<Capabilities>,
    /// Streams that they carry.
    capacity: AtomicUsize,
}

/// A worker that a session has.
pub enum Worker {
    /// A process on this machine.
    Local(WorkerLease),
    /// A remote transcoder.
    Remote(RemoteLease),
}

impl Worker {
    /// Number of the worker on this node.
    pub fn id(&self) -> u64 {
        match self {
            Self::Local(worker) => worker.id(),
            Self::Remote(worker) => worker.id(),
        }
    }

    /// False once it is gone.
    pub fn is_alive(&self) -> bool {
        match self {
            Self::Local(worker) => worker.is_alive(),
            Self::Remote(worker) => worker.is_alive(),
        }
    }
}

impl Workers {
    /// A front for the registry whose address is published in `addr`.
    pub fn new(addr: AddrCell<WorkerRegistry>, metrics: Arc<Metrics>) -> Self {
        Self {
            front: Front::new(addr, FRONT, Arc::clone(&metrics)),
            list: List::default(),
            walls: Arc::default(),
            next_id: Arc::default(),
            roster: Roster::default(),
            local: Arc::new(Local {
                capabilities: ArcSwapOption::empty(),
                capacity: AtomicUsize::new(usize::MAX),
            }),
            metrics,
        }
    }

    /// A process on this machine for a test, whatever runs here already.
    pub async fn lease(&self, session_id: String) -> Result<WorkerLease, SegmentFailure> {
        let placed = self.ask(Place {
            session_id: session_id.clone(),
            stream: None,
        });
        match placed.await? {
            Placed::Local(device, process) => Ok(self.start(device, process, session_id, false)),
            Placed::Remote(_) => Err(no_worker("the registry chose a remote transcoder".into())),
        }
    }

    /// A worker for a stream that demands `demand`: the least loaded one, local or remote, but none of `avoid`.
    ///
    /// # Errors
    /// In the words that gateways know: none there or all full, or none that can do it.
    pub async fn place(
        &self,
        session_id: &str,
        demand: &Capabilities,
        avoid: &[u64],
    ) -> Result<Worker, SegmentFailure> {
        let placed = self.ask(Place {
            session_id: session_id.to_owned(),
            stream: Some((demand.clone(), avoid.to_vec())),
        });
        Ok(match placed.await? {
            Placed::Local(device, process) => {
                Worker::Local(self.start(device, process, session_id.to_owned(), true))
            }
            Placed::Remote(lease) => Worker::Remote(lease),
        })
    }

    /// Takes in a remote transcoder until the connection is dropped; `None` while the registry restarts.
    pub async fn register(&self, registration: Registration) -> Option<Connection> {
        self.front.ask(Register(registration)).await
    }

    /// The remote transcoders.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Says what the devices of this machine can do.
    pub fn set_local_capabilities(&self, capabilities: Capabilities) {
        self.local.capabilities.store(Some(Arc::new(capabilities)));
        self.roster.tell();
    }

    /// What the devices of this machine can do; `None` until that is known.
    pub fn local_capabilities(&self) -> Option<Arc<Capabilities>> {
        self.local.capabilities.load_full()
    }

    /// Says how many streams the devices of this machine carry; beyond that streams go to remote transcoders.
    pub fn set_local_capacity(&self, streams: usize) {
        self.local.capacity.store(streams, Ordering::Release);
    }

    async fn ask(&self, place: Place) -> Result<Placed, SegmentFailure> {
        let placed = self.front.ask(place).await;
        placed.unwrap_or_else(|| {
            Err(no_worker(
                "the worker registry is restarting or full".into(),
            ))
        })
    }

    fn start(
        &self,
        device: Device,
        process: Process,
        session_id: String,
        is_stream: bool,
    ) -> WorkerLease {
        let entry = self.enter(&device, session_id, is_stream, &process);
        DeviceWorker::lease(
            device,
            Some(process),
            self.clone(),
            entry,
            Arc::clone(&self.metrics),
        )
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

    fn enter(
        &self,
        device: &Device,
        session_id: String,
        is_stream: bool,
        process: &Process,
    ) -> WorkerEntry {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let view = WorkerView {
            id,
            device: device_name(device),
            session_id,
            is_stream,
            state: WorkerState::Idle.as_str(),
            pid: process.pid(),
            delivered: 0,
            lost: 0,
            memory: 0,
        };
        self.list.enter(id, view)
    }
}

fn no_worker(detail: String) -> SegmentFailure {
    SegmentFailure::new(Cause::NoWorker, texts::NO_TRANSCODERS, detail)
}

/// Whether devices that passed the test for `local` can do what `demand` asks of the machine.
fn can(local: Option<&Capabilities>, demand: &Capabilities) -> bool {
    local.is_none_or(|local| {
        let asked = |capability: &&Capability| demand.set.contains(**capability);
        let mut asked = Capability::OF_WORKERS.iter().filter(asked);
        asked.all(|capability| local.set.contains(*capability))
    })
}

/// Name of a device in labels and logs.
pub fn device_name(device: &Device) -> String {
    match device {
        Device::Cpu => "cpu".into(),
        Device::Nvidia(index) => format!("nvidia-{index}"),
    }
}

// ---- messages: asked by the front ----

/// Choose a worker.
#[derive(Message)]
#[rtype(result = "Result<Placed, SegmentFailure>")]
struct Place {
    session_id: String,
    /// What the stream demands, and workers that are not to have it; `None` asks for a device whatever its load.
    stream: Option<(Capabilities, Vec<u64>)>,
}

/// The chosen worker, taken.
enum Placed {
    Local(Device, Process),
    Remote(RemoteLease),
}

/// Take in a remote transcoder.
#[derive(Message)]
#[rtype(result = "Connection")]
struct Register(Registration);

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

    /// Every device with its facts, for a stream or for whatever there is.
    fn devices(&self, demand: Option<&Capabilities>) -> Vec<(Site, Facts)> {
        let local = self.front.local_capabilities();
        let capable = demand.is_none_or(|demand| can(local.as_deref(), demand));
        let all = self.front.local.capacity.load(Ordering::Acquire);
        let each = all.div_ceil(self.devices.len().max(1));
        let each = each.saturating_add(STALE);
        let facts = |device: &Device| {
            let name = device_name(device);
            Facts {
                load: {
                    let list = &self.front.list;
                    list.count(|view| view.is_stream && view.device == name)
                },
                capacity: demand.map_or(usize::MAX, |_| each),
                capable,
                open: true,
                suspected: false,
            }
        };
        let devices = self.devices.iter().map(|settings| &settings.device);
        devices
            .map(|device| (Site::Local(device.clone()), facts(device)))
            .collect()
    }

    /// The worker for a stream.
    fn site(&self, stream: Option<&(Capabilities, Vec<u64>)>) -> Result<Site, NoPlace> {
        let mut sites = self.devices(stream.map(|(demand, _)| demand));
        if let Some((demand, avoid)) = stream {
            sites.extend(self.front.roster.seats().into_iter().map(|seat| {
                let mut facts = seat.facts(demand);
                facts.open &= !avoid.contains(&seat.id);
                (Site::Remote(seat), facts)
            }));
        }
        choose(sites)
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

/// Where a stream may go.
enum Site {
    Local(Device),
    Remote(Arc<RemoteSeat>),
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
    type Result = ResponseActFuture<Self, Result<Placed, SegmentFailure>>;

    fn handle(&mut self, message: Place, ctx: &mut Self::Context) -> Self::Result {
        let now = |placed| Box::pin(actix::fut::ready(placed));
        match self.site(message.stream.as_ref()) {
            Ok(Site::Local(device)) => {
                let taken = self.take(device.clone(), ctx);
                Box::pin(taken.map(|process, _, _| {
                    process
                        .map(|process| Placed::Local(device, process))
                        .map_err(no_worker)
                }))
            }
            // Its load rises here, so that the next in the mailbox sees it.
            Ok(Site::Remote(seat)) => now(Ok(Placed::Remote(
                self.front.roster.lease(seat, message.session_id),
            ))),
            Err(NoPlace::NoRoom) => {
                now(Err(no_worker("no worker is there, or all are full".into())))
            }
            Err(NoPlace::Incapable) => now(Err(SegmentFailure::new(
                Cause::NoWorker,
                texts::NO_CAPABLE_TRANSCODERS,
                "no worker can do what the stream demands",
            ))),
        }
    }
}

impl Handler<Register> for WorkerRegistry {
    type Result = MessageResult<Register>;

    fn handle(&mut self, message: Register, _: &mut Self::Context) -> Self::Result {
        let id = self.front.next_id.fetch_add(1, Ordering::Relaxed);
        MessageResult(RemoteTranscoder::connect(id, message.0, &self.front.roster))
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
