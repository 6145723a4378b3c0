//! What is counted about streams and segments.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{
    Counter, CounterVec, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge,
};

use super::build::Builder;
use super::guard::GaugeGuard;
use super::label::{FailureCause, Pool, Refusal, SessionEnd, Stage, Store, UploadEnd};
use super::success::SuccessWindow;
use super::{MetricsOptions, table};
use crate::TelemetryError;

/// The reference labels what an orchestrator transcodes with these constants.
const TRUSTED: &str = "trusted";
const VERIFIED: &str = "verified";

/// Profile names are chosen by gateways: so many combinations get a label value of their own, the rest share [`OTHER`].
const MOST_LADDERS: usize = 100;
/// Longest label value made of profile names, in bytes.
const LONGEST_LADDER: usize = 256;
const OTHER: &str = "other";

/// Counters of streams and segments.
#[derive(Debug, Clone)]
pub struct VideoMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    per_stream: bool,
    client_ip: bool,
    emerged: IntCounterVec,
    source_duration: HistogramVec,
    downloaded: IntCounterVec,
    download_time: HistogramVec,
    transcoded: IntCounterVec,
    transcode_time: HistogramVec,
    transcode_score: HistogramVec,
    failed: IntCounterVec,
    success_rate: Gauge,
    uploads: IntCounterVec,
    mil_pixels: CounterVec,
    discovery: IntCounter,
    refusals: IntCounterVec,
    retried: IntCounter,
    queue_time: Histogram,
    node_overhead: Histogram,
    session_ends: IntCounterVec,
    body_bytes: IntGauge,
    body_bytes_limit: IntGauge,
    ring_bytes: IntGauge,
    pool_full: IntCounterVec,
    window: SuccessWindow,
    ladders: Mutex<HashSet<String>>,
    /// How many streams now use a pair of (manifest id, client address), so that the last one removes the series.
    streams: Mutex<HashMap<(String, String), usize>>,
}

impl VideoMetrics {
    pub(super) fn new(
        build: &Builder<'_>,
        options: &MetricsOptions,
    ) -> Result<Self, TelemetryError> {
        let none: &[&str] = &[];
        let metrics = Inner {
            per_stream: options.per_stream || options.client_ip,
            client_ip: options.client_ip,
            emerged: build.counter(&table::SOURCE_EMERGED)?,
            source_duration: build.histogram(&table::SOURCE_DURATION)?,
            downloaded: build.counter(&table::DOWNLOADED)?,
            download_time: build.histogram(&table::DOWNLOAD_TIME)?,
            transcoded: build.counter(&table::TRANSCODED)?,
            transcode_time: build.histogram(&table::TRANSCODE_TIME)?,
            transcode_score: build.histogram(&table::TRANSCODE_SCORE)?,
            failed: build.counter(&table::TRANSCODE_FAILED)?,
            uploads: build.counter(&table::UPLOADS)?,
            success_rate: build.ratio(&table::SUCCESS_RATE)?.with_label_values(none),
            mil_pixels: build.amount(&table::MIL_PIXELS)?,
            discovery: build.counter(&table::DISCOVERY)?.with_label_values(none),
            refusals: build.counter(&table::REFUSALS)?,
            retried: build.counter(&table::RETRIED)?.with_label_values(none),
            queue_time: build.histogram(&table::QUEUE_TIME)?.with_label_values(none),
            node_overhead: build
                .histogram(&table::NODE_OVERHEAD)?
                .with_label_values(none),
            session_ends: build.counter(&table::SESSION_ENDS)?,
            body_bytes: build.gauge(&table::BODY_BYTES)?.with_label_values(none),
            body_bytes_limit: build
                .gauge(&table::BODY_BYTES_LIMIT)?
                .with_label_values(none),
            ring_bytes: build.gauge(&table::RING_BYTES)?.with_label_values(none),
            pool_full: build.counter(&table::POOL_FULL)?,
            window: SuccessWindow::default(),
            ladders: Mutex::default(),
            streams: Mutex::default(),
        };
        metrics.success_rate.set(1.0);
        // A series that begins at 0 lets `rate` and `increase` see the first event.
        for stage in Stage::ALL {
            for reason in Refusal::ALL {
                metrics
                    .refusals
                    .with_label_values(&[stage.as_str(), reason.as_str()]);
            }
        }
        for reason in SessionEnd::ALL {
            metrics.session_ends.with_label_values(&[reason.as_str()]);
        }
        for pool in Pool::ALL {
            metrics.pool_full.with_label_values(&[pool.as_str()]);
        }
        Ok(Self(Arc::new(metrics)))
    }

    /// The counters of one stream; with per-stream labels its series vanish when the last handle is dropped.
    /// An unknown `client_ip` is the empty string.
    pub fn stream(&self, manifest_id: &str, client_ip: &str) -> StreamMetrics {
        StreamMetrics::new(Arc::clone(&self.0), manifest_id, client_ip)
    }

    /// A GetOrchestrator request came in.
    pub fn discovery_request(&self) {
        self.0.discovery.inc();
    }

    /// Work was refused.
    pub fn refused(&self, stage: Stage, reason: Refusal) {
        self.0
            .refusals
            .with_label_values(&[stage.as_str(), reason.as_str()])
            .inc();
    }

    /// The renditions of a segment were to be brought to a store outside the node.
    pub fn uploaded(&self, store: Store, outcome: UploadEnd) {
        let labels = [store.as_str(), outcome.as_str()];
        self.0.uploads.with_label_values(&labels).inc();
    }

    /// A segment goes to a second worker.
    pub fn segment_retried(&self) {
        self.0.retried.inc();
    }

    /// A segment waited so long behind others of its stream.
    pub fn queued(&self, waited: Duration) {
        self.0.queue_time.observe(waited.as_secs_f64());
    }

    /// An answer took so long after the last body byte, the worker's own time taken off.
    pub fn node_overhead(&self, overhead: Duration) {
        self.0.node_overhead.observe(overhead.as_secs_f64());
    }

    /// A stream's session ended.
    pub fn session_ended(&self, reason: SessionEnd) {
        self.0
            .session_ends
            .with_label_values(&[reason.as_str()])
            .inc();
    }

    /// A bounded resource was full.
    pub fn pool_full(&self, pool: Pool) {
        self.0.pool_full.with_label_values(&[pool.as_str()]).inc();
    }

    /// `bytes` of a segment body are held while the guard lives.
    pub fn body_bytes(&self, bytes: u64) -> GaugeGuard {
        GaugeGuard::new(self.0.body_bytes.clone(), bytes)
    }

    /// The budget of bytes for segment bodies.
    pub fn set_body_bytes_limit(&self, bytes: u64) {
        self.0
            .body_bytes_limit
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// `bytes` of a rendition are kept while the guard lives.
    pub fn ring_bytes(&self, bytes: u64) -> GaugeGuard {
        GaugeGuard::new(self.0.ring_bytes.clone(), bytes)
    }

    /// Success rate as now exported.
    pub fn success_rate(&self) -> f64 {
        self.0.success_rate.get()
    }
}

impl Inner {
    fn ladder(&self, names: &str) -> String {
        let mut known = self.ladders.lock();
        if known.contains(names) {
            return names.to_owned();
        }
        if names.len() > LONGEST_LADDER || known.len() >= MOST_LADDERS {
            return OTHER.to_owned();
        }
        known.insert(names.to_owned());
        names.to_owned()
    }

    fn outcome(&self, success: bool) {
        self.success_rate.set(self.window.record(success));
    }
}

/// Counters of one stream. Cheap to clone; clones share the series.
#[derive(Debug, Clone)]
pub struct StreamMetrics(Arc<Stream>);

#[derive(Debug)]
struct Stream {
    all: Arc<Inner>,
    manifest_id: String,
    client_ip: String,
    emerged: IntCounter,
    source_duration: Histogram,
    downloaded: IntCounter,
    download_time: Histogram,
    mil_pixels: Counter,
}

impl StreamMetrics {
    fn new(all: Arc<Inner>, manifest_id: &str, client_ip: &str) -> Self {
        let manifest_id = if all.per_stream {
            manifest_id.to_owned()
        } else {
            String::new()
        };
        let client_ip = match (all.client_ip, client_ip) {
            (false, _) => String::new(),
            (true, "") => "not_tracked".to_owned(),
            (true, address) => address.to_owned(),
        };
        let mut streams = all.streams.lock();
        *streams
            .entry((manifest_id.clone(), client_ip.clone()))
            .or_default() += 1;
        let stream = Stream {
            emerged: all.emerged.with_label_values(&[&client_ip, &manifest_id]),
            source_duration: all.source_duration.with_label_values(&[&manifest_id]),
            downloaded: all.downloaded.with_label_values(&[&manifest_id]),
            download_time: all.download_time.with_label_values(&[&manifest_id]),
            mil_pixels: all
                .mil_pixels
                .with_label_values(&[&client_ip, &manifest_id]),
            manifest_id,
            client_ip,
            all: Arc::clone(&all),
        };
        drop(streams);
        Self(Arc::new(stream))
    }

    /// A segment's credentials and payment passed; `duration` is what the gateway stated.
    pub fn emerged(&self, duration: Duration) {
        self.0.emerged.inc();
        self.0.source_duration.observe(duration.as_secs_f64());
    }

    /// A segment's body was read in `took`.
    pub fn downloaded(&self, took: Duration) {
        self.0.downloaded.inc();
        self.0.download_time.observe(took.as_secs_f64());
    }

    /// A segment of `source` length was transcoded in `took`. `profiles` are the names of its profiles in any order.
    pub fn transcoded<'p>(
        &self,
        profiles: impl IntoIterator<Item = &'p str>,
        source: Duration,
        took: Duration,
    ) {
        let mut names: Vec<&str> = profiles.into_iter().collect();
        names.sort_unstable();
        let all = &self.0.all;
        let ladder = all.ladder(&names.join(","));
        let labels = &[ladder.as_str(), TRUSTED, VERIFIED];
        all.transcoded.with_label_values(labels).inc();
        all.transcode_time
            .with_label_values(labels)
            .observe(took.as_secs_f64());
        // Nothing is transcoded in no time; the floor only keeps the quotient finite.
        let took = took.max(Duration::from_micros(1)).as_secs_f64();
        all.transcode_score
            .with_label_values(labels)
            .observe(source.as_secs_f64() / took);
        all.outcome(true);
    }

    /// A segment was accepted and failed.
    pub fn failed(&self, cause: FailureCause) {
        self.0
            .all
            .failed
            .with_label_values(&[cause.as_str(), &self.0.manifest_id])
            .inc();
        if cause.counts_against_node() {
            self.0.all.outcome(false);
        }
    }

    /// So many pixels were encoded for this stream.
    pub fn pixels(&self, pixels: u64) {
        self.0.mil_pixels.inc_by(pixels as f64 / 1e6);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.all.per_stream {
            return;
        }
        let mut streams = self.all.streams.lock();
        let key = (
            std::mem::take(&mut self.manifest_id),
            std::mem::take(&mut self.client_ip),
        );
        match streams.get_mut(&key) {
            Some(count) if *count > 1 => {
                *count -= 1;
                return;
            }
            _ => streams.remove(&key),
        };
        let (manifest_id, client_ip) = (key.0.as_str(), key.1.as_str());
        // What was never recorded has no series; that is no error here.
        let _ = self
            .all
            .emerged
            .remove_label_values(&[client_ip, manifest_id]);
        let _ = self
            .all
            .mil_pixels
            .remove_label_values(&[client_ip, manifest_id]);
        if streams.keys().any(|(other, _)| other == manifest_id) {
            return;
        }
        let _ = self.all.source_duration.remove_label_values(&[manifest_id]);
        let _ = self.all.downloaded.remove_label_values(&[manifest_id]);
        let _ = self.all.download_time.remove_label_values(&[manifest_id]);
        for cause in FailureCause::ALL {
            let _ = self
                .all
                .failed
                .remove_label_values(&[cause.as_str(), manifest_id]);
        }
    }
}
