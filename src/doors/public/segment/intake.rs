//! Takes a body as it comes: hashes it, hands it on, and gives up on one that is too long or too slow.

use std::time::Duration;

use actors::body::{BodyError, BodyWriter};
use axum::body::BodyDataStream;
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, Stream, StreamExt};
use protocol::refusal::Refusal;
use protocol::signature::{Hash, Hasher};
use telemetry::metrics::label;
use tokio::time::Instant;

use super::super::limits::PublicLimits;
use super::super::refused::Refused;

/// Bytes hashed before other tasks get their turn: 0.2 ms or so.
const HASH_PIECE: usize = 64 << 10;
/// Pieces below this are gathered while more are at hand, so that many small ones cost no more than few large ones.
const SMALL: usize = 16 << 10;

/// How much may come, and how slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    most: usize,
    time: Duration,
    lag: Duration,
    rate: u32,
}

impl Pace {
    /// For an upload of a segment that lasts `duration`.
    pub fn upload(limits: &PublicLimits, duration: Duration) -> Self {
        Self {
            most: limits.body_bytes,
            time: limits.body.max(duration),
            lag: limits.body_lag,
            rate: limits.body_rate.max(1),
        }
    }

    /// For a fetched object.
    pub fn fetch(limits: &PublicLimits) -> Self {
        Self {
            time: limits.fetch,
            ..Self::upload(limits, Duration::ZERO)
        }
    }

    /// When more must have come after `taken` bytes, counted from the begin.
    fn due(&self, taken: usize) -> Duration {
        let earned = Duration::from_secs_f64(taken as f64 / f64::from(self.rate));
        (self.lag + earned).min(self.time)
    }
}

/// Hash of all bytes of `chunks`, which go to `writer` as they come.
pub(super) async fn take<S>(
    mut chunks: S,
    writer: &mut Option<BodyWriter>,
    pace: &Pace,
) -> Result<Hash, Refused>
where
    S: Stream<Item = Result<Bytes, Refused>> + Unpin,
{
    let begun = Instant::now();
    let mut hasher = Hasher::default();
    let mut gathered = BytesMut::new();
    let mut taken = 0;
    loop {
        let next = match chunks.next().now_or_never() {
            Some(next) => next,
            None => {
                push(writer, gathered.split().freeze()).await?;
                let due = begun + pace.due(taken);
                tokio::time::timeout_at(due, chunks.next())
                    .await
                    .map_err(|_| Refused::body(label::Refusal::Body, "the body comes too slowly"))?
            }
        };
        let Some(bytes) = next.transpose()? else {
            break;
        };
        taken += bytes.len();
        if taken > pace.most {
            return Err(Refused::body(
                label::Refusal::TooLarge,
                format!("more than {} bytes", pace.most),
            ));
        }
        if begun.elapsed() > pace.time {
            return Err(Refused::body(
                label::Refusal::Body,
                "the body took too long",
            ));
        }
        hash(&mut hasher, &bytes).await;
        if bytes.len() >= SMALL {
            push(writer, gathered.split().freeze()).await?;
            push(writer, bytes).await?;
        } else {
            gathered.extend_from_slice(&bytes);
            if gathered.len() >= SMALL {
                push(writer, gathered.split().freeze()).await?;
            }
        }
    }
    push(writer, gathered.freeze()).await?;
    Ok(hasher.finish())
}

/// A body that is a short text, such as a URL.
pub(super) async fn text(
    body: &mut BodyDataStream,
    most: usize,
    pace: &Pace,
) -> Result<String, Refused> {
    let mut all = Vec::new();
    let read = async {
        while let Some(bytes) = body.next().await {
            all.extend_from_slice(
                &bytes.map_err(|error| Refused::body(label::Refusal::Body, error.to_string()))?,
            );
            if all.len() > most {
                return Err(Refusal::Url(format!("it is longer than {most} bytes")).into());
            }
        }
        Ok(())
    };
    tokio::time::timeout(pace.lag.min(pace.time), read)
        .await
        .unwrap_or_else(|_| {
            Err(Refused::body(
                label::Refusal::Body,
                "the body comes too slowly",
            ))
        })?;
    String::from_utf8(all).map_err(|_| Refusal::Url("it is not UTF-8".to_owned()).into())
}

async fn hash(hasher: &mut Hasher, bytes: &[u8]) {
    let mut pieces = bytes.chunks(HASH_PIECE).peekable();
    while let Some(piece) = pieces.next() {
        hasher.update(piece);
        if pieces.peek().is_some() {
            tokio::task::yield_now().await;
        }
    }
}

async fn push(writer: &mut Option<BodyWriter>, bytes: Bytes) -> Result<(), Refused> {
    let Some(writer) = writer else { return Ok(()) };
    writer.push(bytes).await.map_err(|error| {
        let reason = match error {
            BodyError::BudgetSpent => label::Refusal::Memory,
            BodyError::Spool(_) | BodyError::Aborted => label::Refusal::Internal,
        };
        Refused::body(reason, error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use proptest::prelude::*;
    use protocol::signature::keccak256;

    use super::*;

    fn pace() -> Pace {
        Pace {
            most: 100,
            time: Duration::from_secs(30),
            lag: Duration::from_secs(5),
            rate: 10,
        }
    }

    async fn outcome<S>(chunks: S) -> Result<Hash, label::Refusal>
    where
        S: Stream<Item = Result<Bytes, Refused>>,
    {
        take(Box::pin(chunks), &mut None, &pace())
            .await
            .map_err(|refused| refused.reason)
    }

    fn chunks(count: usize, pause: Duration) -> impl Stream<Item = Result<Bytes, Refused>> {
        stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok(Bytes::from_static(b"0123456789"))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_have_as_many_bytes_as_allowed_and_not_one_more() {
        assert!(outcome(chunks(10, Duration::ZERO)).await.is_ok());
        assert_eq!(
            outcome(chunks(11, Duration::ZERO)).await,
            Err(label::Refusal::TooLarge)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_lag_for_a_while_and_not_for_ever() {
        assert!(
            outcome(chunks(8, Duration::from_millis(1400)))
                .await
                .is_ok()
        );
        let begun = Instant::now();
        assert_eq!(
            outcome(chunks(10, Duration::from_secs(3))).await,
            Err(label::Refusal::Body)
        );
        assert!(begun.elapsed() < Duration::from_secs(9));
        assert_eq!(outcome(stream::pending()).await, Err(label::Refusal::Body));
    }

    #[tokio::test]
    async fn a_broken_body_is_refused_as_such() {
        let broken = stream::iter([
            Ok(Bytes::from_static(b"a")),
            Err(Refused::body(label::Refusal::Body, "gone")),
        ]);
        assert_eq!(outcome(broken).await, Err(label::Refusal::Body));
    }

    proptest! {
        #[test]
        fn the_hash_does_not_depend_on_how_bytes_come(sizes in prop::collection::vec(0..40_000usize, 0..8)) {
            let mut all = Vec::new();
            let mut pieces = Vec::new();
            for (number, size) in sizes.into_iter().enumerate() {
                let piece = vec![number as u8; size];
                all.extend_from_slice(&piece);
                pieces.push(Ok(Bytes::from(piece)));
            }
            let pace = Pace { most: all.len(), ..pace() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
            let taken = runtime.block_on(take(stream::iter(pieces), &mut None, &pace));
            prop_assert_eq!(taken, Ok(keccak256(&all)));
        }
    }
}
