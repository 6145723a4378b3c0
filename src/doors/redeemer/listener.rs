//! The redeemer's port: TLS, HTTP/2, and who is let in. The token stands in the head of a call, so nothing else of a stranger is
//! read.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use telemetry::Metrics;
use telemetry::metrics::label::{ConnectionRefusal, Door};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt;

use super::limits::RedeemerLimits;
use crate::doors::Token;
use crate::doors::public::{Connections, Transport};

/// Pause after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// The port, ready to serve.
pub struct RedeemerDoor {
    pub(super) routes: Routes,
    /// What callers must present; `None` lets everybody in.
    pub(super) token: Option<Token>,
    pub(super) transport: Transport,
    pub(super) limits: RedeemerLimits,
    pub(super) metrics: Arc<Metrics>,
}

impl RedeemerDoor {
    /// Serves `listener` until `shutdown`.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let door = Arc::new(self);
        let connections = Arc::<Connections>::default();
        let tasks = TaskTracker::new();
        let closed = CancellationToken::new();
        loop {
            let (stream, address) = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => (stream, peer.ip()),
                    Err(error) => {
                        tracing::warn!(%error, "connection could not be taken");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let Some(place) = door.admit(&connections, address) else {
                continue;
            };
            let open = door.metrics.door.connection(Door::Public);
            let served = Arc::clone(&door).connection(stream, shutdown.clone());
            let closed = closed.clone();
            tasks.spawn(async move {
                let _held = (place, open);
                tokio::select! {
                    () = served => {}
                    () = closed.cancelled() => {}
                }
            });
        }
        drop(listener);
        tasks.close();
        let time = door.limits.closing;
        if tokio::time::timeout(time, tasks.wait()).await.is_err() {
            closed.cancel();
            tasks.wait().await;
        }
    }

    fn admit(
        &self,
        connections: &Arc<Connections>,
        address: IpAddr,
    ) -> Option<impl Send + 'static + use<>> {
        let limits = &self.limits;
        let bounds = (limits.connections, limits.connections_per_address);
        let place = connections.admit(address, bounds);
        let refused = |reason| self.refused(reason);
        place.map_err(refused).ok()
    }

    fn refused(&self, reason: ConnectionRefusal) {
        let door = &self.metrics.door;
        door.connection_refused(Door::Public, reason);
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, shutdown: CancellationToken) {
        // Without it small answers wait for acknowledgements; a socket that cannot is served all the same.
        let _ = stream.set_nodelay(true);
        match &self.transport {
            Transport::Plain => Arc::clone(&self).http(stream, shutdown).await,
            Transport::Tls(config) => {
                let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
                match tokio::time::timeout(self.limits.handshake, handshake).await {
                    Ok(Ok(stream)) => Arc::clone(&self).http(stream, shutdown).await,
                    failed => {
                        tracing::debug!(error = ?failed.err(), "no TLS handshake");
                        self.refused(ConnectionRefusal::Handshake);
                    }
                }
            }
        }
    }

    async fn http<S>(self: Arc<Self>, stream: S, shutdown: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new()).http2_only();
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.ping)
            .keep_alive_timeout(self.limits.ping)
            .max_header_list_size(self.limits.head_bytes)
            .max_concurrent_streams(self.limits.streams);
        let known = Arc::new(AtomicBool::new(false));
        let (door, let_in) = (Arc::clone(&self), Arc::clone(&known));
        let service = service_fn(move |call| Arc::clone(&door).answer(call, Arc::clone(&let_in)));
        let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut patience = pin!(tokio::time::sleep(self.limits.first_call));
        let (mut told, mut waited) = (false, false);
        loop {
            tokio::select! {
                ended = served.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection of an orchestrator ended");
                    }
                    return;
                }
                () = shutdown.cancelled(), if !told => {
                    told = true;
                    served.as_mut().graceful_shutdown();
                }
                () = patience.as_mut(), if !waited => {
                    waited = true;
                    if !known.load(Ordering::Relaxed) {
                        tracing::debug!("connection closed, nobody was let in on it");
                        return;
                    }
                }
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        call: Request<Incoming>,
        known: Arc<AtomicBool>,
    ) -> Result<Response<Body>, Infallible> {
        let header = call.headers().get(AUTHORIZATION);
        let presented = header.and_then(|value| value.to_str().ok()).unwrap_or("");
        if let Some(token) = &self.token
            && !token.is_in(presented)
        {
            let status = Status::unauthenticated(
                "this redeemer asks for a token: give the same -redeemerToken to both nodes",
            );
            return Ok(status.into_http());
        }
        known.store(true, Ordering::Relaxed);
        self.routes.clone().oneshot(call.map(Body::new)).await
    }
}
