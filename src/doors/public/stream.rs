//! `/stream/<session>/<profile>/<file>`: renditions from memory, until the gateway has fetched them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE,
};
use http::{HeaderValue, Method, StatusCode};
use protocol::result::decode_path;
use protocol::texts;

use super::{Door, reply};

/// Answers with a whole object. Downloaders want exactly 200 and no ranges.
pub(super) async fn get(State(door): State<Arc<Door>>, request: Request) -> Response {
    let method = request.method();
    if method != Method::GET && method != Method::HEAD {
        return reply::wrong_method("GET, HEAD");
    }
    let path = request.uri().path();
    let names = path
        .strip_prefix("/stream/")
        .and_then(decode_path)
        .unwrap_or_default();
    let object = match names.as_slice() {
        [session, profile, file] => door.context.store.get(session, profile, file),
        _ => None,
    };
    let Some(object) = object.filter(|object| !object.bytes.is_empty()) else {
        return reply::text(StatusCode::NOT_FOUND, texts::NOT_FOUND);
    };
    let length = HeaderValue::from(object.bytes.len());
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(object.bytes)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(object.format.mime()));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Content-Length"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
    response
}
