//! `POST /transcodeResults`: what remote transcoders have made. Nothing of a body is read before its sender is known.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use protocol::mixed::media_type;
use protocol::remote::{FAILURE_TYPE, RESULTS_PROTOCOL, RESULTS_TYPE, read_results};
use protocol::texts;
use telemetry::metrics::label::{self, Stage};
use tokio::time::{Instant, timeout_at};

use super::split::Split;
use super::{Door, reply};

/// See the module.
pub(super) async fn post(State(door): State<Arc<Door>>, request: Request) -> Response {
    let Some(split) = &door.context.split else {
        return reply::not_found().await;
    };
    if request.method() != Method::POST {
        return reply::wrong_method("POST");
    }
    let (parts, body) = request.into_parts();
    let task = match Task::read(split, &parts.headers) {
        Ok(task) => task,
        Err((status, text)) => {
            let reason = match status {
                StatusCode::UNAUTHORIZED => label::Refusal::Authentication,
                _ => label::Refusal::Encoding,
            };
            let metrics = &door.context.metrics.video;
            metrics.refused(Stage::Workers, reason);
            tracing::warn!(status = status.as_u16(), text, "results refused");
            // Closing at once would reset an HTTP/1.1 connection before its client has read why.
            super::segment::drain(body.into_data_stream(), door.limits().drain);
            return reply::text(status, text);
        }
    };
    take(&door, split, task, body.into_data_stream()).await
}

/// What the headers say.
struct Task {
    number: i64,
    kind: String,
    boundary: String,
}

impl Task {
    fn read(split: &Split, headers: &HeaderMap) -> Result<Self, (StatusCode, &'static str)> {
        let bytes = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if bytes(AUTHORIZATION.as_str()) != Some(RESULTS_PROTOCOL.as_bytes())
            || !split.knows(bytes("credentials").unwrap_or_default())
        {
            return Err((StatusCode::UNAUTHORIZED, "Unauthorized"));
        }
        let (kind, boundary) = text(CONTENT_TYPE.as_str())
            .and_then(media_type)
            .ok_or((StatusCode::UNSUPPORTED_MEDIA_TYPE, "mime: no media type"))?;
        let number = text("taskid").and_then(|text| text.trim().parse().ok());
        let number = number.ok_or((StatusCode::BAD_REQUEST, "Invalid Task ID"))?;
        // The pixels of the input are only a statistic, but a number they must be.
        let pixels = text("pixels").and_then(|text| text.trim().parse::<i64>().ok());
        if kind != FAILURE_TYPE && pixels.is_none() {
            return Err((StatusCode::BAD_REQUEST, "Invalid Pixels"));
        }
        Ok(Self {
            number,
            kind,
            boundary: boundary.unwrap_or_default(),
        })
    }
}

async fn take(door: &Door, split: &Split, task: Task, body: BodyDataStream) -> Response {
    let roster = split.workers.roster();
    let limits = door.limits();
    let outcome = if task.kind == FAILURE_TYPE {
        let text = whole(door, body, limits.text_bytes).await;
        let text = text.map(|text| String::from_utf8_lossy(&text).into_owned());
        roster.deliver(task.number, Err(text.unwrap_or_else(|error| error)));
        Ok(())
    } else if task.kind != RESULTS_TYPE {
        Ok(())
    } else if !roster.tasks().wants(task.number) {
        // The segment is over, or the task was another process's; that it answers at all is told.
        super::segment::drain(body, limits.drain);
        roster.deliver(task.number, Ok(Vec::new()));
        Ok(())
    } else {
        let read = whole(door, body, limits.results_bytes).await;
        let renditions = read.and_then(|body| read_results(&body, &task.boundary));
        let told = renditions.as_ref().map(|_| ()).map_err(Clone::clone);
        roster.deliver(task.number, renditions);
        told
    };
    match outcome {
        Ok(()) => Response::new(Body::from("OK")),
        Err(text) => {
            let metrics = &door.context.metrics.video;
            metrics.refused(Stage::Workers, label::Refusal::Body);
            tracing::warn!(task = task.number, text, "results cannot be used");
            reply::text(StatusCode::INTERNAL_SERVER_ERROR, &text)
        }
    }
}

/// A body of at most `most` bytes, under the node's budget for bodies while it comes; the text of what is wrong with it.
pub(super) async fn whole(
    door: &Door,
    mut body: BodyDataStream,
    most: usize,
) -> Result<Bytes, String> {
    let limits = door.limits();
    let (mut writer, held) = door.context.budget.body();
    let end = Instant::now() + limits.body;
    let mut length = 0;
    loop {
        let due = end.min(Instant::now() + limits.body_lag);
        let next = timeout_at(due, body.next()).await;
        let Some(bytes) = next.map_err(|_| "the results come too slowly")? else {
            break;
        };
        let bytes = bytes.map_err(|error| error.to_string())?;
        length += bytes.len();
        if length > most {
            return Err(texts::INPUT_TOO_BIG.to_owned());
        }
        let pushed = writer.push(bytes).await;
        pushed.map_err(|error| error.to_string())?;
    }
    writer.confirm();
    let mut reader = held.reader();
    let mut all = BytesMut::with_capacity(length);
    while let Some(bytes) = reader.next().await.map_err(|error| error.to_string())? {
        all.extend_from_slice(&bytes);
    }
    Ok(all.freeze())
}
