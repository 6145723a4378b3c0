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

/// An error of the JSON API.
pub fn json_error(status: StatusCode, text: &str) -> HttpResponse {
    #[derive(Serialize)]
    struct Body<'t> {
        error: &'t str,
    }
    HttpResponse::build(status).json(Body { error: text })
}
