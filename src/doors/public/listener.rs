//! Opens the listener, takes connections while there is room, and closes in order.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use config::HostPort;
use socket2::{Domain, Protocol, Socket, Type};
use telemetry::metrics::label;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::Connections;
use super::gate::Gate;
use super::{PublicDoor, connection};

/// Connections that the kernel completes before we take them.
const BACKLOG: i32 = 1024;
/// Pause after a connection could not be taken, e.g. because descriptors ran out.
const PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address`; an empty host means all interfaces, of IPv6 and IPv4 where the system has both.
///
/// # Errors
/// When the name does not resolve or the port is taken.
pub fn bind(address: &HostPort) -> io::Result<TcpListener> {
    if address.host.is_empty() {
        let port = address.port;
        return listen(SocketAddr::from(([0u16; 8], port)))
            .or_else(|_| listen(SocketAddr::from(([0u8; 4], port))));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (address.host.as_str(), address.port).to_socket_addrs()? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Where the tasks of connections hang.
struct Hall {
    public: Arc<PublicDoor>,
    connections: Arc<Connections>,
    tasks: TaskTracker,
    /// Running requests finish, no more come.
    closing: CancellationToken,
    /// Time is up.
    closed: CancellationToken,
}

/// Serves until `shutdown`, then lets running requests finish for as long as the limits say.
pub(super) async fn serve(
    public: Arc<PublicDoor>,
    listener: TcpListener,
    shutdown: CancellationToken,
) {
    let hall = Hall {
        public,
        connections: Arc::default(),
        tasks: TaskTracker::new(),
        closing: shutdown,
        closed: CancellationToken::new(),
    };
    let mut sweep = tokio::time::interval(Gate::SWEEP);
    loop {
        tokio::select! {
            () = hall.closing.cancelled() => break,
            _ = sweep.tick() => hall.public.door.gate.sweep(),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => hall.welcome(stream, peer.ip()),
                Err(error) => {
                    tracing::warn!(%error, "connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    hall.tasks.close();
    let time = hall.public.door.limits().shutdown;
    if tokio::time::timeout(time, hall.tasks.wait()).await.is_err() {
        hall.closed.cancel();
        hall.tasks.wait().await;
    }
}

impl Hall {
    fn welcome(&self, stream: TcpStream, address: IpAddr) {
        let address = address.to_canonical();
        let door = &self.public.door;
        let context = &door.context;
        let trusted = context
            .trusted_proxies
            .iter()
            .any(|range| range.contains(address));
        let limits = door.limits();
        // a proxy brings the connections of many
        let per_address = if trusted {
            usize::MAX
        } else {
            limits.connections_per_address
        };
        let bounds = (limits.connections, per_address);
        let place = match self.connections.admit(address, bounds) {
            Ok(place) => place,
            Err(reason) => {
                context
                    .metrics
                    .door
                    .connection_refused(label::Door::Public, reason);
                return;
            }
        };
        let open = context.metrics.door.connection(label::Door::Public);
        let served = connection::serve(
            Arc::clone(&self.public),
            stream,
            address,
            self.closing.clone(),
        );
        let closed = self.closed.clone();
        self.tasks.spawn(async move {
            let _held = (place, open);
            tokio::select! {
                () = served => {}
                () = closed.cancelled() => {}
            }
        });
    }
}
