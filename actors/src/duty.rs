//! Actors that go by state and not by single events: whatever may have changed, they look at all that matters, one look
//! at a time. A missed or repeated piece of news costs a look and loses nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture,
    WrapFuture,
};
use chain::watcher::ChainEvent;
use futures::FutureExt;
use tokio::sync::{mpsc, watch};

use crate::death::DeathNotice;

/// Pieces of news that wait; whoever brings more waits, too.
const INBOX: usize = 256;

/// Something that is seen to again and again.
pub trait Duty: 'static {
    /// What it may be told.
    type News: Send + 'static;

    /// Notes news. No waiting here: looking is for [`look`](Self::look).
    fn take(&mut self, news: Self::News);

    /// Looks at all that matters and does what can be done now. Gives the time after which to look again even without
    /// news.
    fn look(&mut self) -> impl Future<Output = Duration>;
}

/// Wakes a duty without telling it anything. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<tokio::sync::Notify>);

impl Bell {
    /// Asks for a look. Rings during a look are one look more.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// The next ring, or one that was not waited for.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Sees to `duty` until nobody can tell it anything any more.
pub async fn see_to<D: Duty>(
    mut duty: D,
    mut inbox: mpsc::Receiver<D::News>,
    bell: Bell,
    mut facts: Vec<watch::Receiver<u64>>,
) {
    loop {
        let pause = duty.look().await;
        let changed = futures::future::select_all(
            facts
                .iter_mut()
                .map(|fact| fact.changed().boxed_local())
                // the list must not be empty
                .chain([futures::future::pending().boxed_local()]),
        );
        tokio::select! {
            news = inbox.recv() => match news {
                None => return,
                Some(news) => duty.take(news),
            },
            () = bell.rung() => {}
            // an owner that is gone is about to be started again, with the same fact
            (changed, ..) = changed => if changed.is_err() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            },
            () = tokio::time::sleep(pause) => {}
        }
        while let Ok(news) = inbox.try_recv() {
            duty.take(news);
        }
    }
}

// ---- messages: asked by others ----

/// An event of the chain, in order. Answered once it is noted.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct ChainNews(pub Arc<ChainEvent>);

/// News for one kind of duty.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Tell<N: Send + 'static>(pub N);

/// The actor around a duty.
pub struct Officer<D: Duty> {
    start: Option<(D, mpsc::Receiver<D::News>)>,
    inbox: mpsc::Sender<D::News>,
    bell: Bell,
    facts: Vec<watch::Receiver<u64>>,
    notice: DeathNotice<&'static str>,
}

impl<D: Duty> Officer<D> {
    /// An actor for `duty`, which looks when `bell` rings and when one of `facts` changes.
    pub fn new(
        duty: D,
        bell: Bell,
        facts: Vec<watch::Receiver<u64>>,
        notice: DeathNotice<&'static str>,
    ) -> Self {
        let (sender, inbox) = mpsc::channel(INBOX);
        Self {
            start: Some((duty, inbox)),
            inbox: sender,
            bell,
            facts,
            notice,
        }
    }
}

impl<D: Duty + Unpin> Actor for Officer<D> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(64);
        let Some((duty, inbox)) = self.start.take() else {
            return;
        };
        let panicked = self.notice.panic_flag();
        let facts = std::mem::take(&mut self.facts);
        let seeing = AssertUnwindSafe(see_to(duty, inbox, self.bell.clone(), facts)).catch_unwind();
        ctx.spawn(seeing.into_actor(self).map(move |end, _, ctx| {
            panicked.store(end.is_err(), Ordering::Relaxed);
            ctx.stop();
        }));
    }
}

impl<D: Duty + Unpin> Handler<Tell<D::News>> for Officer<D> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: Tell<D::News>, _: &mut Self::Context) -> Self::Result {
        let inbox = self.inbox.clone();
        // the duty is gone only when this actor is about to be
        Box::pin(async move { drop(inbox.send(message.0).await) })
    }
}

impl<D: Duty + Unpin> Handler<ChainNews> for Officer<D>
where
    D::News: From<ChainNews>,
{
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: ChainNews, _: &mut Self::Context) -> Self::Result {
        let inbox = self.inbox.clone();
        Box::pin(async move { drop(inbox.send(message.into()).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter {
        looks: Arc<parking_lot::Mutex<Vec<u32>>>,
        told: u32,
    }

    impl Duty for Counter {
        type News = u32;

        fn take(&mut self, news: u32) {
            self.told += news;
        }

        async fn look(&mut self) -> Duration {
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.looks.lock().push(self.told);
            Duration::from_secs(60)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn news_that_come_during_a_look_are_one_look_more() {
        let looks = Arc::default();
        let duty = Counter {
            looks: Arc::clone(&looks),
            told: 0,
        };
        let (sender, inbox) = mpsc::channel(8);
        let fact = crate::facts::Fact::new(0);
        let bell = Bell::default();
        let run = see_to(duty, inbox, bell.clone(), vec![fact.changes()]);
        let script = async {
            for _ in 0..3 {
                sender.send(1).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(*looks.lock(), [0, 3]);
            fact.publish(1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            bell.ring();
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(*looks.lock(), [0, 3, 3, 3]);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(looks.lock().len(), 5, "by itself");
            drop(sender);
        };
        tokio::join!(run, script);
    }
}
