//! Puts the node together: which parts start, in which order, and how they stop in reverse.

mod actor_system;
mod advertiser;
mod ai;
mod chain_actors;
mod chain_view;
mod on_chain;
mod operator_port;
mod public_port;
mod redeemer_port;
mod selftest;
mod shares;
mod start_error;
mod view;
mod webhook;

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actors::body::BodyBudget;
use actors::capability_broadcaster::{Broadcast, Identity, Snapshot};
use actors::machine::Machine;
use actors::segment_store::{SegmentStore, StoreLimits};
use actors::slots::Slots;
use arc_swap::ArcSwap;
use chain::ChainClient;
use config::{Devices, Settings};
use host::job::{Device, EncoderSettings};
use host::process::{WorkerLauncher, WorkerLimits, write_registry};
use protocol::address::Address;
use protocol::capabilities::{Capabilities, Capability};
use telemetry::log::LevelHandle;
use telemetry::metrics::{Metrics, MetricsOptions, NodeType};
use tokio::sync::watch;

use self::actor_system::{ActorSetup, ActorSystem};
use self::chain_actors::ChainSetup;
use self::chain_view::NodeChain;
use self::on_chain::OnChain;
use self::operator_port::OperatorPort;
use self::public_port::PublicPort;
use self::redeemer_port::RedeemerPort;
pub use self::start_error::StartError;
use self::view::View;
use crate::ai_worker;
use crate::doors::operator::OperatorState;
use crate::doors::public::Split;
use crate::hand_over::{self, Legacy};
use crate::registration::{Link, Registered};
use crate::transcoder;

/// What the node was built with, as `/status` and the version metric name it.
pub const RUNTIME: &str = concat!("rust ", env!("CARGO_PKG_RUST_VERSION"));

/// Release that the node claims towards gateways, which compare it with their least accepted one.
pub const PROTOCOL_VERSION: &str = "0.9.1";

/// How often draining looks whether streams still run.
const DRAIN_POLL: Duration = Duration::from_millis(100);

/// How long runners may take to end when the node stops.
const RUNNERS_END: Duration = Duration::from_secs(20);

/// A running node.
pub struct Node {
    actors: ActorSystem,
    slots: Arc<Slots>,
    levels: LevelHandle,
    /// `None` for a node that takes no jobs.
    public: Option<PublicPort>,
    /// `None` for a node that works for no orchestrator.
    transcoder: Option<Link>,
    /// `None` for a node that serves no models to another one.
    ai_worker: Option<Link>,
    /// `None` for a node that redeems for nobody else.
    redeemer: Option<RedeemerPort>,
    operator: OperatorPort,
    /// `None` off-chain.
    on_chain: Option<(OnChain, ChainSetup)>,
    planner: ai::Planner,
    /// What the next process is left; `None` where the public socket ends with this one.
    legacy: Option<(PathBuf, [u8; 32], SegmentStore)>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _lock: DirLock,
}

impl Node {
    /// Starts everything. Whatever fails here leaves nothing behind.
    ///
    /// # Errors
    /// [`StartError`], for the operator.
    pub async fn start(settings: Settings, levels: LevelHandle) -> Result<Self, StartError> {
        let started = Instant::now();
        let data_dir = settings.program.data_dir.clone();
        let lock = DirLock::take(&data_dir)?;
        let metrics = Arc::new(Metrics::new(&metrics_options(&settings))?);
        let on_chain = match &settings.chain {
            Some(chain) => {
                let opened = OnChain::open(&settings, chain, &metrics).await?;
                let validity = opened.client.ticket_validity_period().await?;
                let setup = ChainSetup::new(&settings, chain, &opened, validity, &metrics)?;
                setup.restore().await?;
                Some((opened, setup))
            }
            None => None,
        };
        let works = settings.roles.transcoder;
        let machine = Machine::new(shares::of(&settings), metrics.machine.clone());
        let slots = Slots::new(
            settings.video.max_sessions as usize,
            machine.clone(),
            Arc::clone(&metrics),
        );
        set_max(&slots, &settings);
        let store = SegmentStore::new(StoreLimits::default(), Arc::clone(&metrics));
        let legacy = Legacy::take(&data_dir);
        let token_key = legacy.as_ref().and_then(Legacy::token_key);
        let token_key = token_key.unwrap_or_else(rand::random);
        if let Some(legacy) = legacy {
            legacy.restore(&store);
        }
        let socket = hand_over::socket().filter(|_| settings.roles.orchestrator);
        let legacy = socket
            .is_some()
            .then(|| (data_dir.clone(), token_key, store.clone()));
        let budget = BodyBudget::new(settings.limits.body_bytes, Arc::clone(&metrics));
        let broadcast: Broadcast = Arc::new(ArcSwap::from_pointee(Snapshot::new(identity(
            &settings,
            on_chain
                .as_ref()
                .map_or(Address::ZERO, |(opened, _)| opened.own_account()),
        ))));
        let actors = ActorSystem::start(ActorSetup {
            launcher: launcher(&settings, &data_dir, works).await?,
            devices: if works {
                devices(&settings)
            } else {
                Vec::new()
            },
            ai: ai::total(&settings),
            slots: Arc::clone(&slots),
            machine,
            store: store.clone(),
            broadcast: Arc::clone(&broadcast),
            metrics: Arc::clone(&metrics),
            chain: on_chain.as_ref().map(|(_, setup)| setup.clone()),
        })
        .await
        .map_err(StartError::Thread)?;
        if works && settings.video.test_devices {
            let whole = !settings.roles.orchestrator;
            actors
                .test_devices(&budget, settings.video.hevc_decoding, whole)
                .await?;
        } else if works {
            actors
                .set_capabilities(capabilities([Capability::H264]))
                .await;
        }
        set_local(&actors, &settings);
        let planner = ai::Planner::new(&settings).map_err(StartError::AiClient)?;
        // Models load while the ports are open: each appears in discovery when it is ready.
        let plan = (planner.clone(), settings.clone(), actors.models.clone());
        let mut tasks = vec![tokio::spawn(async move {
            let (planner, settings, models) = plan;
            planner.apply(&settings, &models).await;
        })];
        let public_open = Arc::new(AtomicBool::new(false));
        let transcoder = transcode_for(&settings, &actors, &budget, &broadcast)?;
        let ai_worker = serve_models_to(&settings, &actors)?;
        let view = View {
            node_id: node_id(),
            started,
            sessions: actors.sessions.clone(),
            workers: actors.workers.clone(),
            models: actors.models.clone(),
            arbiters: actors.arbiters.clone(),
            broadcast: Arc::clone(&broadcast),
            public_open: Arc::clone(&public_open),
            registered: registered(transcoder.as_ref(), ai_worker.as_ref()),
            splits: settings.remote.secret.is_some(),
            roles: settings.roles.clone(),
            chain: settings.chain.as_ref().zip(on_chain.as_ref()).map(
                |(chain, (opened, setup))| {
                    let bounds = on_chain::price_bounds(chain);
                    Arc::new(NodeChain::new(opened, setup, bounds))
                },
            ),
            ledger: on_chain.as_ref().map(|(opened, _)| opened.ledger.clone()),
        };
        let operator = OperatorPort::open(
            &settings,
            OperatorState {
                metrics: Arc::clone(&metrics),
                node: Arc::new(view),
                levels: Some(levels.clone()),
                monitor: settings.monitoring.metrics,
            },
            &actors,
        )
        .await?;
        let public = if settings.roles.orchestrator {
            let paid = on_chain
                .as_ref()
                .and_then(|(opened, setup)| Some((setup.paid(opened)?, opened.tokens.clone())));
            let prices = on_chain
                .as_ref()
                .map(|(_, setup)| setup.webhook_prices())
                .unwrap_or_default();
            let url = settings.network.auth_webhook.as_ref();
            let parts = public_port::Parts {
                broadcast,
                sessions: actors.sessions.clone(),
                models: actors.models.clone(),
                split: settings.remote.secret.clone().map(|secret| Split {
                    secret,
                    workers: actors.workers.clone(),
                }),
                store,
                budget,
                token_key,
                socket,
                metrics: Arc::clone(&metrics),
                paid,
                webhook: url.map(|url| webhook::webhook(url, prices)).transpose()?,
            };
            Some(PublicPort::open(&settings, parts).await?)
        } else {
            None
        };
        let redeemer = match &on_chain {
            Some((_, setup)) => RedeemerPort::open(&settings, setup, metrics)?,
            None => None,
        };
        public_open.store(true, Ordering::Release);
        if let Some((_, setup)) = &on_chain {
            tasks.extend(setup.spawn_tasks());
        }
        Ok(Self {
            actors,
            slots,
            levels,
            public,
            transcoder,
            ai_worker,
            redeemer,
            operator,
            planner,
            legacy,
            tasks,
            on_chain,
            _lock: lock,
        })
    }

    /// Where gateways, or those who let it redeem, reach the node on this machine.
    pub fn public_address(&self) -> Option<SocketAddr> {
        let redeemer = self.redeemer.as_ref().map(RedeemerPort::address);
        self.public.as_ref().map(PublicPort::address).or(redeemer)
    }

    /// Where its operator does.
    pub fn operator_address(&self) -> &str {
        self.operator.address()
    }

    /// Applies the options that may change while the node runs.
    pub async fn apply(&self, settings: &Settings) {
        if let Some((_, setup)) = &self.on_chain {
            setup.apply(settings).await;
        }
        set_max(&self.slots, settings);
        set_local(&self.actors, settings);
        self.planner.apply(settings, &self.actors.models).await;
        if let Some(public) = &self.public {
            public.apply(settings);
        }
        if let Err(error) = self.levels.set_verbosity(settings.program.verbosity.into()) {
            tracing::error!(%error, "log level was not changed");
        }
    }

    /// Returns when the node cannot go on, with the reason.
    pub async fn broken(&mut self) -> String {
        let registered = registered(self.transcoder.as_ref(), self.ai_worker.as_ref());
        tokio::select! {
            reason = self.actors.broken() => reason,
            reason = refused(registered) => reason,
        }
    }

    /// Whether the public socket goes on to the next process.
    pub fn hands_over(&self) -> bool {
        self.legacy.is_some()
    }

    /// Takes no new streams and returns when the running ones have ended, or after `grace`.
    pub async fn drain(&self, grace: Duration) {
        if let Some(worker) = &self.ai_worker {
            worker.drain(grace).await;
        }
        if let Some(transcoder) = &self.transcoder {
            // Sessions stay open for segments that will not come; what counts is that running jobs are posted.
            transcoder.drain(grace).await;
            return;
        }
        self.slots.close();
        let end = Instant::now() + grace;
        while (self.slots.used() > 0 || self.actors.models.in_use() > 0) && Instant::now() < end {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Stops in the reverse order of the start.
    pub async fn stop(self) {
        if let Some(transcoder) = self.transcoder {
            transcoder.close().await;
        }
        if let Some(worker) = self.ai_worker {
            worker.close().await;
        }
        // Transcoders that are sent away in good order come back to the next node.
        self.actors.workers.roster().dismiss_all().await;
        if let Some(public) = self.public {
            public.close().await;
        }
        if let Some((data_dir, token_key, store)) = self.legacy {
            let left = move || Legacy::leave(&data_dir, token_key, &store);
            let left = tokio::task::spawn_blocking(left).await;
            if let Err(error) = left.map_err(std::io::Error::other).flatten() {
                tracing::error!(%error, "nothing is handed over");
            }
        }
        if let Some(redeemer) = self.redeemer {
            redeemer.close().await;
        }
        self.actors.sessions.end_all().await;
        self.actors.models.end_all(RUNNERS_END).await;
        self.operator.close().await;
        self.actors.stop().await;
        for task in self.tasks {
            task.abort();
        }
        if let Some((on_chain, setup)) = self.on_chain {
            drop(setup);
            on_chain.close().await;
        }
        tracing::info!("stopped");
    }
}

/// Streams at once, as far as this machine says.
fn set_max(slots: &Slots, settings: &Settings) {
    let video = &settings.video;
    slots.set_max(video.max_sessions as usize, video.remote_sessions);
}

/// Beside remote transcoders this machine takes no more than its own part.
fn set_local(actors: &ActorSystem, settings: &Settings) {
    let video = &settings.video;
    let streams = if video.remote_sessions {
        video.max_sessions as usize
    } else {
        usize::MAX
    };
    actors.workers.set_local_capacity(streams);
}

/// How a node that works for an orchestrator stands with it.
fn registered(
    transcoder: Option<&Link>,
    worker: Option<&Link>,
) -> Option<watch::Receiver<Registered>> {
    let transcoder = transcoder.map(Link::registered);
    transcoder.or_else(|| worker.map(Link::registered))
}

/// Registers the models with an orchestrator, where the node serves them to one.
fn serve_models_to(settings: &Settings, actors: &ActorSystem) -> Result<Option<Link>, StartError> {
    let remote = &settings.remote;
    let (Some(orchestrator), Some(secret)) = (&remote.orchestrator, &remote.secret) else {
        return Ok(None);
    };
    if !settings.roles.ai_worker {
        return Ok(None);
    }
    let setup = ai_worker::Setup {
        orchestrator: orchestrator.to_string(),
        secret: secret.clone(),
        models: actors.models.clone(),
        version: PROTOCOL_VERSION,
    };
    Ok(Some(ai_worker::start(setup)?))
}

/// Registers with an orchestrator, where the node works for one.
fn transcode_for(
    settings: &Settings,
    actors: &ActorSystem,
    budget: &BodyBudget,
    broadcast: &Broadcast,
) -> Result<Option<Link>, StartError> {
    let remote = &settings.remote;
    let (Some(orchestrator), Some(secret)) = (&remote.orchestrator, &remote.secret) else {
        return Ok(None);
    };
    if !settings.roles.transcoder {
        return Ok(None);
    }
    let setup = transcoder::Setup {
        orchestrator: orchestrator.to_string(),
        secret: secret.clone(),
        sessions: actors.sessions.clone(),
        budget: budget.clone(),
        broadcast: Arc::clone(broadcast),
    };
    Ok(Some(transcoder::start(setup)?))
}

/// Returns when the orchestrator will never have this transcoder.
async fn refused(registered: Option<watch::Receiver<Registered>>) -> String {
    if let Some(mut registered) = registered {
        let refused = registered.wait_for(|now| matches!(now, Registered::Refused(_)));
        if let Ok(now) = refused.await
            && let Registered::Refused(reason) = &*now
        {
            return format!("the orchestrator refused the registration: {reason}");
        }
    }
    std::future::pending().await
}

/// Keeps a second process out of the data directory for as long as it lives.
struct DirLock {
    _file: File,
}

impl DirLock {
    fn take(data_dir: &Path) -> Result<Self, StartError> {
        let unusable = |source| StartError::DataDir {
            path: data_dir.to_owned(),
            source,
        };
        std::fs::create_dir_all(data_dir).map_err(unusable)?;
        let file = File::create(data_dir.join("orchestrion.lock")).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StartError::InUse(data_dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

/// A node that takes no jobs starts no workers, and needs none on the machine.
async fn launcher(
    settings: &Settings,
    data_dir: &Path,
    works: bool,
) -> Result<Arc<WorkerLauncher>, StartError> {
    let binary = worker_binary(settings.program.worker_binary.as_deref());
    if !works {
        let never_used = WorkerLauncher::new(binary, WorkerLimits::default(), None);
        return Ok(Arc::new(never_used));
    }
    if !binary.is_file() {
        return Err(StartError::NoWorker(binary));
    }
    // Written anew at every start; GStreamer itself skips plugins that have not changed.
    let registry = data_dir.join("gstreamer.registry");
    let (worker, file) = (binary.clone(), registry.clone());
    tokio::task::spawn_blocking(move || write_registry(&worker, &file))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(StartError::Registry)?;
    let limits = WorkerLimits {
        memory: settings.limits.worker_bytes,
        niceness: shares::niceness_of_video(settings),
        ..WorkerLimits::default()
    };
    Ok(Arc::new(WorkerLauncher::new(
        binary,
        limits,
        Some(registry),
    )))
}

/// The worker binary: as given, else beside this program.
pub fn worker_binary(given: Option<&Path>) -> PathBuf {
    const NAME: &str = "orchestrion-worker";
    match given {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()
            .ok()
            .and_then(|program| Some(program.parent()?.join(NAME)))
            .unwrap_or_else(|| NAME.into()),
    }
}

fn devices(settings: &Settings) -> Vec<EncoderSettings> {
    let x264 = &settings.video.x264;
    let on = |device| EncoderSettings {
        device,
        x264_preset: x264.preset.clone(),
        x264_lookahead: x264.lookahead,
        x264_threads: x264.threads.unwrap_or(0),
    };
    match &settings.video.devices {
        Devices::Cpu => vec![on(Device::Cpu)],
        Devices::AllNvidia => nvidia_cards()
            .into_iter()
            .map(Device::Nvidia)
            .map(on)
            .collect(),
        Devices::Nvidia(cards) => cards.iter().copied().map(Device::Nvidia).map(on).collect(),
    }
}

/// Indexes of the NVIDIA cards that the driver shows.
fn nvidia_cards() -> Vec<u32> {
    let cards = std::fs::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count);
    (0..u32::try_from(cards).unwrap_or(0)).collect()
}

fn identity(settings: &Settings, address: Address) -> Identity {
    let believed = settings.roles.transcoder && !settings.video.test_devices;
    let untested = believed.then_some(Capability::H264);
    Identity {
        address,
        service_uri: settings.network.service.to_string(),
        nodes: settings.network.nodes.clone(),
        capabilities: capabilities(untested),
        hardware: Vec::new(),
    }
}

fn capabilities(tested: impl IntoIterator<Item = Capability>) -> Capabilities {
    Capabilities::tested(tested, PROTOCOL_VERSION)
}

fn metrics_options(settings: &Settings) -> MetricsOptions {
    MetricsOptions {
        node_id: node_id(),
        node_type: if settings.roles.transcoder && !settings.roles.orchestrator {
            NodeType::Transcoder
        } else if settings.roles.ai_worker && !settings.roles.orchestrator {
            NodeType::AiWorker
        } else {
            NodeType::Orchestrator
        },
        version: env!("CARGO_PKG_VERSION").into(),
        runtime: RUNTIME.into(),
        per_stream: settings.monitoring.per_stream,
        client_ip: settings.monitoring.client_ip,
    }
}

/// Name of the node in metrics: the host name, as for a reference node without an account.
fn node_id() -> String {
    nix::unistd::gethostname()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
