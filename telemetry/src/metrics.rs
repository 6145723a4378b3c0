//! Metrics: one table, one registry, typed handles.
//!
//! [`table`] declares every metric; [`Metrics`] holds the handles by subject. Recording never fails and takes no lock
//! that is held across other work. Labels come from closed sets ([`label`]) or are bounded.

mod account;
mod ai;
mod amount;
mod build;
mod chain;
mod door;
mod guard;
pub mod label;
mod ledger;
mod machine;
mod markdown;
mod node;
mod payments;
mod redemption;
mod rounds;
mod success;
pub mod table;
#[cfg(test)]
mod tests;
mod video;
mod worker;

use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder, Registry, TextEncoder};

pub use self::account::AccountMetrics;
pub use self::ai::{AiMetrics, ModelMetrics, RunnerGauges};
pub use self::chain::ChainMetrics;
pub use self::door::DoorMetrics;
pub use self::guard::GaugeGuard;
pub use self::label::NodeType;
pub use self::ledger::LedgerMetrics;
pub use self::machine::MachineMetrics;
pub use self::markdown::markdown;
pub use self::node::NodeMetrics;
pub use self::payments::{PayerMetrics, PaymentMetrics};
pub use self::redemption::{QueueFigures, RedemptionMetrics};
pub use self::rounds::{RoundFigures, RoundMetrics};
pub use self::table::names;
pub use self::video::{StreamMetrics, VideoMetrics};
pub use self::worker::{WorkerGuard, WorkerMetrics};

use self::build::Builder;
use crate::TelemetryError;

/// Who this node is and how much it labels.
#[derive(Debug, Clone)]
pub struct MetricsOptions {
    /// Account address as typed, `-`, host name; the host name alone without an account.
    pub node_id: String,
    /// Role.
    pub node_type: NodeType,
    /// Version of the node.
    pub version: String,
    /// What it was built with, e.g. `rustc 1.95.0`; goes out as `goversion`.
    pub runtime: String,
    /// Fill `manifest_id` (`-metricsPerStream`).
    pub per_stream: bool,
    /// Fill `client_ip` (`-metricsClientIP`); fills `manifest_id` as well.
    pub client_ip: bool,
}

/// All metrics of a node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Streams and segments.
    pub video: VideoMetrics,
    /// The node as a whole.
    pub node: NodeMetrics,
    /// Worker processes.
    pub worker: WorkerMetrics,
    /// Ports.
    pub door: DoorMetrics,
    /// Tickets, prices, senders.
    pub payments: PaymentMetrics,
    /// Winning tickets on their way to money.
    pub redemption: RedemptionMetrics,
    /// Rounds and reward.
    pub rounds: RoundMetrics,
    /// Gas, balances, transactions.
    pub account: AccountMetrics,
    /// The database.
    pub ledger: LedgerMetrics,
    /// RPC end points, blocks and events.
    pub chain: ChainMetrics,
    /// Models, runners and requests.
    pub ai: AiMetrics,
    /// What streams and models share.
    pub machine: MachineMetrics,
}

impl Metrics {
    /// Registers every metric of the table in a registry of its own.
    ///
    /// # Errors
    /// When the table declares a name twice or a name that is not one.
    pub fn new(options: &MetricsOptions) -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let node_type = ("node_type", options.node_type.as_str());
        Builder::new(&registry, &[node_type])
            .gauge(&table::VERSIONS)?
            .with_label_values(&[
                "rustc",
                std::env::consts::OS,
                &options.runtime,
                &options.version,
            ])
            .set(1);
        let build = Builder::new(&registry, &[("node_id", &options.node_id), node_type]);
        let metrics = Self {
            video: VideoMetrics::new(&build, options)?,
            node: NodeMetrics::new(&build)?,
            worker: WorkerMetrics::new(&build)?,
            door: DoorMetrics::new(&build)?,
            payments: PaymentMetrics::new(&build, options)?,
            redemption: RedemptionMetrics::new(&build, options)?,
            rounds: RoundMetrics::new(&build)?,
            account: AccountMetrics::new(&build)?,
            ledger: LedgerMetrics::new(&build)?,
            chain: ChainMetrics::new(&build)?,
            ai: AiMetrics::new(&build)?,
            machine: MachineMetrics::new(&build)?,
            registry,
        };
        metrics
            .registry
            .register(Box::new(ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// The page for Prometheus: content type and text.
    ///
    /// # Errors
    /// When the encoder meets a metric it cannot write; a fault of this program.
    pub fn encode(&self) -> Result<(String, String), TelemetryError> {
        let encoder = TextEncoder::new();
        let text = encoder.encode_to_string(&self.registry.gather())?;
        Ok((encoder.format_type().to_owned(), text))
    }
}
