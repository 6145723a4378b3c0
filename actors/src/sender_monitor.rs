//! Owns what is known of senders' money: deposit, reserve, what is drawn, what is in flight.
//!
//! Doors read [`Senders`] without a message. A sender that is not known costs one reading of the chain, shared by all
//! who wait for it, and nobody waits longer than [`PATIENCE`]. Known senders follow the chain by its events; a new
//! round, a re-organisation and an own redemption make them be read again. Senders without money are remembered apart,
//! so that a flood of fresh keys neither costs readings twice nor pushes out those who pay.

mod events;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use chain::ChainClient;
use chain::types::{Read, SenderInfo};
use chain::watcher::{ChainEvent, ContractEvent};
use futures::future::BoxFuture;
use moka::sync::Cache;
use parking_lot::RwLock;
use protocol::address::Address;
use protocol::money::{SenderFunds, U256};
use telemetry::metrics::Metrics;
use telemetry::metrics::label::StaleFact;
use tokio::sync::oneshot;

use crate::death::DeathNotice;
use crate::duty::ChainNews;
use crate::facts::{Fact, Funds, Rounds};
use crate::front::Front;
use crate::redeemer::RemoteFloats;
use crate::supervisor::AddrCell;

/// Longest time that anybody waits for a reading of the chain.
pub const PATIENCE: Duration = Duration::from_millis(300);
/// Requests that may be under way at once.
const FRONT: usize = 1024;
/// Senders with money that are remembered.
const MOST_FUNDED: u64 = 10_000;
/// Senders without money that are remembered.
const MOST_STRANGERS: u64 = 10_000;
/// How long a sender is known to have no money without asking again; an event that funds it is seen at once.
const STRANGER_KEPT: Duration = Duration::from_secs(60);
/// Time after which a sender that nobody asked for is forgotten.
const FUNDED_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// Senders in one reading.
const BATCH: usize = 100;
/// Events that are kept for readings under way.
const RECENT: usize = 1024;
/// Pause after a failed reading.
const RETRY: Duration = Duration::from_secs(1);
/// How often senders with an empty float are counted.
const COUNT: Duration = Duration::from_secs(15);

/// Reads the money of senders.
pub trait ReadsFunds: Send + Sync + 'static {
    /// One answer per sender, in their order.
    fn read(
        &self,
        senders: Vec<Address>,
    ) -> BoxFuture<'static, chain::Result<Read<Vec<SenderInfo>>>>;
}

/// Reads from the chain, for one recipient of tickets.
pub struct ChainFunds {
    /// Asks the chain.
    pub client: Arc<dyn ChainClient>,
    /// Whose claims count.
    pub recipient: Address,
}

impl ReadsFunds for ChainFunds {
    fn read(
        &self,
        senders: Vec<Address>,
    ) -> BoxFuture<'static, chain::Result<Read<Vec<SenderInfo>>>> {
        let (client, recipient) = (Arc::clone(&self.client), self.recipient);
        Box::pin(async move { client.sender_infos(&senders, recipient).await })
    }
}

/// What is known of senders. Cheap to clone.
#[derive(Clone)]
pub struct Senders {
    front: Front<SenderMonitor>,
    funded: Cache<Address, Funds>,
    strangers: Cache<Address, Funds>,
    /// Face values owed; few, and kept apart from what may be forgotten.
    pending: Arc<RwLock<HashMap<Address, U256>>>,
    /// Tells floats where another node redeems.
    elsewhere: Option<RemoteFloats>,
    metrics: Arc<Metrics>,
}

impl Senders {
    /// A front for the monitor whose address is published in `addr`; nothing is known.
    pub fn new(addr: AddrCell<SenderMonitor>, metrics: Arc<Metrics>) -> Self {
        let counters = Arc::clone(&metrics);
        Self {
            front: Front::new(addr, FRONT, Arc::clone(&metrics)),
            funded: Cache::builder()
                .max_capacity(MOST_FUNDED)
                .time_to_idle(FUNDED_KEPT)
                .eviction_listener(move |sender: Arc<Address>, _, cause| {
                    if cause.was_evicted() {
                        counters.payments.forget_sender(&sender.to_string());
                    }
                })
                .build(),
            strangers: Cache::builder()
                .max_capacity(MOST_STRANGERS)
                .time_to_live(STRANGER_KEPT)
                .build(),
            pending: Arc::default(),
            elsewhere: None,
            metrics,
        }
    }

    /// The same, with floats as the redeemer elsewhere tells them.
    #[must_use]
    pub fn redeemed_elsewhere(mut self, floats: RemoteFloats) -> Self {
        self.elsewhere = Some(floats);
        self
    }

    /// What is known without asking anybody.
    pub fn get(&self, sender: Address) -> Option<Funds> {
        let funds = self.stored(sender)?;
        let pending = self.pending.read().get(&sender).copied();
        Some(Funds {
            pending: pending.unwrap_or_default(),
            ..funds
        })
    }

    /// What is known, after a reading if need be. A sender that the chain does not tell about within [`PATIENCE`] is
    /// not [`known`](Funds::known) and has no float.
    pub async fn fund(&self, sender: Address) -> Funds {
        let known = match self.get(sender) {
            Some(funds) => Some(funds),
            None => {
                let asked = tokio::time::timeout(PATIENCE, self.front.ask(Fund(sender))).await;
                let read = asked.ok().flatten().flatten();
                // what was read is in the cache by now, with what is in flight
                read.map(|read| self.get(sender).unwrap_or(read))
            }
        };
        self.as_told_elsewhere(sender, known.unwrap_or_default())
            .await
    }

    /// With the float of the redeemer elsewhere, if there is one; it is not troubled with strangers. One that does not
    /// answer in time leaves no float.
    async fn as_told_elsewhere(&self, sender: Address, funds: Funds) -> Funds {
        let Some(floats) = &self.elsewhere else {
            return funds;
        };
        let stranger =
            funds.chain.reserve_remaining.is_zero() && funds.chain.reserve_claimed.is_zero();
        if !funds.known || stranger {
            return funds;
        }
        let told = tokio::time::timeout(PATIENCE, floats.max_float(sender)).await;
        let float = match told {
            Ok(Ok(told)) => told.float,
            Ok(Err(error)) => {
                tracing::warn!(%error, %sender, "no float");
                U256::zero()
            }
            Err(_) => U256::zero(),
        };
        Funds {
            elsewhere: Some(float),
            ..funds
        }
    }

    /// Face values of each sender's winners that are not paid yet, wei, in place of what was told before. For the redeemer.
    pub fn set_owed(&self, face_values: HashMap<Address, U256>) {
        *self.pending.write() = face_values;
    }

    /// Reads a sender again, as after a redemption.
    pub async fn refresh(&self, sender: Address) {
        self.front.ask(Refresh(sender)).await;
    }

    /// Tells the monitor about an event; to be awaited, so that none is lost or overtaken.
    pub async fn observe(&self, news: ChainNews) {
        // one that has just died reads everything again when it starts
        self.front.ask(news).await;
    }

    /// Makes a sender known, for tests of whoever asks.
    #[cfg(test)]
    pub(crate) fn put(&self, sender: Address, chain: SenderFunds) {
        let funds = Funds {
            chain,
            known: true,
            ..Funds::default()
        };
        self.store(sender, funds);
    }

    fn stored(&self, sender: Address) -> Option<Funds> {
        self.funded
            .get(&sender)
            .or_else(|| self.strangers.get(&sender))
    }

    fn store(&self, sender: Address, funds: Funds) {
        if funds.chain.is_empty() {
            if self.funded.remove(&sender).is_some() {
                self.metrics.payments.forget_sender(&sender.to_string());
            }
            self.strangers.insert(sender, funds);
        } else {
            self.strangers.invalidate(&sender);
            self.funded.insert(sender, funds);
            let wei = |wei: U256| u128::try_from(wei).unwrap_or(u128::MAX);
            self.metrics.payments.set_funds(
                &sender.to_string(),
                wei(funds.chain.deposit),
                wei(funds.chain.reserve_remaining),
            );
        }
    }
}

// ---- messages: asked by the front ----

#[derive(Message)]
#[rtype(result = "Option<Funds>")]
struct Fund(Address);

#[derive(Message)]
#[rtype(result = "()")]
struct Refresh(Address);

// ---- state ----

/// Block and place in it.
type Place = (u64, u64);

/// Who is to be read, who waits for it, and what happened meanwhile.
#[derive(Default)]
struct Readings {
    /// Somebody waits for these.
    urgent: VecDeque<Address>,
    /// Known ones that are to be read again.
    again: HashSet<Address>,
    waiting: HashMap<Address, Vec<oneshot::Sender<Option<Funds>>>>,
    under_way: bool,
    /// Events about senders with their place, oldest first.
    recent: VecDeque<(Place, ContractEvent)>,
}

impl Readings {
    fn wait_for(&mut self, sender: Address) -> oneshot::Receiver<Option<Funds>> {
        let (reply, answer) = oneshot::channel();
        let waiting = self.waiting.entry(sender).or_default();
        // those who gave up make room for those who ask again
        waiting.retain(|reply| !reply.is_closed());
        let first = waiting.is_empty();
        waiting.push(reply);
        if first && !self.urgent.contains(&sender) {
            self.urgent.push_back(sender);
        }
        answer
    }

    /// The next senders to read, those first for whom somebody waits.
    fn next(&mut self) -> Vec<Address> {
        let mut batch: Vec<Address> = Vec::new();
        while batch.len() < BATCH
            && let Some(sender) = self.urgent.pop_front()
        {
            self.again.remove(&sender);
            batch.push(sender);
        }
        let room = BATCH.saturating_sub(batch.len());
        let more: Vec<Address> = self.again.iter().take(room).copied().collect();
        for sender in more {
            self.again.remove(&sender);
            batch.push(sender);
        }
        batch
    }

    fn answer(&mut self, sender: Address, funds: Option<Funds>) {
        for reply in self.waiting.remove(&sender).into_iter().flatten() {
            // whoever gave up does not mind
            let _ = reply.send(funds);
        }
    }

    fn note(&mut self, place: Place, event: &ContractEvent) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((place, event.clone()));
    }

    /// What a reading of `sender` at `block` has come to with the events since.
    fn brought_up(
        &self,
        sender: Address,
        chain: SenderFunds,
        block: u64,
        recipient: Address,
    ) -> Funds {
        let mut funds = Funds {
            chain,
            as_of: (block, u64::MAX),
            known: true,
            ..Funds::default()
        };
        for (place, event) in &self.recent {
            change(&mut funds, sender, event, *place, recipient);
        }
        funds
    }
}

/// Applies an event that is newer than what is known, if it is about this sender or about all.
fn change(
    funds: &mut Funds,
    sender: Address,
    event: &ContractEvent,
    place: Place,
    recipient: Address,
) {
    if place <= funds.as_of {
        return;
    }
    if matches!(event, ContractEvent::NewRound { .. }) {
        events::new_round(&mut funds.chain);
    } else if events::sender_of(event) == Some(sender) {
        events::apply(&mut funds.chain, event, recipient);
    } else {
        return;
    }
    funds.as_of = place;
}

/// See the module.
pub struct SenderMonitor {
    senders: Senders,
    reader: Arc<dyn ReadsFunds>,
    recipient: Address,
    rounds: Fact<Rounds>,
    readings: Readings,
    _notice: DeathNotice<&'static str>,
}

impl SenderMonitor {
    /// Goes on with what `senders` holds, which it reads again.
    pub fn new(
        senders: Senders,
        reader: Arc<dyn ReadsFunds>,
        recipient: Address,
        rounds: Fact<Rounds>,
        notice: DeathNotice<&'static str>,
    ) -> Self {
        Self {
            senders,
            reader,
            recipient,
            rounds,
            readings: Readings::default(),
            _notice: notice,
        }
    }

    fn read_all_again(&mut self) {
        let known = self.senders.funded.iter().map(|(sender, _)| *sender);
        self.readings.again.extend(known);
    }

    /// Begins the next reading unless one is under way.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.readings.under_way {
            return;
        }
        let batch = self.readings.next();
        if batch.is_empty() {
            return;
        }
        self.readings.under_way = true;
        let read = self.reader.read(batch.clone()).into_actor(self);
        ctx.spawn(read.map(move |read, monitor, ctx| {
            monitor.readings.under_way = false;
            monitor.take(batch, read);
            match monitor.readings.urgent.is_empty() && monitor.stale() {
                true => {
                    ctx.run_later(RETRY, Self::pump);
                }
                false => monitor.pump(ctx),
            }
        }));
    }

    /// Whether senders are to be read again that could not be.
    fn stale(&self) -> bool {
        !self.readings.again.is_empty()
    }

    fn take(&mut self, batch: Vec<Address>, read: chain::Result<Read<Vec<SenderInfo>>>) {
        let answers = match read {
            Ok(read) if read.value.len() == batch.len() => Some(read),
            Ok(read) => {
                let (asked, got) = (batch.len(), read.value.len());
                tracing::warn!(asked, got, "a reading of senders is incomplete");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "senders cannot be read from the chain");
                None
            }
        };
        let metrics = &self.senders.metrics.payments;
        metrics.set_stale(StaleFact::Senders, answers.is_none());
        match answers {
            Some(read) => {
                for (sender, info) in batch.into_iter().zip(read.value) {
                    let chain = SenderFunds {
                        deposit: info.deposit,
                        withdraw_round: info.withdraw_round,
                        reserve_remaining: info.reserve,
                        reserve_claimed: info.claimed_in_round,
                        claimed_by_recipient: info.claimed_by_recipient,
                    };
                    let funds = self
                        .readings
                        .brought_up(sender, chain, read.block, self.recipient);
                    self.senders.store(sender, funds);
                    self.readings.answer(sender, Some(funds));
                }
            }
            None => {
                for sender in batch {
                    self.readings.answer(sender, None);
                    // a known one is served as it was, and tried again
                    if self.senders.funded.contains_key(&sender) {
                        self.readings.again.insert(sender);
                    }
                }
            }
        }
    }

    fn follow(&mut self, news: &Arc<ChainEvent>) {
        match &**news {
            ChainEvent::Contract {
                block,
                index,
                event,
                ..
            } => {
                let place = (*block, *index);
                if let Some(sender) = events::sender_of(event) {
                    self.readings.note(place, event);
                    self.change_one(sender, event, place);
                } else if matches!(event, ContractEvent::NewRound { .. }) {
                    self.readings.note(place, event);
                    let known: Vec<_> = self.senders.funded.iter().map(|(s, _)| *s).collect();
                    for sender in known {
                        self.change_one(sender, event, place);
                    }
                    self.read_all_again();
                }
            }
            ChainEvent::Reorg { .. } | ChainEvent::Reload { .. } => {
                self.readings.recent.clear();
                self.senders.strangers.invalidate_all();
                self.read_all_again();
            }
            ChainEvent::Block(_) | ChainEvent::L1Block(_) => {}
        }
    }

    fn change_one(&mut self, sender: Address, event: &ContractEvent, place: Place) {
        if let Some(mut funds) = self.senders.stored(sender) {
            change(&mut funds, sender, event, place, self.recipient);
            self.senders.store(sender, funds);
        }
    }

    fn count_exhausted(&self) {
        let pool_size = self.rounds.load().pool_size;
        let pending = self.senders.pending.read();
        let exhausted = self.senders.funded.iter().filter(|(sender, funds)| {
            let pending = pending.get(&**sender).copied().unwrap_or_default();
            let funds = Funds { pending, ..*funds };
            funds.max_float(pool_size) <= 0
        });
        self.senders
            .metrics
            .payments
            .set_exhausted(exhausted.count() as u64);
    }
}

impl Actor for SenderMonitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(FRONT);
        ctx.run_interval(COUNT, |monitor, _| monitor.count_exhausted());
        // events may have passed while nobody listened
        self.read_all_again();
        self.pump(ctx);
    }
}

impl Handler<Fund> for SenderMonitor {
    type Result = ResponseFuture<Option<Funds>>;

    fn handle(&mut self, message: Fund, ctx: &mut Self::Context) -> Self::Result {
        if let Some(funds) = self.senders.stored(message.0) {
            return Box::pin(std::future::ready(Some(funds)));
        }
        let answer = self.readings.wait_for(message.0);
        self.pump(ctx);
        Box::pin(async move { answer.await.ok().flatten() })
    }
}

impl Handler<Refresh> for SenderMonitor {
    type Result = ();

    fn handle(&mut self, message: Refresh, ctx: &mut Self::Context) {
        self.readings.again.insert(message.0);
        self.pump(ctx);
    }
}

impl Handler<ChainNews> for SenderMonitor {
    type Result = ();

    fn handle(&mut self, message: ChainNews, ctx: &mut Self::Context) {
        self.follow(&message.0);
        self.pump(ctx);
    }
}
