//! `/stream/<session>/<profile>/<file>`: renditions from memory, until the gateway has fetched them; and
//! `/stream/<session>/<file>`: segments for remote transcoders, while they work on them, and files of AI requests.

use std::sync::Arc;

use actors::body::BodyError;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::stream;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE,
};
use http::{HeaderValue, Method, StatusCode};
use protocol::remote::input_seq;
use protocol::result::decode_path;
use protocol::texts;

use super::{Door, ai, reply};

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
    let found = match names.as_slice() {
        [session, profile, file] => rendition(&door, session, profile, file),
        [session, file] => input(&door, session, file).or_else(|| result(&door, session, file)),
        _ => None,
    };
    let Some((length, kind, body)) = found else {
        return reply::text(StatusCode::NOT_FOUND, texts::NOT_FOUND);
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        body
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Content-Length"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
    response
}

/// Length, MIME type and content of what lies under a path.
type Found = (u64, &'static str, Body);

fn rendition(door: &Door, session: &str, profile: &str, file: &str) -> Option<Found> {
    let object = door.context.store.get(session, profile, file)?;
    let length = object.bytes.len() as u64;
    (length > 0).then(|| (length, object.mime, Body::from(object.bytes)))
}

/// A file of an AI request.
fn result(door: &Door, request: &str, file: &str) -> Option<Found> {
    let object = ai::stored(&door.context.store, request, file)?;
    let length = object.bytes.len() as u64;
    Some((length, object.mime, Body::from(object.bytes)))
}

/// The segment that remote transcoders work on. Its session ID is all that keeps strangers off, as with renditions.
fn input(door: &Door, session: &str, file: &str) -> Option<Found> {
    let seq = input_seq(file)?;
    let roster = door.context.split.as_ref()?.workers.roster();
    let body = roster.input(session, seq)?;
    let bytes = stream::try_unfold(body.reader(), |mut reader| async move {
        let next = reader.next().await?;
        Ok::<_, BodyError>(next.map(|bytes| (bytes, reader)))
    });
    Some((
        body.len(),
        "application/octet-stream",
        Body::from_stream(bytes),
    ))
}
