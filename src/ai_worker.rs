//! A standalone AI worker: registers its models with an orchestrator, runs what it is sent, and posts what comes out.
//!
//! Works with the same catalog and runners as a node that gateways reach. What it offers follows its models: when one comes or
//! goes for good, it registers anew.

mod job;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actors::model_catalog::Models;
use config::Secret;
use protocol::capabilities::Capabilities;
use protocol::pb;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::job::Jobs;
use crate::dial::{DialError, Dialer};
use crate::doors::rpc::ai_worker_client::AiWorkerClient;
use crate::registration::{self, End, Registered, SETTLED, end_of};

/// How long a change of what is offered must last before the orchestrator hears of it: a process that is started again is none.
const STEADY: Duration = Duration::from_secs(5);

/// What a worker works with.
pub struct Setup {
    /// The orchestrator, e.g. `https://host:8935`.
    pub orchestrator: String,
    /// What it knows us by.
    pub secret: Secret,
    /// Models and their runners.
    pub models: Models,
    /// Release that is claimed; orchestrators want their own or newer.
    pub version: &'static str,
}

/// The running link to an orchestrator.
pub struct AiWorker {
    stop: CancellationToken,
    jobs: TaskTracker,
    registered: watch::Receiver<Registered>,
    serving: JoinHandle<()>,
}

impl AiWorker {
    /// Registers, and keeps doing so until it is drained.
    ///
    /// # Errors
    /// [`DialError`] when no clients can be made for the orchestrator's address.
    pub fn start(setup: Setup) -> Result<Self, DialError> {
        let stop = CancellationToken::new();
        let jobs = TaskTracker::new();
        let (tell, registered) = watch::channel(Registered::No);
        let link = Link {
            dialer: Dialer::new()?,
            jobs: Arc::new(Jobs::new(&setup)?),
            running: jobs.clone(),
            stop: stop.clone(),
            tell,
            setup,
        };
        Ok(Self {
            stop,
            jobs,
            registered,
            serving: tokio::spawn(Box::pin(link.serve())),
        })
    }

    /// Whether the orchestrator has us, now and in future.
    pub fn registered(&self) -> watch::Receiver<Registered> {
        self.registered.clone()
    }

    /// Leaves the orchestrator and returns when the running jobs have been posted, or after `grace`.
    pub async fn drain(&self, grace: Duration) {
        self.stop.cancel();
        self.jobs.close();
        tracing::info!(jobs = self.jobs.len(), "left the orchestrator");
        if tokio::time::timeout(grace, self.jobs.wait()).await.is_err() {
            tracing::warn!(jobs = self.jobs.len(), "jobs are given up");
        }
    }

    /// Ends the link at once.
    pub async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the link to the orchestrator ended with an error");
        }
    }
}

/// Registers again and again.
struct Link {
    setup: Setup,
    dialer: Dialer,
    jobs: Arc<Jobs>,
    running: TaskTracker,
    stop: CancellationToken,
    tell: watch::Sender<Registered>,
}

/// Models by pipeline and name.
type Named = BTreeSet<(u32, String)>;

impl Link {
    async fn serve(self) {
        let (stop, tell) = (self.stop.clone(), self.tell.clone());
        let orchestrator = &self.setup.orchestrator;
        registration::keep("AI worker", orchestrator, &stop, &tell, || self.register()).await;
    }

    /// What is offered, whole: places that are taken now count as well.
    fn capabilities(&self) -> Capabilities {
        let offer = self.setup.models.offer();
        let mut all = Capabilities::of(offer.set.clone(), self.setup.version);
        offer.add_to(&mut all);
        for model in all
            .models
            .values_mut()
            .flat_map(|models| models.values_mut())
        {
            model.capacity += model.capacity_in_use;
            model.capacity_in_use = 0;
        }
        all
    }

    fn named(&self) -> Named {
        let keys = self.setup.models.offer();
        keys.keys().map(|key| (key.capability, key.model)).collect()
    }

    /// Returns when there is something to offer, and nothing more is about to come.
    async fn ready(&self) {
        let mut changes = self.setup.models.changes();
        while self.named().is_empty() || self.setup.models.is_loading() {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns when something else than `told` has been offered for a while.
    async fn changed(&self, told: &Named) {
        let mut changes = self.setup.models.changes();
        loop {
            if self.named() != *told {
                tokio::time::sleep(STEADY).await;
                let now = self.named();
                if now != *told && !now.is_empty() {
                    return;
                }
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// One registration, to its end.
    async fn register(&self) -> End {
        tokio::select! {
            () = self.stop.cancelled() => return End::Stopped,
            () = self.ready() => {}
        }
        let channel = match self.dialer.keep(&self.setup.orchestrator) {
            Ok(channel) => channel,
            Err(error) => return End::Refused(error.to_string()),
        };
        let told = self.named();
        let request = pb::RegisterAiWorkerRequest {
            secret: self.setup.secret.expose().to_owned(),
            capabilities: Some(self.capabilities().to_pb()),
            hardware: self.setup.models.offer().hardware,
        };
        let mut client = AiWorkerClient::new(channel);
        let call = client.register_ai_worker(request);
        let settled = tokio::time::sleep(SETTLED);
        let changed = self.changed(&told);
        tokio::pin!(call, settled, changed);
        let mut waits = true;
        let mut notices = loop {
            tokio::select! {
                () = self.stop.cancelled() => return End::Stopped,
                () = &mut settled, if waits => {
                    waits = false;
                    self.is_registered();
                }
                // An orchestrator that has no job yet says nothing.
                () = &mut changed => return End::Changed,
                answer = &mut call => match answer {
                    Ok(stream) => break stream.into_inner(),
                    Err(status) => return end_of(&status),
                }
            }
        };
        if waits {
            self.is_registered();
        }
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return End::Stopped,
                () = &mut changed => return End::Changed,
                notice = notices.message() => match notice {
                    Ok(Some(notice)) => {
                        let jobs = Arc::clone(&self.jobs);
                        self.running.spawn(Box::pin(jobs.take(notice)));
                    }
                    Ok(None) => return End::Lost("the orchestrator closed the registration".into()),
                    Err(status) => return end_of(&status),
                }
            }
        }
    }

    fn is_registered(&self) {
        let models = self.named().len();
        tracing::info!(orchestrator = self.setup.orchestrator, models, "registered");
        self.tell.send_replace(Registered::Yes);
    }
}
