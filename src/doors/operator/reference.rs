//! Routes that `livepeer_cli` and operators' scripts call, answered as the reference answers them.
//!
//! Any method is accepted, except where the node signs or sends a transaction; parameters come from a form body or the
//! query, the body first.

mod chain;
mod missing;
mod prices;
mod shapes;
mod transactions;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use protocol::money::U256;
use serde::Serialize;
use url::form_urlencoded;

use super::view::{ChainView, NodeStatus, RemoteTranscoder, SessionLimit};
use super::{OperatorState, reply};

pub use self::transactions::waits as waits_for_a_transaction;

type State = web::Data<OperatorState>;
type Answer = Result<HttpResponse, Refusal>;

/// A refusal in the form of the reference.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// 400: something is wrong with the request.
    fn wrong(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 500: it cannot be done.
    fn failed(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        reply::error(self.status, &self.text)
    }
}

/// The chain side; off-chain the reference's words.
fn chain_of(state: &State) -> Result<Arc<dyn ChainView>, Refusal> {
    let chain = state.node.chain();
    chain.ok_or_else(|| Refusal::failed("missing ETH client"))
}

/// The routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/status", web::to(status))
        .route("/IsOrchestrator", web::to(is_orchestrator))
        .route("/IsRedeemer", web::to(is_redeemer))
        .route("/EthChainID", web::to(chain_id))
        .route("/setMaxSessions", web::to(set_max_sessions))
        .route("/getLogLevel", web::to(log_level))
        .route("/setLogLevel", web::to(set_log_level))
        .configure(chain::routes)
        .configure(prices::routes)
        .configure(transactions::routes)
        .configure(missing::routes);
}

/// `/status`: the reference's keys in its order. What only a gateway has is empty.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    manifests: BTreeMap<String, ()>,
    internal_manifests: BTreeMap<String, String>,
    stream_info: BTreeMap<String, ()>,
    orchestrator_pool: Vec<String>,
    /// `null` on an orchestrator, as the reference's unset list.
    orchestrator_pool_infos: Option<Vec<()>>,
    version: String,
    golang_runtime_version: String,
    #[serde(rename = "GOArch")]
    go_arch: &'static str,
    #[serde(rename = "GOOS")]
    go_os: &'static str,
    registered_transcoders_number: usize,
    registered_transcoders: Vec<RemoteTranscoder>,
    local_transcoding: bool,
    broadcaster_prices: BTreeMap<String, String>,
}

impl From<NodeStatus> for Status {
    fn from(node: NodeStatus) -> Self {
        let local_transcoding = !node.remote_only;
        let registered_transcoders = node.transcoders;
        Self {
            manifests: BTreeMap::new(),
            internal_manifests: BTreeMap::new(),
            stream_info: BTreeMap::new(),
            orchestrator_pool: Vec::new(),
            orchestrator_pool_infos: None,
            version: node.version,
            golang_runtime_version: node.runtime,
            go_arch: go_arch(std::env::consts::ARCH),
            go_os: std::env::consts::OS,
            registered_transcoders_number: registered_transcoders.len(),
            registered_transcoders,
            local_transcoding,
            broadcaster_prices: node.prices,
        }
    }
}

/// Go's name for a processor.
fn go_arch(arch: &'static str) -> &'static str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

async fn status(state: State) -> HttpResponse {
    reply::json(&Status::from(state.node.status()))
}

async fn is_orchestrator(state: State) -> HttpResponse {
    reply::text(state.node.status().orchestrator.to_string())
}

async fn is_redeemer(state: State) -> HttpResponse {
    reply::text(state.node.status().redeemer.to_string())
}

async fn chain_id(state: State) -> HttpResponse {
    reply::text(state.node.status().chain_id)
}

async fn set_max_sessions(state: State, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Some(given) = parameter(&request, &body, "maxSessions") else {
        return reply::bad_request("missing form param: maxSessions");
    };
    let limit = match session_limit(&given) {
        Ok(limit) => limit,
        Err(text) => return reply::bad_request(&text),
    };
    if let Err(text) = state.node.set_max_sessions(limit) {
        return reply::bad_request(&text);
    }
    match limit {
        SessionLimit::Auto(_) => reply::text("Max sessions set to auto\n"),
        SessionLimit::Fixed(sessions) => reply::text(format!("Max sessions set to {sessions}\n")),
    }
}

/// `auto`, or a number above 0; else the reference's text.
fn session_limit(given: &str) -> Result<SessionLimit, String> {
    if given == "auto" {
        return Ok(SessionLimit::Auto(0));
    }
    let digits = given.strip_prefix(['+', '-']).unwrap_or(given);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.Atoi: parsing {given:?}: invalid syntax"));
    }
    if given.starts_with('-') || digits.bytes().all(|byte| byte == b'0') {
        return Err("Max Sessions must be 'auto' or greater than zero".to_owned());
    }
    digits
        .parse()
        .map(SessionLimit::Fixed)
        .map_err(|_| format!("strconv.Atoi: parsing {given:?}: value out of range"))
}

async fn log_level(state: State) -> HttpResponse {
    match &state.levels {
        Some(levels) => reply::text(levels.verbosity().to_string()),
        None => reply::error(StatusCode::INTERNAL_SERVER_ERROR, "nil log level"),
    }
}

async fn set_log_level(state: State, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Some(given) = parameter(&request, &body, "loglevel") else {
        return reply::bad_request("missing form param: loglevel");
    };
    let Some(levels) = &state.levels else {
        return reply::error(StatusCode::INTERNAL_SERVER_ERROR, "nil log level");
    };
    let Ok(verbosity) = given.parse() else {
        return reply::bad_request("parameter 'logLevel' not defined");
    };
    match levels.set_verbosity(verbosity) {
        Ok(()) => reply::nothing(),
        Err(error) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A parameter without which the reference does not go on.
fn needed(request: &HttpRequest, body: &[u8], name: &str) -> Result<String, Refusal> {
    parameter(request, body, name)
        .ok_or_else(|| Refusal::wrong(format!("missing form param: {name}")))
}

/// Decimal digits, with a plus sign or without. The reference takes negative numbers as well and fails later.
fn integer(text: &str) -> Result<U256, Refusal> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let number = match digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        true => U256::from_dec_str(digits).ok(),
        false => None,
    };
    number.ok_or_else(|| Refusal::wrong("failed to parse big integer"))
}

/// A parameter that is there and not empty.
fn parameter(request: &HttpRequest, body: &[u8], name: &str) -> Option<String> {
    let form = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH
    ) && request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| {
            kind.trim()
                .to_ascii_lowercase()
                .starts_with("application/x-www-form-urlencoded")
        });
    let in_body = if form { first(body, name) } else { None };
    let found = in_body.or_else(|| first(request.query_string().as_bytes(), name))?;
    (!found.is_empty()).then(|| found.into_owned())
}

fn first<'b>(pairs: &'b [u8], name: &str) -> Option<Cow<'b, str>> {
    form_urlencoded::parse(pairs)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_limits_are_read_as_go_reads_them() {
        assert_eq!(session_limit("auto"), Ok(SessionLimit::Auto(0)));
        assert_eq!(session_limit("12"), Ok(SessionLimit::Fixed(12)));
        assert_eq!(session_limit("+007"), Ok(SessionLimit::Fixed(7)));
        for low in ["0", "-1", "-0", "-99999"] {
            assert_eq!(
                session_limit(low),
                Err("Max Sessions must be 'auto' or greater than zero".into())
            );
        }
        for wrong in ["x", "1.5", " 1", "1e3", "+", "-", "Auto"] {
            assert_eq!(
                session_limit(wrong),
                Err(format!("strconv.Atoi: parsing \"{wrong}\": invalid syntax"))
            );
        }
        assert_eq!(
            session_limit("99999999999999999999"),
            Err("strconv.Atoi: parsing \"99999999999999999999\": value out of range".into())
        );
    }
}
