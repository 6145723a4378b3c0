//! Answers in the two styles of this port: plain text as Go's `net/http` writes it, and JSON.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde::Serialize;

const TEXT: (actix_web::http::header::HeaderName, &str) =
    (CONTENT_TYPE, "text/plain; charset=utf-8");

/// 200 with a text, without a line end of its own.
pub fn text(text: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok().insert_header(TEXT).body(text.into())
}

/// 200 with nothing.
pub fn nothing() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// An error as Go's `http.Error` writes it: the text, a line end, `nosniff`.
pub fn error(status: StatusCode, text: &str) -> HttpResponse {
    tracing::warn!(
        status = status.as_u16(),
        error = text,
        "operator request refused"
    );
    HttpResponse::build(status)
        .insert_header(TEXT)
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(format!("{text}\n"))
}

/// 200 with bytes; the type as Go's `net/http` would guess it.
pub fn bytes(bytes: Vec<u8>) -> HttpResponse {
    let binary = |byte: &u8| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31);
    if bytes.iter().any(binary) {
        return HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "application/octet-stream"))
            .body(bytes);
    }
    HttpResponse::Ok().insert_header(TEXT).body(bytes)
}

/// 400 with a text.
pub fn bad_request(text: &str) -> HttpResponse {
    error(StatusCode::BAD_REQUEST, text)
}

/// The answer to an unknown path.
pub async fn not_found() -> HttpResponse {
    error(StatusCode::NOT_FOUND, "404 page not found")
}

/// 200 with JSON.
pub fn json(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(value)
}
