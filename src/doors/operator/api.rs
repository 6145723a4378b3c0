//! The JSON API, version 1. Reads by GET; what changes the node is a POST with a JSON body.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::health::Readiness;
use super::view::SessionLimit;
use super::{OperatorState, reply};

type State = web::Data<OperatorState>;

/// The routes; a wrong method is answered with 405.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/api/v1/status").route(web::get().to(status)))
        .service(web::resource("/api/v1/sessions").route(web::get().to(sessions)))
        .service(web::resource("/api/v1/workers").route(web::get().to(workers)))
        .service(web::resource("/api/v1/max-sessions").route(web::post().to(set_max_sessions)));
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
    })
}

async fn sessions(state: State) -> HttpResponse {
    reply::json(&state.node.sessions())
}

async fn workers(state: State) -> HttpResponse {
    reply::json(&state.node.workers())
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

async fn set_max_sessions(state: State, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return reply::json_error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be application/json",
        );
    }
    let limit = match serde_json::from_slice(&body) {
        Ok(MaxSessions {
            max_sessions: Limit::Number(sessions),
        }) => SessionLimit::Fixed(sessions.get()),
        Ok(MaxSessions {
            max_sessions: Limit::Word(Word::Auto),
        }) => SessionLimit::Auto(0),
        Err(_) => {
            let text = "the body must be {\"max_sessions\": N} with N above 0, or \"auto\"";
            return reply::json_error(StatusCode::BAD_REQUEST, text);
        }
    };
    match state.node.set_max_sessions(limit) {
        Ok(()) => status(state).await,
        Err(text) => reply::json_error(StatusCode::CONFLICT, &text),
    }
}
