//! Starts rounds that nobody has started, by state. Cost falls on whoever is first, so each node waits a random while.

use std::sync::Arc;
use std::time::Duration;

use chain::transactions::{Outcome, Pending, Progress, Purpose, Request, TransactionSender};
use chain::{ChainClient, calls};
use telemetry::metrics::RoundMetrics;
use tokio::time::Instant;

use crate::duty::{Bell, ChainNews, Duty, Officer};
use crate::facts::{Fact, Rounds};
use crate::reward_caller::wake_on_end;

/// Pause after the first failed try; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);
/// Time without news after which it looks all the same.
const IDLE: Duration = Duration::from_secs(60);
/// Words of the contract for a round that somebody else started.
const STARTED: &str = "round already initialized";

/// Gives a time below the one it is given.
pub type RandomDelay = Box<dyn FnMut(Duration) -> Duration + Send>;

/// What it works with.
pub struct RoundInitializerParts {
    /// Asks the chain.
    pub client: Arc<dyn ChainClient>,
    /// Sends.
    pub transactions: Arc<dyn TransactionSender>,
    /// Where the chain stands.
    pub rounds: Fact<Rounds>,
    /// Counts.
    pub metrics: RoundMetrics,
    /// Wakes this duty.
    pub bell: Bell,
    /// Longest wait (`-initializeRoundMaxDelay`).
    pub max_delay: Duration,
    /// Source of the random wait.
    pub random: RandomDelay,
}

/// See the module.
pub struct RoundInitializer {
    parts: RoundInitializerParts,
    /// The round that is to be started, when to do so, and tries that failed.
    open: Option<(u64, Instant, u32)>,
    sent: Option<(u64, Pending)>,
}

/// The actor. It looks at each change of the rounds.
pub type RoundInitializerActor = Officer<RoundInitializer>;

/// It is told nothing: it reads the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nothing;

impl From<ChainNews> for Nothing {
    fn from(_: ChainNews) -> Self {
        Self
    }
}

impl RoundInitializer {
    /// Looks at once when it starts.
    pub fn new(parts: RoundInitializerParts) -> Self {
        Self {
            parts,
            open: None,
            sent: None,
        }
    }

    /// What became of a transaction; `true` while it is under way.
    fn follow(&mut self) -> bool {
        let Some((round, pending)) = &self.sent else {
            return false;
        };
        let (round, progress) = (*round, pending.now());
        let Progress::Done(outcome) = progress else {
            return true;
        };
        self.sent = None;
        match outcome {
            Outcome::Mined(_) => {
                tracing::info!(round, "round started");
                self.parts.metrics.round_started();
                self.open = None;
            }
            Outcome::Refused(revert) | Outcome::Reverted(_, revert)
                if revert.reason().contains(STARTED) =>
            {
                self.open = None;
            }
            Outcome::Refused(revert) | Outcome::Reverted(_, revert) => {
                self.fail(round, &revert.to_string());
            }
            Outcome::Cancelled(_) | Outcome::Expired | Outcome::Unknown { .. } => {
                self.fail(round, "its transaction was not sent");
            }
        }
        false
    }

    fn fail(&mut self, round: u64, error: &str) -> Duration {
        tracing::error!(round, error, "the round cannot be started");
        let tries = self.open.map_or(0, |(_, _, tries)| tries);
        let pause = FIRST_PAUSE
            .saturating_mul(2u32.saturating_pow(tries.min(16)))
            .min(LONGEST_PAUSE);
        self.open = Some((round, Instant::now() + pause, tries + 1));
        pause
    }

    /// When to start `round`, told once for each round.
    fn due_at(&mut self, round: u64) -> Instant {
        match self.open {
            Some((open, at, _)) if open == round => at,
            _ => {
                let at = Instant::now() + (self.parts.random)(self.parts.max_delay);
                self.open = Some((round, at, 0));
                at
            }
        }
    }

    async fn start(&mut self, round: u64) -> Result<bool, String> {
        let client = &self.parts.client;
        // what is published may be a block old, and a try that comes too late costs gas
        let rounds = client.rounds().await.map_err(|error| error.to_string())?;
        if rounds.value.initialized || rounds.value.current != round {
            return Ok(false);
        }
        let write = calls::initialize_round(&client.contracts());
        let write = write.map_err(|error| error.to_string())?;
        let request = Request::new(Purpose::InitializeRound(round), write);
        let pending = self.parts.transactions.submit(request).await;
        let pending = pending.map_err(|error| error.to_string())?;
        wake_on_end(&pending, &self.parts.bell);
        self.sent = Some((round, pending));
        Ok(true)
    }
}

impl Duty for RoundInitializer {
    type News = Nothing;

    fn take(&mut self, _: Nothing) {}

    async fn look(&mut self) -> Duration {
        if self.follow() {
            return IDLE;
        }
        let rounds = self.parts.rounds.get();
        if rounds.length == 0 || rounds.initialized {
            self.open = None;
            return IDLE;
        }
        let round = rounds.current;
        let wait = self.due_at(round).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            return wait;
        }
        match self.start(round).await {
            Ok(true) => IDLE,
            Ok(false) => FIRST_PAUSE,
            Err(error) => self.fail(round, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use chain::testing::FakeChain;
    use chain::transactions::Options;
    use protocol::address::Address;
    use protocol::money::U256;

    use super::*;
    use crate::round_tracker::{RoundNews, RoundTracker, RoundTrackerParts};
    use crate::test_queue::{DrivenQueue, account, ledger};

    struct Bench {
        chain: FakeChain,
        queue: DrivenQueue,
        tracker: RoundTracker,
        initializer: RoundInitializer,
        now_ms: u64,
        _dir: tempfile::TempDir,
    }

    impl Bench {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let ledger = ledger(&dir);
            let chain = FakeChain::new(20);
            chain.set(|world| {
                world.balances.insert(account(), U256::exp10(18));
            });
            let options = Options {
                confirmations: 1,
                ..Options::default()
            };
            let queue = DrivenQueue::open(&chain, &ledger, options).await;
            let (rounds, metrics) = (Fact::default(), crate::test_metrics().rounds.clone());
            let tracker = RoundTracker::new(RoundTrackerParts {
                client: Arc::new(chain.clone()),
                ledger,
                recipient: Address([1; 20]),
                rounds: rounds.clone(),
                metrics: metrics.clone(),
            });
            let initializer = RoundInitializer::new(RoundInitializerParts {
                client: Arc::new(chain.clone()),
                transactions: Arc::new(queue.clone()),
                rounds,
                metrics,
                bell: Bell::default(),
                max_delay: Duration::from_secs(30),
                random: Box::new(|most| most - Duration::from_secs(1)),
            });
            Self {
                chain,
                queue,
                tracker,
                initializer,
                now_ms: 1_000_000,
                _dir: dir,
            }
        }

        async fn ticks(&mut self, count: usize) {
            for _ in 0..count {
                self.chain.mine(1);
                tokio::time::pause();
                tokio::time::advance(Duration::from_secs(12)).await;
                tokio::time::resume();
                self.now_ms += 12_000;
                self.tracker.take(RoundNews::Changed);
                self.tracker.look().await;
                self.initializer.look().await;
                self.queue.step(self.now_ms).await;
            }
        }

        fn sent(&self) -> usize {
            self.chain.with(|state| {
                let blocks = state.blocks.iter();
                blocks.map(|block| block.transactions.len()).sum()
            })
        }
    }

    #[tokio::test]
    async fn each_round_is_started_once_after_the_random_wait() {
        let mut bench = Bench::new().await;
        // the round begins with block 20, and 29 s are 3 blocks
        bench.ticks(22).await;
        assert_eq!(bench.chain.with(|s| s.pool.len()), 0, "waits");
        bench.ticks(68).await;
        assert_eq!(bench.chain.world().last_initialized, 14);
        assert_eq!(bench.sent(), 4);
    }

    #[tokio::test]
    async fn a_round_that_another_node_starts_meanwhile_is_left_alone() {
        let mut bench = Bench::new().await;
        bench.ticks(21).await;
        bench.chain.initialize_round();
        bench.ticks(10).await;
        assert_eq!(bench.sent(), 0);
        assert!(bench.initializer.open.is_none());
    }
}
