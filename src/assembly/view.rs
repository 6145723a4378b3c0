//! The node as its operator sees it, read from what actors publish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actors::arbiters::Arbiters;
use actors::capability_broadcaster::Broadcast;
use actors::model_catalog::{Models, RunnerView};
use actors::remote_transcoder::RemoteSeat;
use actors::session_manager::Sessions;
use actors::worker_registry::Workers;
use host::message::Wall;
use protocol::ai::Pipeline;
use tokio::sync::watch;

use super::chain_view::NodeChain;
use crate::doors::operator::view::{
    ChainView, NodeStatus, NodeView, Reason, RemoteTranscoder, SessionLimit, SessionView,
    WorkerView,
};
use crate::registration::Registered;

/// An arbiter silent for so long is stuck.
const SILENCE: Duration = Duration::from_secs(10);

/// An L1 clock that has not moved for so long is not believed: a block comes every 12 s.
const STALE_CLOCK: Duration = Duration::from_secs(600);

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
    /// Models and their runners.
    pub models: Models,
    /// Threads.
    pub arbiters: Arbiters,
    /// What gateways are told.
    pub broadcast: Broadcast,
    /// Whether the public port is open.
    pub public_open: Arc<AtomicBool>,
    /// How a node that works for an orchestrator stands with it; `None` for others.
    pub registered: Option<watch::Receiver<Registered>>,
    /// Whether remote transcoders may come.
    pub splits: bool,
    /// What the node does.
    pub roles: config::Roles,
    /// Chain, payments and tickets; `None` off-chain.
    pub chain: Option<Arc<NodeChain>>,
    /// The database; `None` off-chain.
    pub ledger: Option<ledger::Ledger>,
}

impl View {
    /// Prices of video in wei per pixel, by gateway or `default`.
    fn prices(&self) -> BTreeMap<String, String> {
        let Some(chain) = &self.chain else {
            return BTreeMap::new();
        };
        let prices = chain.facts().prices;
        let gateways = prices.by_gateway.iter();
        gateways
            .map(|(gateway, price)| (gateway.to_string(), price.to_string()))
            .chain(
                prices
                    .default
                    .map(|price| ("default".into(), price.to_string())),
            )
            .collect()
    }

    fn transcoders(&self) -> Vec<RemoteTranscoder> {
        let seats = self.workers.roster().seats();
        let seats = seats.iter().map(|seat| RemoteTranscoder {
            address: seat.registration.address.clone(),
            capacity: u32::try_from(seat.registration.capacity).unwrap_or(u32::MAX),
        });
        seats.collect()
    }

    /// What keeps an on-chain node from taking paid work.
    fn chain_reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let Some(chain) = &self.chain else {
            return reasons;
        };
        let facts = chain.facts();
        let mut add = |code, text: &str| {
            reasons.push(Reason {
                code,
                text: text.to_owned(),
            });
        };
        if facts.rounds.length == 0 {
            add(
                "no_round",
                "the current round is not known yet; see the log for what the chain answers",
            );
        } else if self.roles.orchestrator && !facts.rounds.recipient_active {
            add(
                "inactive",
                "the orchestrator is not in the active set of this round, so gateways cannot pay it",
            );
        }
        if facts.rounds.l1_changed_at.elapsed() > STALE_CLOCK {
            add(
                "stale_chain",
                "the L1 clock has stood still for a while; check the RPC end points",
            );
        }
        if chain.identity().sells && facts.prices.default.is_none() {
            add(
                "no_price",
                "no price is known yet: the price feed has not answered",
            );
        }
        if self
            .ledger
            .as_ref()
            .is_some_and(|ledger| !ledger.is_sound())
        {
            add(
                "database",
                "the disk failed to keep a write; free space or replace it, then restart",
            );
        }
        reasons
    }
}

/// A remote transcoder among the workers.
fn remote(seat: &RemoteSeat) -> WorkerView {
    let state = if seat.is_draining() {
        "draining"
    } else if seat.owed() > 0 {
        "suspected"
    } else if seat.load() > 0 {
        "busy"
    } else {
        "idle"
    };
    WorkerView {
        name: format!("remote-{}", seat.id),
        device: "remote".into(),
        state: state.into(),
        pid: 0,
        sessions: u32::try_from(seat.load()).unwrap_or(u32::MAX),
        restarts: 0,
        memory_bytes: 0,
    }
}

impl NodeView for View {
    fn status(&self) -> NodeStatus {
        NodeStatus {
            node_id: self.node_id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            runtime: super::RUNTIME.into(),
            orchestrator: self.roles.orchestrator,
            redeemer: self.roles.redeemer,
            chain_id: self
                .chain
                .as_ref()
                .map_or(0, |chain| chain.identity().chain_id)
                .to_string(),
            service_uri: self.broadcast.load().identity().service_uri.clone(),
            uptime_s: self.started.elapsed().as_secs(),
            transcoders: self.transcoders(),
            remote_only: self.roles.orchestrator && !self.roles.transcoder,
            prices: self.prices(),
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
        reasons.extend(self.chain_reasons());
        if let Some(registered) = &self.registered
            && *registered.borrow() != Registered::Yes
        {
            reasons.push(Reason {
                code: "not_registered",
                text: "no orchestrator has taken this transcoder yet; see the log".into(),
            });
        }
        if self.roles.transcoder && self.workers.walls().is_empty() {
            reasons.push(Reason {
                code: "no_worker",
                text: "no worker process has started yet; see the log".into(),
            });
        }
        reasons
    }

    fn chain(&self) -> Option<Arc<dyn ChainView>> {
        let chain = self.chain.as_ref()?;
        Some(Arc::clone(chain) as Arc<dyn ChainView>)
    }

    fn max_sessions(&self) -> SessionLimit {
        let slots = self.sessions.slots();
        let max = u32::try_from(slots.max()).unwrap_or(u32::MAX);
        if slots.counts_remote() && !self.roles.transcoder {
            SessionLimit::Auto(max)
        } else {
            SessionLimit::Fixed(max)
        }
    }

    fn set_max_sessions(&self, limit: SessionLimit) -> Result<(), String> {
        match limit {
            SessionLimit::Fixed(sessions) => {
                let beside = self.roles.transcoder && self.splits;
                self.sessions.slots().set_max(sessions as usize, beside);
                if beside {
                    self.workers.set_local_capacity(sessions as usize);
                }
                tracing::info!(sessions, "session limit changed");
                Ok(())
            }
            SessionLimit::Auto(_) if self.roles.transcoder || !self.splits => {
                Err("auto is for an orchestrator without -transcoder; give a number".into())
            }
            SessionLimit::Auto(_) => {
                self.sessions.slots().set_max(0, true);
                tracing::info!("session limit is what remote transcoders carry");
                Ok(())
            }
        }
    }

    fn set_draining(&self, draining: bool) -> Result<(), String> {
        let slots = self.sessions.slots();
        if slots.is_closed() {
            return Err("the node is stopping; start it again to take streams".into());
        }
        slots.set_draining(draining);
        tracing::info!(draining, "drain changed");
        Ok(())
    }

    fn walls(&self) -> Vec<Wall> {
        self.workers.walls()
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
        let local = views.into_iter().map(view);
        let seats = self.workers.roster().seats();
        local.chain(seats.iter().map(|seat| remote(seat))).collect()
    }

    fn set_worker_draining(&self, name: &str, draining: bool) -> Result<(), String> {
        let id = name.strip_prefix("remote-").and_then(|id| id.parse().ok());
        let found = id.is_some_and(|id| self.workers.roster().set_draining(id, draining));
        if !found {
            return Err(format!(
                "{name:?} is no remote transcoder that is connected; /api/v1/workers lists them"
            ));
        }
        tracing::info!(worker = name, draining, "drain of a worker changed");
        Ok(())
    }

    fn models(&self) -> Vec<RunnerView> {
        self.models.view()
    }

    fn set_model_draining(
        &self,
        pipeline: &str,
        model: &str,
        draining: bool,
    ) -> Result<(), String> {
        let found = Pipeline::from_name(pipeline)
            .is_some_and(|pipeline| self.models.set_drained(pipeline, model, draining));
        if !found {
            return Err(format!(
                "{pipeline} {model} is no model of this node; /api/v1/models lists them"
            ));
        }
        tracing::info!(pipeline, model, draining, "drain of a model changed");
        Ok(())
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
