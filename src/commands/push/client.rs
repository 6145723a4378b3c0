//! One stream as a gateway runs it against one orchestrator: discovery, segments with their time limits, downloads, retries,
//! the end. Knows no pace and no files.

mod error;
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use protocol::capabilities::Capabilities;
use protocol::discovery::off_chain_request;
use protocol::money::estimated_pixels;
use protocol::profile::VideoProfile;
use protocol::segment::{MAX_BYTES, SegmentCredentials};
use protocol::signature::{Hash, keccak256, recover_hash, result_hash};
use protocol::{pb, result};
use tokio::sync::Mutex;

pub use self::error::ClientError;

use self::session::Session;
use super::pay::{Payer, Settlement, result_signer};
use super::source::Segment;
use super::transport::Transport;
use crate::dial::causes;

/// Time for the first discovery: the gateway's cut-off.
const DISCOVERY: Duration = Duration::from_secs(6);
/// Time for a discovery while the stream runs, connection included.
const REFRESH: Duration = Duration::from_millis(2500);
/// Time to fetch a rendition.
const DOWNLOAD: Duration = Duration::from_secs(4);

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
    /// Who pays; nobody off-chain.
    pub payer: Option<Arc<Payer>>,
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
    session: Mutex<Option<Arc<Session>>>,
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
        let session = self.discover(DISCOVERY, None).await?;
        *self.session.lock().await = Some(session);
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
        let Some(session) = self.session.lock().await.take() else {
            return Ok(());
        };
        let request = pb::EndTranscodingSessionRequest {
            auth_token: session.info.auth_token.clone(),
        };
        let call = async {
            let mut client = self.transport.rpc(&session.info.transcoder).await?;
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
        let session = self.session().await?;
        let pixels = estimated_pixels(&self.job.profiles, outgoing.segment.duration_ms);
        let sent = Instant::now();
        let answered = match &self.job.payer {
            None => {
                let (mut untold, payment) = (Settlement::Unsent, "");
                self.post(&session.info, outgoing, payment, &mut untold)
                    .await
            }
            Some(payer) => {
                let (payment, staged) = session.pay(payer, pixels)?;
                let mut settlement = Settlement::Unanswered;
                let answered = self
                    .post(&session.info, outgoing, &payment, &mut settlement)
                    .await;
                payer.settle(staged, settlement);
                answered
            }
        };
        let (data, info) = answered?;
        let answered = sent.elapsed();
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
        if self.job.payer.is_some() {
            check_signature(&session.info, &renditions, data.sig).await?;
        }
        if let Some(info) = info {
            self.follow(info).await?;
        }
        Ok((renditions, answered))
    }

    /// The session to use now: asked for anew when there is none, when its token or its ticket parameters run out, or
    /// always if so wanted.
    async fn session(&self) -> Result<Arc<Session>, ClientError> {
        let mut held = self.session.lock().await;
        if self.job.refresh && held.is_some() {
            // A gateway's refresh of a stream that runs well leaves its session as it is.
            self.discover(REFRESH, held.as_deref()).await?;
        }
        if let Some(session) = held.as_ref()
            && !session.runs_out(self.job.payer.as_deref())?
        {
            return Ok(Arc::clone(session));
        }
        let session = self.discover(REFRESH, held.as_deref()).await?;
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    /// From now on the orchestrator is what its last answer says.
    async fn follow(&self, info: pb::OrchestratorInfo) -> Result<(), ClientError> {
        if info.auth_token.is_none() {
            return Err(ClientError::Answer(
                "the description in the result has no auth token".to_owned(),
            ));
        }
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref() {
            let next = session.followed_by(info, self.job.payer.as_deref());
            *held = Some(Arc::new(next));
        }
        Ok(())
    }

    /// Asks the orchestrator to describe itself: a new session, which goes on from `before` if there is one.
    async fn discover(
        &self,
        limit: Duration,
        before: Option<&Session>,
    ) -> Result<Arc<Session>, ClientError> {
        let payer = self.job.payer.as_deref();
        let request = payer.map_or_else(
            || off_chain_request(&self.job.demand),
            |payer| payer.request(&self.job.demand),
        );
        let call = async {
            let mut client = self.transport.rpc(&self.job.orchestrator).await?;
            let answer = client.get_orchestrator(request).await;
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
        Ok(Arc::new(Session::begin(info, payer, before)?))
    }

    /// Posts a segment; the renditions that an answer with status 200 lists, and the orchestrator as it is from then on.
    /// `settlement` becomes what the answer makes of the payment.
    async fn post(
        &self,
        info: &pb::OrchestratorInfo,
        outgoing: &Outgoing,
        payment: &str,
        settlement: &mut Settlement,
    ) -> Result<(pb::TranscodeData, Option<pb::OrchestratorInfo>), ClientError> {
        let segment = &outgoing.segment;
        let mut credentials = SegmentCredentials {
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
        if let Some(payer) = &self.job.payer {
            payer.sign(&mut credentials);
        }
        let request = self
            .transport
            .segments
            .post(format!("{}/segment", info.transcoder))
            .header("Livepeer-Segment", credentials.encode_header())
            .header("Livepeer-Payment", payment)
            .header("Content-Type", "video/MP2T")
            .body(segment.bytes.clone());
        let (head, whole) = time_limits(segment.duration_ms);
        let begun = tokio::time::Instant::now();
        let response = tokio::time::timeout_at(begun + head, request.send())
            .await
            .map_err(|_| ClientError::HeaderTimeout(head))?
            .map_err(|error| ClientError::Http(causes(&error)))?;
        *settlement = Settlement::Spent;
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
        let answer =
            result::decode(&body).map_err(|error| ClientError::Answer(error.to_string()))?;
        let data = answer.outcome.map_err(ClientError::Failed)?;
        let pixels = data.segments.iter().map(|segment| segment.pixels);
        let pixels = pixels.fold(0, i64::saturating_add);
        *settlement = Settlement::Delivered(u64::try_from(pixels).unwrap_or(0));
        Ok((data, answer.info))
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

/// Whether the orchestrator signed what it delivered, where a gateway looks.
async fn check_signature(
    info: &pb::OrchestratorInfo,
    renditions: &[Delivered],
    sig: Vec<u8>,
) -> Result<(), ClientError> {
    let Some(signer) = result_signer(info) else {
        return Ok(());
    };
    let bytes: Vec<Bytes> = renditions.iter().map(|one| one.bytes.clone()).collect();
    // some milliseconds of CPU for large renditions
    let hashed = tokio::task::spawn_blocking(move || {
        let hashes: Vec<Hash> = bytes.iter().map(keccak256).collect();
        recover_hash(&result_hash(&hashes), &sig)
    });
    match hashed.await {
        Ok(Some(found)) if found == signer => Ok(()),
        _ => Err(ClientError::Signature(signer)),
    }
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
}
