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

use self::job::Jobs;
use crate::dial::{DialError, Dialer};
use crate::doors::rpc::ai_worker_client::AiWorkerClient;
use crate::registration::{self, End, Link, Reins};

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

/// Registers, and keeps doing so until the link is drained.
///
/// # Errors
/// [`DialError`] when no clients can be made for the orchestrator's address.
pub fn start(setup: Setup) -> Result<Link, DialError> {
    let dialer = Dialer::new()?;
    let jobs = Arc::new(Jobs::new(&setup)?);
    Ok(Link::start(|reins| {
        let registrar = Registrar {
            setup,
            dialer,
            jobs,
            reins,
        };
        registrar.serve()
    }))
}

/// Registers again and again.
struct Registrar {
    setup: Setup,
    dialer: Dialer,
    jobs: Arc<Jobs>,
    reins: Reins,
}

/// Models by pipeline and name.
type Named = BTreeSet<(u32, String)>;

impl Registrar {
    async fn serve(self) {
        let (orchestrator, reins) = (&self.setup.orchestrator, &self.reins);
        registration::keep("AI worker", orchestrator, reins, || self.register()).await;
    }

    /// What is offered, whole: places that are taken now, or that streams leave no room for, count as well.
    fn capabilities(&self) -> Capabilities {
        let offer = self.setup.models.offer();
        let mut all = Capabilities::of(offer.set.clone(), self.setup.version);
        offer.add_to(&mut all);
        for (capability, models) in &mut all.models {
            for (name, model) in models {
                model.capacity = self.setup.models.places(*capability, name);
                model.capacity_in_use = 0;
            }
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

    async fn register(&self) -> End {
        tokio::select! {
            () = self.reins.stop.cancelled() => return End::Stopped,
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
        let settled = || {
            let models = told.len();
            tracing::info!(orchestrator = self.setup.orchestrator, models, "registered");
        };
        let take = |notice| {
            let jobs = Arc::clone(&self.jobs);
            self.reins.jobs.spawn(Box::pin(jobs.take(notice)));
        };
        let call = client.register_ai_worker(request);
        self.reins
            .attend(call, self.changed(&told), settled, take)
            .await
    }
}
