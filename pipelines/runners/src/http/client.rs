//! Asks a runner, and reads its answer within bounds.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use protocol::ai::{BodyKind, Pipeline};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;
use tokio::sync::mpsc;

use super::answer;
use crate::events::{Lines, is_last};
use crate::{Answer, Facts, Health, PARTS_AHEAD, Request, RunError, Runner};

/// How long a runner may take to say how it is.
const HEALTH: Duration = Duration::from_secs(5);
/// How long a runner may be silent in the middle of a stream.
const SILENCE: Duration = Duration::from_secs(120);
/// Longest answer, bytes. A video of 25 frames as data URLs fits.
const ANSWER_MOST: usize = 256 << 20;
/// Longest text of an error, bytes.
const ERROR_MOST: usize = 64 << 10;
/// Version of a runner that does not say.
const UNKNOWN_VERSION: &str = "0.0.0";

/// Where a runner is, and what it wants to hear.
#[derive(Clone)]
pub struct RunnerAddress {
    /// Base URL, e.g. `http://10.0.0.5:8000`.
    pub url: Url,
    /// Sent as `Authorization: Bearer …`; never printed.
    pub token: Option<String>,
}

impl std::fmt::Debug for RunnerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "***");
        f.debug_struct("RunnerAddress")
            .field("url", &self.url.host_str())
            .field("token", &token)
            .finish()
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct HttpRunner {
    pipeline: Pipeline,
    address: RunnerAddress,
    client: Client,
    /// Time for a whole answer that is not streamed.
    limit: Duration,
}

impl HttpRunner {
    /// A runner of `pipeline` at `address`, whose answers may take `limit`.
    pub fn new(
        pipeline: Pipeline,
        address: RunnerAddress,
        client: Client,
        limit: Duration,
    ) -> Self {
        Self {
            pipeline,
            address,
            client,
            limit,
        }
    }

    /// Host and port, for the operator.
    pub fn place(&self) -> String {
        let host = self.address.url.host_str().unwrap_or_default();
        match self.address.url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.address.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }

    fn broken(&self, error: &reqwest::Error) -> RunError {
        let pipeline = self.pipeline;
        if error.is_timeout() {
            return RunError::Late { pipeline };
        }
        // The URL may hold a password, and belongs to the operator.
        let mut detail = String::new();
        let mut source: Option<&dyn std::error::Error> = Some(error);
        while let Some(cause) = source {
            if cause.source().is_none() {
                detail = cause.to_string();
            }
            source = cause.source();
        }
        RunError::Broken { pipeline, detail }
    }

    fn form(&self, request: &Request) -> Form {
        let mut form = Form::new();
        if let (Some(name), Some(file)) = (self.pipeline.body().file(), &request.file) {
            let part = Part::stream_with_length(file.bytes.clone(), file.bytes.len() as u64);
            form = form.part(name, part.file_name(file.name.clone()));
        }
        for (name, text) in request.ask.form() {
            form = form.text(name, text);
        }
        form
    }

    async fn send(&self, request: &Request) -> Result<Response, RunError> {
        let call = self.client.post(self.url(self.pipeline.path()));
        let call = match self.pipeline.body() {
            BodyKind::Json => call.json(request.ask.fields()),
            BodyKind::Image | BodyKind::Audio => call.multipart(self.form(request)),
        };
        let call = match &self.address.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        };
        let sent = tokio::time::timeout(self.limit, call.send()).await;
        let pipeline = self.pipeline;
        let response = sent.map_err(|_| RunError::Late { pipeline })?;
        response.map_err(|error| self.broken(&error))
    }

    /// A body of at most `most` bytes.
    async fn whole(&self, response: Response, most: usize) -> Result<Bytes, RunError> {
        let mut chunks = response.bytes_stream();
        let mut body = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| self.broken(&error))?;
            if body.len() + chunk.len() > most {
                return Err(self.garbage(format!("it is longer than {most} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn garbage(&self, detail: impl Into<String>) -> RunError {
        RunError::Garbage {
            pipeline: self.pipeline,
            detail: detail.into(),
        }
    }

    async fn refused(&self, response: Response) -> RunError {
        let status = response.status().as_u16();
        let body = self.whole(response, ERROR_MOST).await.unwrap_or_default();
        RunError::Returned {
            pipeline: self.pipeline,
            status,
            message: answer::message(status, &body),
        }
    }

    fn stream(&self, response: Response) -> Answer {
        let (tell, parts) = mpsc::channel(PARTS_AHEAD);
        let runner = self.clone();
        tokio::spawn(async move {
            // Whoever drops the receiver is gone: the response is dropped with this task, and the runner notices.
            tokio::select! {
                () = runner.forward(response, &tell) => {}
                () = tell.closed() => {}
            }
        });
        Answer::Parts(parts)
    }

    async fn forward(&self, response: Response, tell: &mpsc::Sender<Result<Value, RunError>>) {
        let mut chunks = response.bytes_stream();
        let mut lines = Lines::default();
        loop {
            let chunk = match tokio::time::timeout(SILENCE, chunks.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => {
                    let _ = tell.send(Err(self.broken(&error))).await;
                    return;
                }
                Ok(None) => {
                    let detail = "it ended before its last part".to_owned();
                    let pipeline = self.pipeline;
                    let _ = tell.send(Err(RunError::Broken { pipeline, detail })).await;
                    return;
                }
                Err(_) => {
                    let pipeline = self.pipeline;
                    let _ = tell.send(Err(RunError::Late { pipeline })).await;
                    return;
                }
            };
            lines.push(&chunk);
            loop {
                let part = match lines.part() {
                    Ok(Some(part)) => part,
                    Ok(None) => break,
                    Err(detail) => {
                        let _ = tell.send(Err(self.garbage(detail))).await;
                        return;
                    }
                };
                let last = is_last(&part);
                if tell.send(Ok(part)).await.is_err() || last {
                    return;
                }
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Value, RunError> {
        let call = self.client.get(self.url(path)).timeout(HEALTH).send();
        let response = call.await.map_err(|error| self.broken(&error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let body = self.whole(response, ERROR_MOST).await?;
        serde_json::from_slice(&body).map_err(|error| self.garbage(error.to_string()))
    }
}

#[async_trait]
impl Runner for HttpRunner {
    async fn run(&self, request: Request) -> Result<Answer, RunError> {
        let response = self.send(&request).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        if request.ask.streams() {
            return Ok(self.stream(response));
        }
        let pipeline = self.pipeline;
        let body = tokio::time::timeout(self.limit, self.whole(response, ANSWER_MOST)).await;
        let body = body.map_err(|_| RunError::Late { pipeline })??;
        let value = serde_json::from_slice(&body);
        value
            .map(Answer::Whole)
            .map_err(|error| self.garbage(format!("it is no JSON: {error}")))
    }

    async fn health(&self) -> Result<Health, RunError> {
        let value = self.get("/health").await?;
        Ok(match value["status"].as_str() {
            Some("LOADING") => Health::Loading,
            Some("ERROR") => Health::Error,
            _ => Health::Ok,
        })
    }

    async fn facts(&self) -> Facts {
        let version = self.get("/version").await.ok();
        let version = version.and_then(|value| Some(value["version"].as_str()?.to_owned()));
        let hardware = self.get("/hardware/info").await.ok();
        Facts {
            version: version.unwrap_or_else(|| UNKNOWN_VERSION.to_owned()),
            hardware: hardware.and_then(|value| answer::hardware(&value)),
        }
    }
}
