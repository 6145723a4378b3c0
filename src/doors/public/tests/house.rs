//! A door with a session manager behind it and no worker: every accepted segment fails with "no transcoders available".

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix::Actor;
use actors::arbiters::Arbiters;
use actors::body::BodyBudget;
use actors::capability_broadcaster::{Broadcast, Identity, Snapshot};
use actors::machine::Machine;
use actors::model_catalog::Models;
use actors::segment_store::{SegmentStore, StoreLimits};
use actors::session_manager::{SessionManager, Sessions};
use actors::slots::Slots;
use actors::supervisor::{AddrCell, Supervise, Supervisor};
use actors::worker_registry::Workers;
use arc_swap::ArcSwap;
use config::HostPort;
use protocol::capabilities::{Capabilities, Capability, CapabilitySet};
use protocol::profile::presets;
use protocol::segment::SegmentCredentials;
use protocol::signature::keccak256;
use protocol::token::TokenKey;
use protocol::{Network, pb};
use telemetry::Metrics;
use telemetry::metrics::{MetricsOptions, NodeType};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{FetchPolicy, PublicContext, PublicDoor, PublicLimits, Transport, bind};

/// What gateways are told; nobody connects to it.
pub const SERVICE: &str = "https://orchestrator.test:8935";
/// Unix ms at which all tests happen.
pub const NOW: u64 = 1_800_000_000_000;

/// Runs a test on an actor system.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    actix_rt::System::new().block_on(async { test().await });
}

pub fn metrics() -> Arc<Metrics> {
    let options = MetricsOptions {
        node_id: "test".into(),
        node_type: NodeType::Orchestrator,
        version: "0".into(),
        runtime: "test".into(),
        per_stream: false,
        client_ip: false,
    };
    Arc::new(Metrics::new(&options).expect("the table is sound"))
}

/// A context whose session manager is not there.
pub fn context(
    limits: PublicLimits,
    max_sessions: usize,
) -> (PublicContext, AddrCell<SessionManager>) {
    let metrics = metrics();
    let machine = Machine::boundless(metrics.machine.clone());
    let slots = Slots::new(max_sessions, machine.clone(), Arc::clone(&metrics));
    let cell = AddrCell::default();
    let identity = Identity {
        address: protocol::address::Address::ZERO,
        service_uri: SERVICE.into(),
        nodes: vec![],
        capabilities: Capabilities::tested([Capability::H264], "0.9.1"),
        hardware: vec![],
    };
    let broadcast: Broadcast = Arc::new(ArcSwap::from_pointee(Snapshot::new(identity)));
    let context = PublicContext {
        network: Network::OffChain,
        paid: None,
        webhook: None,
        tokens: TokenKey::new([7; 32]),
        broadcast,
        models: Models::new(AddrCell::default(), machine, Arc::clone(&metrics)),
        ai_workers: None,
        split: None,
        sessions: Sessions::new(Arc::clone(&cell), slots, Arc::clone(&metrics)),
        store: SegmentStore::new(StoreLimits::default(), Arc::clone(&metrics)),
        budget: BodyBudget::new(64 << 20, Arc::clone(&metrics)),
        limits: Arc::new(ArcSwap::from_pointee(limits)),
        object_store: None,
        fetch: Arc::new(ArcSwap::from_pointee(FetchPolicy::default())),
        trusted_proxies: [].into(),
        clock: || NOW,
        metrics,
    };
    (context, cell)
}

/// An open door.
pub struct House {
    pub context: PublicContext,
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub serving: JoinHandle<()>,
}

impl House {
    pub fn open() -> Self {
        Self::with(PublicLimits::default(), 10, Transport::Plain)
    }

    pub fn with(limits: PublicLimits, max_sessions: usize, transport: Transport) -> Self {
        let (context, cell) = context(limits, max_sessions);
        manage(&context, cell);
        let door = PublicDoor::new(context.clone(), transport).expect("client");
        let local = HostPort {
            host: "127.0.0.1".into(),
            port: 0,
        };
        let listener = bind(&local).expect("port");
        let address = listener.local_addr().expect("address");
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(door.serve(listener, shutdown.clone()));
        Self {
            context,
            address,
            shutdown,
            serving,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Credentials for `media` with a fresh token.
    pub fn credentials(&self, media: &[u8]) -> SegmentCredentials {
        let token = self.context.tokens.issue("0a1b2c3d".into(), NOW);
        credentials(media, Some(token))
    }

    /// The page of metrics has this line.
    pub fn counted(&self, line: &str) -> bool {
        let (_, page) = self.context.metrics.encode().expect("encoded");
        page.lines().any(|found| found == line)
    }
}

fn manage(context: &PublicContext, cell: AddrCell<SessionManager>) {
    let metrics = Arc::clone(&context.metrics);
    let slots = Arc::clone(context.sessions.slots());
    let store = context.store.clone();
    let list = context.sessions.list().clone();
    let workers = Workers::new(AddrCell::default(), Arc::clone(&metrics));
    let arbiters = Arbiters::start(1);
    let supervisor = Supervisor::new(watch::channel(None).0, Arc::clone(&metrics)).start();
    let factory = Box::new(move |notice| {
        let (slots, store, workers) = (Arc::clone(&slots), store.clone(), workers.clone());
        let manager = SessionManager::new(
            slots,
            store,
            workers,
            arbiters.clone(),
            list.clone(),
            Arc::clone(&metrics),
            notice,
        );
        cell.store(Some(Arc::new(manager.start())));
    });
    supervisor
        .try_send(Supervise {
            name: "session_manager",
            factory,
        })
        .expect("an empty mailbox");
}

pub fn credentials(media: &[u8], auth_token: Option<pb::AuthToken>) -> SegmentCredentials {
    SegmentCredentials {
        manifest_id: b"movie".to_vec(),
        seq: 12,
        hash: keccak256(media),
        profiles: presets("P240p30fps16x9,P360p30fps16x9").expect("presets"),
        duration_ms: 2000,
        capabilities: Capabilities::demand(CapabilitySet::from_words(vec![0x0400_1003])),
        auth_token,
        clip: None,
        storage: None,
        calc_perceptual_hash: false,
        force_reinit: false,
        sig: vec![],
    }
}

/// A client at a loopback address of its own.
pub fn client_at(last: u8) -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .local_address(IpAddr::from([127, 0, 0, last]))
        .timeout(Duration::from_secs(20))
        .build()
        .expect("client")
}

pub fn client() -> reqwest::Client {
    client_at(1)
}

/// A segment on its way.
pub fn segment(
    house: &House,
    credentials: &SegmentCredentials,
    media: &[u8],
) -> reqwest::RequestBuilder {
    client()
        .post(house.url("/segment"))
        .header("Livepeer-Segment", credentials.encode_header())
        .header("Livepeer-Payment", "")
        .header("Content-Type", "video/MP2T")
        .body(media.to_vec())
}
