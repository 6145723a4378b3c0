//! `/payment` and `/refresh-payment`: payments sent without a segment, as live AI jobs do. Off-chain nothing is paid, so
//! that only credentials are judged.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use http::{Method, StatusCode};
use prost::Message;
use protocol::address::Address;
use protocol::pb;
use serde::Deserialize;
use telemetry::metrics::label::Stage;

use super::peer::Peer;
use super::reply::Excused;
use super::{Door, admission, reply};

/// Answers with the node's description of itself.
pub(super) async fn payment(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    match admission::admit(&door, peer, request.headers()).await {
        Ok(admitted) => {
            let result = pb::PaymentResult {
                info: Some(admitted.info()),
            };
            Response::new(Body::from(result.encode_to_vec()))
        }
        Err(refused) => {
            tracing::debug!(clientIP = %peer.address, error = %refused.refusal, "payment refused");
            door.context
                .metrics
                .video
                .refused(Stage::Segment, refused.reason);
            reply::refusal(&refused)
        }
    }
}

#[derive(Deserialize)]
struct RefreshRequest {
    #[serde(default)]
    sender: String,
    #[serde(default)]
    manifest_id: String,
}

/// A session without payments has no fixed price, and that is the answer to every well-formed request.
pub(super) async fn refresh(State(door): State<Arc<Door>>, request: Request) -> Response {
    if request.method() != Method::POST {
        return reply::wrong_method("POST");
    }
    let limits = door.limits();
    let (most, time) = (limits.text_bytes, limits.rpc);
    drop(limits);
    let read = axum::body::to_bytes(request.into_body(), most);
    let Ok(Ok(body)) = tokio::time::timeout(time, read).await else {
        return reply::json_error(StatusCode::BAD_REQUEST, "body too large or too slow");
    };
    let request: RefreshRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return reply::json_error(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    if request.sender.parse::<Address>().is_err() {
        return reply::json_error(StatusCode::BAD_REQUEST, "invalid sender");
    }
    if request.manifest_id.trim().is_empty() {
        return reply::json_error(StatusCode::BAD_REQUEST, "missing manifest_id");
    }
    let mut response = reply::json_error(StatusCode::CONFLICT, "fixed price not found for session");
    response.extensions_mut().insert(Excused);
    response
}
