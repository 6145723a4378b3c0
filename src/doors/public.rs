//! The public port: gateways and workers, over one listener.
//!
//! One TCP port serves gRPC, HTTP/2, HTTP/1.1 and clients that negotiate nothing; over TLS, or in plain text behind a proxy that ends
//! TLS. Every handler decodes, asks an actor or a published fact, and encodes. Holds no state of the node's own.

mod admission;
mod ai;
mod ai_workers;
mod certificate;
mod connection;
mod connections;
mod discovery;
mod fetch;
mod front;
mod gate;
mod limits;
mod listener;
mod paid;
mod payment;
mod peer;
mod refused;
mod reply;
mod results;

mod segment;
mod split;
mod stream;
#[cfg(test)]
mod tests;
mod transcoders;
mod upload;

use std::sync::Arc;

use actors::body::BodyBudget;
use actors::capability_broadcaster::Broadcast;
use actors::model_catalog::Models;
use actors::price_webhook::PriceWebhook;
use actors::remote_ai::AiWorkers;
use actors::segment_store::SegmentStore;
use actors::session_manager::Sessions;
use arc_swap::ArcSwap;
use config::Cidr;
use protocol::Network;
use protocol::token::TokenKey;
use rustls::ServerConfig;
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(in crate::doors) use self::connections::Connections;

pub use self::certificate::{CertificateError, given_certificate, own_certificate};
pub use self::fetch::{FetchError, FetchPolicy};
pub use self::limits::PublicLimits;
pub use self::listener::bind;
pub use self::paid::Paid;
pub use self::split::Split;
pub use self::upload::{OwnStore, UploadError};

use self::fetch::Fetcher;
use self::front::Services;
use self::gate::Gate;
use self::upload::Uploader;

/// What the handlers read and ask. Cheap to clone.
#[derive(Clone)]
pub struct PublicContext {
    /// Whether signatures and payments count.
    pub network: Network,
    /// How work is paid; `None` off-chain.
    pub paid: Option<Paid>,
    /// Asked about each gateway that looks for the node; `None` admits all.
    pub webhook: Option<PriceWebhook>,
    /// Makes and checks auth tokens.
    pub tokens: TokenKey,
    /// The ready answer to GetOrchestrator; also says the service URI.
    pub broadcast: Broadcast,
    /// Sessions and their slots.
    pub sessions: Sessions,
    /// Models and their runners; none where no AI is served.
    pub models: Models,
    /// AI workers on other machines; `None` where there is no secret to know them by.
    pub ai_workers: Option<AiWorkers>,
    /// Takes remote transcoders; `None` where there is no secret to know them by.
    pub split: Option<Split>,
    /// Finished renditions.
    pub store: SegmentStore,
    /// Bytes of bodies under way.
    pub budget: BodyBudget,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
    /// Bounds; may be replaced while the node runs. Those of connections count from the next connection on.
    pub limits: Arc<ArcSwap<PublicLimits>>,
    /// The operator's own store; `None` = renditions stay in memory until the gateway has fetched them.
    pub object_store: Option<Arc<OwnStore>>,
    /// Where segment URLs may point; may be replaced while the node runs.
    pub fetch: Arc<ArcSwap<FetchPolicy>>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[Cidr]>,
    /// Unix milliseconds.
    pub clock: fn() -> u64,
}

/// How bytes travel on the listener.
#[derive(Clone)]
pub enum Transport {
    /// HTTP/1.1 and HTTP/2 with prior knowledge, unencrypted.
    Plain,
    /// TLS 1.2 or newer.
    Tls(Arc<ServerConfig>),
}

/// What handlers share.
pub(super) struct Door {
    context: PublicContext,
    gate: Gate,
    fetcher: Fetcher,
    uploader: Arc<Uploader>,
    /// Memory for AI requests under way, MiB.
    requests: Arc<Semaphore>,
}

impl Door {
    /// The account of the node, as renditions name their maker.
    fn maker(&self) -> String {
        match &self.context.paid {
            Some(paid) => paid.signer.address().to_string(),
            None => "offchain".to_owned(),
        }
    }

    fn limits(&self) -> arc_swap::Guard<Arc<PublicLimits>> {
        self.context.limits.load()
    }
}

/// Why the door cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The client for segment URLs.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The client for stores.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// The public port, ready to serve.
pub struct PublicDoor {
    door: Arc<Door>,
    services: Services,
    transport: Transport,
}

impl PublicDoor {
    /// A door that answers from `context`.
    ///
    /// # Errors
    /// [`DoorError`] when an HTTP client cannot be made.
    pub fn new(context: PublicContext, transport: Transport) -> Result<Self, DoorError> {
        let fetcher = Fetcher::new(Arc::clone(&context.fetch), &context.limits.load())?;
        let uploader = Arc::new(Uploader::new(
            Arc::clone(&context.fetch),
            Arc::clone(&context.metrics),
        )?);
        let gate = Gate::new(Arc::clone(&context.limits));
        let door = Arc::new(Door {
            context,
            gate,
            fetcher,
            uploader,
            requests: Arc::new(Semaphore::new(ai::REQUESTS_MIB)),
        });
        let services = Services::new(&door);
        Ok(Self {
            door,
            services,
            transport,
        })
    }

    /// Serves `listener` until `shutdown`; then takes no more connections, lets running requests finish for
    /// [`PublicLimits::shutdown`] and returns.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        listener::serve(Arc::new(self), listener, shutdown).await;
    }
}
