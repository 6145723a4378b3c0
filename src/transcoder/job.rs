//! One job of an orchestrator: fetch the segment, work on it, post the renditions or the text of the failure.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actors::slots::Customer;
use actors::transcode_session::{SegmentRequest, Transcoded};
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use config::Secret;
use futures::StreamExt;
use host::job::SegmentJob;
use http::StatusCode;
use protocol::address::Address;
use protocol::remote::{
    FAILURE_TYPE, Notice, RESULTS_PATH, RESULTS_PROTOCOL, RESULTS_TYPE, Rendition, write_results,
};
use protocol::segment::{MAX_BYTES, SegmentCredentials};
use protocol::{pb, result, texts};
use reqwest::Client;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Setup;
use crate::dial::{self, DialError, causes};

/// Time for TCP and TLS.
const CONNECT: Duration = Duration::from_secs(2);
/// Time to fetch a segment.
const FETCH: Duration = Duration::from_secs(4);
/// Time to post results.
const POST: Duration = Duration::from_secs(30);
/// Tries to post results whose connection fails.
const POSTS: usize = 4;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// All work here is the orchestrator's.
const ORCHESTRATOR: Customer = Customer {
    sender: Address::ZERO,
    peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
};

/// Works on jobs.
pub(super) struct Jobs {
    setup: Setup,
    downloads: Client,
    posts: Client,
}

/// A finished job.
struct Finished {
    transcoded: Transcoded,
    order: SegmentCredentials,
}

impl Jobs {
    /// # Errors
    /// [`DialError::Setup`] when no HTTP client can be made of the TLS settings.
    pub fn new(setup: Setup) -> Result<Self, DialError> {
        let client = |alpn: &[&[u8]], time| {
            Client::builder()
                .tls_backend_preconfigured(dial::tls(alpn)?)
                .connect_timeout(CONNECT)
                .timeout(time)
                .pool_idle_timeout(IDLE)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .map_err(|error| DialError::Setup(error.to_string()))
        };
        Ok(Self {
            setup,
            downloads: client(&[], FETCH)?,
            posts: client(&[b"h2", b"http/1.1"], POST)?,
        })
    }

    /// Does what a notice asks, and returns when the answer is out.
    pub async fn take(self: std::sync::Arc<Self>, notice: pb::NotifySegment) {
        let (task, outcome) = match Notice::from_pb(notice) {
            Ok(Notice::SessionEnd(session_id)) => {
                self.setup.sessions.end(&session_id).await;
                return;
            }
            Ok(Notice::Job {
                task,
                url,
                orchestrator,
                order,
            }) => (task, self.work(&url, &orchestrator, *order).await),
            Err((task, text)) => (task, Err(text)),
        };
        self.answer(task, outcome).await;
    }

    /// The renditions, or the text of the failure.
    async fn work(
        &self,
        url: &str,
        orchestrator: &str,
        order: SegmentCredentials,
    ) -> Result<Finished, String> {
        let snapshot = self.setup.broadcast.load_full();
        let own = &snapshot.identity().capabilities;
        if let Err(missing) = order.capabilities.satisfied_by(own) {
            tracing::warn!(manifestID = order.stream_name(), %missing, "a job is beyond this machine");
            return Err(texts::INCOMPATIBLE_SEGMENT.to_owned());
        }
        let manifest = order.stream_name();
        let session_id = match &order.auth_token {
            Some(token) if !token.session_id.is_empty() => token.session_id.clone(),
            _ => manifest.clone(),
        };
        let sessions = &self.setup.sessions;
        let admitted = sessions.admit(&session_id, &manifest, ORCHESTRATOR).await;
        let admission = admitted.map_err(|refusal| {
            tracing::warn!(manifestID = manifest, %refusal, "a job was not admitted");
            texts::TRANSCODER_BUSY.to_owned()
        })?;
        let (mut writer, body) = self.setup.budget.body();
        let (reply, answer) = oneshot::channel();
        let request = SegmentRequest {
            spec: SegmentJob {
                stream: manifest,
                seq: order.seq,
                profiles: order.profiles.clone(),
                duration_ms: order.duration_ms,
                clip: order.clip,
                provider: result::provider(&own.version, orchestrator),
                perceptual_hash: order.calc_perceptual_hash,
            },
            order: std::sync::Arc::new(order.clone()),
            body,
            // They travel inside the results.
            keep: false,
            arrived: Instant::now(),
            reply,
        };
        let queued = sessions.enqueue(&admission, request).await;
        queued.map_err(|failure| failure.text.into_owned())?;
        let response = self.downloads.get(url).send().await;
        let response = response.map_err(|error| causes(&error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(status.to_string());
        }
        let mut chunks = response.bytes_stream();
        while let Some(bytes) = chunks.next().await {
            let bytes = bytes.map_err(|error| causes(&error))?;
            if writer.len() + bytes.len() as u64 > MAX_BYTES as u64 {
                return Err(texts::INPUT_TOO_BIG.to_owned());
            }
            let pushed = writer.push(bytes).await;
            pushed.map_err(|error| error.to_string())?;
        }
        writer.confirm();
        let answer = answer.await;
        let answer = answer.map_err(|_| texts::TRANSCODER_STOPPED.to_owned())?;
        let transcoded = answer.map_err(|failure| failure.text.into_owned())?;
        Ok(Finished { transcoded, order })
    }

    async fn answer(&self, task: i64, outcome: Result<Finished, String>) {
        let (kind, pixels, body) = match outcome {
            Ok(finished) => {
                let boundary = format!("{:020x}", rand::random::<u128>() >> 48);
                let body = self.body(&finished, &boundary);
                let kind = format!("{RESULTS_TYPE}; boundary={boundary}");
                (kind, finished.transcoded.stats.decoded_pixels, body)
            }
            Err(text) => {
                tracing::warn!(task, text, "a job failed");
                (FAILURE_TYPE.to_owned(), 0, Bytes::from(text))
            }
        };
        let url = format!("{}{RESULTS_PATH}", self.setup.orchestrator);
        let post = || async {
            let request = self
                .posts
                .post(&url)
                .header("Authorization", RESULTS_PROTOCOL)
                .header("Credentials", secret(&self.setup.secret))
                .header("Content-Type", &kind)
                .header("TaskId", task)
                .header("Pixels", pixels);
            request.body(body.clone()).send().await
        };
        let tries = ExponentialBuilder::default()
            .with_max_times(POSTS - 1)
            .with_jitter();
        match post.retry(tries).await {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => {
                let status = response.status();
                let text = response.text().await.unwrap_or_default();
                tracing::warn!(task, %status, text, "the orchestrator refused results");
            }
            Err(error) => {
                tracing::error!(task, error = causes(&error), "results were not posted");
            }
        }
    }

    fn body(&self, finished: &Finished, boundary: &str) -> Bytes {
        let Finished { transcoded, order } = finished;
        let files = transcoded.contents.iter().zip(&transcoded.pixels);
        let renditions: Vec<_> = order
            .profiles
            .iter()
            .zip(files)
            .enumerate()
            .map(|(index, (profile, (bytes, pixels)))| {
                let rendition = Rendition {
                    bytes: bytes.clone(),
                    pixels: *pixels,
                    hash: transcoded.hashes.get(index).cloned().unwrap_or_default(),
                };
                (profile.format, rendition)
            })
            .collect();
        write_results(&renditions, order.calc_perceptual_hash, boundary)
    }
}

/// As a header that is not logged; bytes that no header may hold are refused by the client.
fn secret(secret: &Secret) -> http::HeaderValue {
    let value = http::HeaderValue::from_bytes(secret.expose().as_bytes());
    let mut value = value.unwrap_or(http::HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
