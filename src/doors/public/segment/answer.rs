//! The answer to a segment: status 200 at once, the result when the work is done.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actors::failure::SegmentFailure;
use actors::transcode_session::{SegmentAnswer, Transcoded};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use prost::Message;
use protocol::{pb, result};
use telemetry::Metrics;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::admission::Admitted;
use super::super::paid::Bought;

/// A segment whose hash was right and whose work is under way, or failed to begin.
pub(super) struct Pending {
    /// Whose it is.
    pub admitted: Admitted,
    /// What it is charged to; `None` off-chain.
    pub bought: Option<Bought>,
    /// Where the outcome comes from.
    pub outcome: Result<oneshot::Receiver<SegmentAnswer>, SegmentFailure>,
    /// When the last byte had come.
    pub complete: Instant,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
}

impl Pending {
    /// The head now, the body later; neither type nor length, as in the reference.
    pub fn response(self) -> Response {
        // Work that is paid for is charged also when the client has left.
        let result = tokio::spawn(self.result());
        let result = async move { Ok::<_, Infallible>(result.await.unwrap_or_default()) };
        Response::new(Body::from_stream(stream::once(result)))
    }

    async fn result(self) -> Bytes {
        let outcome = match self.outcome {
            Ok(answer) => answer
                .await
                .unwrap_or_else(|_| Err(SegmentFailure::lost("the session died"))),
            Err(failure) => Err(failure),
        };
        let seq = self.admitted.credentials.seq;
        let info = match &self.bought {
            Some(bought) => bought.info(&self.admitted),
            None => Some(self.admitted.info()),
        };
        let message = match outcome {
            Ok(transcoded) => {
                let codec = Duration::from_micros(transcoded.stats.after_input_us);
                self.metrics
                    .video
                    .node_overhead(self.complete.elapsed().saturating_sub(codec));
                let segments = segments(&self.admitted, &transcoded);
                let sig = match self.bought {
                    Some(bought) => {
                        let pixels = transcoded.pixels.iter().sum();
                        bought.settle(pixels, transcoded.contents).await
                    }
                    None => Vec::new(),
                };
                result::success(seq, segments, sig, info)
            }
            Err(failure) => result::failure(seq, failure.text, info),
        };
        message.encode_to_vec().into()
    }
}

/// One per profile and in their order: gateways index their own list by position.
fn segments(admitted: &Admitted, transcoded: &Transcoded) -> Vec<pb::TranscodedSegmentData> {
    let service = &admitted.snapshot.identity().service_uri;
    let credentials = &admitted.credentials;
    let renditions = credentials.profiles.iter().zip(&transcoded.pixels);
    renditions
        .zip(&transcoded.hashed)
        .map(|((profile, pixels), hashed)| {
            let url = result::rendition_url(
                service,
                &admitted.token.session_id,
                profile,
                credentials.seq,
            );
            let hash = hashed.then(|| format!("{url}{}", result::PERCEPTUAL_HASH_SUFFIX));
            pb::TranscodedSegmentData {
                url,
                pixels: i64::try_from(*pixels).unwrap_or(i64::MAX),
                perceptual_hash_url: hash.unwrap_or_default(),
            }
        })
        .collect()
}
