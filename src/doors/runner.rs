//! The runner's HTTP interface over a native model, as AI workers of the network ask their containers: so that a Go worker, or
//! another orchestrator, uses the model as an external container.
//!
//! One pipeline and one model. Media travel as data URLs. Errors are `{"detail":{"msg":…}}`.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use axum::routing::{any, get};
use futures::{StreamExt, stream};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use protocol::ai::Pipeline;
use runners::native::NativeRunner;
use runners::{Answer, RunError, Runner};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Token;
use super::requests::{self, Unreadable};

/// What the runner serves.
pub struct RunnerDoor {
    /// Its pipeline.
    pub pipeline: Pipeline,
    /// Its model.
    pub model: String,
    /// Version that it tells.
    pub version: String,
    /// Whom it serves; `None` = anybody who reaches it.
    pub token: Option<Token>,
    /// The process with the model; `None` while it loads.
    pub process: ArcSwapOption<NativeRunner>,
    /// Requests at once; more of them wait.
    pub places: Semaphore,
    /// Bodies that are read or wait for a place at once.
    pub bodies: Semaphore,
}

/// Bodies at once, as many as fit into a gigabyte at their longest.
pub const BODIES: usize = 16;
/// Time for a body to come.
const BODY: Duration = Duration::from_secs(60);

type Door = Arc<RunnerDoor>;

/// Serves until `shutdown`, then lets running requests finish.
pub async fn serve(
    door: Door,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let path = door.pipeline.path();
    let routes = Router::new()
        .route(path, any(run))
        .route(&format!("{path}/"), any(run))
        .route("/health", get(health))
        .route("/health/", get(health))
        .route("/version", get(version))
        .route("/version/", get(version))
        .route("/hardware/info", get(hardware))
        .route("/hardware/info/", get(hardware))
        .with_state(door);
    axum::serve(listener, routes)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

async fn health(State(door): State<Door>) -> Response {
    let status = match door.process.load_full() {
        None => "LOADING",
        Some(process) => match process.health().await {
            Ok(_) => "OK",
            Err(_) => "ERROR",
        },
    };
    answer(StatusCode::OK, &json!({ "status": status }))
}

async fn version(State(door): State<Door>) -> Response {
    let told = json!({
        "pipeline": door.pipeline.name(),
        "model_id": door.model,
        "version": door.version,
    });
    answer(StatusCode::OK, &told)
}

async fn hardware(State(door): State<Door>) -> Response {
    let told = json!({
        "pipeline": door.pipeline.name(),
        "model_id": door.model,
        "gpu_info": {},
    });
    answer(StatusCode::OK, &told)
}

async fn run(State(door): State<Door>, request: HttpRequest) -> Response {
    if request.method() != Method::POST {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "use POST");
    }
    let (parts, body) = request.into_parts();
    if !admits(&door, &parts.headers) {
        let mut response = refused(StatusCode::UNAUTHORIZED, "Invalid bearer token.");
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        return response;
    }
    let Ok(_body) = door.bodies.try_acquire() else {
        return refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests are under way",
        );
    };
    let read = requests::read(door.pipeline, &parts.headers, body.into_data_stream());
    let Ok(read) = tokio::time::timeout(BODY, read).await else {
        return refused(StatusCode::REQUEST_TIMEOUT, "the request comes too slowly");
    };
    match read {
        Ok(request) => ran(Arc::clone(&door), request).await,
        Err(Unreadable { status, text }) => refused(status, &text),
    }
}

fn admits(door: &RunnerDoor, headers: &HeaderMap) -> bool {
    let Some(token) = &door.token else {
        return true;
    };
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|given| given.to_str().ok());
    given.is_some_and(|given| token.is_in(given))
}

async fn ran(door: Door, request: runners::Request) -> Response {
    let asked = request
        .ask
        .str(door.pipeline.model_field())
        .unwrap_or_default();
    if !asked.is_empty() && asked != door.model {
        let text = format!(
            "pipeline configured with {} but called with {asked}",
            door.model
        );
        return refused(StatusCode::BAD_REQUEST, &text);
    }
    let held = Arc::clone(&door);
    let Ok(place) = held.places.acquire().await else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "the runner ends");
    };
    let Some(process) = door.process.load_full() else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "the model is loading");
    };
    match process.run(request).await {
        Ok(Answer::Whole(value)) => answer(StatusCode::OK, &value),
        Ok(Answer::Parts(parts)) => {
            place.forget();
            events(parts, Place(Arc::clone(&door)))
        }
        Err(RunError::Returned {
            status, message, ..
        }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            refused(status, &message)
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A place that goes with a stream.
struct Place(Door);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.add_permits(1);
    }
}

/// Server-sent events; an error is one of them, since the status is out already.
fn events(parts: tokio::sync::mpsc::Receiver<Result<Value, RunError>>, place: Place) -> Response {
    let parts = stream::unfold((parts, place), |(mut parts, place)| async move {
        let part = parts.recv().await?;
        let value = part.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        Some((format!("data: {value}\n\n"), (parts, place)))
    });
    let done = stream::once(async { "data: [DONE]\n\n".to_owned() });
    let body = parts.chain(done).map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let events = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, events);
    response
}

fn answer(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn refused(status: StatusCode, text: &str) -> Response {
    answer(status, &json!({ "detail": { "msg": text } }))
}
