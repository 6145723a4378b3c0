//! `/payment` and `/refresh-payment`: payments sent without a segment, as live AI jobs do. Off-chain nothing is paid, so
//! that only credentials are judged.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use base64::Engine;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use prost::Message;
use protocol::address::Address;
use protocol::pb;
use serde::Deserialize;
use telemetry::metrics::label::Stage;

use super::peer::Peer;
use super::refused::Refused;
use super::reply::Excused;
use super::{Door, admission, reply};

/// Answers with the node's description of itself.
pub(super) async fn payment(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    match take(&door, peer, request.headers().clone()).await {
        Ok(info) => Response::new(Body::from(pb::PaymentResult { info }.encode_to_vec())),
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

async fn take(
    door: &Door,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Option<pb::OrchestratorInfo>, Refused> {
    let admitted = admission::admit(door, peer, &headers).await?;
    match &door.context.paid {
        Some(paid) => paid.ahead(&admitted, &admitted.payment).await,
        None => Ok(Some(admitted.info())),
    }
}

#[derive(Deserialize)]
struct RefreshRequest {
    #[serde(default)]
    sender: String,
    #[serde(default)]
    manifest_id: String,
}

/// Ticket parameters at the price of a session, for who pays in a gateway's place. A session without payments has no
/// fixed price, and off-chain that is the answer to every well-formed request.
pub(super) async fn refresh(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
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
    let Ok(sender) = request.sender.parse::<Address>() else {
        return reply::json_error(StatusCode::BAD_REQUEST, "invalid sender");
    };
    if request.manifest_id.trim().is_empty() {
        return reply::json_error(StatusCode::BAD_REQUEST, "missing manifest_id");
    }
    let context = &door.context;
    if let Some(paid) = &context.paid {
        // whoever asks proves nothing, and each answer costs a quote
        door.gate.unverified(peer.address);
        let manifest = request.manifest_id.trim();
        let token = context.tokens.issue(manifest.to_owned(), (context.clock)());
        let info = context.broadcast.load().info(token);
        match paid.refresh(sender, manifest, info).await {
            Ok(Some(info)) => return refreshed(&info, manifest),
            Ok(None) => {}
            Err(error) => {
                let text = error.to_string();
                return reply::json_error(StatusCode::INTERNAL_SERVER_ERROR, &text);
            }
        }
    }
    let mut response = reply::json_error(StatusCode::CONFLICT, "fixed price not found for session");
    response.extensions_mut().insert(Excused);
    response
}

fn refreshed(info: &pb::OrchestratorInfo, manifest: &str) -> Response {
    let params = base64::engine::general_purpose::STANDARD.encode(info.encode_to_vec());
    let orchestrator = &info.transcoder;
    let body = serde_json::json!({
        "payment_params": params,
        "orchestrator": orchestrator,
        "manifest_id": manifest,
        "payment_url": format!("{orchestrator}/payment"),
    });
    let mut response = Response::new(Body::from(body.to_string()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
