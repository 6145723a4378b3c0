//! Opens the port on which other nodes give this one their winning tickets.

use std::net::SocketAddr;
use std::sync::Arc;

use config::Settings;
use telemetry::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::chain_actors::ChainSetup;
use super::public_port::transport;
use crate::doors::redeemer::RedeemerLimits;
use crate::doors::{Token, public, redeemer};

/// The open port.
pub struct RedeemerPort {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl RedeemerPort {
    /// Binds and serves; `None` for a node that redeems for nobody else.
    pub fn open(
        settings: &Settings,
        setup: &ChainSetup,
        metrics: Arc<Metrics>,
    ) -> Result<Option<Self>, StartError> {
        let server = settings.redemption.as_ref().and_then(|r| r.server.as_ref());
        let Some(server) = server else {
            return Ok(None);
        };
        let token = server
            .token
            .as_ref()
            .map(|token| Token::new(token.expose()));
        if token.as_ref().is_some_and(Option::is_none) {
            return Err(StartError::RedeemerToken);
        }
        let listen = &settings.network.listen.address;
        let refused = |source| StartError::Public {
            address: listen.to_string(),
            source,
        };
        let listener = public::bind(listen).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let door = redeemer::door(
            setup.redeemer_service(),
            token.flatten(),
            transport(settings)?,
            RedeemerLimits::default(),
            metrics,
        );
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(door.serve(listener, shutdown.clone()));
        Ok(Some(Self {
            address,
            shutdown,
            serving,
        }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more tickets, and closes.
    pub async fn close(self) {
        self.shutdown.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the redeemer's port ended with an error");
        }
    }
}
