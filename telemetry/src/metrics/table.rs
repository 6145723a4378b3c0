//! The one table of metrics: name, type, help, labels, bucket bounds. Everything else is made from it.
//!
//! Names beginning with `livepeer_` are the reference's, with its labels and bounds, so that dashboards in use go
//! on working; names beginning with `orchestrion_` are ours. A label without a value is exported empty, which
//! Prometheus treats as absent.

/// Type of a metric in the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per bucket, sum and count.
    Histogram,
}

impl Kind {
    /// The word of the exposition format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric as declared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Declared {
    /// Full name as exported (a histogram's gets `_bucket`, `_sum`, `_count`).
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Help text, units included.
    pub help: &'static str,
    /// Labels besides `node_id` and `node_type`.
    pub labels: &'static [&'static str],
    /// Upper bounds of a histogram's buckets; empty otherwise.
    pub buckets: &'static [f64],
}

macro_rules! table {
    ($($konst:ident: $kind:ident $name:literal [$($label:literal),*] $({$($bound:literal),+})? $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $konst: Declared = Declared {
                name: $name,
                kind: Kind::$kind,
                help: $help,
                labels: &[$($label),*],
                buckets: &[$($($bound),+)?],
            };
        )+

        /// Every metric this node declares, the process collector's aside.
        pub const TABLE: &[Declared] = &[$($konst),+];
    };
}

table! {
    VERSIONS: Gauge "livepeer_versions" ["compiler", "goos", "goversion", "livepeerversion"]
        "Always 1; version of the node and of what built it, without node_id.";
    MAX_SESSIONS: Gauge "livepeer_max_sessions_total" []
        "Streams the node accepts at once.";
    CURRENT_SESSIONS: Gauge "livepeer_current_sessions_total" []
        "Streams now open.";
    SOURCE_EMERGED: Counter "livepeer_segment_source_emerged_unprocessed_total" ["client_ip", "manifest_id"]
        "Segments whose credentials and payment passed.";
    SOURCE_DURATION: Histogram "livepeer_source_segment_duration_seconds" ["manifest_id"]
        {0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 10.0, 15.0, 20.0}
        "Duration the gateway stated for a segment, in seconds.";
    DOWNLOADED: Counter "livepeer_segment_transcoded_downloaded_total" ["manifest_id"]
        "Segment bodies read in full.";
    DOWNLOAD_TIME: Histogram "livepeer_download_time_seconds" ["manifest_id"]
        {0.1, 0.15, 0.2, 0.5, 10.0}
        "Time to read a segment body, in seconds.";
    TRANSCODED: Counter "livepeer_segment_transcoded_total" ["profiles", "trusted", "verified"]
        "Segments transcoded, by the names of their profiles in alphabetical order.";
    TRANSCODE_TIME: Histogram "livepeer_transcode_time_seconds" ["profiles", "trusted", "verified"]
        {0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 10.0}
        "Time to transcode a segment, in seconds.";
    TRANSCODE_SCORE: Histogram "livepeer_transcode_score" ["profiles", "trusted", "verified"]
        {0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 10.0, 15.0, 20.0, 40.0}
        "Duration of a segment divided by the time to transcode it; above 1 is faster than real time.";
    TRANSCODE_FAILED: Counter "livepeer_segment_transcode_failed_total" ["error_code", "manifest_id"]
        "Segments accepted and then not transcoded, by cause.";
    SUCCESS_RATE: Gauge "livepeer_success_rate" []
        "Share of the latest 300 segments that were transcoded, from 0 to 1; failures caused by the gateway or its segment are left out. 1 before the first.";
    MIL_PIXELS: Counter "livepeer_mil_pixels_processed" ["client_ip", "manifest_id"]
        "Pixels encoded, in millions.";
    TRANSCODERS_NUMBER: Gauge "livepeer_transcoders_number" []
        "Remote transcoders connected.";
    TRANSCODERS_CAPACITY: Gauge "livepeer_transcoders_capacity" []
        "Sessions that the connected remote transcoders say they can carry.";
    TRANSCODERS_LOAD: Gauge "livepeer_transcoders_load" []
        "Sessions now on remote transcoders.";

    DISCOVERY: Counter "orchestrion_discovery_requests_total" []
        "GetOrchestrator requests, refused ones included.";
    REFUSALS: Counter "orchestrion_refusals_total" ["stage", "reason"]
        "Work refused before it began, by where and why.";
    RETRIED: Counter "orchestrion_segments_retried_total" []
        "Segments given to a second worker after the first failed.";
    QUEUE_TIME: Histogram "orchestrion_segment_queue_seconds" []
        {0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0}
        "Time a segment waited behind others of its stream, in seconds.";
    NODE_OVERHEAD: Histogram "orchestrion_node_overhead_seconds" []
        {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5}
        "Time from the last body byte to the answer, less what the worker took, in seconds.";
    SESSION_ENDS: Counter "orchestrion_session_ends_total" ["reason"]
        "Streams ended, by reason.";
    BODY_BYTES: Gauge "orchestrion_body_bytes" []
        "Bytes of segment bodies held for jobs in flight.";
    BODY_BYTES_LIMIT: Gauge "orchestrion_body_bytes_limit" []
        "Most bytes of segment bodies that may be held.";
    RING_BYTES: Gauge "orchestrion_segment_ring_bytes" []
        "Bytes of finished renditions kept for gateways to fetch.";
    POOL_FULL: Counter "orchestrion_pool_full_total" ["pool"]
        "Times a bounded resource was asked for more than it has.";

    READY: Gauge "orchestrion_ready" []
        "1 when the node takes work, else 0; as /readyz says.";
    ACTOR_RESTARTS: Counter "orchestrion_actor_restarts_total" ["actor", "cause"]
        "Parts of the node started anew after they ended unasked.";

    WORKERS: Gauge "orchestrion_workers" ["device", "state"]
        "Worker processes by device and state.";
    WORKER_MEMORY: Gauge "orchestrion_worker_memory_bytes" ["device"]
        "Resident memory of the worker processes of a device.";
    WORKER_STARTS: Counter "orchestrion_worker_starts_total" ["device"]
        "Worker processes started.";
    WORKER_RESTARTS: Counter "orchestrion_worker_restarts_total" ["device", "cause"]
        "Worker processes started in place of one that ended unasked, by the cause of that end.";
    WORKER_ENDS: Counter "orchestrion_worker_ends_total" ["device", "cause"]
        "Worker processes ended, by cause.";
    WORKER_KILLS: Counter "orchestrion_worker_kills_total" ["device", "cause"]
        "Worker processes killed by the node, by cause.";

    HTTP_TIME: Histogram "orchestrion_http_request_seconds" ["door", "route", "code"]
        {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0}
        "Time to answer a request, by port, route and class of status (2xx, 4xx, 5xx), in seconds.";
    CONNECTIONS: Gauge "orchestrion_connections" ["door"]
        "Connections now open.";
    CONNECTIONS_REFUSED: Counter "orchestrion_connections_refused_total" ["door", "reason"]
        "Connections closed before their first request, by reason.";
}

/// Names and help of the process collector's metrics, which carry no labels.
pub const PROCESS: &[(&str, Kind, &str)] = &[
    (
        "process_cpu_seconds_total",
        Kind::Counter,
        "Total user and system CPU time spent in seconds.",
    ),
    (
        "process_max_fds",
        Kind::Gauge,
        "Maximum number of open file descriptors.",
    ),
    (
        "process_open_fds",
        Kind::Gauge,
        "Number of open file descriptors.",
    ),
    (
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Resident memory size in bytes.",
    ),
    (
        "process_start_time_seconds",
        Kind::Gauge,
        "Start time of the process since unix epoch in seconds.",
    ),
    (
        "process_threads",
        Kind::Gauge,
        "Number of OS threads in the process.",
    ),
    (
        "process_virtual_memory_bytes",
        Kind::Gauge,
        "Virtual memory size in bytes.",
    ),
];

/// Every name of the exposition, sorted: a histogram gives its three.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = TABLE
        .iter()
        .flat_map(|metric| match metric.kind {
            Kind::Histogram => ["_bucket", "_sum", "_count"]
                .map(|end| format!("{}{end}", metric.name))
                .to_vec(),
            Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
        })
        .chain(PROCESS.iter().map(|(name, ..)| (*name).to_owned()))
        .collect();
    names.sort();
    names
}
