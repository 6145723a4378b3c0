//! What is known of one end point, and whether to ask it. Pure: times are arguments.

use std::time::Duration;

use tokio::time::Instant;

/// First wait after a failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Longest wait after failures, and the wait of an end point of a wrong chain.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Chain of an end point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// Not asked since it was connected.
    Unknown,
    /// The one wanted.
    Right,
    /// Another.
    Wrong(u64),
}

/// Why an end point is not asked while others can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// It failed and rests.
    Failing {
        /// What it did last.
        cause: String,
    },
    /// It is of another chain.
    WrongChain {
        /// Chain it said.
        found: u64,
    },
    /// Its head is behind the others'.
    Behind {
        /// Blocks.
        blocks: u64,
    },
    /// Its head stands still while another end point's has moved on.
    Stale {
        /// Time since its head last changed.
        age: Duration,
    },
}

impl Exclusion {
    /// One word for logs and labels.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "failing",
            Self::WrongChain { .. } => "wrong_chain",
            Self::Behind { .. } => "behind",
            Self::Stale { .. } => "stale",
        }
    }
}

/// Limits by which end points are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub max_lag: u64,
    pub stale_after: Duration,
}

/// State of one end point.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub chain: Chain,
    pub failures: u32,
    pub retry_at: Option<Instant>,
    pub last_failure: String,
    pub head: Option<(u64, Instant)>,
    pub latency: Option<Duration>,
    pub requests: u64,
    pub errors: u64,
    pub batch_limit: usize,
}

impl Health {
    pub fn new(batch_limit: usize) -> Self {
        Self {
            chain: Chain::Unknown,
            failures: 0,
            retry_at: None,
            last_failure: String::new(),
            head: None,
            latency: None,
            requests: 0,
            errors: 0,
            batch_limit: batch_limit.max(1),
        }
    }

    /// It answered in `took`.
    pub fn succeeded(&mut self, took: Duration) {
        self.requests += 1;
        self.failures = 0;
        self.retry_at = None;
        self.latency = Some(match self.latency {
            Some(before) => before.mul_f64(0.8) + took.mul_f64(0.2),
            None => took,
        });
    }

    /// It failed at `now`. The chain is asked again before the next use: what answers then may be another node.
    pub fn failed(&mut self, now: Instant, cause: String, wait: Option<Duration>) {
        self.requests += 1;
        self.errors += 1;
        self.failures = self.failures.saturating_add(1);
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.saturating_sub(1).min(6));
        let wait = wait.unwrap_or(doubled).min(LONGEST_WAIT);
        self.retry_at = Some(now + wait);
        self.last_failure = cause;
        if self.chain == Chain::Right {
            self.chain = Chain::Unknown;
        }
    }

    /// It said that it is of chain `found`.
    pub fn said_chain(&mut self, now: Instant, found: u64, expected: u64) {
        if found == expected {
            self.chain = Chain::Right;
        } else {
            self.chain = Chain::Wrong(found);
            self.retry_at = Some(now + LONGEST_WAIT);
        }
    }

    /// Its head is `number`.
    pub fn said_head(&mut self, now: Instant, number: u64) {
        match self.head {
            Some((known, _)) if known == number => {}
            _ => self.head = Some((number, now)),
        }
    }

    /// Whether it may be asked at all now.
    pub fn rests(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| at > now)
    }

    /// Why it should not be asked; `reference` is the head others have reached.
    pub fn exclusion(&self, now: Instant, reference: u64, limits: Limits) -> Option<Exclusion> {
        if let Chain::Wrong(found) = self.chain {
            return Some(Exclusion::WrongChain { found });
        }
        if self.failures > 0 {
            return Some(Exclusion::Failing {
                cause: self.last_failure.clone(),
            });
        }
        let (number, since) = self.head?;
        let blocks = reference.saturating_sub(number);
        if blocks > limits.max_lag {
            return Some(Exclusion::Behind { blocks });
        }
        let age = now.saturating_duration_since(since);
        (blocks > 0 && age > limits.stale_after).then_some(Exclusion::Stale { age })
    }
}

/// The head to measure lag against. With three or more end points one that claims an absurd head does not shut the
/// others out: the second greatest counts.
pub(super) fn reference(mut heads: Vec<u64>) -> u64 {
    heads.sort_unstable_by(|a, b| b.cmp(a));
    let place = usize::from(heads.len() >= 3);
    heads.get(place).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_lag: 100,
        stale_after: Duration::from_secs(30),
    };

    #[test]
    fn waits_double_up_to_a_minute_and_a_success_forgets_them() {
        let now = Instant::now();
        let mut health = Health::new(10);
        let mut waits = Vec::new();
        for _ in 0..9 {
            health.failed(now, "refused".into(), None);
            waits.push(health.retry_at.unwrap().duration_since(now).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(health.rests(now));
        health.succeeded(Duration::from_millis(10));
        assert!(!health.rests(now));
        assert_eq!(health.exclusion(now, 0, LIMITS), None);
    }

    #[test]
    fn the_chain_is_asked_again_after_a_failure() {
        let now = Instant::now();
        let mut health = Health::new(10);
        health.said_chain(now, 1, 1);
        assert_eq!(health.chain, Chain::Right);
        health.failed(now, "reset".into(), None);
        assert_eq!(health.chain, Chain::Unknown);
        health.said_chain(now, 5, 1);
        assert_eq!(
            health.exclusion(now, 0, LIMITS),
            Some(Exclusion::WrongChain { found: 5 })
        );
        health.failed(now, "reset".into(), None);
        assert_eq!(health.chain, Chain::Wrong(5));
    }

    #[test]
    fn a_head_that_stands_still_counts_only_when_another_moved_on() {
        let start = Instant::now();
        let later = start + Duration::from_secs(31);
        let mut health = Health::new(10);
        health.said_head(start, 1000);
        health.said_head(later, 1000);
        assert_eq!(health.exclusion(later, 1000, LIMITS), None);
        assert!(matches!(
            health.exclusion(later, 1001, LIMITS),
            Some(Exclusion::Stale { .. })
        ));
        assert_eq!(
            health.exclusion(start, 1101, LIMITS),
            Some(Exclusion::Behind { blocks: 101 })
        );
        health.said_head(later, 1001);
        assert_eq!(health.exclusion(later, 1001, LIMITS), None);
    }

    #[test]
    fn one_liar_among_three_does_not_shut_the_others_out() {
        assert_eq!(reference(vec![100, u64::MAX, 99]), 100);
        assert_eq!(reference(vec![100, 90]), 100);
        assert_eq!(reference(vec![]), 0);
    }
}
