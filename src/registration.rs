//! Registering with an orchestrator, again and again: what transcoders and AI workers of another node have in common.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use protocol::texts;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Response, Status, Streaming};

/// First pause before registering again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A registration that has lasted so long was a good one: the next pause is the first again. The reference's orchestrator
/// says nothing before its first job, so this is also when it is believed to have let us in.
const SETTLED: Duration = Duration::from_secs(5);

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
pub enum End {
    /// We are to stop.
    Stopped,
    /// We have something else to offer: register again at once.
    Changed,
    /// The orchestrator ended it, in good order or not.
    Lost(String),
    /// The orchestrator will never have us.
    Refused(String),
}

/// The running link of a node to the orchestrator that it works for.
pub struct Link {
    stop: CancellationToken,
    jobs: TaskTracker,
    registered: watch::Receiver<Registered>,
    serving: JoinHandle<()>,
}

/// What a link is run with.
#[derive(Clone)]
pub struct Reins {
    /// Ends the link.
    pub stop: CancellationToken,
    /// Jobs under way.
    pub jobs: TaskTracker,
    /// How it stands with the orchestrator.
    pub tell: watch::Sender<Registered>,
}

impl Link {
    /// Starts what `serve` makes of its reins.
    pub fn start<F>(serve: impl FnOnce(Reins) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (tell, registered) = watch::channel(Registered::No);
        let reins = Reins {
            stop: CancellationToken::new(),
            jobs: TaskTracker::new(),
            tell,
        };
        Self {
            stop: reins.stop.clone(),
            jobs: reins.jobs.clone(),
            registered,
            serving: tokio::spawn(Box::pin(serve(reins))),
        }
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

impl Reins {
    /// One registration, made by `call`, to its end: it settles, then each notice is taken, until we stop or have something
    /// else to offer.
    pub async fn attend<N>(
        &self,
        call: impl Future<Output = Result<Response<Streaming<N>>, Status>>,
        changed: impl Future<Output = ()>,
        settled: impl Fn(),
        take: impl Fn(N),
    ) -> End {
        let settled = || {
            settled();
            self.tell.send_replace(Registered::Yes);
        };
        let pause = tokio::time::sleep(SETTLED);
        tokio::pin!(call, pause, changed);
        let mut waits = true;
        let mut notices = loop {
            tokio::select! {
                () = self.stop.cancelled() => return End::Stopped,
                () = &mut pause, if waits => {
                    waits = false;
                    settled();
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
            settled();
        }
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return End::Stopped,
                () = &mut changed => return End::Changed,
                notice = notices.message() => match notice {
                    Ok(Some(notice)) => take(notice),
                    Ok(None) => return End::Lost("the orchestrator closed the registration".into()),
                    Err(status) => return end_of(&status),
                }
            }
        }
    }
}

/// Registers with `orchestrator` until it is to stop, or until it will not have us.
pub async fn keep<F: Future<Output = End>>(
    role: &str,
    orchestrator: &str,
    reins: &Reins,
    register: impl Fn() -> F,
) {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LAST_PAUSE)
        .with_factor(1.5)
        .with_jitter()
        .without_max_times();
    let mut pause = pauses.build();
    loop {
        let begun = Instant::now();
        let end = register().await;
        reins.tell.send_replace(Registered::No);
        let reason = match end {
            End::Stopped => return,
            End::Changed => continue,
            End::Refused(reason) => {
                tracing::error!(
                    orchestrator,
                    reason,
                    "the orchestrator does not take this {role}"
                );
                reins.tell.send_replace(Registered::Refused(reason));
                return;
            }
            End::Lost(reason) => reason,
        };
        if begun.elapsed() > SETTLED {
            pause = pauses.build();
        }
        let wait = pause.next().unwrap_or(LAST_PAUSE);
        tracing::warn!(
            orchestrator,
            reason,
            pause_ms = wait.as_millis() as u64,
            "not registered"
        );
        tokio::select! {
            () = reins.stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// What an error of the registration means.
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
            assert!(!ends(status), "a worker that gives up earns nothing");
        }
    }
}
