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
    UPLOADS: Counter "orchestrion_uploads_total" ["store", "outcome"]
        "Segments whose renditions were to be brought to a store outside the node, by whose it is and how that ended.";
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

    LEDGER_QUEUE: Gauge "orchestrion_ledger_queue" []
        "Pieces of work that wait for the database.";
    LEDGER_BATCH: Histogram "orchestrion_ledger_batch_size" []
        {1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0}
        "Pieces of work stored by one commit.";
    LEDGER_COMMIT: Histogram "orchestrion_ledger_commit_seconds" []
        {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5}
        "Time to run a batch and commit it, in seconds; the sync is apart.";
    LEDGER_SYNC: Histogram "orchestrion_ledger_sync_seconds" []
        {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0}
        "Time of the disk to confirm what was committed, in seconds.";
    LEDGER_REFUSED: Counter "orchestrion_ledger_refused_total" []
        "Pieces of work refused because the queue of the database was full.";
    LEDGER_FAILED: Counter "orchestrion_ledger_failed_total" []
        "Pieces of work that failed and were undone.";

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

    RPC_REQUESTS: Counter "orchestrion_rpc_requests_total" ["endpoint", "outcome"]
        "Requests to an RPC end point, a batch counting once, by outcome.";
    RPC_TIME: Histogram "orchestrion_rpc_request_seconds" ["endpoint"]
        {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0}
        "Time an RPC end point took to answer, in seconds.";
    RPC_CALLS: Counter "orchestrion_rpc_calls_total" ["endpoint"]
        "Calls sent to an RPC end point, each one of a batch counting; what providers bill.";
    RPC_UP: Gauge "orchestrion_rpc_endpoint_up" ["endpoint"]
        "1 while an RPC end point is fit to be asked, else 0.";
    RPC_HEAD: Gauge "orchestrion_rpc_head_block" ["endpoint"]
        "Newest block an RPC end point has told of.";
    RPC_LAG: Gauge "orchestrion_rpc_lag_blocks" ["endpoint"]
        "Blocks by which an RPC end point is behind the others.";
    RPC_UNAVAILABLE: Counter "orchestrion_rpc_unavailable_total" []
        "Questions to the chain that no RPC end point answered.";
    RPC_BUDGET_WAITS: Counter "orchestrion_rpc_budget_waits_total" []
        "Calls that waited because the budget of calls per second was spent.";
    CHAIN_BLOCK: Gauge "orchestrion_chain_block" []
        "Newest block whose events were taken in.";
    CHAIN_LAG: Gauge "orchestrion_chain_lag_blocks" []
        "Blocks between the chain's head and the newest block whose events were taken in.";
    CHAIN_L1_BLOCK: Gauge "orchestrion_chain_l1_block" []
        "Greatest L1 block number seen.";
    CHAIN_BLOCK_TIME: Gauge "orchestrion_chain_head_timestamp_seconds" []
        "Time of the newest block by the chain's clock, in seconds since 1970.";
    CHAIN_REORGS: Counter "orchestrion_chain_reorgs_total" []
        "Times the chain took back blocks whose events were taken in.";
    CHAIN_RELOADS: Counter "orchestrion_chain_reloads_total" ["cause"]
        "Times the chain's state was read anew because events were out of reach, by cause.";
    CHAIN_EVENTS: Counter "orchestrion_chain_events_total" ["event"]
        "Contract events taken in.";
    CHAIN_LOGS_DROPPED: Counter "orchestrion_chain_logs_dropped_total" ["reason"]
        "Log entries not taken in, by reason.";
    CHAIN_POLL_ERRORS: Counter "orchestrion_chain_poll_errors_total" []
        "Polls of the chain that failed and are tried again.";

    TICKET_VALUE: Counter "livepeer_ticket_value_recv" ["manifest_id", "sender"]
        "Expected value of the tickets that were credited, in gwei.";
    TICKETS_RECEIVED: Counter "livepeer_tickets_recv" ["manifest_id", "sender"]
        "Tickets credited.";
    WINNERS: Counter "livepeer_winning_tickets_recv" ["manifest_id", "sender"]
        "Tickets that won, kept for redemption.";
    PAYMENT_ERRORS: Counter "livepeer_payment_recv_errors" ["error_code", "manifest_id", "sender"]
        "Payments and tickets refused, by the codes of the reference.";
    PRICE_QUOTED: Gauge "livepeer_transcoding_price" ["sender"]
        "Price of video last quoted, in wei per pixel.";
    GATEWAY_DEPOSIT: Gauge "livepeer_gateway_deposit" ["sender"]
        "Deposit of the gateways known, in gwei; by gateway with -metricsPerStream, else all together.";
    GATEWAY_RESERVE: Gauge "livepeer_gateway_reserve" ["sender"]
        "Reserve of the gateways known, in gwei; by gateway with -metricsPerStream, else all together.";
    BROADCASTER_DEPOSIT: Gauge "livepeer_broadcaster_deposit" ["sender"]
        "The same as livepeer_gateway_deposit, under its older name.";
    BROADCASTER_RESERVE: Gauge "livepeer_broadcaster_reserve" ["sender"]
        "The same as livepeer_gateway_reserve, under its older name.";
    MAX_FLOAT: Gauge "livepeer_gateway_max_float" ["sender"]
        "Largest face value that a gateway's reserve carries now, in gwei; of at most 500 gateways.";
    FACE_VALUE: Gauge "livepeer_gateway_ticket_face_value" ["sender"]
        "Face value of the ticket last quoted to a gateway, in gwei; of at most 500 gateways.";
    VALUE_REDEEMED: Counter "livepeer_value_redeemed" ["sender"]
        "What redeemed tickets paid, in gwei; not their face value where less was paid.";
    REDEMPTION_ERRORS: Counter "livepeer_ticket_redemption_errors" []
        "Tries at redeeming a ticket that failed.";
    SUGGESTED_GAS: Gauge "livepeer_suggested_gas_price" []
        "Gas price as last read, in gwei.";
    MIN_GAS: Gauge "livepeer_min_gas_price" []
        "Least gas price that counts, in gwei.";
    MAX_GAS: Gauge "livepeer_max_gas_price" []
        "Highest fee per gas that is paid, in gwei; 0 is no limit.";
    REWARD_ERRORS: Counter "livepeer_reward_call_errors" []
        "Tries at calling reward that failed.";

    PAYMENT_REFUSALS: Counter "orchestrion_payment_refusals_total" ["reason"]
        "Payments and tickets refused, by reason.";
    PAYMENT_TIME: Histogram "orchestrion_payment_seconds" []
        {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0}
        "Time to check and credit a payment, a winner's way to disk included, in seconds.";
    QUOTE_REFUSALS: Counter "orchestrion_quote_refusals_total" ["reason"]
        "Senders who got no ticket parameters, by reason.";
    WORK_VALUE: Counter "orchestrion_work_value_gwei_total" []
        "Price of the work done, in gwei, paid or not.";
    CREDIT: Gauge "orchestrion_credit_gwei" []
        "Credit of all senders not yet worked off, in gwei.";
    EXPOSURE: Gauge "orchestrion_exposure_gwei" []
        "Work done beyond what was paid, of all senders together, in gwei.";
    PRICE: Gauge "orchestrion_price_wei_per_pixel" ["gateway"]
        "Price of video before the surcharge, in wei per pixel; gateway is an address that has a price of its own, or default.";
    SURCHARGE: Gauge "orchestrion_price_surcharge_ratio" []
        "Share last added to a price for what redeeming costs; 0.01 is one percent.";
    CURRENCY: Gauge "orchestrion_currency_per_eth" ["currency"]
        "Price of one ETH in a currency, last good value of the price feed.";
    SENDERS: Gauge "orchestrion_senders" []
        "Senders whose funds are known.";
    SENDERS_EXHAUSTED: Gauge "orchestrion_senders_float_exhausted" []
        "Senders with funds whose float does not carry another ticket now.";
    STALE: Gauge "orchestrion_stale" ["fact"]
        "1 while a fact about the chain cannot be renewed and its last good value is used, else 0.";

    TICKETS: Gauge "orchestrion_tickets" ["state"]
        "Winning tickets kept, by state.";
    TICKETS_VALUE: Gauge "orchestrion_tickets_value_gwei" ["state"]
        "Face values of the winning tickets kept, in gwei, by state.";
    TICKETS_DEFERRED: Gauge "orchestrion_tickets_deferred" ["reason"]
        "Winning tickets put off, by reason.";
    TICKET_OLDEST: Gauge "orchestrion_ticket_oldest_seconds" []
        "Age of the oldest ticket that is not settled, in seconds; 0 without one.";
    TICKET_ROUNDS_LEFT: Gauge "orchestrion_ticket_rounds_left" []
        "Fewest rounds that a ticket which is not settled can still be redeemed in, the current one included; NaN without one.";
    TICKETS_LAST_ROUND: Gauge "orchestrion_tickets_in_last_round" []
        "Tickets that are not settled and expire with the current round.";
    REDEMPTIONS: Counter "orchestrion_redemptions_total" ["outcome"]
        "Redemptions that ended, by outcome.";
    REDEMPTION_ATTEMPTS: Counter "orchestrion_redemption_attempts_total" []
        "Tries at redeeming a ticket.";
    REDEMPTION_DEFERRALS: Counter "orchestrion_redemption_deferrals_total" ["reason"]
        "Times a ticket was put off, by reason.";
    REDEEMED_FACE: Counter "orchestrion_redeemed_face_value_gwei_total" []
        "Face values of the tickets redeemed, in gwei; livepeer_value_redeemed is what they paid.";
    REDEMPTION_COST: Counter "orchestrion_redemption_cost_gwei_total" []
        "Gas paid for redeeming, failed tries included, in gwei.";
    REDEEM_GAS: Gauge "orchestrion_redeem_gas" []
        "Gas that redeeming a ticket is reckoned with.";
    REDEEMER_OUTBOX: Gauge "orchestrion_redeemer_outbox" []
        "Winning tickets not yet handed over to the redeemer.";
    REDEEMER_ERRORS: Counter "orchestrion_redeemer_errors_total" []
        "Calls to the redeemer that failed.";

    ROUND: Gauge "orchestrion_round" []
        "Current round by block height.";
    ROUND_INITIALIZED: Gauge "orchestrion_round_initialized" []
        "Last round that was initialised.";
    ROUND_PROGRESS: Gauge "orchestrion_round_progress_ratio" []
        "Part of the current round that is over, from 0 to 1.";
    POOL_SIZE: Gauge "orchestrion_active_orchestrators" []
        "Orchestrators active in the current round.";
    ACTIVE: Gauge "orchestrion_active" []
        "1 while the orchestrator is active in the current round, else 0.";
    REWARD_STATE: Gauge "orchestrion_reward_state" ["state"]
        "1 for the state of this round's reward, 0 for the others.";
    REWARD_ALARM: Gauge "orchestrion_reward_alarm_percent" []
        "Part of the round for which reward is overdue, in steps of 25, 50 and 75; 0 while it is not.";
    REWARD_ROUND: Gauge "orchestrion_reward_last_round" []
        "Last round for which reward was called.";
    REWARDS: Counter "orchestrion_rewards_total" []
        "Rounds for which this node called reward.";
    REWARDS_MISSED: Counter "orchestrion_rewards_missed_total" []
        "Rounds that ended while the orchestrator was active and reward was not called.";
    ROUNDS_STARTED: Counter "orchestrion_rounds_initialized_total" []
        "Rounds that this node initialised.";

    AI_REQUESTED: Counter "livepeer_ai_models_requested" ["pipeline", "model_name"]
        "AI requests done well.";
    AI_LATENCY: Gauge "livepeer_ai_request_latency_score" ["pipeline", "model_name"]
        "Seconds per unit of work of the last AI request.";
    AI_PRICE: Gauge "livepeer_ai_request_price" ["pipeline", "model_name"]
        "Price of the last AI request, in wei per unit.";
    AI_ERRORS: Counter "livepeer_ai_request_errors" ["error_code", "pipeline", "model_name", "sender"]
        "AI requests that failed, by error.";
    AI_RESULT_DOWNLOADED: Counter "livepeer_ai_result_downloaded_total" ["pipeline", "model_name"]
        "Results received from remote AI workers.";
    AI_RESULT_DOWNLOAD_TIME: Histogram "livepeer_ai_result_download_time_seconds" ["pipeline", "model_name"] {0.1, 0.15, 0.2, 0.5, 10.0}
        "Seconds to receive a result from a remote AI worker.";
    AI_RESULT_SAVE_FAILED: Counter "livepeer_ai_result_save_failed_total" ["error_code", "pipeline", "model_name"]
        "Results that could not be stored.";
    AI_CONTAINER_IN_USE: Gauge "livepeer_ai_container_in_use" ["pipeline", "model_name", "orchestrator_uri"]
        "Runners that answer requests now.";
    AI_CONTAINER_IDLE: Gauge "livepeer_ai_container_idle" ["pipeline", "model_name", "orchestrator_uri"]
        "Runners that are ready and have nothing to do.";
    AI_STARTS: Counter "orchestrion_ai_runner_starts_total" ["pipeline", "model_name", "runner"]
        "Runners started.";
    AI_ENDS: Counter "orchestrion_ai_runner_ends_total" ["pipeline", "model_name", "runner", "cause"]
        "Runners that ended, by cause.";
    AI_RUNNERS: Gauge "orchestrion_ai_runners" ["pipeline", "model_name", "runner", "state"]
        "Runners by state.";
    AI_RESERVED: Gauge "orchestrion_ai_reserved" ["pipeline", "model_name"]
        "Requests that hold a place.";
    AI_MEMORY: Gauge "orchestrion_ai_runner_memory_bytes" ["pipeline", "model_name"]
        "Memory that runners hold, in bytes.";
    AI_LEDGER: Gauge "orchestrion_ai_memory_reserved_bytes" []
        "Memory of this machine that is set aside for native models, in bytes.";
    MACHINE_CPU: Gauge "orchestrion_machine_cpu_cores" ["work"]
        "Cores that streams take as measured, and that models claim while they compute.";
    MACHINE_MEMORY: Gauge "orchestrion_machine_memory_bytes" ["work"]
        "Memory that streams take as measured, and that loaded models claim, in bytes.";
    MACHINE_REFUSED: Counter "orchestrion_machine_refused_total" ["work", "resource"]
        "Streams and models that were refused because the rest of the machine is the other's.";
    AI_REFUSED: Counter "orchestrion_ai_refused_total" ["reason", "pipeline"]
        "AI requests refused before they began, by reason.";
    AI_SECONDS: Histogram "orchestrion_ai_request_seconds" ["pipeline", "model_name"] {0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0}
        "Seconds from an AI request to its whole answer.";

    SMOOTHED_GAS: Gauge "orchestrion_gas_price_smoothed_gwei" []
        "Gas price that prices and face values are made from, in gwei.";
    ACCOUNT_ETH: Gauge "orchestrion_account_eth" []
        "ETH of the account that pays for gas.";
    ACCOUNT_LPT: Gauge "orchestrion_account_lpt" []
        "LPT of the account.";
    STAKE: Gauge "orchestrion_stake_lpt" []
        "Stake of the orchestrator, delegations included, in LPT.";
    PENDING_FEES: Gauge "orchestrion_pending_fees_eth" []
        "Fees that the orchestrator can withdraw, in ETH.";
    TRANSACTIONS: Counter "orchestrion_transactions_total" ["purpose", "outcome"]
        "Transactions that ended, or were not sent, by purpose and outcome.";
    TRANSACTIONS_PENDING: Gauge "orchestrion_transactions_pending" []
        "Transactions sent and without a receipt.";
    TRANSACTION_REPLACEMENTS: Counter "orchestrion_transaction_replacements_total" ["purpose"]
        "Times a pending transaction was sent again at a higher price.";
    TRANSACTION_FEES: Counter "orchestrion_transaction_fees_gwei_total" ["purpose"]
        "Gas paid, in gwei, failed transactions included.";
    TRANSACTION_TIME: Histogram "orchestrion_transaction_seconds" ["purpose"]
        {1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0}
        "Time from sending a transaction to its receipt, in seconds.";
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
