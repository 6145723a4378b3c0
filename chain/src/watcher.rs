//! Blocks and events of the chain, in order, once each, through re-orgs, gaps and faulty providers.
//!
//! One task polls and delivers into one channel. Within it events come in (block, index) order. When the chain takes
//! blocks back, [`ChainEvent::Reorg`] comes first and the events of the new blocks follow; when events are out of
//! reach, [`ChainEvent::Reload`] says to read state by calls. State read by a call at block B already holds every event
//! up to B: compare with [`crate::Read::block`].

mod events;
mod l1;
#[cfg(test)]
mod tests;
mod tracker;

use std::sync::Arc;
use std::time::Duration;

use telemetry::metrics::ChainMetrics;
use telemetry::metrics::label::{ChainReload, LogDrop};
use tokio::sync::mpsc;

pub use self::events::{ContractEvent, decode, topics};
pub use self::tracker::{BlockRef, ReloadCause, WatchOptions};

use self::l1::{L1Clock, L1Step};
use self::tracker::{Found, Step, Tracker};
use crate::client::ChainClient;
use crate::types::{Hash, Head, Log, LogFilter};
use crate::{Error, Result};

/// Questions asked in one look before the head is asked for anew.
const STEPS_PER_LOOK: usize = 200;

/// What the watcher tells.
#[allow(clippy::large_enum_variant, reason = "nearly all are contract events")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// A contract event.
    Contract {
        /// Block.
        block: u64,
        /// Its hash.
        block_hash: Hash,
        /// Place in the block.
        index: u64,
        /// Transaction.
        transaction: Hash,
        /// What happened.
        event: ContractEvent,
    },
    /// Everything up to this block was delivered. Store it to go on from there after a restart.
    Block(BlockRef),
    /// The L1 block number as the contracts see it; only ever greater than the one before.
    L1Block(u64),
    /// What was delivered of blocks after `to` is void: undo it or read state by calls. Events of the blocks that
    /// took their place follow.
    Reorg {
        /// Newest block that still counts.
        to: u64,
    },
    /// Read state by calls, at block `at` or later; only events of later blocks follow.
    Reload {
        /// Why.
        cause: ReloadCause,
        /// Block from which events are complete again.
        at: BlockRef,
    },
}

/// The watcher.
#[derive(Debug)]
pub struct Watcher {
    client: Arc<dyn ChainClient>,
    tracker: Tracker,
    l1: L1Clock,
    topics: Vec<Hash>,
    metrics: ChainMetrics,
    events: mpsc::Sender<ChainEvent>,
}

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// All there is was taken in, or nothing can be done now.
    Done,
    /// There is more.
    More,
    /// Nobody listens any more.
    Closed,
}

impl Watcher {
    /// A watcher that goes on after block `from`, or begins at the head, and delivers into `events`. A full channel
    /// holds it up; nothing is dropped.
    #[must_use]
    pub fn new(
        client: Arc<dyn ChainClient>,
        options: WatchOptions,
        from: Option<BlockRef>,
        metrics: ChainMetrics,
        events: mpsc::Sender<ChainEvent>,
    ) -> Self {
        Self {
            client,
            tracker: Tracker::new(options, from),
            l1: L1Clock::default(),
            topics: topics(),
            metrics,
            events,
        }
    }

    /// Newest block taken in.
    #[must_use]
    pub fn position(&self) -> Option<BlockRef> {
        self.tracker.position()
    }

    /// Looks every `interval` until nobody listens any more. A failed look is logged, counted and tried again.
    pub async fn run(mut self, interval: Duration) {
        let mut timer = tokio::time::interval(interval);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            loop {
                match self.look().await {
                    Ok(Look::More) => {}
                    Ok(Look::Done) => break,
                    Ok(Look::Closed) => return,
                    Err(e) => {
                        self.metrics.poll_failed();
                        // operators' alerts look for this text
                        tracing::error!(
                            "blockwatch.Watcher error encountered - trying again on next polling interval err={e:?}",
                            e = e.to_string()
                        );
                        break;
                    }
                }
            }
        }
    }

    /// Takes in what is new, up to the head.
    ///
    /// # Errors
    /// Those of [`ChainClient`]; what was taken in before stays, and the next call goes on from there. `Ok(false)`
    /// when nobody listens any more.
    pub async fn poll(&mut self) -> Result<bool> {
        loop {
            match self.look().await? {
                Look::More => {}
                Look::Done => return Ok(true),
                Look::Closed => return Ok(false),
            }
        }
    }

    async fn look(&mut self) -> Result<Look> {
        let head = self.client.head().await?;
        self.metrics.head_time(head.timestamp);
        let result = self.take_in(&head).await;
        if result.is_err() {
            self.tracker.abandon();
        }
        // time moves on even when events cannot be had
        if !self.tell_l1(&head).await || result == Ok(Look::Closed) {
            return Ok(Look::Closed);
        }
        result
    }

    async fn take_in(&mut self, head: &Head) -> Result<Look> {
        for _ in 0..STEPS_PER_LOOK {
            let step = self.tracker.next(head);
            if !self.deliver(head).await {
                return Ok(Look::Closed);
            }
            match step {
                Step::Rest => return Ok(Look::Done),
                Step::Header(number) => {
                    let header = self.client.block(number).await?;
                    if !self.tracker.header(head, header.as_ref()) {
                        // the end point lags behind what was taken in
                        let listened = self.deliver(head).await;
                        return Ok(if listened { Look::Done } else { Look::Closed });
                    }
                }
                Step::Logs { from, to } => {
                    tracing::trace!("Polling blocks from={from} to={to}");
                    if let Some(end) = self.read_logs(head, from, to).await {
                        if !self.deliver(head).await {
                            return Ok(Look::Closed);
                        }
                        return end;
                    }
                }
            }
            if !self.deliver(head).await {
                return Ok(Look::Closed);
            }
        }
        self.tracker.abandon();
        Ok(Look::More)
    }

    /// Asks for logs. `None` to go on, else how the look ends.
    async fn read_logs(&mut self, head: &Head, from: u64, to: u64) -> Option<Result<Look>> {
        let filter = LogFilter {
            from,
            to,
            addresses: self.client.contracts().watched(),
            topics: self.topics.clone(),
        };
        match self.client.logs(&filter).await {
            Ok(logs) => {
                self.tracker.logs(logs);
                None
            }
            Err(e @ Error::Range { .. }) => {
                if self.tracker.logs_failed(head, true) {
                    tracing::debug!("log query for {from} to {to} is halved: {e}");
                    return None;
                }
                Some(Err(e))
            }
            Err(e) => {
                self.tracker.logs_failed(head, false);
                Some(Err(e))
            }
        }
    }

    /// Sends what the tracker has found. `false` when nobody listens.
    async fn deliver(&mut self, head: &Head) -> bool {
        for found in self.tracker.take() {
            let event = match found {
                Found::Log(log) => match self.read(log) {
                    Some(event) => event,
                    None => continue,
                },
                Found::Block(block) => {
                    let behind = head.number.saturating_sub(block.number);
                    self.metrics.processed(block.number, behind);
                    ChainEvent::Block(block)
                }
                Found::Reorg { to } => {
                    self.metrics.reorged();
                    tracing::warn!(to, "the chain took blocks back");
                    ChainEvent::Reorg { to }
                }
                Found::Reload { cause, at } => {
                    self.metrics.reloaded(label(cause));
                    tracing::info!(?cause, at = at.number, "chain state is read anew");
                    ChainEvent::Reload { cause, at }
                }
                Found::Misplaced(count) => {
                    for _ in 0..count {
                        self.metrics.dropped(LogDrop::Misplaced);
                    }
                    continue;
                }
            };
            if self.events.send(event).await.is_err() {
                return false;
            }
        }
        true
    }

    /// The event of a log entry; `None`, counted, when it is not one of ours.
    fn read(&self, log: Log) -> Option<ChainEvent> {
        let contract = self.client.contracts().name_of(log.address);
        let decoded = contract.map_or(Ok(None), |contract| decode(contract, &log));
        match decoded {
            Ok(Some(event)) => {
                self.metrics.event(event.name());
                Some(ChainEvent::Contract {
                    block: log.block,
                    block_hash: log.block_hash,
                    index: log.index,
                    transaction: log.transaction,
                    event,
                })
            }
            Ok(None) => {
                self.metrics.dropped(LogDrop::Foreign);
                None
            }
            Err(e) => {
                self.metrics.dropped(LogDrop::Undecodable);
                tracing::warn!(
                    block = log.block,
                    index = log.index,
                    "log entry skipped: {e}"
                );
                None
            }
        }
    }

    /// Tells the L1 number if it advanced. `false` when nobody listens.
    async fn tell_l1(&mut self, head: &Head) -> bool {
        let Some(number) = head.l1_number else {
            return true;
        };
        let step = match self.l1.see(number) {
            L1Step::Doubtful => match self.client.l1_block_number().await {
                Ok(confirmed) => {
                    tracing::warn!(number, confirmed, endpoint = %head.endpoint, "doubtful L1 block number");
                    self.l1.confirm(number, confirmed)
                }
                Err(e) => {
                    tracing::warn!(number, endpoint = %head.endpoint, "doubtful L1 block number, not confirmed: {e}");
                    L1Step::Unchanged
                }
            },
            step => step,
        };
        let L1Step::Advanced(number) = step else {
            return true;
        };
        self.metrics.l1_block(number);
        self.events.send(ChainEvent::L1Block(number)).await.is_ok()
    }
}

fn label(cause: ReloadCause) -> ChainReload {
    match cause {
        ReloadCause::FirstStart => ChainReload::FirstStart,
        ReloadCause::UnknownBlock => ChainReload::UnknownBlock,
        ReloadCause::DeepReorg => ChainReload::DeepReorg,
        ReloadCause::Gap { .. } => ChainReload::Gap,
        ReloadCause::Skipped { .. } => ChainReload::Skipped,
    }
}
