//! Opens the public port: certificate, limits, listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actors::body::BodyBudget;
use actors::capability_broadcaster::Broadcast;
use actors::model_catalog::Models;
use actors::price_webhook::PriceWebhook;
use actors::remote_ai::AiWorkers;
use actors::segment_store::SegmentStore;
use actors::session_manager::Sessions;
use arc_swap::ArcSwap;
use config::{Scheme, ServiceAddr, Settings};
use protocol::Network;
use protocol::token::TokenKey;
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::descriptors;
use crate::doors::public::{
    FetchPolicy, OwnStore, Paid, PublicContext, PublicDoor, PublicLimits, Split, Transport, bind,
    given_certificate, own_certificate,
};

/// What the door answers from.
pub struct Parts {
    /// The published answer to discovery.
    pub broadcast: Broadcast,
    /// Sessions.
    pub sessions: Sessions,
    /// Models.
    pub models: Models,
    /// Takes remote transcoders; `None` without a secret.
    pub split: Option<Split>,
    /// Renditions.
    pub store: SegmentStore,
    /// Bytes of bodies.
    pub budget: BodyBudget,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Key of session tokens off-chain.
    pub token_key: [u8; 32],
    /// The socket that was passed on to this process; `None` = a new one is opened.
    pub socket: Option<std::net::TcpListener>,
    /// How work is paid, and what tokens are made with; `None` off-chain.
    pub paid: Option<(Paid, TokenKey)>,
    /// The operator's webhook.
    pub webhook: Option<PriceWebhook>,
}

/// The open port.
pub struct PublicPort {
    address: SocketAddr,
    limits: Arc<ArcSwap<PublicLimits>>,
    fetch: Arc<ArcSwap<FetchPolicy>>,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl PublicPort {
    /// Binds and serves.
    pub async fn open(settings: &Settings, parts: Parts) -> Result<Self, StartError> {
        let listen = settings.network.listen.address.to_string();
        let refused = |source| StartError::Public {
            address: listen.clone(),
            source,
        };
        let limits = Arc::new(ArcSwap::from_pointee(limits(settings)));
        let fetch = Arc::new(ArcSwap::from_pointee(fetch_policy(settings)));
        let (paid, tokens) = parts.paid.unzip();
        let ai_workers = parts.split.is_some().then(|| {
            let (models, store) = (parts.models.clone(), parts.store.clone());
            AiWorkers::new(models, store, Arc::clone(&parts.broadcast))
        });
        let own = settings.object_store.as_ref().map(OwnStore::new);
        let object_store = own.transpose()?.map(Arc::new);
        let context = PublicContext {
            network: match &paid {
                Some(_) => Network::OnChain,
                None => Network::OffChain,
            },
            paid,
            webhook: parts.webhook,
            tokens: tokens.unwrap_or_else(|| TokenKey::new(parts.token_key)),
            broadcast: parts.broadcast,
            sessions: parts.sessions,
            ai_workers,
            models: parts.models,
            split: parts.split,
            store: parts.store,
            budget: parts.budget,
            metrics: parts.metrics,
            limits: Arc::clone(&limits),
            object_store,
            fetch: Arc::clone(&fetch),
            trusted_proxies: settings.network.trusted_proxies.clone().into(),
            clock: unix_ms,
        };
        let door = PublicDoor::new(context, transport(settings)?)?;
        let listener = match parts.socket {
            Some(socket) => taken(socket),
            None => bind(&settings.network.listen.address),
        };
        let listener = listener.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(door.serve(listener, shutdown.clone()));
        Ok(Self {
            address,
            limits,
            fetch,
            shutdown,
            serving,
        })
    }

    /// Applies the options that may change while the node runs.
    pub fn apply(&self, settings: &Settings) {
        self.limits.store(Arc::new(limits(settings)));
        self.fetch.store(Arc::new(fetch_policy(settings)));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, lets running requests finish, and closes.
    pub async fn close(self) {
        self.shutdown.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "public port ended with an error");
        }
    }
}

fn taken(socket: std::net::TcpListener) -> std::io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// How bytes travel on the listener, as configured.
pub fn transport(settings: &Settings) -> Result<Transport, StartError> {
    if settings.network.listen.scheme == Scheme::Http {
        return Ok(Transport::Plain);
    }
    let tls = match &settings.network.tls {
        Some(files) => given_certificate(&files.certificate, &files.key)?,
        None => {
            let host = match &settings.network.service {
                ServiceAddr::Uri { host, .. } => host.as_str(),
                ServiceAddr::None => "localhost",
            };
            own_certificate(&settings.program.data_dir, host, SystemTime::now())?
        }
    };
    Ok(Transport::Tls(tls))
}

fn limits(settings: &Settings) -> PublicLimits {
    PublicLimits {
        connections: descriptors::connections(settings, descriptors::raise()),
        connections_per_address: settings.limits.connections_per_addr,
        failures_per_minute: settings.limits.failures_per_minute,
        body: settings.limits.body_timeout,
        ..PublicLimits::default()
    }
}

fn fetch_policy(settings: &Settings) -> FetchPolicy {
    FetchPolicy::new(settings.network.segment_url_allow.clone())
}

/// Milliseconds since 1970.
pub fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
