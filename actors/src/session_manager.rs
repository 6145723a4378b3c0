//! Owns which session ID belongs to which session actor, and hands out slots.
//!
//! Asked by the public door once per segment; never sees a byte of media. When it dies a fresh one starts empty: running
//! sessions finish what they have and time out, new segments open new sessions.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, ResponseFuture};
use protocol::refusal::Refusal;
use telemetry::metrics::Metrics;
use telemetry::metrics::label::{Pool, SessionEnd};

use crate::arbiters::Arbiters;
use crate::death::{ChildDown, DeathNotice};
use crate::failure::{Cause, SegmentFailure};
use crate::front::Front;
use crate::segment_store::SegmentStore;
use crate::slots::{Customer, Slot, Slots};
use crate::supervisor::AddrCell;
use crate::transcode_session::{
    SegmentRequest, SessionFront, SessionList, SessionSetup, SessionView, TranscodeSession,
    Unqueued,
};
use crate::worker_registry::Workers;

/// Requests that may be under way at once.
const FRONT: usize = 1024;
/// Sessions that may end under a segment that is on its way, before it is given up.
const ENDED_SESSIONS: usize = 4;
/// How often ended sessions are swept from the store.
const SWEEP: Duration = Duration::from_secs(1);

/// How doors reach the session manager.
#[derive(Clone)]
pub struct Sessions {
    front: Front<SessionManager>,
    slots: Arc<Slots>,
    list: SessionList,
    metrics: Arc<Metrics>,
}

/// The right to send a segment into a session; holds its slot.
pub struct Admission {
    session_id: String,
    manifest_id: String,
    slot: Arc<Slot>,
}

impl Sessions {
    /// A front for the manager whose address is published in `addr`.
    pub fn new(addr: AddrCell<SessionManager>, slots: Arc<Slots>, metrics: Arc<Metrics>) -> Self {
        Self {
            front: Front::new(addr, FRONT, Arc::clone(&metrics)),
            list: SessionList::default(),
            slots,
            metrics,
        }
    }

    /// Where sessions are published.
    pub fn list(&self) -> &SessionList {
        &self.list
    }

    /// The slots, for facts that need no message.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// Admits a segment of `session_id`: the session exists, or a slot is free.
    pub async fn admit(
        &self,
        session_id: &str,
        manifest_id: &str,
        customer: Customer,
    ) -> Result<Admission, Refusal> {
        let admit = Admit {
            session_id: session_id.to_owned(),
            customer,
        };
        let slot = self
            .front
            .ask(admit)
            .await
            .ok_or_else(|| Refusal::Info("the session manager is restarting or full".into()))?
            .ok_or(Refusal::Capped)?;
        Ok(Admission {
            session_id: session_id.to_owned(),
            manifest_id: manifest_id.to_owned(),
            slot,
        })
    }

    /// Queues a segment under its admission, opening the session if it is the first.
    pub async fn enqueue(
        &self,
        admission: &Admission,
        request: SegmentRequest,
    ) -> Result<(), SegmentFailure> {
        let mut request = request;
        for _ in 0..ENDED_SESSIONS {
            let open = Open {
                session_id: admission.session_id.clone(),
                manifest_id: admission.manifest_id.clone(),
                slot: Arc::clone(&admission.slot),
            };
            let front = self
                .front
                .ask(open)
                .await
                .ok_or_else(|| SegmentFailure::lost("the session manager is restarting"))?;
            match front.enqueue(request).await {
                Ok(()) => return Ok(()),
                Err(Unqueued::Ended(back)) => request = *back,
                Err(Unqueued::Failed(failure)) => {
                    if failure.cause == Cause::Busy {
                        self.metrics.video.pool_full(Pool::StreamQueue);
                    }
                    return Err(failure);
                }
            }
        }
        Err(SegmentFailure::lost("the session ends again and again"))
    }

    /// Ends a session; an unknown one is no error.
    pub async fn end(&self, session_id: &str) {
        if let Some(Some(front)) = self.front.ask(Find(session_id.to_owned())).await {
            front.end(SessionEnd::Gateway).await;
        }
    }

    /// What every session is doing.
    pub fn views(&self) -> Vec<SessionView> {
        self.list.values()
    }

    /// Ends every session once its segments are done.
    pub async fn end_all(&self) {
        self.front.ask(EndAll).await;
    }
}

// ---- messages: asked by the front ----

#[derive(Message)]
#[rtype(result = "Option<Arc<Slot>>")]
struct Admit {
    session_id: String,
    customer: Customer,
}

#[derive(Message)]
#[rtype(result = "SessionFront")]
struct Open {
    session_id: String,
    manifest_id: String,
    slot: Arc<Slot>,
}

#[derive(Message)]
#[rtype(result = "Option<SessionFront>")]
struct Find(String);

#[derive(Message)]
#[rtype(result = "()")]
struct EndAll;

struct Entry {
    slot: Weak<Slot>,
    front: Option<SessionFront>,
}

/// See the module.
pub struct SessionManager {
    entries: HashMap<String, Entry>,
    slots: Arc<Slots>,
    store: SegmentStore,
    workers: Workers,
    arbiters: Arbiters,
    list: SessionList,
    metrics: Arc<Metrics>,
    _notice: DeathNotice<&'static str>,
}

impl SessionManager {
    /// An empty manager.
    pub fn new(
        slots: Arc<Slots>,
        store: SegmentStore,
        workers: Workers,
        arbiters: Arbiters,
        list: SessionList,
        metrics: Arc<Metrics>,
        notice: DeathNotice<&'static str>,
    ) -> Self {
        Self {
            entries: HashMap::new(),
            slots,
            store,
            workers,
            arbiters,
            list,
            metrics,
            _notice: notice,
        }
    }

    /// The slot of `session_id`, or a free one.
    fn slot_of(&mut self, session_id: &str, customer: Customer) -> Option<Arc<Slot>> {
        if let Some(slot) = self
            .entries
            .get(session_id)
            .and_then(|entry| entry.slot.upgrade())
        {
            return Some(slot);
        }
        let slot = Arc::new(self.slots.take(customer)?);
        self.entries.insert(
            session_id.to_owned(),
            Entry {
                slot: Arc::downgrade(&slot),
                front: None,
            },
        );
        Some(slot)
    }

    fn fronts(&self) -> Vec<SessionFront> {
        self.entries
            .values()
            .filter_map(|entry| entry.front.clone())
            .collect()
    }
}

impl Actor for SessionManager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(FRONT);
        ctx.run_interval(SWEEP, |manager, _| {
            manager.store.sweep(std::time::Instant::now());
            // admissions that never became a session
            manager
                .entries
                .retain(|_, entry| entry.front.is_some() || entry.slot.strong_count() > 0);
        });
    }
}

impl Handler<Admit> for SessionManager {
    type Result = Option<Arc<Slot>>;

    fn handle(&mut self, message: Admit, _: &mut Self::Context) -> Self::Result {
        self.slot_of(&message.session_id, message.customer)
    }
}

impl Handler<Open> for SessionManager {
    type Result = MessageResult<Open>;

    fn handle(&mut self, message: Open, ctx: &mut Self::Context) -> Self::Result {
        if let Some(front) = self
            .entries
            .get(&message.session_id)
            .and_then(|entry| entry.front.clone())
            .filter(SessionFront::is_alive)
        {
            return MessageResult(front);
        }
        let setup = SessionSetup {
            session_id: message.session_id.clone(),
            manifest_id: message.manifest_id,
            slot: Arc::clone(&message.slot),
            store: self.store.clone(),
            workers: self.workers.clone(),
            list: self.list.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        let notice = DeathNotice::new(message.session_id.clone(), ctx.address().recipient());
        let arbiter = self.arbiters.for_key(&message.session_id);
        let front = TranscodeSession::start(setup, arbiter, notice);
        self.entries.insert(
            message.session_id,
            Entry {
                slot: Arc::downgrade(&message.slot),
                front: Some(front.clone()),
            },
        );
        MessageResult(front)
    }
}

impl Handler<Find> for SessionManager {
    type Result = MessageResult<Find>;

    fn handle(&mut self, message: Find, _: &mut Self::Context) -> Self::Result {
        let entry = self.entries.get(&message.0);
        MessageResult(entry.and_then(|entry| entry.front.clone()))
    }
}

impl Handler<EndAll> for SessionManager {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: EndAll, _: &mut Self::Context) -> Self::Result {
        let fronts = self.fronts();
        Box::pin(async move {
            let ended = fronts.iter().map(|front| front.end(SessionEnd::Shutdown));
            futures::future::join_all(ended).await;
        })
    }
}

impl Handler<ChildDown<String>> for SessionManager {
    type Result = ();

    fn handle(&mut self, message: ChildDown<String>, _: &mut Self::Context) {
        if message.panicked {
            tracing::error!(sessionID = message.child, "session died by a panic");
            self.metrics
                .node
                .actor_restarted("transcode_session", message.cause());
        }
        // A fresh session may have taken the name already.
        self.entries.retain(|session_id, entry| {
            *session_id != message.child || entry.front.as_ref().is_some_and(SessionFront::is_alive)
        });
    }
}
