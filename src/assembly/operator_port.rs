//! Opens the operator port on the actor thread, where actix-web lives.

use std::net::ToSocketAddrs;

use config::Settings;

use super::StartError;
use super::actor_system::ActorSystem;
use crate::doors::Token;
use crate::doors::operator::{self, Listen, OperatorBind, OperatorError, OperatorState};

/// The open port.
pub struct OperatorPort {
    handle: actix_web::dev::ServerHandle,
    address: String,
}

impl OperatorPort {
    /// Binds and serves.
    pub async fn open(
        settings: &Settings,
        state: OperatorState,
        actors: &ActorSystem,
    ) -> Result<Self, StartError> {
        let bind = bind(settings)?;
        let named = bind.listen.to_string();
        let (tell, bound) = tokio::sync::oneshot::channel();
        actors.spawn(async move {
            let server = match operator::server(state, bind) {
                Ok(server) => server,
                Err(error) => {
                    // Whoever opens the port waits for this.
                    let _ = tell.send(Err(error));
                    return;
                }
            };
            let _ = tell.send(Ok((server.server.handle(), server.addresses)));
            if let Err(error) = server.server.await {
                tracing::error!(%error, "operator port ended with an error");
            }
        });
        let (handle, addresses) = bound
            .await
            .map_err(|_| StartError::Thread(std::io::Error::other("the actor thread is gone")))??;
        let address = addresses.first().map_or(named, ToString::to_string);
        Ok(Self { handle, address })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Lets running requests finish and closes.
    pub async fn close(self) {
        self.handle.stop(true).await;
    }
}

fn bind(settings: &Settings) -> Result<OperatorBind, StartError> {
    let port = &settings.network.operator;
    let listen = match &port.socket {
        Some(path) => Listen::Unix(path.clone()),
        None => {
            let text = port.address.to_string();
            let resolved = text.to_socket_addrs().and_then(|mut addresses| {
                addresses
                    .next()
                    .ok_or_else(|| std::io::Error::other("the name has no address"))
            });
            Listen::Tcp(resolved.map_err(|source| OperatorError::Bind {
                address: text,
                source,
            })?)
        }
    };
    Ok(OperatorBind {
        listen,
        token: port
            .token
            .as_ref()
            .and_then(|token| Token::new(token.expose())),
        allowed_hosts: vec![port.address.host.clone()],
    })
}
