//! The redeemer's port: TLS, HTTP/2, and a bound on how many may be connected.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use telemetry::Metrics;
use telemetry::metrics::label::{ConnectionRefusal, Door};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tower::ServiceExt;

use crate::doors::public::Transport;

/// Orchestrators that may be connected at once; each keeps one connection.
const CONNECTIONS: usize = 1024;
/// Time for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a connection is proved to be alive, and how long the proof may take.
const PING: Duration = Duration::from_secs(20);
/// Streams of one connection: one per sender whose float is followed, and calls.
const STREAMS: u32 = 10_240;
/// Pause after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(50);
/// Time for running calls when the port closes; streams of floats end at once.
const CLOSING: Duration = Duration::from_secs(2);

/// Serves `routes` on `listener` until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    transport: Transport,
    routes: Routes,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let tasks = TaskTracker::new();
    let closed = CancellationToken::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            let door = &metrics.door;
            door.connection_refused(Door::Public, ConnectionRefusal::Limit);
            continue;
        };
        let open = metrics.door.connection(Door::Public);
        let (transport, routes, metrics) = (transport.clone(), routes.clone(), metrics.clone());
        let (shutdown, closed) = (shutdown.clone(), closed.clone());
        tasks.spawn(async move {
            let _held = (place, open);
            tokio::select! {
                () = connection(stream, transport, routes, metrics, shutdown) => {}
                () = closed.cancelled() => {}
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(CLOSING, tasks.wait()).await.is_err() {
        closed.cancel();
        tasks.wait().await;
    }
}

async fn connection(
    stream: TcpStream,
    transport: Transport,
    routes: Routes,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) {
    // Without it small answers wait for acknowledgements; a socket that cannot is served all the same.
    let _ = stream.set_nodelay(true);
    match transport {
        Transport::Plain => http(stream, routes, shutdown).await,
        Transport::Tls(config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            match tokio::time::timeout(HANDSHAKE, handshake).await {
                Ok(Ok(stream)) => http(stream, routes, shutdown).await,
                failed => {
                    tracing::debug!(error = ?failed.err(), "no TLS handshake");
                    let door = &metrics.door;
                    door.connection_refused(Door::Public, ConnectionRefusal::Handshake);
                }
            }
        }
    }
}

async fn http<S>(stream: S, routes: Routes, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new()).http2_only();
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS);
    let service =
        service_fn(move |request: http::Request<_>| routes.clone().oneshot(request.map(Body::new)));
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut told = false;
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
        }
    }
}
