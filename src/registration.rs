//! Registering with an orchestrator, again and again: what transcoders and AI workers of another node have in common.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use protocol::texts;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// First pause before registering again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A registration that has lasted so long was a good one: the next pause is the first again. The reference's orchestrator
/// says nothing before its first job, so this is also when it is believed to have let us in.
pub const SETTLED: Duration = Duration::from_secs(5);

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

/// Registers with `orchestrator` until `stop`, or until it will not have us.
pub async fn keep<F: Future<Output = End>>(
    role: &str,
    orchestrator: &str,
    stop: &CancellationToken,
    tell: &watch::Sender<Registered>,
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
        tell.send_replace(Registered::No);
        let reason = match end {
            End::Stopped => return,
            End::Changed => continue,
            End::Refused(reason) => {
                tracing::error!(
                    orchestrator,
                    reason,
                    "the orchestrator does not take this {role}"
                );
                tell.send_replace(Registered::Refused(reason));
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
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// What an error of the registration means.
pub fn end_of(status: &Status) -> End {
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
