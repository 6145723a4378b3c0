//! One connection: handshake, HTTP of whichever version, and the clocks that end it when nothing moves.

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use socket2::SockRef;
use telemetry::metrics::label::{self, ConnectionRefusal};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::front::Front;
use super::limits::PublicLimits;
use super::{PublicDoor, Transport};

/// Serves a connection from `address` to its end.
pub(super) async fn serve(
    public: Arc<PublicDoor>,
    stream: TcpStream,
    address: IpAddr,
    closing: CancellationToken,
) {
    // Without it small answers wait for acknowledgements; a socket that cannot is served all the same.
    let _ = stream.set_nodelay(true);
    let limits = public.door.context.limits.load_full();
    // Where the system cannot, a peer that vanished is noticed later.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(limits.unacknowledged));
    match &public.transport {
        Transport::Plain => http(public, stream, address, &limits, closing).await,
        Transport::Tls(config) => {
            let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
            match tokio::time::timeout(limits.handshake, handshake).await {
                Ok(Ok(stream)) => Box::pin(http(public, stream, address, &limits, closing)).await,
                failed => {
                    tracing::debug!(clientIP = %address, error = ?failed.err(), "no TLS handshake");
                    public
                        .door
                        .context
                        .metrics
                        .door
                        .connection_refused(label::Door::Public, ConnectionRefusal::Handshake);
                }
            }
        }
    }
}

async fn http<S>(
    public: Arc<PublicDoor>,
    stream: S,
    address: IpAddr,
    limits: &PublicLimits,
    closing: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let front = Front::new(
        Arc::clone(&public.door),
        public.services.clone(),
        address,
        Arc::clone(&activity),
    );
    let service = service_fn(move |request| front.clone().answer(request));
    let io = TokioIo::new(Watched {
        stream,
        activity: Arc::clone(&activity),
    });
    let builder = builder(limits);
    let mut served = pin!(builder.serve_connection(io, service));
    let mut told = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(clientIP = %address, %error, "connection ended");
                }
                return;
            }
            () = closing.cancelled(), if !told => {
                told = true;
                served.as_mut().graceful_shutdown();
            }
            () = activity.overdue(limits) => {
                tracing::debug!(clientIP = %address, "connection closed, nothing moves on it");
                return;
            }
        }
    }
}

fn builder(limits: &PublicLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(limits.headers)
        .max_buf_size(limits.head_bytes)
        .half_close(true);
    // The frame size stays at its default: a larger one lowers the number of frames that a header may span.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_concurrent_streams(limits.streams);
    builder
}

/// When something last moved on a connection, and whether requests run on it.
pub(super) struct Activity {
    begun: Instant,
    /// ms from `begun`.
    moved: AtomicU64,
    running: AtomicUsize,
    asked: AtomicBool,
}

/// A running request; ends when dropped.
pub(super) struct Running(Arc<Activity>);

impl Activity {
    /// A connection that begins now.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            moved: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            asked: AtomicBool::new(false),
        })
    }

    /// A request begins.
    pub fn request(self: &Arc<Self>) -> Running {
        self.asked.store(true, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    fn touch(&self) {
        let moved = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(moved, Ordering::Relaxed);
    }

    fn due(&self, limits: &PublicLimits) -> Instant {
        let moved = self.begun + Duration::from_millis(self.moved.load(Ordering::Relaxed));
        if !self.asked.load(Ordering::Relaxed) {
            self.begun + limits.first_request
        } else if self.running.load(Ordering::Relaxed) > 0 {
            moved + limits.silence
        } else {
            moved + limits.idle
        }
    }

    /// Returns once the connection has stood still for too long.
    async fn overdue(&self, limits: &PublicLimits) {
        // Requests begin and end in between, so the time is looked at again; no wait is longer than that for the first.
        loop {
            let due = self.due(limits);
            let now = Instant::now();
            if now >= due {
                return;
            }
            tokio::time::sleep_until(due.min(now + limits.first_request)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

/// A stream that notes when bytes pass.
struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    fn note<T>(&self, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(moved, Poll::Ready(Ok(_))) {
            self.activity.touch();
        }
        moved
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.note(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_is_closed_soon() {
        let limits = PublicLimits::default();
        let activity = Activity::new();
        activity.touch();
        activity.overdue(&limits).await;
        assert_eq!(activity.begun.elapsed(), limits.first_request);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_request_keeps_its_connection_and_an_idle_one_ends() {
        let limits = PublicLimits::default();
        let activity = Activity::new();
        let running = activity.request();
        let work = limits.silence / 2;
        tokio::select! {
            () = activity.overdue(&limits) => panic!("closed while it worked"),
            () = tokio::time::sleep(work) => drop(running),
        }
        activity.overdue(&limits).await;
        assert_eq!(activity.begun.elapsed(), work + limits.idle);
    }
}
