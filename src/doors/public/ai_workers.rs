//! AI workers on other machines: their registration, and `POST /aiResults`, where they bring what they made.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actors::remote_ai::{AiConnection, AiWorkers, join_files};
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use futures::{Stream, StreamExt, stream};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use protocol::ai::Pipeline;
use protocol::capabilities::{Capabilities, version_at_least};
use protocol::mixed::{self, media_type};
use protocol::{pb, texts};
use runners::events::{Lines, is_last};
use runners::{Answer, PARTS_AHEAD, RunError};
use serde_json::Value;
use telemetry::metrics::label::{self, Stage};
use tokio::sync::mpsc;
use tonic::{Request, Response as RpcResponse, Status};

use super::discovery::peer_of;
use super::{Door, reply, results};
use crate::doors::rpc::ai_worker_server::AiWorker;

/// Where results are posted.
pub(super) const PATH: &str = "/aiResults";
/// `Authorization` of a post of results.
const PROTOCOL: &[u8] = b"Livepeer-AI-Worker-1.0";
/// Type of results that are the text of a failure.
const FAILURE: &str = "livepeer/ai-worker-error";
const FILES: &str = "multipart/mixed";
const EVENTS: &str = "text/event-stream";
/// How long a streamed answer may take in all.
const STREAM: Duration = Duration::from_secs(600);

/// The registration service.
pub(super) struct AiRegistrar(pub Arc<Door>);

type Jobs = Pin<Box<dyn Stream<Item = Result<pb::NotifyAiJob, Status>> + Send>>;

#[tonic::async_trait]
impl AiWorker for AiRegistrar {
    type RegisterAIWorkerStream = Jobs;

    async fn register_ai_worker(
        &self,
        request: Request<pb::RegisterAiWorkerRequest>,
    ) -> Result<RpcResponse<Jobs>, Status> {
        let peer = peer_of(&request)?;
        let request = request.into_inner();
        let door = &self.0;
        let (Some(split), Some(workers)) = (&door.context.split, &door.context.ai_workers) else {
            return Err(Status::unimplemented(
                "this node takes no AI workers: it has no -orchSecret",
            ));
        };
        if !split.knows(request.secret.as_bytes()) {
            door.gate.failed(peer.address);
            let metrics = &door.context.metrics.video;
            metrics.refused(Stage::Workers, label::Refusal::Authentication);
            tracing::warn!(clientIP = %peer.address, "an AI worker with a wrong secret was turned away");
            return Err(Status::unknown(texts::INVALID_SECRET));
        }
        let capabilities = Capabilities::from_pb(request.capabilities);
        let snapshot = door.context.broadcast.load_full();
        let least = &snapshot.identity().capabilities.version;
        if !version_at_least(least, &capabilities.version) {
            return Err(Status::failed_precondition(format!(
                "the worker's version {:?} is below {least:?}: update it",
                capabilities.version
            )));
        }
        let address = peer.address.to_string();
        let registered = workers
            .register(&address, &capabilities, &request.hardware)
            .await;
        let connection = registered.map_err(Status::invalid_argument)?;
        tracing::info!(clientIP = %peer.address, capabilities = %capabilities.set, "AI worker registered");
        Ok(RpcResponse::new(jobs(connection)))
    }
}

fn jobs(connection: AiConnection) -> Jobs {
    Box::pin(stream::unfold(connection, |mut connection| async move {
        let job = connection.next().await?;
        Some((Ok(job), connection))
    }))
}

/// Answers `POST /aiResults`. Nothing of a body is read before its sender is known.
pub(super) async fn post(State(door): State<Arc<Door>>, request: HttpRequest) -> Response {
    let Some(workers) = &door.context.ai_workers else {
        return reply::not_found().await;
    };
    if request.method() != Method::POST {
        return reply::wrong_method("POST");
    }
    let (parts, body) = request.into_parts();
    match Results::read(&door, &parts.headers) {
        Ok(results) => {
            results.take(&door, workers, body.into_data_stream()).await;
            Response::new(Body::from("OK"))
        }
        Err((status, text)) => {
            let reason = match status {
                StatusCode::UNAUTHORIZED => label::Refusal::Authentication,
                _ => label::Refusal::Encoding,
            };
            door.context.metrics.video.refused(Stage::Workers, reason);
            super::segment::drain(body.into_data_stream(), door.limits().drain);
            reply::text(status, text)
        }
    }
}

/// What the headers of results say.
struct Results {
    task: i64,
    kind: String,
    boundary: String,
}

impl Results {
    fn read(door: &Door, headers: &HeaderMap) -> Result<Self, (StatusCode, &'static str)> {
        let bytes = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if bytes(AUTHORIZATION.as_str()) != Some(PROTOCOL) {
            return Err((StatusCode::UNAUTHORIZED, "Unauthorized"));
        }
        let known = door.context.split.as_ref();
        let given = bytes("credentials").unwrap_or_default();
        if !known.is_some_and(|split| split.knows(given)) {
            return Err((StatusCode::UNAUTHORIZED, texts::INVALID_SECRET));
        }
        let number = text("taskid").and_then(|text| text.trim().parse().ok());
        let (kind, boundary) = text(CONTENT_TYPE.as_str())
            .and_then(media_type)
            .ok_or((StatusCode::UNSUPPORTED_MEDIA_TYPE, "mime: no media type"))?;
        Ok(Self {
            task: number.ok_or((StatusCode::BAD_REQUEST, "Invalid Task ID"))?,
            kind,
            boundary: boundary.unwrap_or_default(),
        })
    }

    async fn take(self, door: &Door, workers: &AiWorkers, body: BodyDataStream) {
        let Some(pipeline) = workers.pipeline_of(self.task) else {
            // Nobody waits: the job is over, or was never ours.
            super::segment::drain(body, door.limits().drain);
            return;
        };
        let limits = door.limits();
        let result = match self.kind.as_str() {
            EVENTS => return events(self.task, pipeline, workers, body).await,
            FAILURE => {
                let text = results::whole(door, body, limits.text_bytes).await;
                let text = text.map(|text| String::from_utf8_lossy(&text).into_owned());
                Err(failure(pipeline, text.unwrap_or_else(|error| error)))
            }
            FILES => {
                let body = results::whole(door, body, limits.results_bytes).await;
                let value = body.and_then(|body| files(&body, &self.boundary));
                let garbage = |detail| RunError::Garbage { pipeline, detail };
                value.map(Answer::Whole).map_err(garbage)
            }
            _ => {
                super::segment::drain(body, limits.drain);
                return;
            }
        };
        workers.deliver(self.task, result);
    }
}

/// A worker repeats its runner's text, whose form gateways read.
fn failure(pipeline: Pipeline, text: String) -> RunError {
    let returned = text
        .split_once("container returned ")
        .and_then(|(_, rest)| rest.split_once(": "));
    match returned.and_then(|(status, message)| Some((status.parse().ok()?, message))) {
        Some((status, message)) => RunError::Returned {
            pipeline,
            status,
            message: message.to_owned(),
        },
        None => RunError::Broken {
            pipeline,
            detail: text,
        },
    }
}

/// The JSON of results with their files in it.
fn files(body: &bytes::Bytes, boundary: &str) -> Result<Value, String> {
    let parts = mixed::parse(body, boundary).map_err(|error| error.to_string())?;
    let (mut files, mut value) = (HashMap::new(), None);
    for part in parts {
        let kind = part.header("content-type").unwrap_or_default().to_owned();
        let name = part.header("content-disposition").and_then(file_name);
        match name {
            Some(name) => {
                files.insert(name, (kind, part.bytes));
            }
            None if kind.starts_with("application/json") => {
                let parsed: Value = serde_json::from_slice(&part.bytes)
                    .map_err(|error| format!("its JSON cannot be read: {error}"))?;
                value = Some(parsed);
            }
            None => {}
        }
    }
    let mut value = value.ok_or("it has no JSON")?;
    join_files(&mut value, &files)?;
    Ok(value)
}

fn file_name(disposition: &str) -> Option<String> {
    let (_, name) = disposition.split_once("filename=")?;
    let name = name.split(';').next()?.trim().trim_matches('"');
    (!name.is_empty()).then(|| name.to_owned())
}

/// Hands a streamed answer on while it comes.
async fn events(task: i64, pipeline: Pipeline, workers: &AiWorkers, mut body: BodyDataStream) {
    let (tell, parts) = mpsc::channel(PARTS_AHEAD);
    if !workers.deliver(task, Ok(Answer::Parts(parts))) {
        return;
    }
    let forward = async {
        let mut lines = Lines::default();
        while let Some(Ok(chunk)) = body.next().await {
            lines.push(&chunk);
            loop {
                let part = match lines.part() {
                    Ok(Some(part)) => Ok(part),
                    Ok(None) => break,
                    Err(detail) => Err(RunError::Garbage { pipeline, detail }),
                };
                let last = part.as_ref().map_or(true, is_last);
                if tell.send(part).await.is_err() || last {
                    return;
                }
            }
        }
        let detail = "its answer broke off".to_owned();
        let _ = tell.send(Err(RunError::Broken { pipeline, detail })).await;
    };
    tokio::select! {
        () = forward => {}
        () = tell.closed() => {}
        () = tokio::time::sleep(STREAM) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_runners_keep_their_status() {
        let error = failure(
            Pipeline::Llm,
            "LLM container returned 400: bad prompt".into(),
        );
        assert!(error.blames_request());
        assert_eq!(error.to_string(), "LLM container returned 400: bad prompt");
        let error = failure(Pipeline::Llm, "no workers can process job requested".into());
        assert!(!error.blames_request());
    }

    #[test]
    fn results_are_put_together_from_their_parts() {
        let body = "--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=1a2b.png\r\n\r\nxy\r\n--b\r\nContent-Type: application/json\r\n\r\n{\"images\":[{\"url\":\"1a2b.png\"}]}\r\n--b--\r\n";
        let value = files(&body.into(), "b").expect("good results");
        assert_eq!(value["images"][0]["url"], "data:image/png;base64,eHk=");
        for bad in [
            "",
            "--b--",
            "--b\r\nContent-Type: application/json\r\n\r\n{\r\n--b--\r\n",
        ] {
            assert!(files(&bad.into(), "b").is_err(), "{bad}");
        }
    }
}
