//! The JSON API, version 1. Reads by GET; what changes the node is a POST with a JSON body. An error is
//! `{"code": …, "error": …}`.

mod chain;
mod failure;
mod payments;
mod tickets;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use host::message::Wall;
use serde::{Deserialize, Serialize};

use self::failure::{Failure, change};
use super::health::Readiness;
use super::view::{ChainView, SessionLimit};
use super::{OperatorState, reply};

pub use self::tickets::{TicketProofs, TicketSums, ticket_filter};

type State = web::Data<OperatorState>;

/// The routes; a wrong method is answered with 405.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/api/v1/status").route(web::get().to(status)))
        .service(web::resource("/api/v1/sessions").route(web::get().to(sessions)))
        .service(web::resource("/api/v1/workers").route(web::get().to(workers)))
        .service(web::resource("/api/v1/models").route(web::get().to(models)))
        .service(web::resource("/api/v1/models/drain").route(web::post().to(drain_model)))
        .service(web::resource("/api/v1/max-sessions").route(web::post().to(set_max_sessions)))
        .service(web::resource("/api/v1/drain").route(web::post().to(set_draining)))
        .service(web::resource("/api/v1/workers/drain").route(web::post().to(drain_worker)))
        .configure(tickets::routes)
        .configure(payments::routes)
        .configure(chain::routes);
}

fn chain_of(state: &State) -> Result<Arc<dyn ChainView>, Failure> {
    state.node.chain().ok_or(Failure::OffChain)
}

#[derive(Debug, Serialize)]
struct Status {
    node_id: String,
    version: String,
    service_uri: String,
    chain_id: String,
    uptime_s: u64,
    #[serde(flatten)]
    readiness: Readiness,
    sessions: usize,
    max_sessions: u32,
    max_sessions_auto: bool,
    /// From 0 to 1, over the latest segments.
    success_rate: f64,
    /// Walls around worker processes, as the last one that started found them.
    walls: Vec<Wall>,
}

async fn status(state: State) -> HttpResponse {
    let node = state.node.status();
    let limit = state.node.max_sessions();
    reply::json(&Status {
        node_id: node.node_id,
        version: node.version,
        service_uri: node.service_uri,
        chain_id: node.chain_id,
        uptime_s: node.uptime_s,
        readiness: Readiness::of(&state),
        sessions: state.node.sessions().len(),
        max_sessions: limit.now(),
        max_sessions_auto: matches!(limit, SessionLimit::Auto(_)),
        success_rate: state.metrics.video.success_rate(),
        walls: state.node.walls(),
    })
}

async fn sessions(state: State) -> HttpResponse {
    reply::json(&state.node.sessions())
}

async fn workers(state: State) -> HttpResponse {
    reply::json(&state.node.workers())
}

async fn models(state: State) -> HttpResponse {
    reply::json(&state.node.models())
}

/// Body of a change of one model's drain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainModel {
    pipeline: String,
    model: String,
    draining: bool,
}

/// A model takes no new requests, or takes them again; those it has go on.
async fn drain_model(
    state: State,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let shape = "{\"pipeline\": \"llm\", \"model\": \"ID\", \"draining\": true}";
    let asked: DrainModel = change(&request, &body, shape)?;
    let changed = state
        .node
        .set_model_draining(&asked.pipeline, &asked.model, asked.draining);
    changed.map_err(Failure::Refused)?;
    Ok(models(state).await)
}

/// Body of a change of one worker's drain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainWorker {
    worker: String,
    draining: bool,
}

/// One remote worker takes no new streams, or takes them again; those it has go on.
async fn drain_worker(
    state: State,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let shape = "{\"worker\": \"remote-N\", \"draining\": true}";
    let DrainWorker { worker, draining } = change(&request, &body, shape)?;
    let changed = state.node.set_worker_draining(&worker, draining);
    changed.map_err(Failure::Refused)?;
    Ok(workers(state).await)
}

/// Body of a change of the limit: a number above 0, or `"auto"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaxSessions {
    max_sessions: Limit,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Limit {
    Number(std::num::NonZeroU32),
    Word(Word),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Auto,
}

async fn set_max_sessions(
    state: State,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let shape = "{\"max_sessions\": N} with N above 0, or \"auto\"";
    let MaxSessions { max_sessions } = change(&request, &body, shape)?;
    let limit = match max_sessions {
        Limit::Number(sessions) => SessionLimit::Fixed(sessions.get()),
        Limit::Word(Word::Auto) => SessionLimit::Auto(0),
    };
    let changed = state.node.set_max_sessions(limit);
    changed.map_err(Failure::Refused)?;
    Ok(status(state).await)
}

/// Body of a drain: whether no new streams are taken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
    draining: bool,
}

async fn set_draining(
    state: State,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let Drain { draining } = change(&request, &body, "{\"draining\": true} or false")?;
    let changed = state.node.set_draining(draining);
    changed.map_err(Failure::Refused)?;
    Ok(status(state).await)
}
