//! How often a segment is tried, and for how long: pure rules over the outcomes of single tries.
//!
//! A gateway waits max(8 s, 4 × duration) in all. We answer within 0.9 of it, counted from arrival. No progress for 0.35 of it
//! ends a try. A segment that brings its worker down twice is refused; a worker killed from outside is nobody's guilt.

use std::time::Duration;

use host::job::{Blame, JobError};
use protocol::texts;

use crate::failure::{Cause, SegmentFailure};

/// Tries that end through nobody's guilt before the segment is given up; only so that nothing goes on for ever.
const MAX_TRIES: u32 = 8;

/// Time that a segment may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBudget {
    /// From arrival to answer.
    pub total: Duration,
    /// Longest time without progress within a try.
    pub patience: Duration,
}

impl TimeBudget {
    /// The budget of a segment of `duration_ms`.
    pub fn for_segment(duration_ms: u32) -> Self {
        let waits = Self::gateway_waits(duration_ms);
        Self {
            total: waits.mul_f64(0.9),
            patience: waits.mul_f64(0.35),
        }
    }

    /// How long a gateway waits for a segment in all.
    pub fn gateway_waits(duration_ms: u32) -> Duration {
        Duration::from_millis(u64::from(duration_ms) * 4).max(Duration::from_secs(8))
    }
}

/// How one try failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TryFailure {
    /// The worker answered that the job failed.
    Answered(JobError),
    /// The worker process ended by itself: a crash.
    Crashed(String),
    /// The worker process was killed from outside (operator, out of memory).
    Killed(String),
    /// The worker made no progress for the budget's patience and was killed by us.
    Stalled,
    /// The segment's time ran out.
    OutOfTime,
    /// No process could be started.
    NoProcess(String),
    /// The upload failed.
    Upload,
}

/// What to do after a failed try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Try again on a fresh process.
    Again,
    /// Give up with this answer.
    GiveUp(SegmentFailure),
}

/// What a segment has been through.
#[derive(Debug, Default)]
pub struct Tries {
    count: u32,
    guilty: u32,
}

impl Tries {
    /// Tries that have failed so far.
    pub fn failed(&self) -> u32 {
        self.count
    }

    /// Decides what follows a failed try.
    pub fn after(&mut self, failure: &TryFailure) -> Next {
        self.count += 1;
        let again = match failure {
            TryFailure::Answered(error) if error.blame == Blame::Input => false,
            TryFailure::Upload | TryFailure::OutOfTime => false,
            TryFailure::Killed(_) | TryFailure::NoProcess(_) => true,
            TryFailure::Answered(_) | TryFailure::Crashed(_) | TryFailure::Stalled => {
                self.guilty += 1;
                self.guilty < 2
            }
        };
        if again && self.count < MAX_TRIES {
            Next::Again
        } else {
            Next::GiveUp(answer(failure))
        }
    }
}

/// What a gateway is told when `failure` ended the last try.
fn answer(failure: &TryFailure) -> SegmentFailure {
    match failure {
        TryFailure::Answered(error) => SegmentFailure {
            text: error.text.clone().into(),
            detail: error.detail.clone(),
            cause: match error.blame {
                Blame::Input => Cause::Input,
                Blame::Worker => Cause::Worker,
            },
        },
        TryFailure::Upload => SegmentFailure::new(
            Cause::Upload,
            texts::TRANSCODER_STOPPED,
            "the upload failed",
        ),
        TryFailure::OutOfTime => SegmentFailure::new(
            Cause::Deadline,
            texts::TRANSCODER_STOPPED,
            "time ran out while the worker was making progress",
        ),
        TryFailure::Stalled => SegmentFailure::new(
            Cause::Stall,
            texts::INVALID_VIDEO,
            "the segment stopped its worker on both tries",
        ),
        TryFailure::Crashed(how) => SegmentFailure::new(
            Cause::Crash,
            texts::INVALID_VIDEO,
            format!("the segment brought its worker down on both tries: {how}"),
        ),
        TryFailure::Killed(how) | TryFailure::NoProcess(how) => SegmentFailure::new(
            Cause::NoWorker,
            texts::NO_TRANSCODERS,
            format!("no worker stayed up: {how}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(next: Next) -> String {
        match next {
            Next::Again => "again".into(),
            Next::GiveUp(failure) => failure.text.into_owned(),
        }
    }

    #[test]
    fn budgets_follow_what_a_gateway_waits() {
        let short = TimeBudget::for_segment(1_000);
        assert_eq!(short.total, Duration::from_millis(7_200));
        assert_eq!(short.patience, Duration::from_millis(2_800));
        assert_eq!(
            TimeBudget::for_segment(10_000).total,
            Duration::from_secs(36)
        );
    }

    #[test]
    fn a_crash_is_tried_once_more_and_then_refused_for_good() {
        let mut tries = Tries::default();
        assert_eq!(
            tries.after(&TryFailure::Crashed("SIGSEGV".into())),
            Next::Again
        );
        assert_eq!(
            text(tries.after(&TryFailure::Crashed("SIGSEGV".into()))),
            "TranscoderInvalidVideo"
        );
    }

    #[test]
    fn a_kill_from_outside_is_nobodys_guilt() {
        let mut tries = Tries::default();
        for _ in 0..3 {
            assert_eq!(
                tries.after(&TryFailure::Killed("SIGKILL".into())),
                Next::Again
            );
        }
        assert_eq!(
            tries.after(&TryFailure::Crashed("SIGSEGV".into())),
            Next::Again
        );
    }

    #[test]
    fn a_fault_of_the_input_is_told_at_once_with_its_text() {
        let error = JobError {
            text: "No keyframes in input".into(),
            detail: String::new(),
            blame: Blame::Input,
        };
        assert_eq!(
            text(Tries::default().after(&TryFailure::Answered(error))),
            "No keyframes in input"
        );
    }

    #[test]
    fn running_out_of_time_is_retryable_elsewhere() {
        let told = text(Tries::default().after(&TryFailure::OutOfTime));
        assert!(!texts::is_non_retryable(&told), "{told}");
    }

    #[test]
    fn nothing_is_tried_for_ever() {
        let mut tries = Tries::default();
        let ends = (0..MAX_TRIES)
            .any(|_| tries.after(&TryFailure::Killed("SIGKILL".into())) != Next::Again);
        assert!(ends);
    }
}
