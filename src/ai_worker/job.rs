//! One job of an orchestrator: fetch its input, run it on a model, post the answer or the text of the failure.

use std::time::Duration;

use actors::model_catalog::Models;
use backon::{ExponentialBuilder, Retryable};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use config::Secret;
use futures::{StreamExt, stream};
use http::StatusCode;
use protocol::ai::{Pipeline, WorkerJob};
use protocol::mixed::{self, Part};
use protocol::pb;
use reqwest::{Body, Client};
use runners::{Answer, File, Request, RunError};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Setup;
use crate::dial::{self, DialError, causes};
use crate::doors::requests::FILE_MOST;

/// Time for TCP and TLS.
const CONNECT: Duration = Duration::from_secs(2);
/// Time to fetch an input.
const FETCH: Duration = Duration::from_secs(30);
/// Time to post results that are not streamed.
const POST: Duration = Duration::from_secs(60);
/// Tries to post results whose connection fails.
const POSTS: usize = 4;
const PROTOCOL: &str = "Livepeer-AI-Worker-1.0";
const FAILURE: &str = "livepeer/ai-worker-error";
/// What the reference says when no place is free.
const NO_PLACE: &str = "no workers can process job requested";

/// Works on jobs.
pub(super) struct Jobs {
    orchestrator: String,
    secret: Secret,
    models: Models,
    downloads: Client,
    posts: Client,
}

impl Jobs {
    /// # Errors
    /// [`DialError::Setup`] when no HTTP client can be made of the TLS settings.
    pub fn new(setup: &Setup) -> Result<Self, DialError> {
        let client = |alpn: &[&[u8]]| {
            Client::builder()
                .tls_backend_preconfigured(dial::tls(alpn)?)
                .connect_timeout(CONNECT)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .map_err(|error| DialError::Setup(error.to_string()))
        };
        Ok(Self {
            orchestrator: setup.orchestrator.clone(),
            secret: setup.secret.clone(),
            models: setup.models.clone(),
            downloads: client(&[])?,
            posts: client(&[b"h2", b"http/1.1"])?,
        })
    }

    /// Does what a notice asks, and returns when the answer is out.
    pub async fn take(self: std::sync::Arc<Self>, notice: pb::NotifyAiJob) {
        let task = notice.task_id;
        let job = notice.ai_job_data.unwrap_or_default();
        let outcome = match Pipeline::from_name(&job.pipeline) {
            Some(pipeline) => self.run(pipeline, &job.request_data, task).await,
            None => Err("AI request pipeline type not supported".to_owned()),
        };
        if let Err(text) = outcome {
            tracing::warn!(task, pipeline = job.pipeline, error = text, "a job failed");
            self.post(task, &job.pipeline, FAILURE.to_owned(), Bytes::from(text))
                .await;
        }
    }

    /// # Errors
    /// The text that is posted.
    async fn run(&self, pipeline: Pipeline, data: &[u8], task: i64) -> Result<(), String> {
        let job = WorkerJob::decode(pipeline, data).map_err(|error| error.0)?;
        let model = job.request.model().map_err(|error| error.0)?.to_owned();
        let place = self
            .models
            .reserve(pipeline, &model)
            .map_err(|_| NO_PLACE.to_owned())?;
        let file = match job.input_url.as_str() {
            "" => None,
            url => Some(File {
                name: "input".to_owned(),
                bytes: self.fetch(url).await?,
            }),
        };
        let request = Request {
            ask: job.request,
            file,
        };
        match place
            .run(request)
            .await
            .map_err(|error| error.to_string())?
        {
            Answer::Whole(value) => {
                let (boundary, body) = parts(value)?;
                let kind = format!("multipart/mixed; boundary={boundary}");
                self.post(task, pipeline.name(), kind, body).await;
            }
            Answer::Parts(parts) => self.stream(task, pipeline, parts).await,
        }
        drop(place);
        Ok(())
    }

    async fn fetch(&self, url: &str) -> Result<Bytes, String> {
        let fetched = async {
            let response = self
                .downloads
                .get(url)
                .send()
                .await
                .map_err(|error| causes(&error))?;
            if response.status() != StatusCode::OK {
                return Err(format!("the input was answered with {}", response.status()));
            }
            let mut chunks = response.bytes_stream();
            let mut body = bytes::BytesMut::new();
            while let Some(chunk) = chunks.next().await {
                body.extend_from_slice(&chunk.map_err(|error| causes(&error))?);
                if body.len() > FILE_MOST {
                    return Err(format!("the input is larger than {FILE_MOST} bytes"));
                }
            }
            Ok(body.freeze())
        };
        let fetched = tokio::time::timeout(FETCH, fetched).await;
        fetched.map_err(|_| "the input took too long".to_owned())?
    }

    fn request(&self, task: i64, pipeline: &str, kind: &str) -> reqwest::RequestBuilder {
        self.posts
            .post(format!("{}/aiResults", self.orchestrator))
            .header("Authorization", PROTOCOL)
            .header("Credentials", self.secret.expose())
            .header("TaskId", task.to_string())
            .header("Pipeline", pipeline)
            .header("Content-Type", kind)
    }

    async fn post(&self, task: i64, pipeline: &str, kind: String, body: Bytes) {
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_max_times(POSTS - 1);
        let posted = || async {
            let request = self
                .request(task, pipeline, &kind)
                .body(body.clone())
                .timeout(POST);
            request.send().await
        };
        match posted.retry(pauses).await {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => {
                tracing::error!(
                    task,
                    status = response.status().as_u16(),
                    "results were refused"
                );
            }
            Err(error) => tracing::error!(task, error = causes(&error), "results were not posted"),
        }
    }

    /// Posts a streamed answer while it comes. A part that failed ends it without a last one, which the other end tells.
    async fn stream(
        &self,
        task: i64,
        pipeline: Pipeline,
        mut parts: mpsc::Receiver<Result<Value, RunError>>,
    ) {
        let first = match parts.recv().await {
            Some(Ok(part)) => part,
            Some(Err(error)) => {
                let text = Bytes::from(error.to_string());
                return self
                    .post(task, pipeline.name(), FAILURE.to_owned(), text)
                    .await;
            }
            None => return,
        };
        let rest = stream::unfold(parts, |mut parts| async move {
            let part = parts.recv().await?.ok()?;
            Some((part, parts))
        });
        let events = stream::once(async move { first }).chain(rest);
        let events =
            events.map(|part| Ok::<_, std::convert::Infallible>(format!("data: {part}\n\n")));
        let request = self.request(task, pipeline.name(), "text/event-stream");
        if let Err(error) = request.body(Body::wrap_stream(events)).send().await {
            tracing::warn!(task, error = causes(&error), "a streamed answer broke off");
        }
    }
}

/// The body of results: each file under a name of its own, then the JSON with these names.
fn parts(mut value: Value) -> Result<(String, Bytes), String> {
    let mut files = Vec::new();
    take_files(&mut value, &mut files)?;
    let json = Part {
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        bytes: Bytes::from(value.to_string()),
    };
    files.push(json);
    let boundary = format!("{:020x}", rand::random::<u64>());
    let body = mixed::write(&files, &boundary);
    Ok((boundary, body))
}

/// Moves media out of data URLs.
fn take_files(value: &mut Value, files: &mut Vec<Part>) -> Result<(), String> {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(url) if name == "url" => {
                        let (part, file) = file_of(url)?;
                        files.push(part);
                        *url = file;
                    }
                    inner => take_files(inner, files)?,
                }
            }
            Ok(())
        }
        Value::Array(values) => values
            .iter_mut()
            .try_for_each(|value| take_files(value, files)),
        _ => Ok(()),
    }
}

fn file_of(url: &str) -> Result<(Part, String), String> {
    let wrong = || "the runner's answer has media that are no data URL".to_owned();
    let (kind, data) = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
        .ok_or_else(wrong)?;
    let extension = kind.rsplit('/').next().unwrap_or("bin");
    let name = format!("{:08x}.{extension}", rand::random::<u32>());
    let bytes = STANDARD.decode(data).map_err(|_| wrong())?;
    let header = |name: &str, value: String| (name.to_owned(), value);
    let part = Part {
        headers: vec![
            header("Content-Type", kind.to_owned()),
            header("Content-Length", bytes.len().to_string()),
            header(
                "Content-Disposition",
                format!("attachment; filename={name}"),
            ),
        ],
        bytes: bytes.into(),
    };
    Ok((part, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn media_travel_as_files_and_the_json_names_them() {
        let value = json!({"images": [{"url": "data:image/png;base64,eHk=", "seed": 1}]});
        let (boundary, body) = parts(value).expect("parts");
        let parts = mixed::parse(&body, &boundary).expect("readable");
        assert_eq!((parts.len(), &parts[0].bytes[..]), (2, &b"xy"[..]));
        let json: Value = serde_json::from_slice(&parts[1].bytes).expect("JSON");
        let name = json["images"][0]["url"].as_str().expect("a name");
        let told = parts[0]
            .header("content-disposition")
            .expect("a disposition");
        assert!(told.ends_with(name) && name.ends_with(".png"));
        assert!(super::parts(json!({"audio": {"url": "https://elsewhere"}})).is_err());
    }
}
