//! What the operator port needs to know of the node, and the few things it may change.
//!
//! The node implements [`NodeView`] over its published snapshots: every method returns at once. What an on-chain node
//! has besides is a [`ChainView`].

mod chain;

use std::collections::BTreeMap;
use std::sync::Arc;

use actors::model_catalog::RunnerView;
use host::message::Wall;
use serde::Serialize;

pub use self::chain::{ChainIdentity, ChainSnapshot, ChainView};

/// The node as its operator sees it.
pub trait NodeView: Send + Sync {
    /// Identity, prices, remote transcoders.
    fn status(&self) -> NodeStatus;
    /// Whether the process works at all.
    ///
    /// # Errors
    /// What is stuck.
    fn live(&self) -> Result<(), String>;
    /// Why the node takes no work; empty when it takes work.
    fn ready(&self) -> Vec<Reason>;
    /// Limit of streams.
    fn max_sessions(&self) -> SessionLimit;
    /// Sets the limit of streams until the node stops.
    ///
    /// # Errors
    /// Why it was not changed, in words for the operator.
    fn set_max_sessions(&self, limit: SessionLimit) -> Result<(), String>;
    /// Stops taking new streams, or takes them again; running ones go on.
    ///
    /// # Errors
    /// Why it was not changed, in words for the operator.
    fn set_draining(&self, draining: bool) -> Result<(), String>;
    /// Every worker, local processes and remote transcoders.
    fn workers(&self) -> Vec<WorkerView>;
    /// Stops giving new streams to a remote worker, or gives them again; `name` as in [`Self::workers`].
    ///
    /// # Errors
    /// Why it was not changed, in words for the operator.
    fn set_worker_draining(&self, name: &str, draining: bool) -> Result<(), String> {
        Err(format!(
            "{name:?} (draining: {draining}) is no remote worker of this node"
        ))
    }
    /// Every runner of AI models.
    fn models(&self) -> Vec<RunnerView> {
        Vec::new()
    }
    /// Takes no new requests for a model, or takes them again; running ones go on.
    ///
    /// # Errors
    /// Why it was not changed, in words for the operator.
    fn set_model_draining(
        &self,
        pipeline: &str,
        model: &str,
        draining: bool,
    ) -> Result<(), String> {
        Err(format!(
            "{pipeline} {model} (draining: {draining}) is no model of this node"
        ))
    }
    /// Walls around worker processes, as the last one that started found them.
    fn walls(&self) -> Vec<Wall> {
        Vec::new()
    }
    /// Every open stream.
    fn sessions(&self) -> Vec<SessionView>;
    /// Chain, payments and tickets; `None` off-chain.
    fn chain(&self) -> Option<Arc<dyn ChainView>> {
        None
    }
}

/// Limit of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionLimit {
    /// A fixed number, above 0.
    Fixed(u32),
    /// What the workers can carry, now `.0` sessions. When the limit is being set the number is 0 and ignored.
    Auto(u32),
}

impl SessionLimit {
    /// Streams allowed now.
    pub fn now(self) -> u32 {
        match self {
            Self::Fixed(sessions) | Self::Auto(sessions) => sessions,
        }
    }
}

/// What `/status` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Name of the node as in metrics.
    pub node_id: String,
    /// Version of the node.
    pub version: String,
    /// What it was built with, e.g. `rustc 1.95.0`.
    pub runtime: String,
    /// Whether it is an orchestrator (`/IsOrchestrator`).
    pub orchestrator: bool,
    /// Whether it is only a redeemer (`/IsRedeemer`).
    pub redeemer: bool,
    /// Chain id in decimal digits; `0` off-chain.
    pub chain_id: String,
    /// Address advertised to gateways.
    pub service_uri: String,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Remote transcoders that are connected.
    pub transcoders: Vec<RemoteTranscoder>,
    /// Whether this node leaves all transcoding to them.
    pub remote_only: bool,
    /// Price per pixel in wei by gateway address or `default`; `num/den`, or `num` for an integer.
    pub prices: BTreeMap<String, String>,
}

/// A remote transcoder in `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoteTranscoder {
    /// Host and port it connected from.
    pub address: String,
    /// Sessions it says it can carry.
    pub capacity: u32,
}

/// A reason for not being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Short name that does not change, e.g. `draining`.
    pub code: &'static str,
    /// The same in words, with what to do.
    pub text: String,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerView {
    /// Its name, as in logs.
    pub name: String,
    /// Where it works, e.g. `cpu`, `nvidia-0`, `remote`.
    pub device: String,
    /// e.g. `idle`, `busy`.
    pub state: String,
    /// Process ID; 0 while there is no process, or none on this machine.
    pub pid: u32,
    /// Streams on it.
    pub sessions: u32,
    /// Times its process was started anew.
    pub restarts: u64,
    /// Resident memory, bytes.
    pub memory_bytes: u64,
}

/// An open stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// The gateway's name for the stream.
    pub manifest_id: String,
    /// Session id.
    pub session_id: String,
    /// Address of the gateway, empty off-chain.
    pub sender: String,
    /// The worker that has it, empty when none.
    pub worker: String,
    /// Names of the profiles last asked for.
    pub profiles: Vec<String>,
    /// Seconds since the first segment.
    pub age_s: u64,
    /// Seconds since the latest segment.
    pub idle_s: u64,
    /// Segments delivered.
    pub segments_done: u64,
    /// Segments failed.
    pub segments_failed: u64,
    /// Segments waiting or at work.
    pub segments_queued: u32,
    /// Real-time ratio of the latest segment in thousandths: its duration × 1000 ÷ the time it took.
    pub score_milli: u64,
}
