//! The nine batch routes: an AI request comes in, a runner answers, media of the answer are stored and linked to.
//!
//! Who asks is known before a byte of the body is read, a place is reserved before a payment is taken, and the place is a value:
//! whatever happens, it is given back.

mod answer;
mod media;
mod memory;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use actors::facts::ModelKey;
use actors::model_catalog::NoPlace;
use actors::model_seat::{Reservation, State};
use axum::body::Body;
use axum::extract::{Extension, Request as HttpRequest, State as Shared};
use axum::response::Response;
use futures::{StreamExt, stream};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use protocol::ai::Pipeline;
use protocol::capabilities::{Capabilities, Capability, Incompatible, version_at_least};
use protocol::pb;
use protocol::refusal::Refusal;
use protocol::segment::SegmentCredentials;
use runners::{Answer, Request, RunError};
use telemetry::metrics::label::{self, AiFailure};
use tokio::time::Instant;

pub(super) use self::stored::find as stored;

use self::memory::Memory;
pub(super) use self::memory::REQUESTS_MIB;
use self::stored::Shelf;
use super::paid::Charge;
use super::peer::Peer;
use super::refused::Refused;
use super::{Door, reply};
use crate::doors::requests::{self, Unreadable};

/// `Authorization` by which a gateway says that it fetches results by links.
const LINKS: &[u8] = b"Livepeer-AI-Worker-1.0";
/// Text that makes a gateway try another node, and come back.
const FULL: &str = "insufficient capacity";
/// Runners that one request may lose: it may be what kills them.
const TRIES: usize = 3;
/// How long another runner is looked for, and the pause before each look.
const AGAIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

/// Why a request got no answer.
enum Failed {
    /// Before the body: by the rules of segments.
    Refused(Refused),
    /// The request itself.
    Unreadable(Unreadable),
    /// No place is free.
    Full,
    /// Too many bodies are under way.
    Memory,
    /// The runner.
    Run(RunError),
    /// The results could not be stored.
    Store(String),
}

/// Answers `POST /<pipeline>`.
pub(super) async fn post(
    pipeline: Pipeline,
    Shared(door): Shared<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: HttpRequest,
) -> Response {
    if request.method() != Method::POST {
        return reply::wrong_method("POST");
    }
    let (parts, body) = request.into_parts();
    let job = Job {
        door: Arc::clone(&door),
        pipeline,
        began: Instant::now(),
        links: parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) == Some(LINKS),
    };
    let mut body = body.into_data_stream();
    let answered = Box::pin(job.answer(peer, &parts.headers, &mut body)).await;
    answered.unwrap_or_else(|failed| {
        if !parts.headers.contains_key(EXPECT) {
            super::segment::drain(body, door.limits().drain);
        }
        job.refusal(peer, &failed)
    })
}

/// One request on its way.
struct Job {
    door: Arc<Door>,
    pipeline: Pipeline,
    began: Instant,
    /// Pictures go out as links, not as data URLs.
    links: bool,
}

/// Who asks, by the two headers.
struct Caller {
    payment: pb::Payment,
    credentials: SegmentCredentials,
}

impl Job {
    async fn answer(
        &self,
        peer: Peer,
        headers: &HeaderMap,
        body: &mut axum::body::BodyDataStream,
    ) -> Result<Response, Failed> {
        let caller = self.caller(headers).map_err(Failed::Refused)?;
        // Held until the answer is out, or its first part.
        let memory = Memory::of(&self.door);
        let read = self.read(headers, body, &memory).await;
        let request = read.map_err(|error| match memory.is_spent() {
            true => Failed::Memory,
            false => Failed::Unreadable(error),
        })?;
        let model = request
            .ask
            .model()
            .map_err(|error| Failed::Unreadable(error.into()))?;
        let model = model.to_owned();
        let units = media::facts(&request)
            .and_then(|media| request.ask.units(media))
            .map_err(|error| Failed::Unreadable(error.into()))?;
        let place = self.reserve(&caller, &model)?;
        let charge = self
            .pay(&caller, &model, units)
            .await
            .map_err(Failed::Refused)?;
        self.door.gate.vouch(peer.address);
        let (place, ran) = self.run(place, request, &model).await;
        let answer = ran.inspect_err(|error| place.seat().metrics().failed(cause(error)));
        match answer.map_err(Failed::Run)? {
            Answer::Whole(value) => {
                let shelf = Shelf::open(&self.door);
                let value = answer::linked(self.pipeline, value, self.links, &shelf)
                    .inspect_err(|_| place.seat().metrics().not_saved())
                    .map_err(Failed::Store)?;
                // Media in answers are long texts, which serde_json escapes byte by byte.
                let mut answer =
                    sonic_rs::to_vec(&value).map_err(|error| Failed::Store(error.to_string()))?;
                answer.push(b'\n');
                self.settle(charge, &place, units).await;
                let mut response = Response::new(Body::from(answer));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                Ok(response)
            }
            Answer::Parts(parts) => self.stream(parts, charge, place, units).await,
        }
    }

    /// Runs the request; again on other runners, where one is lost before it has answered anything. A place that was just given
    /// back may be news to a worker on another machine, hence the pauses.
    async fn run(
        &self,
        mut place: Reservation,
        request: Request,
        model: &str,
    ) -> (Reservation, Result<Answer, RunError>) {
        let mut tries = 1;
        let mut outcome = place.run(request.clone()).await;
        let until = Instant::now() + AGAIN;
        while let Err(error @ RunError::Broken { .. }) = &outcome
            && tries < TRIES
            && Instant::now() < until
        {
            tokio::time::sleep(PAUSE).await;
            let Ok(other) = self.door.context.models.reserve(self.pipeline, model) else {
                continue;
            };
            tracing::warn!(%error, model, "a runner was lost; its request goes to another");
            place.seat().metrics().failed(cause(error));
            tries += 1;
            outcome = other.run(request.clone()).await;
            place = other;
        }
        (place, outcome)
    }

    /// The headers' part: whoever is no gateway of ours is not listened to.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refused> {
        let context = &self.door.context;
        let value = |name| {
            let value = headers.get(name).map(HeaderValue::as_bytes);
            value.unwrap_or_default()
        };
        let payment = protocol::payment::decode_header(value("livepeer-payment"))?;
        let credentials = SegmentCredentials::decode_header(value("livepeer-segment"))?;
        let sender = protocol::payment::sender(&payment);
        credentials.authorize(
            context.network,
            sender,
            &self.server(),
            &context.tokens,
            (context.clock)(),
        )?;
        if context.sessions.slots().is_draining() {
            return Err(Refused {
                refusal: Refusal::Capped,
                reason: label::Refusal::Draining,
            });
        }
        Ok(Caller {
            payment,
            credentials,
        })
    }

    /// What AI requests are held against: the bits of everything that is served, ready or not, since a model that is only
    /// loading is no reason to send a gateway away for good. Models are judged when a place is reserved.
    fn server(&self) -> Capabilities {
        let models = self.door.context.models.pipelines();
        let bits = models.into_iter().map(Pipeline::capability);
        let all = Capability::VIDEO_DEFAULT.iter().copied().chain(bits);
        let snapshot = self.door.context.broadcast.load();
        let version = &snapshot.identity().capabilities.version;
        Capabilities::of(all.collect(), version.clone())
    }

    async fn read(
        &self,
        headers: &HeaderMap,
        body: &mut axum::body::BodyDataStream,
        memory: &Memory,
    ) -> Result<Request, Unreadable> {
        let slow = || Unreadable {
            status: StatusCode::REQUEST_TIMEOUT,
            text: "the request comes too slowly".into(),
        };
        let body = std::mem::replace(body, Body::empty().into_data_stream());
        let memory = memory.clone();
        let body = body.map(move |chunk| memory.take(chunk.map_err(|error| error.to_string())?));
        let read = requests::read(self.pipeline, headers, body);
        let read = tokio::time::timeout(self.door.limits().body, read).await;
        read.map_err(|_| slow())?
    }

    fn reserve(&self, caller: &Caller, model: &str) -> Result<Reservation, Failed> {
        let models = &self.door.context.models;
        let place = models
            .reserve(self.pipeline, model)
            .map_err(|none| match none {
                NoPlace::Full => Failed::Full,
                NoPlace::Unknown => Failed::Refused(self.incompatible(model)),
            })?;
        let number = self.pipeline.capability().number();
        let demand = caller.credentials.capabilities.models.get(&number);
        let least = demand.and_then(|models| models.get(model));
        let least = least.map_or("", |demand| demand.runner_version.as_str());
        if let State::Ready { facts, .. } = place.seat().state()
            && !version_at_least(least, &facts.version)
        {
            return Err(Failed::Refused(self.incompatible(model)));
        }
        Ok(place)
    }

    fn incompatible(&self, model: &str) -> Refused {
        let lacking = Incompatible::Model {
            capability: self.pipeline.capability().number(),
            model: model.to_owned(),
        };
        Refusal::Capabilities(lacking).into()
    }

    async fn pay(
        &self,
        caller: &Caller,
        model: &str,
        units: u64,
    ) -> Result<Option<Charge>, Refused> {
        let Some(paid) = &self.door.context.paid else {
            return Ok(None);
        };
        let key = ModelKey {
            capability: self.pipeline.capability().number(),
            model: model.to_owned(),
        };
        let manifest = self.pipeline.manifest(model);
        let charge = paid.request(&manifest, key, &caller.payment, units).await?;
        Ok(Some(charge))
    }

    /// Charges the work, before its answer goes out.
    async fn settle(&self, charge: Option<Charge>, place: &Reservation, units: u64) {
        let metrics = place.seat().metrics();
        if let Some(charge) = charge {
            metrics.set_price(charge.price());
            charge.debit(units).await;
        }
        metrics.done(self.began.elapsed(), units);
    }

    /// The first part decides: before it nothing is charged, and a failure is an error with a status.
    async fn stream(
        &self,
        mut parts: tokio::sync::mpsc::Receiver<Result<serde_json::Value, RunError>>,
        charge: Option<Charge>,
        place: Reservation,
        units: u64,
    ) -> Result<Response, Failed> {
        let first = match parts.recv().await {
            Some(Ok(part)) => part,
            Some(Err(error)) => {
                place.seat().metrics().failed(cause(&error));
                return Err(Failed::Run(error));
            }
            None => {
                let error = RunError::Garbage {
                    pipeline: self.pipeline,
                    detail: "it is empty".into(),
                };
                place.seat().metrics().failed(cause(&error));
                return Err(Failed::Run(error));
            }
        };
        self.settle(charge, &place, units).await;
        let first = stream::once(async move { Ok(first) });
        // The place goes with the last part, or with a client that leaves.
        let rest = stream::unfold((parts, place), |(mut parts, place)| async move {
            let part = parts.recv().await?;
            if let Err(error) = &part {
                place.seat().metrics().failed(cause(error));
                tracing::warn!(%error, "a streamed answer broke off");
            }
            Some((part, (parts, place)))
        });
        let events = first
            .chain(rest)
            .map(|part| part.map(|part| format!("data: {part}\n\n")));
        let mut response = Response::new(Body::from_stream(events));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        Ok(response)
    }

    fn refusal(&self, peer: Peer, failed: &Failed) -> Response {
        let metrics = &self.door.context.metrics.ai;
        let refused = |reason| metrics.refused(reason, self.pipeline.name());
        let text = match failed {
            Failed::Refused(refused) => refused.refusal.wire_text().to_string(),
            Failed::Unreadable(unreadable) => unreadable.text.clone(),
            Failed::Full | Failed::Memory => FULL.to_owned(),
            Failed::Run(error) => error.to_string(),
            Failed::Store(detail) => detail.clone(),
        };
        tracing::debug!(clientIP = %peer.address, pipeline = %self.pipeline, error = text, "AI request refused");
        match failed {
            Failed::Refused(why) => {
                refused(why.reason);
                reply::refusal(why)
            }
            Failed::Unreadable(why) => {
                refused(label::Refusal::Encoding);
                reply::text(why.status, &text)
            }
            Failed::Full => {
                refused(label::Refusal::Capped);
                reply::text(StatusCode::SERVICE_UNAVAILABLE, &text)
            }
            Failed::Memory => {
                refused(label::Refusal::Memory);
                reply::text(StatusCode::SERVICE_UNAVAILABLE, &text)
            }
            Failed::Run(_) | Failed::Store(_) => {
                reply::text(StatusCode::INTERNAL_SERVER_ERROR, &text)
            }
        }
    }
}

/// As it is counted.
fn cause(error: &RunError) -> AiFailure {
    match error {
        RunError::Returned { .. } if error.blames_request() => AiFailure::Request,
        RunError::Returned { .. } | RunError::Broken { .. } => AiFailure::Runner,
        RunError::Late { .. } => AiFailure::Timeout,
        RunError::Garbage { .. } => AiFailure::Answer,
    }
}
