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
use protocol::profile::VideoProfile;
use protocol::{pb, result};
use telemetry::Metrics;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::admission::Admitted;
use super::super::paid::Bought;
use super::super::upload::{File, Upload, UploadError};

/// A segment whose hash was right and whose work is under way, or failed to begin.
pub(super) struct Pending {
    /// Whose it is.
    pub admitted: Admitted,
    /// What it is charged to; `None` off-chain.
    pub bought: Option<Bought>,
    /// Where the outcome comes from.
    pub outcome: Result<oneshot::Receiver<SegmentAnswer>, SegmentFailure>,
    /// Where renditions are brought; `None` where the gateway fetches them.
    pub upload: Option<Upload>,
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
                let segments = match &self.upload {
                    None => segments(&self.admitted, &transcoded),
                    Some(upload) => match uploaded(upload, &self.admitted, &transcoded).await {
                        Ok(segments) => segments,
                        Err(error) => {
                            tracing::warn!(seqNo = seq, %error, "renditions are not in their store");
                            let failure = result::failure(seq, error.wire_text(), info);
                            return failure.encode_to_vec().into();
                        }
                    },
                };
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
        .zip(&transcoded.hashes)
        .map(|((profile, pixels), hash)| {
            let url = result::rendition_url(
                service,
                &admitted.token.session_id,
                profile,
                credentials.seq,
            );
            let hash =
                (!hash.is_empty()).then(|| format!("{url}{}", result::PERCEPTUAL_HASH_SUFFIX));
            pb::TranscodedSegmentData {
                url,
                pixels: i64::try_from(*pixels).unwrap_or(i64::MAX),
                perceptual_hash_url: hash.unwrap_or_default(),
            }
        })
        .collect()
}

/// The same, brought to a store: a rendition and its hash each as a file of their own.
async fn uploaded(
    upload: &Upload,
    admitted: &Admitted,
    transcoded: &Transcoded,
) -> Result<Vec<pb::TranscodedSegmentData>, UploadError> {
    let credentials = &admitted.credentials;
    let name = |profile: &VideoProfile, file: String| format!("{}/{file}", profile.name);
    let file = |profile: &VideoProfile, bytes: &Bytes| File {
        name: name(profile, result::rendition_file(profile, credentials.seq)),
        mime: profile.format.mime(),
        bytes: bytes.clone(),
    };
    let hash = |profile: &VideoProfile, bytes: &Bytes| File {
        name: name(profile, result::hash_file(profile, credentials.seq)),
        mime: "application/octet-stream",
        bytes: bytes.clone(),
    };
    let profiles = || credentials.profiles.iter();
    let mut files: Vec<_> = profiles()
        .zip(&transcoded.contents)
        .map(|(profile, bytes)| file(profile, bytes))
        .collect();
    let hashes = profiles().zip(&transcoded.hashes);
    let hashes = hashes.filter(|(_, bytes)| !bytes.is_empty());
    files.extend(hashes.map(|(profile, bytes)| hash(profile, bytes)));

    let mut urls = upload.bring(files).await?.into_iter();
    let renditions: Vec<_> = urls.by_ref().take(credentials.profiles.len()).collect();
    let segments = renditions
        .into_iter()
        .zip(transcoded.pixels.iter().zip(&transcoded.hashes));
    let segments = segments.map(|(url, (pixels, hash))| pb::TranscodedSegmentData {
        url,
        pixels: i64::try_from(*pixels).unwrap_or(i64::MAX),
        perceptual_hash_url: match hash.is_empty() {
            true => String::new(),
            false => urls.next().unwrap_or_default(),
        },
    });
    Ok(segments.collect())
}
