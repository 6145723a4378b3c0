//! Hands the events of the chain on, in order and to all who keep state by them, and notes how far that came.
//!
//! An owner takes each event before the next one is handed on. One that is being started again is passed over: it reads
//! its state by calls when it starts, and those hold all events up to then.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Recipient, WrapFuture};
use chain::ChainClient;
use chain::watcher::{BlockRef, ChainEvent, WatchOptions, Watcher};
use futures::FutureExt;
use ledger::{BlockHeader, Ledger};
use protocol::signature::Hash;
use telemetry::metrics::ChainMetrics;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::death::DeathNotice;
use crate::duty::ChainNews;
use crate::facts::{Fact, RpcState};

/// Events that are read ahead.
const AHEAD: usize = 256;
/// Pause after a failed look at the stored cursor.
const RETRY: Duration = Duration::from_secs(1);

/// Gives the present address of somebody who keeps state by events; `None` while it is being started again.
pub type Listener = Box<dyn Fn() -> Option<Recipient<ChainNews>> + Send>;

/// How the chain is watched.
#[derive(Debug, Clone, Copy)]
pub struct ChainWatcherOptions {
    /// Time between two looks for new blocks (`-blockPollingInterval`).
    pub interval: Duration,
    /// How far and how fast blocks are taken in.
    pub watch: WatchOptions,
}

/// What it works with.
pub struct ChainWatcherParts {
    /// Asks the chain.
    pub client: Arc<dyn ChainClient>,
    /// Keeps the cursor.
    pub ledger: Ledger,
    /// Who is told, in this order.
    pub listeners: Vec<Listener>,
    /// What it publishes.
    pub state: Fact<RpcState>,
    /// Counts blocks and events.
    pub metrics: ChainMetrics,
}

/// See the module.
pub struct ChainWatcher {
    start: Option<(ChainWatcherOptions, ChainWatcherParts)>,
    polling: Option<AbortHandle>,
    notice: DeathNotice<&'static str>,
}

impl ChainWatcher {
    /// Goes on behind the stored cursor.
    pub fn new(
        options: ChainWatcherOptions,
        parts: ChainWatcherParts,
        notice: DeathNotice<&'static str>,
    ) -> Self {
        Self {
            start: Some((options, parts)),
            polling: None,
            notice,
        }
    }
}

impl Actor for ChainWatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(16);
        let Some((options, parts)) = self.start.take() else {
            return;
        };
        let (sender, events) = mpsc::channel(AHEAD);
        let (client, ledger) = (Arc::clone(&parts.client), parts.ledger.clone());
        let metrics = parts.metrics.clone();
        let polling = tokio::spawn(async move {
            let from = cursor(&ledger).await;
            Watcher::new(client, options.watch, from, metrics, sender)
                .run(options.interval)
                .await;
        });
        self.polling = Some(polling.abort_handle());
        let panicked = self.notice.panic_flag();
        let handing = hand_on(parts, events, options.interval);
        let handing = std::panic::AssertUnwindSafe(handing).catch_unwind();
        ctx.spawn(handing.into_actor(self).map(move |end, _, ctx| {
            panicked.store(end.is_err(), std::sync::atomic::Ordering::Relaxed);
            ctx.stop();
        }));
    }
}

impl Drop for ChainWatcher {
    fn drop(&mut self) {
        if let Some(polling) = &self.polling {
            polling.abort();
        }
    }
}

/// The block up to which everything was handed on in the last run.
async fn cursor(ledger: &Ledger) -> Option<BlockRef> {
    loop {
        match ledger.block_cursor().await {
            Ok(cursor) => {
                return cursor.map(|header| BlockRef {
                    number: header.number,
                    hash: chain::Hash(header.hash),
                });
            }
            Err(error) => {
                tracing::error!(%error, "the stored block cannot be read");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Hands every event to everybody, then notes the block. Ends when no more events can come.
pub async fn hand_on(
    parts: ChainWatcherParts,
    mut events: mpsc::Receiver<ChainEvent>,
    interval: Duration,
) {
    let (mut state, mut cursor) = (RpcState::default(), 0);
    let (mut before, mut l1_block): (Option<BlockRef>, Option<u64>) = (None, None);
    loop {
        let event = match tokio::time::timeout(interval, events.recv()).await {
            Ok(None) => return,
            Ok(Some(event)) => Some(event),
            Err(_) => None,
        };
        if let Some(event) = event {
            let news = ChainNews(Arc::new(event));
            for listener in &parts.listeners {
                if let Some(listener) = listener() {
                    // one that has just gone reads its state when it starts again
                    let _ = listener.send(news.clone()).await;
                }
            }
            match &*news.0 {
                ChainEvent::L1Block(number) => {
                    l1_block = Some(*number);
                    drop(parts.ledger.raise_l1_block(*number).await);
                }
                ChainEvent::Block(block) => {
                    note(&parts.ledger, *block, before, l1_block).await;
                    before = Some(*block);
                    cursor = block.number;
                }
                _ => {}
            }
        }
        let seen = RpcState {
            cursor,
            ..look(&*parts.client)
        };
        if seen != state {
            state = seen;
            parts.state.publish(state.clone());
        }
    }
}

async fn note(ledger: &Ledger, block: BlockRef, before: Option<BlockRef>, l1_block: Option<u64>) {
    let parent: Hash = match before {
        Some(before) if before.number + 1 == block.number => before.hash.0,
        _ => [0; 32],
    };
    let header = BlockHeader {
        number: block.number,
        parent,
        hash: block.hash.0,
    };
    // a cursor that falls behind costs events that are handed on twice
    if let Err(error) = ledger.set_block_cursor(header, l1_block).await {
        tracing::error!(%error, block = block.number, "the block that was reached is not stored");
    }
}

/// How the end points are.
fn look(client: &dyn ChainClient) -> RpcState {
    let endpoints = client.endpoints();
    let mut state = RpcState {
        head: endpoints.iter().filter_map(|e| e.head).max().unwrap_or(0),
        healthy: endpoints.is_empty(),
        ..RpcState::default()
    };
    for endpoint in &endpoints {
        match &endpoint.excluded {
            None => state.healthy = true,
            Some(exclusion) => {
                state.last_error = Some(format!("{}: {exclusion:?}", endpoint.label))
            }
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use actix::Handler;
    use chain::testing::FakeChain;
    use parking_lot::Mutex;

    use super::*;
    use crate::test_queue::ledger;

    #[derive(Clone, Default)]
    struct Owner(Arc<Mutex<Vec<ChainEvent>>>);

    impl Actor for Owner {
        type Context = Context<Self>;
    }

    impl Handler<ChainNews> for Owner {
        type Result = ();

        fn handle(&mut self, news: ChainNews, _: &mut Self::Context) {
            self.0.lock().push(ChainEvent::clone(&news.0));
        }
    }

    fn block(number: u8) -> ChainEvent {
        ChainEvent::Block(BlockRef {
            number: number.into(),
            hash: chain::Hash([number; 32]),
        })
    }

    #[actix_rt::test]
    async fn every_owner_gets_every_event_in_order_and_the_cursor_follows() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(&dir);
        let (one, two) = (Owner::default(), Owner::default());
        let (first, second) = (one.clone().start(), two.clone().start());
        let state: Fact<RpcState> = Fact::default();
        let (sender, events) = mpsc::channel(8);
        let parts = ChainWatcherParts {
            client: Arc::new(FakeChain::new(100)),
            ledger: ledger.clone(),
            listeners: vec![
                Box::new(move || Some(first.clone().recipient())),
                // one that is being started again
                Box::new(|| None),
                Box::new(move || Some(second.clone().recipient())),
            ],
            state: state.clone(),
            metrics: crate::test_metrics().chain.clone(),
        };
        let told = [
            ChainEvent::L1Block(77),
            block(4),
            block(5),
            ChainEvent::Reorg { to: 4 },
            block(6),
        ];
        let script = async {
            for event in &told {
                sender.send(event.clone()).await.unwrap();
            }
            drop(sender);
        };
        tokio::join!(hand_on(parts, events, Duration::from_secs(5)), script);
        assert_eq!(*one.0.lock(), told);
        assert_eq!(*two.0.lock(), told);
        let cursor = ledger.block_cursor().await.unwrap().unwrap();
        assert_eq!((cursor.number, cursor.parent), (6, [5; 32]));
        assert_eq!(ledger.l1_block().await.unwrap(), Some(77));
        assert_eq!((state.load().cursor, state.load().healthy), (6, true));
    }
}
