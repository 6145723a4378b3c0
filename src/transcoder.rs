//! A standalone transcoder: registers with an orchestrator, works on what it is sent, and posts what comes out.
//!
//! Works with the same sessions and worker processes as a node that gateways reach; only the door is another. Comes back with
//! growing pauses when the orchestrator goes away, and works on meanwhile: results are accepted without a registration.

mod job;

use std::sync::Arc;
use std::time::Duration;

use actors::body::BodyBudget;
use actors::capability_broadcaster::Broadcast;
use actors::segment_store::SegmentStore;
use actors::session_manager::Sessions;
use config::Secret;
use protocol::pb;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::job::Jobs;
use crate::dial::{DialError, Dialer};
use crate::doors::rpc::transcoder_client::TranscoderClient;
use crate::registration::{self, End, Registered, SETTLED, end_of};

/// What a transcoder works with.
pub struct Setup {
    /// The orchestrator, e.g. `https://host:8935`.
    pub orchestrator: String,
    /// What it knows us by.
    pub secret: Secret,
    /// Sessions and their slots, which are what we register with.
    pub sessions: Sessions,
    /// Where finished renditions wait until they are posted.
    pub store: SegmentStore,
    /// Bytes of segments under way.
    pub budget: BodyBudget,
    /// What this machine can do.
    pub broadcast: Broadcast,
}

/// The running link to an orchestrator.
pub struct Transcoder {
    stop: CancellationToken,
    jobs: TaskTracker,
    registered: watch::Receiver<Registered>,
    serving: JoinHandle<()>,
}

impl Transcoder {
    /// Registers, and keeps doing so until it is drained.
    ///
    /// # Errors
    /// [`DialError`] when no clients can be made for the orchestrator's address.
    pub fn start(setup: Setup) -> Result<Self, DialError> {
        let stop = CancellationToken::new();
        let jobs = TaskTracker::new();
        let (tell, registered) = watch::channel(Registered::No);
        let link = Link {
            request: pb::RegisterRequest {
                secret: setup.secret.expose().to_owned(),
                capacity: i64::try_from(setup.sessions.slots().max()).unwrap_or(i64::MAX),
                capabilities: None,
            },
            broadcast: Arc::clone(&setup.broadcast),
            orchestrator: setup.orchestrator.clone(),
            dialer: Dialer::new()?,
            jobs: Arc::new(Jobs::new(setup)?),
            running: jobs.clone(),
            stop: stop.clone(),
            tell,
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
    request: pb::RegisterRequest,
    broadcast: Broadcast,
    orchestrator: String,
    dialer: Dialer,
    jobs: Arc<Jobs>,
    running: TaskTracker,
    stop: CancellationToken,
    tell: watch::Sender<Registered>,
}

impl Link {
    async fn serve(self) {
        let (stop, tell) = (self.stop.clone(), self.tell.clone());
        registration::keep("transcoder", &self.orchestrator, &stop, &tell, || {
            self.register()
        })
        .await;
    }

    /// One registration, to its end.
    async fn register(&self) -> End {
        let channel = match self.dialer.keep(&self.orchestrator) {
            Ok(channel) => channel,
            Err(error) => return End::Refused(error.to_string()),
        };
        let snapshot = self.broadcast.load_full();
        let request = pb::RegisterRequest {
            capabilities: Some(snapshot.identity().capabilities.to_pb()),
            ..self.request.clone()
        };
        let mut client = TranscoderClient::new(channel);
        let call = client.register_transcoder(request);
        let settled = tokio::time::sleep(SETTLED);
        tokio::pin!(call, settled);
        let mut waits = true;
        let mut notices = loop {
            tokio::select! {
                () = self.stop.cancelled() => return End::Stopped,
                () = &mut settled, if waits => {
                    waits = false;
                    self.is_registered();
                }
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
        tracing::info!(
            orchestrator = self.orchestrator,
            capacity = self.request.capacity,
            "registered"
        );
        self.tell.send_replace(Registered::Yes);
    }
}
