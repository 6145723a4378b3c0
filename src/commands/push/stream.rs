//! Runs one stream from its first segment to its end: pace, segments under way, order of what came back.

use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::client::{ClientError, Delivery, Outgoing, StreamClient};
use super::output::Saver;
use super::source::{Segment, Source};
use super::verify::Check;

/// How a stream is run.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Number of the stream, from 0.
    pub stream: usize,
    /// Segments to push.
    pub count: usize,
    /// Wait for each segment until it would have been recorded.
    pub live: bool,
    /// Delay before the first segment.
    pub delay: Duration,
    /// Segments under way at once.
    pub in_flight: usize,
}

/// What became of one segment.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Number of the stream, from 0.
    pub stream: usize,
    /// Number of the segment, from 0.
    pub seq: i64,
    /// Its length, ms.
    pub duration_ms: u32,
    /// From sending to the end of the answer, ms.
    pub answered_ms: Option<f64>,
    /// From sending to the last byte of the last rendition, ms.
    pub delivered_ms: Option<f64>,
    /// Delivered later than its own length after it was due.
    pub late: bool,
    /// Tries it took.
    pub attempts: u32,
    /// Why it is lost.
    pub error: Option<String>,
    /// Bytes of each rendition.
    pub bytes: Vec<u64>,
    /// Billed pixels of each rendition.
    pub pixels: Vec<u64>,
}

/// A stream that is over.
#[derive(Debug, Default)]
pub struct Ended {
    /// In the order of the segments; those not sent because the stream was stopped have none.
    pub records: Vec<Record>,
    /// What went wrong besides.
    pub fault: Option<String>,
}

/// What a stream needs.
pub struct Stream {
    /// How it is run.
    pub pace: Pace,
    /// Its side of the protocol.
    pub client: Arc<StreamClient>,
    /// What it sends.
    pub source: Arc<Source>,
    /// Where its renditions are saved.
    pub saver: Option<Saver>,
    /// Who checks them.
    pub checks: Option<mpsc::Sender<Check>>,
    /// Shows how far it is.
    pub bar: ProgressBar,
    /// Ends it early.
    pub stop: CancellationToken,
}

/// What was sent (unless it could not be made), and what came back when.
type Outcome = (Option<Segment>, Result<(Delivery, Instant), String>);

/// A segment under way: when it was due, and what comes of it.
struct UnderWay {
    due: Instant,
    position: usize,
    outcome: JoinHandle<Outcome>,
}

impl Stream {
    /// Pushes all segments and ends the session.
    pub async fn run(mut self) -> Ended {
        let start = Instant::now() + self.pace.delay;
        let (send, mut receive) = mpsc::channel::<UnderWay>(self.pace.in_flight.max(1));
        let feeder = Feeder {
            pace: self.pace,
            client: Arc::clone(&self.client),
            source: Arc::clone(&self.source),
            stop: self.stop.clone(),
        };
        let feeding = tokio::spawn(feeder.run(start, send));
        let mut records = Vec::with_capacity(self.pace.count.min(1 << 16));
        while let Some(under_way) = receive.recv().await {
            let record = self.settle(under_way).await;
            self.bar.inc(1);
            self.bar
                .set_message(record.error.clone().unwrap_or_default());
            records.push(record);
        }
        if let Err(error) = feeding.await {
            tracing::error!(%error, "stream broke");
        }
        if let Err(error) = self.client.end().await {
            tracing::warn!(%error, "session could not be ended");
        }
        self.bar.finish();
        let saved = self.saver.as_ref().map_or(Ok(()), Saver::finish);
        let fault = saved.err().map(|error| {
            format!(
                "stream {}: cannot write playlists: {error}",
                self.pace.stream
            )
        });
        Ended { records, fault }
    }

    async fn settle(&mut self, under_way: UnderWay) -> Record {
        let UnderWay {
            due,
            position,
            outcome,
        } = under_way;
        let (segment, outcome) = outcome
            .await
            .unwrap_or_else(|error| (None, Err(format!("broke: {error}"))));
        let duration_ms = self.source.duration_ms(position);
        let mut record = Record {
            stream: self.pace.stream,
            seq: i64::try_from(position).unwrap_or(i64::MAX),
            duration_ms,
            answered_ms: None,
            delivered_ms: None,
            late: false,
            attempts: 0,
            error: None,
            bytes: Vec::new(),
            pixels: Vec::new(),
        };
        match (segment, outcome) {
            (Some(segment), Ok((delivery, finished))) => {
                record.late = finished.saturating_duration_since(due)
                    > Duration::from_millis(duration_ms.into());
                record.answered_ms = Some(milliseconds(delivery.answered));
                record.delivered_ms = Some(milliseconds(delivery.delivered));
                record.attempts = delivery.attempts;
                record.bytes = delivery
                    .renditions
                    .iter()
                    .map(|rendition| rendition.bytes.len() as u64)
                    .collect();
                record.pixels = delivery
                    .renditions
                    .iter()
                    .map(|rendition| rendition.pixels)
                    .collect();
                record.error = self.hand_on(&segment, delivery).await;
            }
            (_, Err(error)) => record.error = Some(error),
            (None, Ok(_)) => {}
        }
        record
    }

    /// Saves and checks; the reason if it could not be saved.
    async fn hand_on(&mut self, segment: &Segment, delivery: Delivery) -> Option<String> {
        let saved = match &mut self.saver {
            Some(saver) => {
                saver
                    .save(segment.seq, segment.duration_ms, &delivery.renditions)
                    .await
            }
            None => Ok(()),
        };
        if let Some(checks) = &self.checks {
            let Segment {
                seq, index, shift, ..
            } = *segment;
            let check = Check {
                stream: self.pace.stream,
                seq,
                index,
                shift,
                renditions: delivery.renditions,
            };
            if checks.send(check).await.is_err() {
                return Some("could not be verified".to_owned());
            }
        }
        saved.err().map(|error| format!("cannot be saved: {error}"))
    }
}

/// Sends segments when they are due.
struct Feeder {
    pace: Pace,
    client: Arc<StreamClient>,
    source: Arc<Source>,
    stop: CancellationToken,
}

impl Feeder {
    async fn run(self, start: Instant, under_way: mpsc::Sender<UnderWay>) {
        sleep_until(start).await;
        let room = Arc::new(Semaphore::new(self.pace.in_flight.max(1)));
        let mut due = start;
        for position in 0..self.pace.count {
            // Cut and hashed before it is due, as a recorder would have done.
            let ready = self.prepare(position).await;
            let go = async {
                if self.pace.live {
                    sleep_until(due).await;
                }
                Arc::clone(&room).acquire_owned().await
            };
            let permit = tokio::select! {
                permit = go => permit,
                () = self.stop.cancelled() => return,
            };
            let Ok(permit) = permit else { return };
            let since = if self.pace.live { due } else { Instant::now() };
            let outcome = tokio::spawn(deliver(Arc::clone(&self.client), ready, permit));
            if under_way
                .send(UnderWay {
                    due: since,
                    position,
                    outcome,
                })
                .await
                .is_err()
            {
                return;
            }
            due += Duration::from_millis(self.source.duration_ms(position).into());
        }
    }

    async fn prepare(&self, position: usize) -> Result<Outgoing, String> {
        let source = Arc::clone(&self.source);
        let made =
            tokio::task::spawn_blocking(move || source.segment(position).map(Outgoing::new)).await;
        made.map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }
}

/// Submits one segment; `permit` is held until its renditions are here.
async fn deliver(
    client: Arc<StreamClient>,
    ready: Result<Outgoing, String>,
    permit: OwnedSemaphorePermit,
) -> Outcome {
    let outgoing = match ready {
        Ok(outgoing) => outgoing,
        Err(error) => return (None, Err(error)),
    };
    let outcome = client.submit(&outgoing).await;
    drop(permit);
    (
        Some(outgoing.segment),
        outcome
            .map(|delivery| (delivery, Instant::now()))
            .map_err(|error: ClientError| error.to_string()),
    )
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
