//! A standalone transcoder: registers with an orchestrator, works on what it is sent, and posts what comes out.
//!
//! Works with the same sessions and worker processes as a node that gateways reach; only the door is another. Comes back with
//! growing pauses when the orchestrator goes away, and works on meanwhile: results are accepted without a registration.

mod job;

use std::sync::Arc;

use actors::body::BodyBudget;
use actors::capability_broadcaster::Broadcast;
use actors::session_manager::Sessions;
use actors::slots::Slots;
use config::Secret;
use protocol::pb;

use self::job::Jobs;
use crate::dial::{DialError, Dialer};
use crate::doors::rpc::transcoder_client::TranscoderClient;
use crate::registration::{self, End, Link, Reins};

/// What a transcoder works with.
pub struct Setup {
    /// The orchestrator, e.g. `https://host:8935`.
    pub orchestrator: String,
    /// What it knows us by.
    pub secret: Secret,
    /// Sessions and their slots, which are what we register with.
    pub sessions: Sessions,
    /// Bytes of segments under way.
    pub budget: BodyBudget,
    /// What this machine can do.
    pub broadcast: Broadcast,
}

/// Registers, and keeps doing so until the link is drained.
///
/// # Errors
/// [`DialError`] when no clients can be made for the orchestrator's address.
pub fn start(setup: Setup) -> Result<Link, DialError> {
    let dialer = Dialer::new()?;
    let secret = setup.secret.expose().to_owned();
    let slots = Arc::clone(setup.sessions.slots());
    let (broadcast, orchestrator) = (Arc::clone(&setup.broadcast), setup.orchestrator.clone());
    let jobs = Arc::new(Jobs::new(setup)?);
    Ok(Link::start(|reins| {
        let registrar = Registrar {
            secret,
            slots,
            broadcast,
            orchestrator,
            dialer,
            jobs,
            reins,
        };
        registrar.serve()
    }))
}

/// Registers again and again.
struct Registrar {
    secret: String,
    slots: Arc<Slots>,
    broadcast: Broadcast,
    orchestrator: String,
    dialer: Dialer,
    jobs: Arc<Jobs>,
    reins: Reins,
}

impl Registrar {
    async fn serve(self) {
        let (orchestrator, reins) = (&self.orchestrator, &self.reins);
        registration::keep("transcoder", orchestrator, reins, || self.register()).await;
    }

    /// A registration lasts as long as what it offers: a drained transcoder leaves, and comes back when it takes streams again.
    async fn register(&self) -> End {
        let mut offer = self.slots.offer();
        let capacity = *offer.borrow_and_update();
        let changed = async move {
            // the slots live as long as we do
            let _ = offer.changed().await;
        };
        if capacity == 0 {
            let orchestrator = &self.orchestrator;
            tracing::info!(orchestrator, "not registered while no streams are taken");
            return tokio::select! {
                () = self.reins.stop.cancelled() => End::Stopped,
                () = changed => End::Changed,
            };
        }
        let channel = match self.dialer.keep(&self.orchestrator) {
            Ok(channel) => channel,
            Err(error) => return End::Refused(error.to_string()),
        };
        let snapshot = self.broadcast.load_full();
        let request = pb::RegisterRequest {
            secret: self.secret.clone(),
            capacity: i64::try_from(capacity).unwrap_or(i64::MAX),
            capabilities: Some(snapshot.identity().capabilities.to_pb()),
        };
        let mut client = TranscoderClient::new(channel);
        let settled = || {
            tracing::info!(orchestrator = self.orchestrator, capacity, "registered");
        };
        let take = |notice| {
            let jobs = Arc::clone(&self.jobs);
            self.reins.jobs.spawn(Box::pin(jobs.take(notice)));
        };
        let call = client.register_transcoder(request);
        self.reins.attend(call, changed, settled, take).await
    }
}
