//! One actor per stream: owns the stream's queue, its worker, and its directory in the segment store.
//!
//! Segments run one at a time in arrival order, one running and four waiting; doors take a permit first, and none left means
//! `OrchestratorBusy`. Talks to the session manager (which makes it), the worker registry (which lends it a worker), and to
//! doors only through the reply of each request. A panic here costs this stream's running job and nothing else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    SpawnHandle, WrapFuture,
};
use bytes::Bytes;
use futures::FutureExt;
use host::job::{JobStats, SegmentJob};
use protocol::profile::VideoProfile;
use protocol::segment::SegmentCredentials;
use protocol::{result, texts};
use serde::Serialize;
use telemetry::metrics::label::SessionEnd;
use telemetry::metrics::{Metrics, StreamMetrics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::time::Instant;

use crate::body::Body;
use crate::death::DeathNotice;
use crate::dispatch::{Delivery, Segment, dispatch};
use crate::failure::{Cause, SegmentFailure};
use crate::published::{Entry, List};
use crate::segment_store::{Object, SegmentStore};
use crate::slots::{Customer, Slot};
use crate::worker_registry::{Worker, Workers};

/// One running and four waiting.
pub const QUEUE: usize = 5;
/// A session without a new segment for this long ends.
pub const IDLE: Duration = Duration::from_secs(70);

/// A segment that was transcoded and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcoded {
    /// Each rendition, in the order of the profiles; the bytes are those in the store, if they are kept there.
    pub contents: Vec<Bytes>,
    /// Encoded pixels of each rendition, in the order of the profiles.
    pub pixels: Vec<u64>,
    /// The perceptual hash of each rendition, in the order of the profiles; empty where there is none.
    pub hashes: Vec<Bytes>,
    /// What it cost.
    pub stats: JobStats,
    /// Tries that failed before.
    pub retries: u32,
}

/// What a door gets back for a segment.
pub type SegmentAnswer = Result<Transcoded, SegmentFailure>;

/// A segment on its way through the session.
pub struct SegmentRequest {
    /// What to do.
    pub spec: SegmentJob,
    /// The same as the gateway wrote it, for a remote transcoder; with the auth token of the session.
    pub order: Arc<SegmentCredentials>,
    /// Its bytes.
    pub body: Body,
    /// Whether the node's own store keeps the renditions, for the gateway to fetch.
    pub keep: bool,
    /// When its headers arrived.
    pub arrived: Instant,
    /// Where the answer goes.
    pub reply: oneshot::Sender<SegmentAnswer>,
}

/// Why a session did not take a segment.
pub enum Unqueued {
    /// What the gateway is told.
    Failed(SegmentFailure),
    /// The session ended in the meantime: a fresh one will take it.
    Ended(Box<SegmentRequest>),
}

/// How doors reach a session: permits stand in front of the mailbox.
#[derive(Clone)]
pub struct SessionFront {
    addr: Addr<TranscodeSession>,
    permits: Arc<Semaphore>,
}

impl SessionFront {
    /// Queues a segment.
    ///
    /// # Errors
    /// `OrchestratorBusy` when five segments are under way, `TranscoderStopped` when the session died; a session that has
    /// ended gives the request back.
    pub async fn enqueue(&self, request: SegmentRequest) -> Result<(), Unqueued> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(TryAcquireError::Closed) => return Err(Unqueued::Ended(Box::new(request))),
            Err(TryAcquireError::NoPermits) => {
                return Err(Unqueued::Failed(SegmentFailure::new(
                    Cause::Busy,
                    texts::BUSY,
                    format!("{QUEUE} segments of the session are under way"),
                )));
            }
        };
        let sent = self.addr.send(Enqueue { request, permit }).await;
        sent.map_err(|error| {
            Unqueued::Failed(SegmentFailure::lost(format!("session is gone: {error}")))
        })
    }

    /// False once the session has ended or died.
    pub fn is_alive(&self) -> bool {
        self.addr.connected() && !self.permits.is_closed()
    }

    /// Ends the session once its segments are done.
    pub async fn end(&self, reason: SessionEnd) {
        // A session that is already gone needs no end.
        let _ = self.addr.send(EndSession(reason)).await;
    }
}

/// What a session is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// Session ID.
    pub session_id: String,
    /// Name of the stream.
    pub manifest_id: String,
    /// Whose stream it is.
    pub customer: Customer,
    /// Number of the worker that has it.
    pub worker: Option<u64>,
    /// Names of the profiles last asked for.
    pub profiles: Vec<String>,
    /// When it was opened.
    #[serde(skip)]
    pub opened: Instant,
    /// When the latest segment came.
    #[serde(skip)]
    pub latest: Instant,
    /// Segments waiting or at work.
    pub queued: usize,
    /// Segments delivered.
    pub delivered: u64,
    /// Segments failed.
    pub failed: u64,
    /// Duration of the latest delivered segment × 1000 ÷ the time its transcode took.
    pub score_milli: u64,
}

/// The published list of sessions.
pub type SessionList = List<String, SessionView>;

// ---- messages: asked by others ----

/// A door queues a segment.
#[derive(Message)]
#[rtype(result = "()")]
struct Enqueue {
    request: SegmentRequest,
    permit: OwnedSemaphorePermit,
}

/// The session manager ends the session.
#[derive(Message)]
#[rtype(result = "()")]
struct EndSession(SessionEnd);

// ---- internal ----

struct Queued {
    request: SegmentRequest,
    _permit: OwnedSemaphorePermit,
}

/// The session's directory in the store; ends it when dropped, also by a panic.
struct Directory {
    session_id: String,
    store: SegmentStore,
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.store.end(&self.session_id, std::time::Instant::now());
    }
}

/// What a session is made with.
pub struct SessionSetup {
    /// Session ID of the auth token.
    pub session_id: String,
    /// Name of the stream, for logs and labels.
    pub manifest_id: String,
    /// The slot it occupies.
    pub slot: Arc<Slot>,
    /// Where renditions go.
    pub store: SegmentStore,
    /// Where workers come from.
    pub workers: Workers,
    /// Where the session is published.
    pub list: SessionList,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
}

/// See the module.
pub struct TranscodeSession {
    setup: SessionSetup,
    directory: Directory,
    stream: StreamMetrics,
    entry: Entry<String, SessionView>,
    queue: VecDeque<Queued>,
    /// The front's: one for each segment that waits, is at work, or is on its way here.
    permits: Arc<Semaphore>,
    running: bool,
    worker: Option<Worker>,
    idle: Option<SpawnHandle>,
    ending: Option<SessionEnd>,
    delivered: u64,
    failed: u64,
    _notice: DeathNotice<String>,
}

impl TranscodeSession {
    /// Starts a session on `arbiter`.
    pub fn start(
        setup: SessionSetup,
        arbiter: &actix_rt::ArbiterHandle,
        notice: DeathNotice<String>,
    ) -> SessionFront {
        let directory = Directory {
            session_id: setup.session_id.clone(),
            store: setup.store.clone(),
        };
        directory.store.open(&directory.session_id);
        let peer = setup.slot.customer().peer.to_string();
        let stream = setup.metrics.video.stream(&setup.manifest_id, &peer);
        let now = Instant::now();
        let view = SessionView {
            session_id: setup.session_id.clone(),
            manifest_id: setup.manifest_id.clone(),
            customer: setup.slot.customer(),
            worker: None,
            profiles: Vec::new(),
            opened: now,
            latest: now,
            queued: 0,
            delivered: 0,
            failed: 0,
            score_milli: 0,
        };
        let entry = setup.list.enter(setup.session_id.clone(), view);
        let permits = Arc::new(Semaphore::new(QUEUE));
        let given = Arc::clone(&permits);
        let addr = Self::start_in_arbiter(arbiter, move |ctx| {
            ctx.set_mailbox_capacity(QUEUE * 2);
            Self {
                stream,
                entry,
                setup,
                directory,
                queue: VecDeque::new(),
                permits: given,
                running: false,
                worker: None,
                idle: None,
                ending: None,
                delivered: 0,
                failed: 0,
                _notice: notice,
            }
        });
        SessionFront { addr, permits }
    }

    fn rearm_idle(&mut self, ctx: &mut Context<Self>) {
        if let Some(handle) = self.idle.take() {
            ctx.cancel_future(handle);
        }
        self.idle = Some(ctx.run_later(IDLE, |session, ctx| {
            if session.running {
                session.rearm_idle(ctx);
            } else {
                session.end(SessionEnd::Idle, ctx);
            }
        }));
    }

    fn end(&mut self, reason: SessionEnd, ctx: &mut Context<Self>) {
        self.ending.get_or_insert(reason);
        self.leave(ctx);
    }

    /// Ends unless a segment waits, is at work or is on its way. From then on the front takes none, so none is lost.
    fn leave(&mut self, ctx: &mut Context<Self>) -> bool {
        let all = self.permits.try_acquire_many(QUEUE as u32).is_ok();
        if all {
            self.permits.close();
            ctx.stop();
        }
        all
    }

    fn run_next(&mut self, ctx: &mut Context<Self>) {
        if self.running {
            return;
        }
        let Some(queued) = self.queue.pop_front() else {
            // where its only segment never became whole, the slot is free again at once
            let idle = self.delivered + self.failed == 0;
            if (self.ending.is_some() || idle) && self.leave(ctx) {
                self.ending.get_or_insert(SessionEnd::Gateway);
            }
            return;
        };
        self.running = true;
        let worker = self.worker.take();
        let workers = self.setup.workers.clone();
        let session_id = self.setup.session_id.clone();
        let segment = Segment {
            spec: queued.request.spec.clone(),
            order: Arc::clone(&queued.request.order),
            body: queued.request.body.clone(),
            arrived: queued.request.arrived,
        };
        let metrics = Arc::clone(&self.setup.metrics);
        let work = async move { dispatch(&workers, &session_id, worker, &segment, &metrics).await };
        // One wrapper for every asynchronous handler: a panic is answered, then the actor stops.
        let guarded = std::panic::AssertUnwindSafe(work).catch_unwind();
        ctx.spawn(guarded.into_actor(self).map(move |outcome, session, ctx| {
            session.running = false;
            let (answer, panicked) = match outcome {
                Ok((worker, delivered)) => {
                    session.worker = worker;
                    (delivered, false)
                }
                Err(_) => (Err(SegmentFailure::lost("panic while transcoding")), true),
            };
            session.finish(queued, answer);
            if panicked {
                ctx.stop();
            } else {
                session.run_next(ctx);
            }
        }));
    }

    fn finish(&mut self, queued: Queued, outcome: Result<Delivery, SegmentFailure>) {
        let request = queued.request;
        let answer = outcome.and_then(|delivery| self.store(&request.spec, request.keep, delivery));
        let worker = self.worker.as_ref().map(Worker::id);
        match &answer {
            Ok(transcoded) => {
                self.delivered += 1;
                self.note_delivered(&request, transcoded);
            }
            Err(failure) if failure.cause == Cause::Upload => {}
            Err(failure) => {
                self.failed += 1;
                if let Some(cause) = failure.cause.counted_as() {
                    self.stream.failed(cause);
                }
                tracing::warn!(
                    manifestID = self.setup.manifest_id,
                    sessionID = self.setup.session_id,
                    seqNo = request.spec.seq,
                    cause = ?failure.cause,
                    text = %failure.text,
                    detail = failure.detail,
                    "segment failed"
                );
            }
        }
        self.entry.change(|view| {
            view.worker = worker;
            view.queued = self.queue.len();
            view.delivered = self.delivered;
            view.failed = self.failed;
            if let Ok(transcoded) = &answer {
                let took_ms = (transcoded.stats.total_us / 1000).max(1);
                view.score_milli = u64::from(request.spec.duration_ms) * 1000 / took_ms;
            }
        });
        // A door that has gone away does not want the answer.
        let _ = request.reply.send(answer);
    }

    fn store(&self, spec: &SegmentJob, keep: bool, delivery: Delivery) -> SegmentAnswer {
        let mut pixels = Vec::with_capacity(spec.profiles.len());
        let mut contents = Vec::with_capacity(spec.profiles.len());
        let mut hashes = Vec::with_capacity(spec.profiles.len());
        let put = |profile: &VideoProfile, name: &str, bytes| {
            if !keep {
                return Ok(());
            }
            let object = Object {
                bytes,
                mime: profile.format.mime(),
            };
            self.directory
                .store
                .put(&self.setup.session_id, &profile.name, name, object)
                .map_err(|error| {
                    SegmentFailure::new(Cause::Store, texts::SESSION_ENDED, error.to_string())
                })
        };
        for (profile, rendition) in spec.profiles.iter().zip(delivery.renditions) {
            let name = result::rendition_file(profile, spec.seq);
            contents.push(rendition.bytes.clone());
            put(profile, &name, rendition.bytes)?;
            if !rendition.hash.is_empty() {
                let name = result::hash_file(profile, spec.seq);
                put(profile, &name, rendition.hash.clone())?;
            }
            hashes.push(rendition.hash);
            pixels.push(rendition.pixels);
        }
        self.stream.pixels(pixels.iter().sum());
        Ok(Transcoded {
            contents,
            pixels,
            hashes,
            stats: delivery.stats,
            retries: delivery.retries,
        })
    }

    fn note_delivered(&self, request: &SegmentRequest, transcoded: &Transcoded) {
        let took = Duration::from_micros(transcoded.stats.total_us);
        let source = Duration::from_millis(request.spec.duration_ms.into());
        let profiles = request.spec.profiles.iter();
        self.stream
            .transcoded(profiles.map(|profile| profile.name.as_str()), source, took);
        tracing::info!(
            manifestID = self.setup.manifest_id,
            sessionID = self.setup.session_id,
            seqNo = request.spec.seq,
            took_ms = took.as_millis() as u64,
            retries = transcoded.retries,
            "segment transcoded"
        );
    }
}

impl Actor for TranscodeSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        tracing::info!(
            manifestID = self.setup.manifest_id,
            sessionID = self.setup.session_id,
            sender = %self.setup.slot.customer().sender,
            clientIP = %self.setup.slot.customer().peer,
            "session started"
        );
        self.rearm_idle(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let reason = self.ending.unwrap_or(SessionEnd::Failed);
        self.setup.metrics.video.session_ended(reason);
        tracing::info!(
            manifestID = self.setup.manifest_id,
            sessionID = self.setup.session_id,
            reason = reason.as_str(),
            delivered = self.delivered,
            failed = self.failed,
            "session ended"
        );
    }
}

impl Handler<Enqueue> for TranscodeSession {
    type Result = ();

    fn handle(&mut self, message: Enqueue, ctx: &mut Self::Context) {
        self.rearm_idle(ctx);
        let profiles = &message.request.spec.profiles;
        self.entry.change(|view| {
            view.latest = Instant::now();
            view.queued += 1;
            view.profiles = profiles
                .iter()
                .map(|profile| profile.name.clone())
                .collect();
        });
        self.queue.push_back(Queued {
            request: message.request,
            _permit: message.permit,
        });
        self.run_next(ctx);
    }
}

impl Handler<EndSession> for TranscodeSession {
    type Result = ();

    fn handle(&mut self, message: EndSession, ctx: &mut Self::Context) {
        self.end(message.0, ctx);
    }
}
