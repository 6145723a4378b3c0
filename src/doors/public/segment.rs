//! `POST /segment`: a segment comes in, and the answer says where its renditions lie.
//!
//! The job is queued before its bytes arrive, so that decoding overlaps the upload. Once the hash is right, status 200 goes out at
//! once and every later failure travels inside the result; a wrong hash cancels the job. A client that leaves after
//! that does not stop the job.

mod answer;
mod intake;

use std::sync::Arc;

use actors::body::BodyWriter;
use actors::failure::{Cause, SegmentFailure};
use actors::transcode_session::{SegmentAnswer, SegmentRequest};
use actors::tries::TimeBudget;
use axum::body::BodyDataStream;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use host::job::SegmentJob;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use protocol::refusal::Refusal;
use protocol::segment::{SegmentCredentials, URL_CONTENT_TYPE};
use protocol::storage::ExternalStore;
use protocol::{result, texts};
use telemetry::metrics::StreamMetrics;
use telemetry::metrics::label::{self, Stage};
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::answer::Pending;
use self::intake::Pace;
use super::admission::{self, Admitted};
use super::paid::Bought;
use super::peer::Peer;
use super::refused::Refused;
use super::upload::{Destination, Upload};
use super::{Door, reply};

/// See the module.
pub(super) async fn post(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let arrived = Instant::now();
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    match accept(&door, peer, &parts.headers, &mut body, arrived).await {
        Ok(pending) => pending.response(),
        Err(refused) => {
            tracing::debug!(clientIP = %peer.address, error = %refused.refusal, "segment refused");
            door.context
                .metrics
                .video
                .refused(Stage::Segment, refused.reason);
            // Asked whether it may send, the client learns the answer before it does.
            if !parts.headers.contains_key(EXPECT) {
                drain(body, door.limits().drain);
            }
            reply::refusal(&refused)
        }
    }
}

/// Everything up to the right hash.
async fn accept(
    door: &Arc<Door>,
    peer: Peer,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
    arrived: Instant,
) -> Result<Pending, Refused> {
    let admitted = admission::admit(door, peer, headers).await?;
    let limits = door.context.limits.load_full();
    if announced(headers).is_some_and(|bytes| bytes > limits.body_bytes as u64) {
        return Err(Refused::body(
            label::Refusal::TooLarge,
            "the announced body is too large",
        ));
    }
    let bought = match &door.context.paid {
        Some(paid) => Some(paid.segment(&admitted, &admitted.payment).await?),
        None => None,
    };
    let credentials = &admitted.credentials;
    let stream = door
        .context
        .metrics
        .video
        .stream(&credentials.stream_name(), &peer.address.to_string());
    let duration = std::time::Duration::from_millis(credentials.duration_ms.into());
    stream.emerged(duration);

    let upload = upload(door, &admitted, arrived);
    let (outcome, mut writer) = match &upload {
        Ok(upload) => enqueue(door, &admitted, upload.is_none(), arrived).await,
        Err(failure) => (Err(failure.clone()), None),
    };
    let pace = Pace::upload(&limits, duration);
    let hash = if is_url(headers) {
        let url = intake::text(body, limits.text_bytes, &pace).await?;
        fetch(door, &url, &mut writer).await?
    } else {
        let chunks = body.map(|chunk| {
            chunk.map_err(|error| Refused::body(label::Refusal::Body, error.to_string()))
        });
        intake::take(chunks, &mut writer, &pace).await?
    };
    if hash != credentials.hash {
        return Err(Refusal::Hash.into());
    }
    if let Some(writer) = writer {
        writer.confirm();
    }
    door.gate.vouch(peer.address);
    let upload = upload.ok().flatten();
    Ok(pending(
        door, admitted, bought, outcome, &stream, upload, arrived,
    ))
}

/// The way to a store, if the gateway does not fetch its renditions here.
fn upload(
    door: &Door,
    admitted: &Admitted,
    arrived: Instant,
) -> Result<Option<Upload>, SegmentFailure> {
    let Some(to) = destination(door, admitted) else {
        return Ok(None);
    };
    let session = &admitted.token.session_id;
    let until = arrived + TimeBudget::gateway_waits(admitted.credentials.duration_ms);
    let upload = door.uploader.place(session, to, until);
    let busy = || SegmentFailure::new(Cause::Busy, texts::BUSY, "its store is slow".to_owned());
    upload.map(Some).ok_or_else(busy)
}

fn destination(door: &Door, admitted: &Admitted) -> Option<Destination> {
    let theirs = admitted.credentials.storage.as_ref();
    let theirs = theirs.and_then(ExternalStore::from_pb);
    let ours = || {
        let own = door.context.object_store.clone()?;
        Some(Destination::Own(own, admitted.token.session_id.clone()))
    };
    theirs.map(Destination::Gateway).or_else(ours)
}

fn pending(
    door: &Door,
    admitted: Admitted,
    bought: Option<Bought>,
    outcome: Result<oneshot::Receiver<SegmentAnswer>, SegmentFailure>,
    stream: &StreamMetrics,
    upload: Option<Upload>,
    arrived: Instant,
) -> Pending {
    let complete = Instant::now();
    stream.downloaded(complete.duration_since(arrived));
    if let Err(SegmentFailure {
        cause: Cause::Busy, ..
    }) = &outcome
    {
        door.context
            .metrics
            .video
            .refused(Stage::Segment, label::Refusal::Busy);
    }
    Pending {
        admitted,
        bought,
        outcome,
        upload,
        complete,
        metrics: Arc::clone(&door.context.metrics),
    }
}

/// Queues the job; where its answer comes, and where its bytes go. A job that was not queued has no use for them.
async fn enqueue(
    door: &Door,
    admitted: &Admitted,
    keep: bool,
    arrived: Instant,
) -> (
    Result<oneshot::Receiver<SegmentAnswer>, SegmentFailure>,
    Option<BodyWriter>,
) {
    let (writer, body) = door.context.budget.body();
    let (reply, answer) = oneshot::channel();
    let request = SegmentRequest {
        spec: job(door, &admitted.credentials),
        order: Arc::new(admitted.credentials.clone()),
        body,
        keep,
        arrived,
        reply,
    };
    match door
        .context
        .sessions
        .enqueue(&admitted.admission, request)
        .await
    {
        Ok(()) => (Ok(answer), Some(writer)),
        Err(failure) => (Err(failure), None),
    }
}

fn job(door: &Door, credentials: &SegmentCredentials) -> SegmentJob {
    let snapshot = door.context.broadcast.load();
    let version = &snapshot.identity().capabilities.version;
    SegmentJob {
        stream: credentials.stream_name(),
        seq: credentials.seq,
        profiles: credentials.profiles.clone(),
        duration_ms: credentials.duration_ms,
        clip: credentials.clip,
        provider: result::provider(version, &door.maker()),
        perceptual_hash: credentials.calc_perceptual_hash,
    }
}

async fn fetch(
    door: &Door,
    url: &str,
    writer: &mut Option<BodyWriter>,
) -> Result<protocol::signature::Hash, Refused> {
    let limits = door.context.limits.load_full();
    let refuse = |detail: String| Refused::from(Refusal::Url(detail));
    let fetched = async {
        let chunks = door
            .fetcher
            .open(url, limits.redirects)
            .await
            .map_err(|error| refuse(error.to_string()))?;
        let chunks = chunks.map(|chunk| chunk.map_err(|error| refuse(error.to_string())));
        let taken = intake::take(Box::pin(chunks), writer, &Pace::fetch(&limits)).await;
        // To the gateway all of it is a bad request, but what is counted stays what it was.
        taken.map_err(|refused| Refused {
            refusal: Refusal::Url(refused.refusal.to_string()),
            ..refused
        })
    };
    tokio::time::timeout(limits.fetch, Box::pin(fetched))
        .await
        .map_err(|_| refuse("it took too long".to_owned()))?
}

fn is_url(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value == URL_CONTENT_TYPE)
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads and drops what a client still sends, for a while: closing at once would reset an HTTP/1.1 connection before the
/// client has read why, and some clients take the reset of an HTTP/2 stream for a failure of their own.
pub(super) fn drain(
    mut body: impl Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin + 'static,
    time: std::time::Duration,
) {
    tokio::spawn(tokio::time::timeout(time, async move {
        while let Some(Ok(_)) = body.next().await {}
    }));
}
