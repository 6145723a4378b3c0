//! Health for orchestration systems, and the page for Prometheus.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::view::Reason;
use super::{OperatorState, reply};

type State = web::Data<OperatorState>;

/// `/livez` and `/readyz`.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/livez", web::get().to(live))
        .route("/readyz", web::get().to(ready));
}

/// `/metrics`, only when the operator asked for it.
pub fn metrics_route(config: &mut web::ServiceConfig, monitor: bool) {
    if monitor {
        config.route("/metrics", web::to(metrics));
    }
}

/// Whether the node takes work, and why not.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// True when there is no reason against.
    pub ready: bool,
    /// What stands in the way.
    pub reasons: Vec<Reason>,
}

impl Readiness {
    /// Asks the node, and keeps the gauge in step.
    pub fn of(state: &OperatorState) -> Self {
        let reasons = state.node.ready();
        state.metrics.node.set_ready(reasons.is_empty());
        Self {
            ready: reasons.is_empty(),
            reasons,
        }
    }
}

async fn live(state: State) -> HttpResponse {
    match state.node.live() {
        Ok(()) => reply::text("ok\n"),
        Err(text) => reply::error(StatusCode::SERVICE_UNAVAILABLE, &text),
    }
}

async fn ready(state: State) -> HttpResponse {
    let readiness = Readiness::of(&state);
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    HttpResponse::build(status).json(readiness)
}

async fn metrics(state: State) -> HttpResponse {
    Readiness::of(&state);
    match state.metrics.encode() {
        Ok((kind, page)) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, kind))
            .body(page),
        Err(error) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
