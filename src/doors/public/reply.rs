//! Answers in the forms that peers know.

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};

use super::refused::Refused;

const NOSNIFF: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-content-type-options"),
    HeaderValue::from_static("nosniff"),
);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// In the extensions of an answer with a 4xx status for which the caller is not to blame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Excused;

/// An error: its text and a line feed.
pub(super) fn text(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    response
}

/// An error as JSON: `{"error":{"message":…}}`.
pub(super) fn json_error(status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({ "error": { "message": message } });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer to a refused segment or payment.
pub(super) fn refusal(refused: &Refused) -> Response {
    let status =
        StatusCode::from_u16(refused.refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = text(status, &refused.refusal.wire_text());
    if !refused.blames_caller() {
        response.extensions_mut().insert(Excused);
    }
    response
}

/// No such path.
pub(super) async fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

/// The path is there, but not for this method.
pub(super) fn wrong_method(allowed: &'static str) -> Response {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// 200 with nothing in it.
pub(super) async fn empty() -> Response {
    Response::new(Body::empty())
}
