//! The node as its operator sees it, read from what actors publish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actors::arbiters::Arbiters;
use actors::capability_broadcaster::Broadcast;
use actors::session_manager::Sessions;
use actors::worker_registry::Workers;

use crate::doors::operator::view::{
    NodeStatus, NodeView, Reason, SessionLimit, SessionView, WorkerView,
};

/// An arbiter silent for so long is stuck.
const SILENCE: Duration = Duration::from_secs(10);

/// See the module.
pub struct View {
    /// Name of the node in metrics.
    pub node_id: String,
    /// When the node started.
    pub started: Instant,
    /// Sessions and slots.
    pub sessions: Sessions,
    /// Workers.
    pub workers: Workers,
    /// Threads.
    pub arbiters: Arbiters,
    /// What gateways are told.
    pub broadcast: Broadcast,
    /// Whether the public port is open.
    pub public_open: Arc<AtomicBool>,
}

impl NodeView for View {
    fn status(&self) -> NodeStatus {
        NodeStatus {
            node_id: self.node_id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            runtime: super::RUNTIME.into(),
            orchestrator: true,
            redeemer: false,
            chain_id: "0".into(),
            service_uri: self.broadcast.load().identity().service_uri.clone(),
            uptime_s: self.started.elapsed().as_secs(),
            transcoders: None,
            prices: BTreeMap::new(),
        }
    }

    fn live(&self) -> Result<(), String> {
        let silence = self.arbiters.longest_silence();
        if silence > SILENCE {
            return Err(format!(
                "an arbiter has been silent for {} s",
                silence.as_secs()
            ));
        }
        Ok(())
    }

    fn ready(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if !self.public_open.load(Ordering::Acquire) {
            reasons.push(Reason {
                code: "starting",
                text: "the public port is not open yet".into(),
            });
        }
        let slots = self.sessions.slots();
        if slots.is_draining() {
            reasons.push(Reason {
                code: "draining",
                text: "the node drains and takes no new streams".into(),
            });
        }
        if self.workers.walls().is_empty() {
            reasons.push(Reason {
                code: "no_worker",
                text: "no worker process has started yet; see the log".into(),
            });
        }
        reasons
    }

    fn max_sessions(&self) -> SessionLimit {
        SessionLimit::Fixed(u32::try_from(self.sessions.slots().max()).unwrap_or(u32::MAX))
    }

    fn set_max_sessions(&self, limit: SessionLimit) -> Result<(), String> {
        match limit {
            SessionLimit::Fixed(sessions) => {
                self.sessions.slots().set_max(sessions as usize);
                tracing::info!(sessions, "session limit changed");
                Ok(())
            }
            SessionLimit::Auto(_) => {
                Err("auto needs remote transcoders, not in this build; give a number".into())
            }
        }
    }

    fn workers(&self) -> Vec<WorkerView> {
        let views = self.workers.views();
        let view = |worker: actors::worker_registry::WorkerView| WorkerView {
            name: format!("{}-{}", worker.device, worker.id),
            device: worker.device,
            state: worker.state.into(),
            pid: worker.pid,
            sessions: 1,
            restarts: worker.lost,
            memory_bytes: worker.memory,
        };
        views.into_iter().map(view).collect()
    }

    fn sessions(&self) -> Vec<SessionView> {
        let views = self.sessions.views();
        let view = |session: actors::transcode_session::SessionView| SessionView {
            sender: session.customer.sender.to_string(),
            worker: session.worker.map(|id| id.to_string()).unwrap_or_default(),
            age_s: session.opened.elapsed().as_secs(),
            idle_s: session.latest.elapsed().as_secs(),
            segments_done: session.delivered,
            segments_failed: session.failed,
            segments_queued: u32::try_from(session.queued).unwrap_or(u32::MAX),
            score_milli: session.score_milli,
            manifest_id: session.manifest_id,
            session_id: session.session_id,
            profiles: session.profiles,
        };
        views.into_iter().map(view).collect()
    }
}
