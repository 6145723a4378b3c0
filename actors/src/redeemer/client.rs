//! This node's way to a redeemer elsewhere: winners wait in the ledger until it has them, and floats are remembered for a
//! while when it is away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use ledger::{Ledger, OutboxEntry};
use parking_lot::Mutex;
use protocol::address::Address;
use protocol::money::{U256, WinningTicket};
use protocol::signature::Hash;
use telemetry::metrics::RedemptionMetrics;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::duty::{Duty, Officer};
use crate::round_initializer::Nothing;

/// Winners read at a time.
const PAGE: u32 = 500;
/// Pause after the first failed delivery; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Pause for a single ticket that the redeemer refuses.
const REFUSED_PAUSE: Duration = Duration::from_secs(10 * 60);
/// Time without news after which it looks all the same.
const IDLE: Duration = Duration::from_secs(30);
/// Most senders whose float is followed.
const MAX_SENDERS: usize = 10_000;

/// Why the redeemer did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedeemerFailure {
    /// It did not answer, or could not: try again.
    #[error("the redeemer did not answer: {0}")]
    Away(String),
    /// It refuses this very thing.
    #[error("the redeemer refused: {0}")]
    Refused(String),
}

/// The redeemer, as the wire reaches it. Each call ends within a bounded time.
#[async_trait]
pub trait RedeemerPeer: Send + Sync + 'static {
    /// Hands a winner over; one that it has already counts as taken.
    async fn queue(&self, winner: &WinningTicket) -> Result<(), RedeemerFailure>;

    /// Largest safe face value of a sender, wei.
    async fn max_float(&self, sender: Address) -> Result<U256, RedeemerFailure>;

    /// The same each time it changes; a redeemer of the reference does not send the present one first.
    async fn monitor(
        &self,
        sender: Address,
    ) -> Result<BoxStream<'static, Result<U256, RedeemerFailure>>, RedeemerFailure>;
}

/// What the delivery works with.
pub struct RedeemerClientParts {
    /// The redeemer.
    pub peer: Arc<dyn RedeemerPeer>,
    /// Keeps what was not delivered.
    pub ledger: Ledger,
    /// Counts.
    pub metrics: RedemptionMetrics,
}

/// Delivers winners out of the outbox. Its bell rings when there are new ones.
pub struct RedeemerClient {
    parts: RedeemerClientParts,
    failures: u32,
    /// Tickets that were refused, and until when they are left alone.
    refused: HashMap<Hash, Instant>,
}

/// The actor.
pub type RedeemerClientActor = Officer<RedeemerClient>;

impl RedeemerClient {
    /// Delivers what waits at its first look.
    pub fn new(parts: RedeemerClientParts) -> Self {
        Self {
            parts,
            failures: 0,
            refused: HashMap::new(),
        }
    }

    /// Delivers one winner. An error ends the look: the redeemer is away.
    async fn deliver(&mut self, entry: &OutboxEntry) -> Result<(), String> {
        let RedeemerClientParts {
            peer,
            ledger,
            metrics,
        } = &self.parts;
        let failure = match peer.queue(&entry.winner).await {
            Ok(()) => {
                self.refused.remove(&entry.hash);
                let done = ledger.outbox_delivered(entry.hash).await;
                return done.map_err(|error| error.to_string());
            }
            Err(failure) => failure,
        };
        metrics.redeemer_failed();
        let noted = ledger.outbox_failed(entry.hash, failure.to_string()).await;
        noted.map_err(|error| error.to_string())?;
        match failure {
            RedeemerFailure::Away(why) => Err(why),
            RedeemerFailure::Refused(why) => {
                tracing::error!(ticket = %ledger::hash_text(&entry.hash), why, "failed sending winning ticket to redeemer");
                self.refused
                    .insert(entry.hash, Instant::now() + REFUSED_PAUSE);
                Ok(())
            }
        }
    }

    /// Delivers what waits; how much is left.
    async fn empty(&mut self) -> Result<usize, String> {
        loop {
            let room = u32::try_from(self.refused.len()).unwrap_or(u32::MAX);
            let page = self.parts.ledger.outbox(PAGE.saturating_add(room)).await;
            let page = page.map_err(|error| error.to_string())?;
            self.parts.metrics.set_outbox(page.len() as u64);
            let now = Instant::now();
            let due: Vec<_> = page
                .iter()
                .filter(|e| self.refused.get(&e.hash).is_none_or(|until| *until <= now))
                .collect();
            if due.is_empty() {
                return Ok(page.len());
            }
            for entry in due {
                self.deliver(entry).await?;
            }
        }
    }
}

impl Duty for RedeemerClient {
    type News = Nothing;

    fn take(&mut self, _: Nothing) {}

    async fn look(&mut self) -> Duration {
        match self.empty().await {
            Ok(_) => {
                self.failures = 0;
                IDLE
            }
            Err(why) => {
                let pause = FIRST_PAUSE
                    .saturating_mul(2u32.saturating_pow(self.failures.min(16)))
                    .min(LONGEST_PAUSE);
                self.failures += 1;
                tracing::warn!(
                    why,
                    pause_s = pause.as_secs(),
                    "winning tickets wait for the redeemer"
                );
                pause
            }
        }
    }
}

/// How floats are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedeemerClientOptions {
    /// How long the last float told counts while the redeemer is away.
    pub float_kept: Duration,
    /// Time without a question after which a sender is not followed any more.
    pub idle: Duration,
}

impl Default for RedeemerClientOptions {
    fn default() -> Self {
        let five_minutes = Duration::from_secs(300);
        Self {
            float_kept: five_minutes,
            idle: five_minutes,
        }
    }
}

/// A float, and how good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloatTold {
    /// Wei.
    pub float: U256,
    /// The redeemer is away; this is the last it said.
    pub stale: bool,
}

struct Followed {
    float: U256,
    told_at: Instant,
    asked_at: Instant,
    live: bool,
    following: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.following.abort();
    }
}

type Senders = Arc<Mutex<HashMap<Address, Followed>>>;

/// Floats as a redeemer elsewhere tells them. Cheap to clone.
#[derive(Clone)]
pub struct RemoteFloats {
    peer: Arc<dyn RedeemerPeer>,
    options: RedeemerClientOptions,
    senders: Senders,
    metrics: RedemptionMetrics,
}

impl RemoteFloats {
    /// Nothing known yet.
    pub fn new(
        peer: Arc<dyn RedeemerPeer>,
        options: RedeemerClientOptions,
        metrics: RedemptionMetrics,
    ) -> Self {
        Self {
            peer,
            options,
            senders: Senders::default(),
            metrics,
        }
    }

    /// Largest safe face value of a sender.
    pub async fn max_float(&self, sender: Address) -> Result<FloatTold, RedeemerFailure> {
        if let Some(told) = self.known(sender) {
            return Ok(told);
        }
        let float = self
            .peer
            .max_float(sender)
            .await
            .inspect_err(|_| self.metrics.redeemer_failed())?;
        self.follow(sender, float);
        Ok(FloatTold {
            float,
            stale: false,
        })
    }

    fn known(&self, sender: Address) -> Option<FloatTold> {
        let now = Instant::now();
        let mut senders = self.senders.lock();
        let known = senders.get_mut(&sender)?;
        known.asked_at = now;
        let kept = now.duration_since(known.told_at) <= self.options.float_kept;
        (known.live || kept).then_some(FloatTold {
            float: known.float,
            stale: !known.live,
        })
    }

    fn follow(&self, sender: Address, float: U256) {
        let now = Instant::now();
        let following = tokio::spawn(follow(self.clone(), sender));
        let followed = Followed {
            float,
            told_at: now,
            asked_at: now,
            live: true,
            following: following.abort_handle(),
        };
        let mut senders = self.senders.lock();
        senders.insert(sender, followed);
        if senders.len() > MAX_SENDERS {
            let longest = senders.iter().min_by_key(|(_, known)| known.asked_at);
            if let Some(longest) = longest.map(|(sender, _)| *sender) {
                senders.remove(&longest);
            }
        }
    }

    /// Notes what was told, or with `None` that nothing is told any more; `false` when nobody asks for it.
    fn told(&self, sender: Address, float: Option<U256>) -> bool {
        let now = Instant::now();
        let mut senders = self.senders.lock();
        let Some(known) = senders.get_mut(&sender) else {
            return false;
        };
        known.live = float.is_some();
        if let Some(float) = float {
            (known.float, known.told_at) = (float, now);
        }
        let wanted = now.duration_since(known.asked_at) <= self.options.idle;
        if !wanted {
            senders.remove(&sender);
        }
        wanted
    }
}

/// Listens to the float of a sender until nobody asks for it any more.
async fn follow(floats: RemoteFloats, sender: Address) {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Ok(mut stream) = floats.peer.monitor(sender).await {
            // the reference tells changes only
            if let Ok(float) = floats.peer.max_float(sender).await {
                if !floats.told(sender, Some(float)) {
                    return;
                }
                pause = FIRST_PAUSE;
                while let Some(Ok(float)) = stream.next().await {
                    if !floats.told(sender, Some(float)) {
                        return;
                    }
                }
            }
        }
        floats.metrics.redeemer_failed();
        if !floats.told(sender, None) {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}
