//! Calls reward once in every round in which the orchestrator is active, by state: whatever was missed, the next look
//! finds reward due and calls it.

use std::sync::Arc;
use std::time::Duration;

use chain::calls::{self, Write};
use chain::fees::gwei;
use chain::hints;
use chain::transactions::{Outcome, Pending, Progress, Purpose, Request, TransactionSender};
use chain::types::Transcoder;
use chain::watcher::{ChainEvent, ContractEvent};
use chain::{ChainClient, ContractName};
use ledger::{Ledger, RewardRecord, RewardState as Stored};
use protocol::address::Address;
use protocol::money::U256;
use telemetry::metrics::RoundMetrics;
use telemetry::metrics::label::RewardState as Label;
use tokio::time::Instant;

use crate::duty::{Bell, ChainNews, Duty, Officer};
use crate::facts::{Fact, RewardState, Rounds};

/// Pause after the first failed try; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);
/// Time without news after which it looks all the same.
const IDLE: Duration = Duration::from_secs(60);
/// Part of the round, percent, from which the greater bound of the gas price holds.
const URGENT_PERCENT: u64 = 80;
/// How long reward must have been owed under this node's eyes before that is an alarm: a node that starts late in a round
/// has to call first.
const GRACE: Duration = Duration::from_secs(30);
/// Parts of the round, percent, after which reward that is due raises an alarm.
const ALARMS: [u8; 3] = [75, 50, 25];
/// Words of the contract for a round whose reward was called.
const CALLED: &str = "already called reward";

/// How reward is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewardOptions {
    /// The orchestrator.
    pub orchestrator: Address,
    /// This node's account: the orchestrator itself, or its reward caller (LIP-118).
    pub account: Address,
    /// Asked for with `-reward`; otherwise it is done when the account may and nothing is said when it may not.
    pub asked_for: bool,
    /// Most to pay per gas, wei (`-maxGasPrice`); `None` is no bound.
    pub max_gas_price: Option<u128>,
    /// The same in the last fifth of a round (`-rewardMaxGasPrice`).
    pub urgent_max_gas_price: Option<u128>,
}

/// What it works with.
pub struct RewardParts {
    /// Asks the chain.
    pub client: Arc<dyn ChainClient>,
    /// Sends.
    pub transactions: Arc<dyn TransactionSender>,
    /// Keeps what was done in each round.
    pub ledger: Ledger,
    /// Where the chain stands.
    pub rounds: Fact<Rounds>,
    /// What it publishes.
    pub state: Fact<RewardState>,
    /// Counts.
    pub metrics: RoundMetrics,
    /// Wakes this duty.
    pub bell: Bell,
}

/// See the module.
pub struct RewardCaller {
    options: RewardOptions,
    parts: RewardParts,
    course: Course,
    /// A call under way, and its round.
    sent: Option<(u64, Pending)>,
    /// Since when reward has been seen to be owed.
    owed_since: Option<Instant>,
}

/// The actor. It looks at each change of the rounds.
pub type RewardCallerActor = Officer<RewardCaller>;

/// What it may be told: only that it should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewardNews {
    /// An event of its own says that state changed.
    pub changed: bool,
}

impl From<ChainNews> for RewardNews {
    fn from(news: ChainNews) -> Self {
        let changed = match &*news.0 {
            ChainEvent::Reorg { .. } | ChainEvent::Reload { .. } => true,
            ChainEvent::Contract { event, .. } => matches!(
                event,
                ContractEvent::Reward { .. }
                    | ContractEvent::RewardCallerSet { .. }
                    | ContractEvent::TranscoderActivated { .. }
                    | ContractEvent::TranscoderDeactivated { .. }
            ),
            _ => false,
        };
        Self { changed }
    }
}

/// Where a round's reward stands, without a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Course {
    /// The round.
    pub round: u64,
    /// Whether it was due at some time in the round and not done since.
    pub owed: bool,
    /// Failed tries.
    pub attempts: u32,
    /// No try before this.
    pub next_try: Option<Instant>,
    /// Highest alarm so far, percent.
    pub alarm: u8,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// What to do about a round's reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing: not active, or the round is not initialised.
    No,
    /// It was called.
    Done,
    /// After a pause.
    Later,
    /// Now.
    Now,
}

impl Course {
    /// Begins `round`, if it is another one; `true` when the one before ended without its reward.
    pub fn enter(&mut self, round: u64) -> bool {
        if self.round == round {
            return false;
        }
        let missed = self.owed;
        *self = Self {
            round,
            ..Self::default()
        };
        missed
    }

    /// What to do, as the chain stands.
    pub fn due(&mut self, rounds: &Rounds, transcoder: &Transcoder, now: Instant) -> Due {
        if transcoder.last_reward_round >= rounds.current && rounds.initialized {
            self.owed = false;
            self.next_try = None;
            self.last_error = None;
            return Due::Done;
        }
        if !rounds.initialized || rounds.last_initialized != rounds.current || !transcoder.active {
            return Due::No;
        }
        self.owed = true;
        if self.next_try.is_some_and(|at| now < at) {
            return Due::Later;
        }
        Due::Now
    }

    /// A try failed: when to try again.
    pub fn failed(&mut self, error: String, now: Instant) -> Duration {
        let pause = FIRST_PAUSE
            .saturating_mul(2u32.saturating_pow(self.attempts.min(16)))
            .min(LONGEST_PAUSE);
        self.attempts += 1;
        self.next_try = Some(now + pause);
        self.last_error = Some(error);
        pause
    }

    /// Raises the alarm for reward that is owed `percent` into the round; the new step when it is a higher one.
    pub fn alarm(&mut self, percent: u64) -> Option<u8> {
        if !self.owed {
            self.alarm = 0;
            return None;
        }
        let step = ALARMS.into_iter().find(|step| percent >= u64::from(*step));
        let step = step.filter(|step| *step > self.alarm)?;
        self.alarm = step;
        Some(step)
    }
}

impl RewardOptions {
    /// Bound of the gas price `percent` into a round.
    pub fn bound(&self, percent: u64) -> Option<u128> {
        if percent >= URGENT_PERCENT {
            self.urgent_max_gas_price.or(self.max_gas_price)
        } else {
            self.max_gas_price
        }
    }
}

/// Why nothing was sent.
enum Obstacle {
    /// Gas is above the bound: wait, that is no failure.
    GasPrice(String),
    /// Something is wrong.
    Failed(String),
    /// The account may not call reward for the orchestrator.
    NotAllowed(String),
}

impl From<chain::Error> for Obstacle {
    fn from(error: chain::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The write that calls reward for `orchestrator` from `account` with the hints of now, for an operator who wants it
/// called whatever this node thinks of it.
///
/// # Errors
/// Why there is none, in words.
pub async fn reward_write(
    client: &dyn ChainClient,
    account: Address,
    orchestrator: Address,
) -> Result<Write, String> {
    let made = async {
        check_allowed(client, account, orchestrator).await?;
        write(client, account, orchestrator).await
    };
    made.await.map_err(|obstacle| match obstacle {
        Obstacle::GasPrice(text) | Obstacle::Failed(text) | Obstacle::NotAllowed(text) => text,
    })
}

async fn check_allowed(
    client: &dyn ChainClient,
    account: Address,
    orchestrator: Address,
) -> Result<(), Obstacle> {
    if orchestrator != account && client.reward_caller(orchestrator).await? != Some(account) {
        return Err(Obstacle::NotAllowed(format!(
            "{account} is not the reward caller of {orchestrator}: let the orchestrator's account call setRewardCaller"
        )));
    }
    Ok(())
}

async fn write(
    client: &dyn ChainClient,
    account: Address,
    orchestrator: Address,
) -> Result<Write, Obstacle> {
    let inputs = client.reward_inputs(orchestrator).await?.value;
    if inputs.total_bonded.is_zero() {
        return Err(Obstacle::Failed("no rewards to be minted".into()));
    }
    let (hint, contracts) = (hints::for_reward(&inputs), client.contracts());
    Ok(if orchestrator == account {
        calls::reward(&contracts, hint)?
    } else {
        calls::reward_for(&contracts, orchestrator, hint)?
    })
}

impl RewardCaller {
    /// Looks at once when it starts.
    pub fn new(options: RewardOptions, parts: RewardParts) -> Self {
        Self {
            options,
            parts,
            course: Course::default(),
            owed_since: None,
            sent: None,
        }
    }

    async fn record(&self, state: Stored, detail: String, tx: Option<chain::Hash>, minted: U256) {
        let record = RewardRecord {
            round: self.course.round,
            state,
            detail,
            tx: tx.map(|hash| hash.0),
            minted,
        };
        if let Err(error) = self.parts.ledger.set_reward(record).await {
            tracing::warn!(%error, "the state of reward is not stored");
        }
    }

    /// What became of a call under way; `true` while it still is.
    async fn follow(&mut self) -> bool {
        let Some((round, pending)) = &self.sent else {
            return false;
        };
        let (round, progress) = (*round, pending.now());
        let outcome = match progress {
            Progress::Done(outcome) => outcome,
            Progress::Waiting(note) => {
                self.course.last_error = note;
                return true;
            }
            Progress::Sent { .. } | Progress::Mined(_) => return true,
        };
        self.sent = None;
        if round != self.course.round {
            return false;
        }
        let now = Instant::now();
        match outcome {
            Outcome::Mined(mined) => {
                let minted = self.minted(&mined);
                self.course.owed = false;
                self.course.last_error = None;
                self.parts.metrics.rewarded();
                tracing::info!("Called reward for round {round}");
                self.record(Stored::Mined, String::new(), Some(mined.hash), minted)
                    .await;
            }
            Outcome::Refused(revert) | Outcome::Reverted(_, revert)
                if revert.reason().contains(CALLED) =>
            {
                self.course.owed = false;
                self.course.last_error = None;
                self.record(Stored::Elsewhere, revert.to_string(), None, U256::zero())
                    .await;
            }
            Outcome::Refused(revert) | Outcome::Reverted(_, revert) => {
                self.fail(revert.to_string(), now).await;
            }
            Outcome::Expired => self.course.next_try = None,
            Outcome::Cancelled(_) | Outcome::Unknown { .. } => {
                self.fail("its transaction was cancelled".into(), now).await;
            }
        }
        false
    }

    /// LPT that a call minted, by its event.
    fn minted(&self, mined: &chain::transactions::Mined) -> U256 {
        let bonding = self
            .parts
            .client
            .contracts()
            .get(ContractName::BondingManager);
        let own = mined.logs.iter().filter(|log| log.address == bonding);
        own.filter_map(|log| chain::watcher::decode(ContractName::BondingManager, log).ok()?)
            .find_map(|event| match event {
                ContractEvent::Reward { transcoder, amount }
                    if transcoder == self.options.orchestrator =>
                {
                    Some(amount)
                }
                _ => None,
            })
            .unwrap_or_default()
    }

    async fn fail(&mut self, error: String, now: Instant) -> Duration {
        let round = self.course.round;
        tracing::error!("Error trying to call reward for round {round} err={error:?}");
        self.parts.metrics.reward_failed();
        let pause = self.course.failed(error.clone(), now);
        self.record(Stored::Due, error, None, U256::zero()).await;
        pause
    }

    /// Sends the call.
    async fn call(&mut self, percent: u64) -> Result<(), Obstacle> {
        let RewardOptions {
            orchestrator,
            account,
            ..
        } = self.options;
        let client = &*self.parts.client;
        check_allowed(client, account, orchestrator).await?;
        let bound = self.options.bound(percent);
        let price = u128::try_from(client.gas_price().await?).unwrap_or(u128::MAX);
        if let Some(bound) = bound.filter(|bound| price > *bound) {
            return Err(Obstacle::GasPrice(format!(
                "current gas price exceeds maximum gas price max={} GWei current={} GWei",
                gwei(bound),
                gwei(price)
            )));
        }
        let write = write(client, account, orchestrator).await?;
        let purpose = Purpose::Reward {
            round: self.course.round,
            transcoder: orchestrator,
        };
        let request = Request {
            max_gas_price: bound,
            ..Request::new(purpose, write)
        };
        let pending = self.parts.transactions.submit(request).await;
        let pending = pending.map_err(|error| Obstacle::Failed(error.to_string()))?;
        wake_on_end(&pending, &self.parts.bell);
        self.sent = Some((self.course.round, pending));
        self.record(Stored::Submitted, String::new(), None, U256::zero())
            .await;
        Ok(())
    }

    /// Looks at the chain and does what is due. The label of where it stands, and the time until the next look.
    async fn see(&mut self, rounds: &Rounds) -> (Label, Duration) {
        if self.course.round != rounds.current {
            let before = self.course.round;
            if self.course.owed {
                tracing::error!(round = before, "the round ended without reward");
                self.parts.metrics.reward_missed();
                let error = self.course.last_error.clone().unwrap_or_default();
                self.record(Stored::Missed, error, None, U256::zero()).await;
            }
            self.course.enter(rounds.current);
        }
        if self.follow().await {
            return (Label::Submitted, IDLE);
        }
        let now = Instant::now();
        let transcoder = match self
            .parts
            .client
            .transcoder(self.options.orchestrator)
            .await
        {
            Ok(transcoder) => transcoder,
            Err(error) => {
                self.course.last_error = Some(error.to_string());
                return (Label::Due, FIRST_PAUSE);
            }
        };
        self.parts
            .metrics
            .set_reward_round(transcoder.last_reward_round);
        if !transcoder.registered && !self.options.asked_for {
            return (Label::Off, IDLE);
        }
        match self.course.due(rounds, &transcoder, now) {
            Due::No => (Label::NotDue, IDLE),
            Due::Done => (Label::Done, IDLE),
            Due::Later => {
                let at = self.course.next_try.unwrap_or(now);
                (Label::Due, at.saturating_duration_since(now))
            }
            Due::Now => match self.call(rounds.percent_over()).await {
                Ok(()) => (Label::Submitted, IDLE),
                Err(Obstacle::GasPrice(why)) => {
                    self.course.last_error = Some(why);
                    (Label::GasPrice, FIRST_PAUSE)
                }
                Err(Obstacle::NotAllowed(_)) if !self.options.asked_for => {
                    self.course.owed = false;
                    (Label::Off, IDLE)
                }
                Err(Obstacle::NotAllowed(why) | Obstacle::Failed(why)) => {
                    (Label::Due, self.fail(why, now).await)
                }
            },
        }
    }
}

/// Rings when a transaction has ended.
pub(crate) fn wake_on_end(pending: &Pending, bell: &Bell) {
    let (pending, bell) = (pending.clone(), bell.clone());
    tokio::spawn(async move {
        drop(pending.outcome().await);
        bell.ring();
    });
}

impl RewardCaller {
    fn alarm(&mut self, percent: u64) -> Option<u8> {
        if !self.course.owed {
            self.owed_since = None;
            return self.course.alarm(percent);
        }
        let since = *self.owed_since.get_or_insert_with(Instant::now);
        (since.elapsed() >= GRACE)
            .then(|| self.course.alarm(percent))
            .flatten()
    }
}

impl Duty for RewardCaller {
    type News = RewardNews;

    fn take(&mut self, _: RewardNews) {}

    async fn look(&mut self) -> Duration {
        let rounds = self.parts.rounds.get();
        if rounds.length == 0 {
            return IDLE;
        }
        let (label, pause) = self.see(&rounds).await;
        if let Some(step) = self.alarm(rounds.percent_over()) {
            let error = self.course.last_error.as_deref().unwrap_or("");
            tracing::error!(
                round = rounds.current,
                percent = step,
                error,
                "reward is overdue"
            );
        }
        self.parts.metrics.set_reward_state(label);
        self.parts.metrics.set_reward_alarm(self.course.alarm);
        let state = RewardState {
            enabled: label != Label::Off,
            round: rounds.current,
            last_reward_round: match label {
                Label::Done => rounds.current,
                _ => self.parts.state.load().last_reward_round,
            },
            due: self.course.owed,
            attempts: self.course.attempts,
            last_error: self.course.last_error.clone(),
            alarm_percent: self.course.alarm,
        };
        if **self.parts.state.load() != state {
            self.parts.state.publish(state);
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use chain::testing::{FakeChain, Orchestrator};
    use chain::transactions::Options;

    use super::*;
    use crate::round_tracker::{RoundNews, RoundTracker, RoundTrackerParts};
    use crate::test_queue::{DrivenQueue, account, ledger};

    const HOT: Address = Address([0xee; 20]);

    struct Bench {
        chain: FakeChain,
        queue: DrivenQueue,
        tracker: RoundTracker,
        caller: RewardCaller,
        state: Fact<RewardState>,
        ledger: Ledger,
        now_ms: u64,
        _dir: tempfile::TempDir,
    }

    impl Bench {
        async fn new(orchestrator: Address, asked_for: bool) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let ledger = ledger(&dir);
            let chain = FakeChain::new(100);
            chain.set(|world| {
                let active = Orchestrator {
                    stake: 1000.into(),
                    active: true,
                    last_reward_round: 9,
                    ..Orchestrator::default()
                };
                world.orchestrators.insert(orchestrator, active);
                world.balances.insert(account(), U256::exp10(18));
            });
            let options = Options {
                confirmations: 1,
                ..Options::default()
            };
            let queue = DrivenQueue::open(&chain, &ledger, options).await;
            let metrics = crate::test_metrics();
            let rounds = Fact::default();
            let tracker = RoundTracker::new(RoundTrackerParts {
                client: Arc::new(chain.clone()),
                ledger: ledger.clone(),
                recipient: orchestrator,
                rounds: rounds.clone(),
                metrics: metrics.rounds.clone(),
            });
            let options = RewardOptions {
                orchestrator,
                account: account(),
                asked_for,
                max_gas_price: Some(10),
                urgent_max_gas_price: Some(20),
            };
            let state = Fact::default();
            let parts = RewardParts {
                client: Arc::new(chain.clone()),
                transactions: Arc::new(queue.clone()),
                ledger: ledger.clone(),
                rounds,
                state: state.clone(),
                metrics: metrics.rounds.clone(),
                bell: Bell::default(),
            };
            Self {
                chain,
                queue,
                tracker,
                caller: RewardCaller::new(options, parts),
                state,
                ledger,
                now_ms: 1_000_000,
                _dir: dir,
            }
        }

        /// Blocks of L1, 12 s each; other nodes start rounds.
        async fn ticks(&mut self, count: usize) {
            for _ in 0..count {
                self.chain.mine(1);
                if !self.chain.world().is_initialized() {
                    self.chain.initialize_round();
                }
                tokio::time::pause();
                tokio::time::advance(Duration::from_secs(12)).await;
                tokio::time::resume();
                self.now_ms += 12_000;
                self.tracker.take(RoundNews::Changed);
                self.tracker.look().await;
                self.caller.look().await;
                self.queue.step(self.now_ms).await;
            }
        }

        fn rewarded(&self) -> Vec<u64> {
            let rewards = self.chain.world().rewards;
            rewards.into_iter().map(|(_, round)| round).collect()
        }
    }

    #[tokio::test]
    async fn reward_is_called_once_in_each_round() {
        let mut bench = Bench::new(account(), true).await;
        bench.ticks(450).await;
        assert_eq!(bench.rewarded(), [10, 11, 12, 13, 14]);
        let state = bench.state.get();
        assert_eq!((state.due, state.last_reward_round), (false, 14));
        let stored = bench.ledger.rewards(5).await.unwrap();
        assert!(
            stored.iter().all(|r| r.state == Stored::Mined),
            "{stored:?}"
        );
        assert_eq!(stored[0].minted, 1000.into());
    }

    #[tokio::test]
    async fn an_outage_at_the_start_of_a_round_and_dear_gas_do_not_lose_it() {
        let mut bench = Bench::new(account(), true).await;
        bench.ticks(90).await;
        bench.chain.with(|s| s.faults.down = true);
        bench.ticks(40).await;
        bench.chain.with(|s| {
            s.faults.down = false;
            s.base_fee = 15;
        });
        bench.ticks(30).await;
        assert_eq!(bench.rewarded(), [10], "gas is above the bound");
        assert_eq!(bench.state.load().alarm_percent, 50);
        let error = bench.state.load().last_error.clone().unwrap();
        assert!(error.contains("exceeds maximum gas price"), "{error}");
        bench.ticks(30).await;
        assert_eq!(
            bench.rewarded(),
            [10, 11],
            "the greater bound, near the end"
        );
    }

    #[tokio::test]
    async fn a_reward_caller_calls_for_its_orchestrator_and_a_stranger_says_why_not() {
        let mut bench = Bench::new(HOT, true).await;
        bench.ticks(5).await;
        assert_eq!(bench.rewarded(), [] as [u64; 0]);
        let error = bench.state.load().last_error.clone().unwrap();
        assert!(error.contains("not the reward caller"), "{error}");
        bench.chain.set(|world| {
            world.orchestrators.get_mut(&HOT).unwrap().reward_caller = Some(account());
        });
        bench.ticks(30).await;
        assert_eq!(bench.rewarded(), [10]);
        let mut silent = Bench::new(HOT, false).await;
        silent.ticks(5).await;
        assert!(!silent.state.load().enabled);
        assert_eq!(silent.state.load().attempts, 0);
    }

    #[tokio::test]
    async fn a_round_called_by_somebody_else_is_done() {
        let mut bench = Bench::new(account(), true).await;
        bench.chain.set(|world| {
            let own = world.orchestrators.get_mut(&account()).unwrap();
            own.last_reward_round = 10;
        });
        bench.ticks(10).await;
        assert_eq!(bench.rewarded(), [] as [u64; 0]);
        assert!(!bench.state.load().due);
    }

    #[test]
    fn pauses_double_and_alarms_rise_once() {
        let mut course = Course::default();
        course.enter(7);
        let now = Instant::now();
        let pauses: Vec<u64> = (0..8)
            .map(|_| course.failed("no".into(), now).as_secs())
            .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1800, 1800]);
        assert_eq!(course.alarm(90), None, "not owed");
        course.owed = true;
        let alarms = [10, 25, 30, 60, 80, 99].map(|percent| course.alarm(percent));
        assert_eq!(alarms, [None, Some(25), None, Some(50), Some(75), None]);
        assert!(course.enter(8), "missed");
        assert!(!course.enter(9));
    }
}
