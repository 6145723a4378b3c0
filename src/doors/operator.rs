//! The operator port: reads and writes of one node, health, metrics, the status page.
//!
//! actix-web on the loopback address or a unix socket; any other address demands a bearer token. Routes that the
//! stock `livepeer_cli` calls answer byte for byte as the reference does; beside them lie `/livez`, `/readyz` and the
//! JSON API `/api/v1`. Holds no state: every handler asks [`view::NodeView`].

mod api;
mod bind;
mod guard;
mod health;
mod limits;
mod page;
mod reference;
mod reply;
#[cfg(test)]
pub(crate) mod tests;
pub mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::{App, HttpServer, web};
use telemetry::Metrics;
use telemetry::log::LevelHandle;
use telemetry::metrics::label::Door;

pub use self::api::{TicketProofs, TicketSums, ticket_filter};
pub use self::bind::{Listen, OperatorBind, OperatorError};

use self::view::NodeView;

/// What the handlers share.
#[derive(Clone)]
pub struct OperatorState {
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The node as the operator sees it.
    pub node: Arc<dyn NodeView>,
    /// Changes the log level; `None` when logging was not started by the node.
    pub levels: Option<LevelHandle>,
    /// Serve `/metrics` (`-monitor`).
    pub monitor: bool,
}

/// A bound server, to be awaited on the thread of the actix system.
pub struct OperatorServer {
    /// The server; it serves while it is polled.
    pub server: Server,
    /// Addresses bound; empty for a unix socket.
    pub addresses: Vec<SocketAddr>,
}

/// Binds the operator port. Nothing is answered before the returned server is polled.
///
/// # Errors
/// [`OperatorError`]: the address is not loopback and no token is set, or it cannot be bound.
pub fn server(state: OperatorState, bind: OperatorBind) -> Result<OperatorServer, OperatorError> {
    bind.check()?;
    let socket = bind.open()?;
    let policy = guard::Policy::of(&bind);
    let http = HttpServer::new(move || {
        let state = state.clone();
        App::new()
            .wrap(Compress::default())
            .wrap(from_fn(measure))
            .app_data(web::Data::new(policy.clone()))
            .configure(move |config| routes(config, state))
    })
    .workers(limits::THREADS)
    .disable_signals()
    .max_connections(limits::CONNECTIONS)
    .client_request_timeout(limits::HEADER_TIMEOUT)
    .client_disconnect_timeout(limits::DISCONNECT_TIMEOUT)
    .keep_alive(limits::KEEP_ALIVE)
    .shutdown_timeout(limits::SHUTDOWN.as_secs());
    let listening = match socket {
        bind::Socket::Tcp(listener) => http.listen(listener),
        bind::Socket::Unix(listener) => http.listen_uds(listener),
    };
    let http = listening.map_err(|source| OperatorError::Bind {
        address: bind.listen.to_string(),
        source,
    })?;
    let addresses = match bind.listen {
        Listen::Tcp(_) => http.addrs(),
        Listen::Unix(_) => Vec::new(),
    };
    Ok(OperatorServer {
        addresses,
        server: http.run(),
    })
}

/// Routes and shared state; the guard stands in front of each.
fn routes(config: &mut web::ServiceConfig, state: OperatorState) {
    let monitor = state.monitor;
    config
        .app_data(web::Data::new(state))
        .app_data(web::PayloadConfig::new(limits::BODY_BYTES))
        .service(page::page())
        .service(
            web::scope("")
                .wrap(from_fn(guard::guard))
                .default_service(web::to(reply::not_found))
                .configure(reference::routes)
                .configure(api::routes)
                .configure(health::routes)
                .configure(move |config| health::metrics_route(config, monitor)),
        );
}

/// Counts each answer under the pattern of its route.
async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let begun = Instant::now();
    let metrics = request
        .app_data::<web::Data<OperatorState>>()
        .map(|state| Arc::clone(&state.metrics));
    let answer = next.call(request).await?;
    if let Some(metrics) = metrics {
        let route = answer.request().match_pattern();
        let route = route
            .as_deref()
            .filter(|pattern| !pattern.is_empty())
            .unwrap_or("other");
        metrics.door.answered(
            Door::Operator,
            route,
            answer.status().as_u16(),
            begun.elapsed(),
        );
    }
    Ok(answer)
}
