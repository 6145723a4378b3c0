//! One actor per remote transcoder that is connected: owns its registration stream, and knows which answers it owes.
//!
//! Made by the worker registry when a transcoder registers. Talks to sessions that lease a part of its capacity, and through
//! the stream's receiver to the door; it ends with the stream. One that owes several answers is sent away.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message};
use protocol::capabilities::Capabilities;
use protocol::segment::SegmentCredentials;
use tokio::sync::{mpsc, oneshot, watch};

use crate::body::Body;
use crate::placement::Facts;
use crate::published::{Entry, List};
use crate::remote_tasks::{RemoteTasks, TaskAnswer};

/// Messages under way to the actor.
const MAILBOX: usize = 256;
/// Notices that wait for the connection to take them.
const STREAM: usize = 64;
/// A transcoder that owes so many answers is sent away.
const MOST_OWED: usize = 3;

/// How a remote transcoder introduces itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// Host and port it connects from.
    pub address: String,
    /// Sessions it says it can carry, above 0.
    pub capacity: usize,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// What goes out on the registration stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// Transcode a segment.
    Job {
        /// Number of the task.
        task: i64,
        /// What is to be done; the input lies under its session and sequence number.
        order: Arc<SegmentCredentials>,
    },
    /// A session is over.
    SessionEnd(String),
}

/// The door's end of a registration. The transcoder leaves the node when it is dropped; [`None`](Self::next) ends the stream.
pub struct Connection {
    notices: mpsc::Receiver<Notice>,
    _bye: oneshot::Sender<()>,
}

impl Connection {
    /// What is to be sent next; `None` when the transcoder is sent away.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }
}

/// Published facts of a connected transcoder.
pub struct RemoteSeat {
    /// Number of the worker on this node.
    pub id: u64,
    /// How it introduced itself.
    pub registration: Registration,
    load: AtomicUsize,
    owed: AtomicUsize,
    delivered: AtomicU64,
    draining: AtomicBool,
    addr: Addr<RemoteTranscoder>,
    /// Closed when the transcoder is gone.
    here: watch::Receiver<()>,
}

impl RemoteSeat {
    /// Sessions on it.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Acquire)
    }

    /// Answers it owes beyond the patience of their segments.
    pub fn owed(&self) -> usize {
        self.owed.load(Ordering::Acquire)
    }

    /// Tasks it has answered with renditions.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// Whether it takes no new sessions.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// What placement looks at; `demand` is what the stream needs.
    pub fn facts(&self, demand: &Capabilities) -> Facts {
        Facts {
            load: self.load(),
            capacity: self.registration.capacity,
            capable: demand.satisfied_by(&self.registration.capabilities).is_ok(),
            open: !self.is_draining() && self.is_here(),
            suspected: self.owed() > 0,
        }
    }

    fn is_here(&self) -> bool {
        self.here.has_changed().is_ok()
    }
}

/// Everybody who is connected, their tasks and their inputs. Cheap to clone.
#[derive(Clone)]
pub struct Roster {
    seats: List<u64, Arc<RemoteSeat>>,
    tasks: RemoteTasks,
    inputs: List<(String, i64), Body>,
    changed: Arc<watch::Sender<()>>,
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            seats: List::default(),
            tasks: RemoteTasks::default(),
            inputs: List::default(),
            changed: Arc::new(watch::channel(()).0),
        }
    }
}

impl Roster {
    /// Who is connected.
    pub fn seats(&self) -> Vec<Arc<RemoteSeat>> {
        self.seats.values()
    }

    /// Tells of every transcoder that comes or goes, and of every change of its load.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The tasks of transcoders.
    pub fn tasks(&self) -> &RemoteTasks {
        &self.tasks
    }

    /// Lets transcoders fetch a segment for as long as the entry is held.
    pub fn offer(&self, session_id: &str, seq: i64, body: Body) -> Entry<(String, i64), Body> {
        self.inputs.enter((session_id.to_owned(), seq), body)
    }

    /// The input that lies under a session and a sequence number.
    pub fn input(&self, session_id: &str, seq: i64) -> Option<Body> {
        self.inputs.get(&(session_id.to_owned(), seq))
    }

    /// Hands in the answer to a task; false when nobody knows the task.
    pub fn deliver(&self, task: i64, answer: TaskAnswer) -> bool {
        let good = answer.is_ok();
        let Some(transcoder) = self.tasks.deliver(task, answer) else {
            return false;
        };
        if let Some(seat) = self.seats.get(&transcoder) {
            if good {
                seat.delivered.fetch_add(1, Ordering::AcqRel);
            }
            // A full mailbox only lets it be suspected for longer.
            let _ = seat.addr.try_send(Answered);
        }
        true
    }

    /// Stops or starts giving new sessions to a transcoder; false when there is none of this number.
    pub fn set_draining(&self, id: u64, draining: bool) -> bool {
        let seat = self.seats.get(&id);
        if let Some(seat) = &seat {
            seat.draining.store(draining, Ordering::Release);
            self.tell();
        }
        seat.is_some()
    }

    /// Ends every registration stream in good order.
    pub async fn dismiss_all(&self) {
        for seat in self.seats() {
            // One that is gone needs no end.
            let _ = seat.addr.send(Dismiss).await;
        }
    }

    /// A part of a transcoder's capacity for a session.
    pub fn lease(&self, seat: Arc<RemoteSeat>, session_id: String) -> RemoteLease {
        seat.load.fetch_add(1, Ordering::AcqRel);
        self.tell();
        RemoteLease {
            seat,
            session_id,
            roster: self.clone(),
        }
    }

    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }
}

/// The right to send a session's segments to a transcoder; tells it that the session is over when dropped.
pub struct RemoteLease {
    seat: Arc<RemoteSeat>,
    session_id: String,
    roster: Roster,
}

impl RemoteLease {
    /// Number of the worker on this node.
    pub fn id(&self) -> u64 {
        self.seat.id
    }

    /// False once it is gone.
    pub fn is_alive(&self) -> bool {
        self.seat.is_here()
    }

    /// Whether it can do a segment.
    pub fn can(&self, demand: &Capabilities) -> bool {
        self.seat.facts(demand).capable
    }

    /// Sends a task; false when it cannot be reached.
    pub async fn assign(&self, task: i64, order: Arc<SegmentCredentials>) -> bool {
        self.seat
            .addr
            .send(Assign { task, order })
            .await
            .unwrap_or(false)
    }

    /// Says that a task has had no answer for longer than its segment can wait.
    pub async fn is_late(&self, task: i64) {
        // One that is gone is judged already.
        let _ = self.seat.addr.send(Late(task)).await;
    }

    /// Returns when the transcoder is gone.
    pub async fn gone(&self) {
        let mut here = self.seat.here.clone();
        while here.changed().await.is_ok() {}
    }
}

impl Drop for RemoteLease {
    fn drop(&mut self) {
        self.seat.load.fetch_sub(1, Ordering::AcqRel);
        self.roster.tell();
        // It ends an idle session by itself, if this is lost.
        let _ = self
            .seat
            .addr
            .try_send(EndSession(std::mem::take(&mut self.session_id)));
    }
}

// ---- messages: asked by leases ----

/// Send a task; false when the stream takes nothing more.
#[derive(Message)]
#[rtype(result = "bool")]
struct Assign {
    task: i64,
    order: Arc<SegmentCredentials>,
}

/// A task is overdue.
#[derive(Message)]
#[rtype(result = "()")]
struct Late(i64);

/// Tell the transcoder that a session is over.
#[derive(Message)]
#[rtype(result = "()")]
struct EndSession(String);

// ---- asked by the roster ----

/// The transcoder has answered: it is trusted again.
#[derive(Message)]
#[rtype(result = "()")]
struct Answered;

/// End the stream.
#[derive(Message)]
#[rtype(result = "()")]
struct Dismiss;

/// The place in the roster; whoever waits learns when it is given up, also by a panic.
struct Presence {
    entry: Option<Entry<u64, Arc<RemoteSeat>>>,
    roster: Roster,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.entry.take();
        self.roster.tell();
    }
}

/// See the module.
pub struct RemoteTranscoder {
    seat: Arc<RemoteSeat>,
    stream: mpsc::Sender<Notice>,
    owed: HashSet<i64>,
    _here: watch::Sender<()>,
    _presence: Presence,
}

impl RemoteTranscoder {
    /// Starts the actor of a transcoder that has just registered, on the current arbiter.
    pub fn connect(id: u64, registration: Registration, roster: &Roster) -> Connection {
        let (stream, notices) = mpsc::channel(STREAM);
        let (bye, left) = oneshot::channel::<()>();
        let (here, is_here) = watch::channel(());
        let roster = roster.clone();
        Self::create(move |ctx| {
            let over = async move {
                // The sender never sends: it is dropped with the connection.
                let _ = left.await;
            };
            let over = actix::fut::wrap_future::<_, Self>(over);
            ctx.spawn(over.map(|(), _, ctx: &mut Context<Self>| ctx.stop()));
            let seat = Arc::new(RemoteSeat {
                id,
                registration,
                load: AtomicUsize::new(0),
                owed: AtomicUsize::new(0),
                delivered: AtomicU64::new(0),
                draining: AtomicBool::new(false),
                addr: ctx.address(),
                here: is_here,
            });
            let entry = roster.seats.enter(id, Arc::clone(&seat));
            roster.tell();
            Self {
                seat,
                stream,
                owed: HashSet::new(),
                _here: here,
                _presence: Presence {
                    entry: Some(entry),
                    roster,
                },
            }
        });
        Connection { notices, _bye: bye }
    }

    fn publish_owed(&self) {
        self.seat.owed.store(self.owed.len(), Ordering::Release);
    }
}

impl Actor for RemoteTranscoder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let registration = &self.seat.registration;
        tracing::info!(
            worker = self.seat.id,
            address = registration.address,
            capacity = registration.capacity,
            version = registration.capabilities.version,
            capabilities = %registration.capabilities.set,
            "remote transcoder connected"
        );
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        tracing::info!(
            worker = self.seat.id,
            address = self.seat.registration.address,
            sessions = self.seat.load(),
            delivered = self.seat.delivered(),
            "remote transcoder left"
        );
    }
}

impl Handler<Assign> for RemoteTranscoder {
    type Result = bool;

    fn handle(&mut self, message: Assign, ctx: &mut Self::Context) -> bool {
        let job = Notice::Job {
            task: message.task,
            order: message.order,
        };
        let sent = self.stream.try_send(job).is_ok();
        if !sent {
            // It reads nothing, or its connection is just ending.
            ctx.stop();
        }
        sent
    }
}

impl Handler<Late> for RemoteTranscoder {
    type Result = ();

    fn handle(&mut self, message: Late, ctx: &mut Self::Context) {
        self.owed.insert(message.0);
        self.publish_owed();
        tracing::warn!(
            worker = self.seat.id,
            task = message.0,
            owed = self.owed.len(),
            "remote transcoder does not answer"
        );
        if self.owed.len() >= MOST_OWED {
            ctx.stop();
        }
    }
}

impl Handler<Answered> for RemoteTranscoder {
    type Result = ();

    fn handle(&mut self, _: Answered, _: &mut Self::Context) {
        self.owed.clear();
        self.publish_owed();
    }
}

impl Handler<EndSession> for RemoteTranscoder {
    type Result = ();

    fn handle(&mut self, message: EndSession, _: &mut Self::Context) {
        // It ends an idle session by itself, if this is lost.
        let _ = self.stream.try_send(Notice::SessionEnd(message.0));
    }
}

impl Handler<Dismiss> for RemoteTranscoder {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
