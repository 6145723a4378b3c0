//! One stream as a gateway runs it against one orchestrator: discovery, segments with their time limits, downloads, retries,
//! the end. Knows no pace and no files.

mod error;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use protocol::capabilities::Capabilities;
use protocol::discovery::off_chain_request;
use protocol::profile::VideoProfile;
use protocol::segment::{MAX_BYTES, SegmentCredentials};
use protocol::signature::{Hash, keccak256};
use protocol::{pb, result};
use tokio::sync::Mutex;

pub use self::error::ClientError;

use super::source::Segment;
use super::transport::{Transport, causes};

/// Time for the first discovery: the gateway's cut-off.
const DISCOVERY: Duration = Duration::from_secs(6);
/// Time for a discovery while the stream runs, connection included.
const REFRESH: Duration = Duration::from_millis(2500);
/// Time to fetch a rendition.
const DOWNLOAD: Duration = Duration::from_secs(4);
/// Validity left at which a token is renewed, seconds.
const RENEWAL_S: i64 = 180;

/// What a stream asks for.
#[derive(Debug, Clone)]
pub struct Job {
    /// Address of the orchestrator, `https://host:port` or `http://host:port`.
    pub orchestrator: String,
    /// Name of the stream.
    pub manifest_id: String,
    /// Renditions.
    pub profiles: Vec<VideoProfile>,
    /// What the job demands.
    pub demand: Capabilities,
    /// Most tries per segment.
    pub attempts: u32,
    /// Ask GetOrchestrator before every segment, as a gateway with one orchestrator does.
    pub refresh: bool,
}

/// A segment ready to be posted, with its hash.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What and how long.
    pub segment: Segment,
    hash: Hash,
}

impl Outgoing {
    /// Hashes the bytes: some milliseconds of CPU for large segments.
    pub fn new(segment: Segment) -> Self {
        let hash = keccak256(&segment.bytes);
        Self { segment, hash }
    }
}

/// A rendition that came back.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Container bytes.
    pub bytes: Bytes,
    /// Pixels that the orchestrator wants to be paid for.
    pub pixels: u64,
}

/// All renditions of a segment, in the order of the profiles.
#[derive(Debug)]
pub struct Delivery {
    /// Renditions.
    pub renditions: Vec<Delivered>,
    /// From sending the request to the end of the answer, of the last try.
    pub answered: Duration,
    /// From sending the first request to the last byte of the last rendition.
    pub delivered: Duration,
    /// Tries it took.
    pub attempts: u32,
}

/// The gateway's side of one stream.
#[derive(Debug)]
pub struct StreamClient {
    transport: Transport,
    job: Job,
    session: Mutex<Option<Arc<pb::OrchestratorInfo>>>,
}

impl StreamClient {
    /// Connects to nobody yet.
    pub fn new(transport: Transport, job: Job) -> Self {
        Self {
            transport,
            job,
            session: Mutex::new(None),
        }
    }

    /// Finds the orchestrator and begins a session.
    ///
    /// # Errors
    /// [`ClientError`] when it cannot be reached, refuses, or cannot do the job.
    pub async fn begin(&self) -> Result<(), ClientError> {
        let info = self.discover(DISCOVERY).await?;
        *self.session.lock().await = Some(info);
        Ok(())
    }

    /// Posts a segment and fetches its renditions, as often as a gateway would try.
    ///
    /// # Errors
    /// [`ClientError`] of the last try.
    pub async fn submit(&self, outgoing: &Outgoing) -> Result<Delivery, ClientError> {
        let begun = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match self.attempt(outgoing).await {
                Ok((renditions, answered)) => {
                    return Ok(Delivery {
                        renditions,
                        answered,
                        delivered: begun.elapsed(),
                        attempts,
                    });
                }
                Err(error) => error,
            };
            if error.is_final() {
                return Err(error);
            }
            // A gateway drops the session without ending it; the next try begins with discovery.
            *self.session.lock().await = None;
            if attempts >= self.job.attempts {
                return Err(error);
            }
            tracing::debug!(%error, attempts, "segment is tried again");
        }
    }

    /// Ends the session, if one is held.
    ///
    /// # Errors
    /// [`ClientError`] when the orchestrator cannot be reached or does not know the token.
    pub async fn end(&self) -> Result<(), ClientError> {
        let Some(info) = self.session.lock().await.take() else {
            return Ok(());
        };
        let request = pb::EndTranscodingSessionRequest {
            auth_token: info.auth_token.clone(),
        };
        let call = async {
            let mut client = self.transport.rpc(&info.transcoder).await?;
            client
                .end_transcoding_session(request)
                .await
                .map_err(ClientError::rpc)
        };
        timely(DISCOVERY, call).await.map(drop)
    }

    async fn attempt(
        &self,
        outgoing: &Outgoing,
    ) -> Result<(Vec<Delivered>, Duration), ClientError> {
        let info = self.session().await?;
        let sent = Instant::now();
        let body = self.post(&info, outgoing).await?;
        let answered = sent.elapsed();
        let answer =
            result::decode(&body).map_err(|error| ClientError::Answer(error.to_string()))?;
        if let Some(info) = answer.info {
            self.follow(info).await?;
        }
        let data = answer.outcome.map_err(ClientError::Failed)?;
        if data.segments.len() != self.job.profiles.len() {
            let text = format!(
                "{} renditions instead of {}",
                data.segments.len(),
                self.job.profiles.len()
            );
            return Err(ClientError::Answer(text));
        }
        let renditions =
            try_join_all(data.segments.iter().map(|segment| self.download(segment))).await?;
        Ok((renditions, answered))
    }

    /// The session to use now: asked for anew when there is none, when its token runs out, or always if so wanted.
    async fn session(&self) -> Result<Arc<pb::OrchestratorInfo>, ClientError> {
        let mut held = self.session.lock().await;
        if self.job.refresh && held.is_some() {
            // A gateway's refresh of a stream that runs well leaves its session as it is.
            self.discover(REFRESH).await?;
        }
        if let Some(info) = held.as_ref().filter(|info| !runs_out(info)) {
            return Ok(Arc::clone(info));
        }
        let info = self.discover(REFRESH).await?;
        *held = Some(Arc::clone(&info));
        Ok(info)
    }

    /// From now on the orchestrator is what its last answer says.
    async fn follow(&self, info: pb::OrchestratorInfo) -> Result<(), ClientError> {
        if info.auth_token.is_none() {
            return Err(ClientError::Answer(
                "the description in the result has no auth token".to_owned(),
            ));
        }
        let mut held = self.session.lock().await;
        if held.is_some() {
            *held = Some(Arc::new(info));
        }
        Ok(())
    }

    async fn discover(&self, limit: Duration) -> Result<Arc<pb::OrchestratorInfo>, ClientError> {
        let call = async {
            let mut client = self.transport.rpc(&self.job.orchestrator).await?;
            let answer = client
                .get_orchestrator(off_chain_request(&self.job.demand))
                .await;
            answer
                .map(tonic::Response::into_inner)
                .map_err(ClientError::rpc)
        };
        let info = timely(limit, call).await?;
        let offered = Capabilities::from_pb(info.capabilities.clone());
        self.job
            .demand
            .satisfied_by(&offered)
            .map_err(|reason| ClientError::Incapable(reason.to_string()))?;
        if info.transcoder.is_empty() || info.auth_token.is_none() {
            return Err(ClientError::Answer(
                "GetOrchestrator tells no service URI or no auth token".to_owned(),
            ));
        }
        Ok(Arc::new(info))
    }

    /// Posts a segment; the body of the answer with status 200.
    async fn post(
        &self,
        info: &pb::OrchestratorInfo,
        outgoing: &Outgoing,
    ) -> Result<Bytes, ClientError> {
        let segment = &outgoing.segment;
        let credentials = SegmentCredentials {
            manifest_id: self.job.manifest_id.clone().into_bytes(),
            seq: segment.seq,
            hash: outgoing.hash,
            profiles: self.job.profiles.clone(),
            duration_ms: segment.duration_ms,
            capabilities: self.job.demand.clone(),
            auth_token: info.auth_token.clone(),
            clip: None,
            storage: None,
            calc_perceptual_hash: false,
            force_reinit: false,
            sig: Vec::new(),
        };
        let request = self
            .transport
            .segments
            .post(format!("{}/segment", info.transcoder))
            .header("Livepeer-Segment", credentials.encode_header())
            .header("Livepeer-Payment", "")
            .header("Content-Type", "video/MP2T")
            .body(segment.bytes.clone());
        let (head, whole) = time_limits(segment.duration_ms);
        let begun = tokio::time::Instant::now();
        let response = tokio::time::timeout_at(begun + head, request.send())
            .await
            .map_err(|_| ClientError::HeaderTimeout(head))?
            .map_err(|error| ClientError::Http(causes(&error)))?;
        let status = response.status();
        let body = tokio::time::timeout_at(begun + whole, response.bytes())
            .await
            .map_err(|_| ClientError::BodyTimeout(whole))?
            .map_err(|error| ClientError::Http(causes(&error)))?;
        if status != reqwest::StatusCode::OK {
            let text = String::from_utf8_lossy(&body).trim().to_owned();
            return Err(ClientError::Refused {
                status: status.as_u16(),
                text,
            });
        }
        Ok(body)
    }

    async fn download(
        &self,
        segment: &pb::TranscodedSegmentData,
    ) -> Result<Delivered, ClientError> {
        let failed = |reason: String| ClientError::Download {
            url: segment.url.clone(),
            reason,
        };
        let fetch = async {
            let response = self
                .transport
                .downloads
                .get(&segment.url)
                .send()
                .await
                .map_err(|error| failed(causes(&error)))?;
            if response.status() != reqwest::StatusCode::OK {
                return Err(failed(format!("status {}", response.status())));
            }
            if response
                .content_length()
                .is_some_and(|length| length > MAX_BYTES as u64)
            {
                return Err(failed("longer than any rendition may be".to_owned()));
            }
            response
                .bytes()
                .await
                .map_err(|error| failed(causes(&error)))
        };
        let bytes = tokio::time::timeout(DOWNLOAD, fetch)
            .await
            .map_err(|_| failed(format!("not there within {DOWNLOAD:?}")))??;
        let pixels = u64::try_from(segment.pixels)
            .map_err(|_| ClientError::Answer(format!("{} pixels", segment.pixels)))?;
        Ok(Delivered { bytes, pixels })
    }
}

/// Time until the head and until the end of the answer: half and four times the segment's length, at least 2 s and 8 s.
fn time_limits(duration_ms: u32) -> (Duration, Duration) {
    let length = Duration::from_millis(duration_ms.into());
    (
        (length / 2).max(Duration::from_secs(2)),
        (length * 4).max(Duration::from_secs(8)),
    )
}

fn runs_out(info: &pb::OrchestratorInfo) -> bool {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    info.auth_token
        .as_ref()
        .is_none_or(|token| now > token.expiration.saturating_sub(RENEWAL_S))
}

async fn timely<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(limit, call)
        .await
        .map_err(|_| ClientError::Rpc(format!("no answer within {limit:?}")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_are_the_gateways() {
        assert_eq!(
            time_limits(2000),
            (Duration::from_secs(2), Duration::from_secs(8))
        );
        assert_eq!(
            time_limits(10_000),
            (Duration::from_secs(5), Duration::from_secs(40))
        );
    }

    #[test]
    fn tokens_are_renewed_three_minutes_before_their_end() {
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let info = |left| pb::OrchestratorInfo {
            auth_token: Some(pb::AuthToken {
                token: vec![],
                session_id: String::new(),
                expiration: now + left,
            }),
            ..Default::default()
        };
        assert!(runs_out(&info(170)));
        assert!(!runs_out(&info(300)));
    }
}
