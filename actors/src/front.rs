//! The way to a singleton actor from outside: its present address, with permits in front of the mailbox, whose own bound
//! counts per clone of an address and so never pushes back.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Actor, Context, Handler, Message};
use telemetry::metrics::Metrics;
use telemetry::metrics::label::Pool;
use tokio::sync::Semaphore;

use crate::supervisor::AddrCell;

/// See the module. Cheap to clone; all clones share the permits.
pub struct Front<A: Actor> {
    addr: AddrCell<A>,
    permits: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl<A: Actor> Clone for Front<A> {
    fn clone(&self) -> Self {
        Self {
            addr: Arc::clone(&self.addr),
            permits: Arc::clone(&self.permits),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<A: Actor<Context = Context<A>>> Front<A> {
    /// The way to the actor whose address is published in `addr`, for `requests` at once.
    pub fn new(addr: AddrCell<A>, requests: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            addr,
            permits: Arc::new(Semaphore::new(requests)),
            metrics,
        }
    }

    /// Sends `message` and waits for its answer. `None`: too many requests are under way, which is counted, or the
    /// actor is restarting, or it died over this message.
    pub async fn ask<M>(&self, message: M) -> Option<M::Result>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        Context<A>: ToEnvelope<A, M>,
    {
        let Ok(_permit) = self.permits.try_acquire() else {
            self.metrics.video.pool_full(Pool::Mailbox);
            return None;
        };
        let addr = self.addr.load_full()?;
        addr.send(message).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Actor for Echo {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Say(u32);

    impl Handler<Say> for Echo {
        type Result = u32;

        fn handle(&mut self, message: Say, _: &mut Self::Context) -> u32 {
            message.0
        }
    }

    #[actix::test]
    async fn one_that_is_away_or_overrun_gives_no_answer_and_nothing_hangs() {
        let cell = AddrCell::default();
        let metrics = crate::test_metrics();
        let front = Front::new(Arc::clone(&cell), 4, Arc::clone(&metrics));
        assert_eq!(front.ask(Say(1)).await, None, "not started");
        cell.store(Some(Arc::new(Echo.start())));
        assert_eq!(front.ask(Say(1)).await, Some(1));
        let all = front.permits.acquire_many(4).await;
        assert_eq!(front.clone().ask(Say(1)).await, None, "full");
        drop(all);
        assert_eq!(front.ask(Say(2)).await, Some(2));
    }
}
