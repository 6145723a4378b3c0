//! Who owns which state: one file per actor, its messages beside it.
//!
//! Doors reach actors through fronts (cheap clones that hold a permit pool and the current address); actors reach the work
//! through `host`. No sockets of peers, no media, no protobuf decoding here.

pub mod ai_runner;
pub mod arbiters;
pub mod attempt;
pub mod body;
pub mod capability_broadcaster;
pub mod chain_watcher;
pub mod death;
pub mod device_worker;
pub mod dispatch;
pub mod duty;
pub mod facts;
pub mod failure;
pub mod front;
pub mod journal;
pub mod machine;
pub mod machine_gauge;
pub mod model_catalog;
pub mod model_places;
pub mod model_seat;
pub mod placement;
pub mod price_oracle;
pub mod price_webhook;
pub mod published;
pub mod quotes;
pub mod redeemer;
pub mod remote_ai;
pub mod remote_tasks;
pub mod remote_transcoder;
pub mod reward_caller;
pub mod round_initializer;
pub mod round_tracker;
pub mod segment_store;
pub mod sender_monitor;
pub mod session_manager;
pub mod slots;
pub mod supervisor;
pub mod ticket_validator;
pub mod transcode_session;
pub mod tries;
pub mod worker_registry;

#[cfg(test)]
mod test_queue;

#[cfg(test)]
fn test_metrics() -> std::sync::Arc<telemetry::metrics::Metrics> {
    let options = telemetry::metrics::MetricsOptions {
        node_id: "test".into(),
        node_type: telemetry::metrics::NodeType::Orchestrator,
        version: "0".into(),
        runtime: "test".into(),
        per_stream: false,
        client_ip: false,
    };
    std::sync::Arc::new(telemetry::metrics::Metrics::new(&options).expect("the table is sound"))
}
