//! The thread that actors live on: supervisor, registries and the operator port; stream actors get arbiters of their own.

use std::sync::Arc;
use std::thread::JoinHandle;

use actix::Actor;
use actors::arbiters::Arbiters;
use actors::body::BodyBudget;
use actors::capability_broadcaster::{Broadcast, CapabilityBroadcaster};
use actors::machine::Machine;
use actors::machine_gauge;
use actors::model_catalog::{ModelCatalog, Models};
use actors::model_places::Places;
use actors::segment_store::SegmentStore;
use actors::session_manager::{SessionManager, Sessions};
use actors::slots::Slots;
use actors::supervisor::{AddrCell, Factory, Fatal, StopSupervising, Supervise, Supervisor};
use actors::worker_registry::{WorkerRegistry, Workers};
use host::job::EncoderSettings;
use host::process::WorkerLauncher;
use protocol::capabilities::{Capabilities, Capability};
use runners::launch::Need;
use telemetry::Metrics;
use tokio::sync::{oneshot, watch};

use super::advertiser::Advertiser;
use super::chain_actors::ChainSetup;
use super::{StartError, selftest};

/// What the actors are made with.
pub struct ActorSetup {
    /// Starts worker processes.
    pub launcher: Arc<WorkerLauncher>,
    /// Devices and how their encoders are set.
    pub devices: Vec<EncoderSettings>,
    /// What runners of AI models may take.
    pub ai: Need,
    /// What streams and models share.
    pub machine: Machine,
    /// Session slots.
    pub slots: Arc<Slots>,
    /// Where renditions wait.
    pub store: SegmentStore,
    /// The published answer to discovery.
    pub broadcast: Broadcast,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
    /// The on-chain side; `None` off-chain.
    pub chain: Option<ChainSetup>,
}

/// The running actors, as the rest of the node sees them.
pub struct ActorSystem {
    /// How doors reach sessions.
    pub sessions: Sessions,
    /// How others reach workers.
    pub workers: Workers,
    /// Models and their runners.
    pub models: Models,
    /// The stream arbiters, for liveness.
    pub arbiters: Arbiters,
    advertiser: Advertiser,
    fatal: watch::Receiver<Option<Fatal>>,
    supervisor: actix::Addr<Supervisor>,
    system: actix_rt::System,
    thread: Option<JoinHandle<()>>,
}

impl ActorSystem {
    /// Starts the thread and every singleton actor.
    pub async fn start(setup: ActorSetup) -> std::io::Result<Self> {
        let (tell, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("actors".into())
            .spawn(move || {
                let system = actix_rt::System::new();
                let running = system.block_on(async { assemble(setup) });
                // The other end waits for this; if it has gone, the system ends with it.
                if tell.send(running).is_ok()
                    && let Err(error) = system.run()
                {
                    tracing::error!(%error, "actor system ended with an error");
                }
            })?;
        let mut running = started
            .await
            .map_err(|_| std::io::Error::other("the actor thread ended while starting"))?;
        running.thread = Some(thread);
        Ok(running)
    }

    /// Tests what the machine can transcode, on the actor thread: H.264 now, the rest while the node already serves, or
    /// now as well where `whole` says so.
    ///
    /// # Errors
    /// [`StartError::SelfTest`] when H.264 fails: the node could do nothing.
    pub async fn test_devices(
        &self,
        budget: &BodyBudget,
        hevc: Option<bool>,
        whole: bool,
    ) -> Result<(), StartError> {
        let (tell, tested) = oneshot::channel();
        let (workers, budget) = (self.workers.clone(), budget.clone());
        let advertiser = self.advertiser.clone();
        self.spawn(async move {
            let h264 = selftest::h264(&workers, &budget).await;
            let go_on = h264.is_ok();
            advertiser
                .set_local(super::capabilities([Capability::H264]))
                .await;
            let mut tell = Some(tell);
            if (!whole || !go_on)
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(h264);
            }
            if !go_on {
                return;
            }
            let mut passed = selftest::optional(&workers, &budget).await;
            if let Some(forced) = hevc {
                passed.retain(|capability| *capability != Capability::HevcDecode);
                passed.extend(forced.then_some(Capability::HevcDecode));
            }
            passed.push(Capability::H264);
            advertiser.set_local(super::capabilities(passed)).await;
            if let Some(tell) = tell {
                let _ = tell.send(Ok(()));
            }
        });
        tested
            .await
            .unwrap_or_else(|_| Err("the actor thread is gone".into()))
            .map_err(StartError::SelfTest)
    }

    /// Says what the machine can do, untested.
    pub async fn set_capabilities(&self, capabilities: Capabilities) {
        self.advertiser.set_local(capabilities).await;
    }

    /// Runs `future` on the actor thread, where actix-web servers must live.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.system.arbiter().spawn(future);
    }

    /// Returns when a part of the node has died too often.
    pub async fn broken(&mut self) -> String {
        match self.fatal.wait_for(Option::is_some).await {
            Ok(fatal) => fatal.as_ref().map_or_else(String::new, |fatal| {
                format!("actor {} died too often", fatal.child)
            }),
            Err(_) => "the supervisor is gone".into(),
        }
    }

    /// Ends every actor. Drain first: what still runs is dropped.
    pub async fn stop(mut self) {
        // A supervisor that is gone restarts nothing either.
        let _ = self.supervisor.send(StopSupervising).await;
        self.arbiters.stop();
        self.system.stop();
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Most children of the supervisor.
const SUPERVISED: usize = 64;

fn assemble(setup: ActorSetup) -> ActorSystem {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let arbiters = Arbiters::start(cores.saturating_sub(1));
    let (tell_fatal, fatal) = watch::channel(None);
    let supervisor = Supervisor::create(|context| {
        // Every child is announced before the supervisor first runs; the default of 16 would lose some.
        context.set_mailbox_capacity(SUPERVISED);
        Supervisor::new(tell_fatal, Arc::clone(&setup.metrics))
    });

    let registry_cell = AddrCell::default();
    let workers = Workers::new(Arc::clone(&registry_cell), Arc::clone(&setup.metrics));
    let manager_cell = AddrCell::default();
    let sessions = Sessions::new(
        Arc::clone(&manager_cell),
        Arc::clone(&setup.slots),
        Arc::clone(&setup.metrics),
    );

    let supervise = |name, factory| {
        if let Err(error) = supervisor.try_send(Supervise { name, factory }) {
            tracing::error!(name, %error, "an actor cannot be supervised and is not started");
        }
    };
    supervise(
        "worker_registry",
        registry_factory(&setup, &workers, registry_cell),
    );
    supervise(
        "session_manager",
        manager_factory(&setup, &workers, &sessions, &arbiters, manager_cell),
    );
    let catalog_cell = AddrCell::default();
    let models = Models::new(
        Arc::clone(&catalog_cell),
        setup.machine.clone(),
        Arc::clone(&setup.metrics),
    );
    supervise(
        "model_catalog",
        catalog_factory(&setup, &models, catalog_cell),
    );
    let broadcaster = AddrCell::default();
    supervise(
        "capability_broadcaster",
        broadcaster_factory(&setup, Arc::clone(&broadcaster)),
    );
    for (name, factory) in setup
        .chain
        .iter()
        .flat_map(|chain| chain.factories(&arbiters))
    {
        supervise(name, factory);
    }
    let advertiser = Advertiser::new(
        workers.clone(),
        models.clone(),
        Arc::clone(&setup.slots),
        broadcaster,
        &setup.broadcast,
        Arc::clone(&setup.metrics),
    );
    actix_rt::spawn(advertiser.clone().follow());
    actix_rt::spawn(machine_gauge::follow(
        setup.machine.clone(),
        workers.clone(),
        models.clone(),
    ));
    ActorSystem {
        sessions,
        workers,
        models,
        arbiters,
        advertiser,
        fatal,
        supervisor,
        system: actix_rt::System::current(),
        thread: None,
    }
}

fn registry_factory(
    setup: &ActorSetup,
    workers: &Workers,
    cell: AddrCell<WorkerRegistry>,
) -> Factory {
    let launcher = Arc::clone(&setup.launcher);
    let devices = setup.devices.clone();
    let metrics = Arc::clone(&setup.metrics);
    let front = workers.clone();
    Box::new(move |notice| {
        let registry = WorkerRegistry::new(
            Arc::clone(&launcher),
            devices.clone(),
            front.clone(),
            Arc::clone(&metrics),
            notice,
        );
        cell.store(Some(Arc::new(registry.start())));
    })
}

fn manager_factory(
    setup: &ActorSetup,
    workers: &Workers,
    sessions: &Sessions,
    arbiters: &Arbiters,
    cell: AddrCell<SessionManager>,
) -> Factory {
    let slots = Arc::clone(&setup.slots);
    let store = setup.store.clone();
    let metrics = Arc::clone(&setup.metrics);
    let workers = workers.clone();
    let list = sessions.list().clone();
    let arbiters = arbiters.clone();
    Box::new(move |notice| {
        let manager = SessionManager::new(
            Arc::clone(&slots),
            store.clone(),
            workers.clone(),
            arbiters.clone(),
            list.clone(),
            Arc::clone(&metrics),
            notice,
        );
        cell.store(Some(Arc::new(manager.start())));
    })
}

fn catalog_factory(setup: &ActorSetup, models: &Models, cell: AddrCell<ModelCatalog>) -> Factory {
    let places = Places::new(setup.ai, setup.machine.clone(), setup.metrics.ai.clone());
    let models = models.clone();
    Box::new(move |notice| {
        let catalog = ModelCatalog::new(models.clone(), places.clone(), notice);
        cell.store(Some(Arc::new(catalog.start())));
    })
}

fn broadcaster_factory(setup: &ActorSetup, cell: AddrCell<CapabilityBroadcaster>) -> Factory {
    let broadcast = Arc::clone(&setup.broadcast);
    Box::new(move |notice| {
        let broadcaster = CapabilityBroadcaster::new(Arc::clone(&broadcast), notice);
        cell.store(Some(Arc::new(broadcaster.start())));
    })
}
