//! Knows where the chain stands: rounds, the L1 clock, the active set. Read by calls, never added up from events, so that
//! a lost event or a re-org costs one reading.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use chain::types::{Read, Transcoder};
use chain::watcher::{ChainEvent, ContractEvent};
use chain::{ChainClient, ContractName};
use ledger::{Ledger, Orchestrator, RoundRecord};
use protocol::address::Address;
use protocol::money::U256;
use telemetry::metrics::{RoundFigures, RoundMetrics};
use tokio::time::Instant;

use crate::duty::{ChainNews, Duty, Officer};
use crate::facts::{Fact, Rounds};

/// Pause after the first failed reading; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Time without news after which everything is read all the same.
const IDLE: Duration = Duration::from_secs(60);
/// The reference keeps stakes in LPT × 100000: base units per step.
const STAKE_STEP: u64 = 10_000_000_000_000;

/// What it works with.
pub struct RoundTrackerParts {
    /// Asks the chain.
    pub client: Arc<dyn ChainClient>,
    /// Keeps rounds, the L1 clock and the recipient's row.
    pub ledger: Ledger,
    /// Whom tickets pay.
    pub recipient: Address,
    /// What it publishes.
    pub rounds: Fact<Rounds>,
    /// Shows where the chain stands.
    pub metrics: RoundMetrics,
}

/// See the module.
pub struct RoundTracker {
    parts: RoundTrackerParts,
    now: Rounds,
    l1_block: u64,
    /// News since the last good reading.
    stale: bool,
    failures: u32,
    /// Round of which ledger and contracts know.
    noted: Option<u64>,
}

/// The actor.
pub type RoundTrackerActor = Officer<RoundTracker>;

/// Its address.
pub type RoundTrackerAddr = Addr<RoundTrackerActor>;

/// What can change its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundNews {
    /// L1 moved on.
    L1Block(u64),
    /// Rounds or the active set may be others.
    Changed,
    /// Nothing that matters here.
    Other,
}

impl From<ChainNews> for RoundNews {
    fn from(news: ChainNews) -> Self {
        match &*news.0 {
            ChainEvent::L1Block(number) => Self::L1Block(*number),
            ChainEvent::Reorg { .. } | ChainEvent::Reload { .. } => Self::Changed,
            ChainEvent::Contract { event, .. } => match event {
                ContractEvent::NewRound { .. }
                | ContractEvent::TranscoderActivated { .. }
                | ContractEvent::TranscoderDeactivated { .. } => Self::Changed,
                _ => Self::Other,
            },
            ChainEvent::Block(_) => Self::Other,
        }
    }
}

impl RoundTracker {
    /// Nothing known but what is published already.
    pub fn new(parts: RoundTrackerParts) -> Self {
        let now = Rounds::clone(&parts.rounds.load());
        Self {
            l1_block: now.l1_block,
            now,
            parts,
            stale: true,
            failures: 0,
            noted: None,
        }
    }

    /// Reads everything; publishes it as stale when that fails.
    async fn read(&mut self) -> Result<(), chain::Error> {
        let client = &self.parts.client;
        let (rounds, pool_size, transcoder) = futures::try_join!(
            client.rounds(),
            client.pool_size(),
            client.transcoder(self.parts.recipient),
        )?;
        self.settle(&rounds, pool_size, &transcoder);
        if self.noted != Some(rounds.value.last_initialized) {
            self.note(&rounds.value, &transcoder).await?;
        }
        Ok(())
    }

    fn settle(&mut self, read: &Read<chain::Rounds>, pool_size: u64, transcoder: &Transcoder) {
        let rounds = &read.value;
        self.l1_block = self.l1_block.max(rounds.l1_block);
        let moved = self.l1_block > self.now.l1_block;
        self.now = Rounds {
            current: rounds.current,
            last_initialized: rounds.last_initialized,
            initialized: rounds.initialized,
            hash: rounds.hash.0,
            previous_hash: rounds.previous_hash.0,
            start_block: rounds.start_block,
            length: rounds.length,
            l1_block: self.l1_block,
            l1_changed_at: if moved {
                Instant::now()
            } else {
                self.now.l1_changed_at
            },
            pool_size,
            recipient_active: transcoder.active,
            stale: false,
        };
    }

    /// A round that was not seen yet: contracts may have moved, and ledger and reference learn of it.
    async fn note(
        &mut self,
        rounds: &chain::Rounds,
        transcoder: &Transcoder,
    ) -> Result<(), chain::Error> {
        for change in self.parts.client.refresh_contracts().await? {
            tracing::warn!(contract = %change.name, from = %change.from, to = %change.to, "the Controller moved a contract");
        }
        tracing::info!(
            round = rounds.last_initialized,
            active = transcoder.active,
            "round initialised"
        );
        let record = RoundRecord {
            round: rounds.last_initialized,
            block_hash: rounds.hash.0,
            start_block: rounds.start_block,
        };
        let ledger = &self.parts.ledger;
        let noted = (
            ledger.note_round(record),
            ledger.upsert_orchestrator(row(transcoder)),
        );
        for stored in [noted.0.await, noted.1.await] {
            // only for going back to the reference, and for the eye
            if let Err(error) = stored {
                tracing::warn!(%error, "the round is not in the database");
            }
        }
        self.noted = Some(rounds.last_initialized);
        Ok(())
    }

    fn publish(&mut self) {
        self.parts.rounds.publish(self.now.clone());
        self.parts.metrics.set(RoundFigures {
            current: self.now.current,
            initialized: self.now.last_initialized,
            percent_over: self.now.percent_over(),
            pool_size: self.now.pool_size,
            active: self.now.recipient_active,
        });
    }
}

/// The recipient's row as the reference keeps it.
fn row(transcoder: &Transcoder) -> Orchestrator {
    let stake = transcoder.stake / U256::from(STAKE_STEP);
    Orchestrator {
        address: transcoder.address,
        service_uri: transcoder.service_uri.clone(),
        price_per_pixel: 0,
        activation_round: transcoder.activation_round,
        deactivation_round: transcoder.deactivation_round.min(ledger::NEVER),
        stake: u64::try_from(stake).unwrap_or(ledger::NEVER),
    }
}

impl Duty for RoundTracker {
    type News = RoundNews;

    fn take(&mut self, news: RoundNews) {
        match news {
            RoundNews::L1Block(number) => {
                self.l1_block = self.l1_block.max(number);
                self.stale = true;
            }
            RoundNews::Changed => {
                // contracts of a chain that went back may be the old ones
                self.noted = None;
                self.stale = true;
            }
            RoundNews::Other => {}
        }
    }

    async fn look(&mut self) -> Duration {
        if !self.stale && self.now.l1_changed_at.elapsed() < IDLE {
            return IDLE;
        }
        if self.l1_block == 0
            && let Ok(Some(highest)) = self.parts.ledger.l1_block().await
        {
            self.l1_block = highest;
        }
        match self.read().await {
            Ok(()) => {
                self.stale = false;
                self.failures = 0;
                self.publish();
                IDLE
            }
            Err(error) => {
                tracing::warn!(%error, "rounds cannot be read; the last known ones stay in use");
                // time goes on all the same: parameters must not live longer for it
                if self.l1_block > self.now.l1_block {
                    self.now.l1_block = self.l1_block;
                    self.now.l1_changed_at = Instant::now();
                }
                self.now.stale = true;
                self.stale = true;
                self.publish();
                let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failures.min(10));
                self.failures += 1;
                pause.min(LONGEST_PAUSE)
            }
        }
    }
}

/// Where the broker is now; zero while it is not known.
pub(crate) fn broker(client: &dyn ChainClient) -> Address {
    client.contracts().get(ContractName::TicketBroker)
}
