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
use backon::{BackoffBuilder, ExponentialBuilder};
use config::Secret;
use protocol::{pb, texts};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use self::job::Jobs;
use crate::dial::{DialError, Dialer};
use crate::doors::rpc::transcoder_client::TranscoderClient;

/// First pause before registering again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A registration that has lasted so long was a good one: the next pause is the first again. The reference's orchestrator
/// says nothing before its first job, so this is also when it is believed to have let us in.
const SETTLED: Duration = Duration::from_secs(5);

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

/// How it stands with the orchestrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// Not, or not yet.
    No,
    /// Jobs may come.
    Yes,
    /// It will not have us, and waiting changes nothing.
    Refused(String),
}

/// How a registration ended.
enum End {
    /// We are to stop.
    Stopped,
    /// The orchestrator ended it, in good order or not.
    Lost(String),
    /// The orchestrator will never have us.
    Refused(String),
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
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LAST_PAUSE)
            .with_factor(1.5)
            .with_jitter()
            .without_max_times();
        let mut pause = pauses.build();
        loop {
            let begun = Instant::now();
            let end = self.register().await;
            self.tell.send_replace(Registered::No);
            let reason = match end {
                End::Stopped => return,
                End::Refused(reason) => {
                    tracing::error!(
                        orchestrator = self.orchestrator,
                        reason,
                        "the orchestrator does not take this transcoder"
                    );
                    self.tell.send_replace(Registered::Refused(reason));
                    return;
                }
                End::Lost(reason) => reason,
            };
            if begun.elapsed() > SETTLED {
                pause = pauses.build();
            }
            let wait = pause.next().unwrap_or(LAST_PAUSE);
            tracing::warn!(
                orchestrator = self.orchestrator,
                reason,
                pause_ms = wait.as_millis() as u64,
                "not registered"
            );
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
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

fn end_of(status: &Status) -> End {
    let text = status.message().to_owned();
    if text == texts::INVALID_SECRET || text == texts::ZERO_CAPACITY {
        End::Refused(text)
    } else {
        End::Lost(format!("{}: {text}", status.code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_texts_end_it_for_good() {
        let ends = |status: Status| matches!(end_of(&status), End::Refused(_));
        assert!(ends(Status::unknown("invalid secret")));
        assert!(ends(Status::unknown("zero capacity")));
        for status in [
            Status::unknown("rpc error: invalid secret"),
            Status::cancelled(""),
            Status::unavailable("gone"),
        ] {
            assert!(!ends(status), "a transcoder that gives up earns nothing");
        }
    }
}
