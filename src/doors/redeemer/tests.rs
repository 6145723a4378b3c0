//! Both ends over a real connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actors::duty::Bell;
use actors::redeemer::{Floats, RedeemerFailure, RedeemerPeer, RedeemerService};
use axum::body::Body;
use config::HostPort;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use http::Request;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ledger::Ledger;
use parking_lot::Mutex;
use protocol::address::Address;
use protocol::money::{ExpirationParams, RecipientRand, Ticket, U256, WinningTicket};
use protocol::signature::SecretKey;
use rustls_pki_types::ServerName;
use telemetry::metrics::{Metrics, MetricsOptions, NodeType};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::{Peer, RedeemerLimits};
use crate::dial;
use crate::doors::Token;
use crate::doors::public::{Transport, own_certificate};

const RECIPIENT: Address = Address([7; 20]);
const TOKEN: &str = "a-token-of-the-tests";

/// One float for everybody.
struct OneFloat(Mutex<i128>, watch::Sender<u64>);

impl Floats for OneFloat {
    fn max_float(&self, _: Address) -> BoxFuture<'_, Result<i128, String>> {
        let float = *self.0.lock();
        Box::pin(std::future::ready(Ok(float)))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.1.subscribe()
    }
}

/// A redeemer that serves, and the way to it.
struct House {
    address: HostPort,
    ledger: Ledger,
    floats: Arc<OneFloat>,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl House {
    async fn new(token: Option<&str>) -> Self {
        Self::with(token, RedeemerLimits::default()).await
    }

    async fn with(token: Option<&str>, limits: RedeemerLimits) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join(ledger::FILE_NAME);
        let options = ledger::Options {
            chain_id: 1,
            ..ledger::Options::default()
        };
        let opened = tokio::task::spawn_blocking(move || Ledger::open(path, options)).await;
        let ledger = opened.expect("no panic").expect("database");
        let floats = Arc::new(OneFloat(Mutex::new(500), watch::Sender::new(0)));
        let service =
            RedeemerService::new(RECIPIENT, ledger.clone(), floats.clone(), Bell::default());
        let now = std::time::SystemTime::now();
        let certificate = own_certificate(directory.path(), "localhost", now);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let port = listener.local_addr().expect("address").port();
        let shutdown = CancellationToken::new();
        let door = super::door(
            service,
            token.and_then(Token::new),
            Transport::Tls(certificate.expect("certificate")),
            limits,
            metrics(),
        );
        let serving = tokio::spawn(door.serve(listener, shutdown.clone()));
        Self {
            address: HostPort {
                host: "127.0.0.1".into(),
                port,
            },
            ledger,
            floats,
            shutdown,
            serving,
            _directory: directory,
        }
    }

    fn peer(&self, token: Option<&str>) -> Peer {
        Peer::new(&self.address, token).expect("a way there")
    }

    async fn stored(&self) -> usize {
        let all = self.ledger.tickets(ledger::TicketFilter::default()).await;
        all.expect("tickets").tickets.len()
    }
}

fn metrics() -> Arc<Metrics> {
    let metrics = Metrics::new(&MetricsOptions {
        node_id: "redeemer".into(),
        node_type: NodeType::Redeemer,
        version: "0".into(),
        runtime: "rust".into(),
        per_stream: false,
        client_ip: false,
    });
    Arc::new(metrics.expect("metrics"))
}

fn winner(nonce: u32) -> WinningTicket {
    let key = SecretKey::from_bytes([9; 32]).expect("key");
    let recipient_rand = RecipientRand::from_bytes([3; 32]);
    let ticket = Ticket {
        recipient: RECIPIENT,
        sender: key.address(),
        face_value: U256::from(1000),
        win_prob: U256::MAX,
        nonce,
        recipient_rand_hash: recipient_rand.hash(),
        expiration: ExpirationParams {
            creation_round: 5,
            creation_round_block_hash: [6; 32],
        },
    };
    WinningTicket {
        sig: ticket.sign(&key),
        ticket,
        recipient_rand,
        expiration_block: 90,
    }
}

#[tokio::test]
async fn a_winner_is_taken_once_however_often_it_comes() {
    let house = House::new(Some(TOKEN)).await;
    let peer = house.peer(Some(TOKEN));
    for _ in 0..3 {
        peer.queue(&winner(1)).await.expect("taken");
    }
    assert_eq!(house.stored().await, 1);
    house.shutdown.cancel();
    house.serving.await.expect("closed in order");
}

#[tokio::test]
async fn forged_and_foreign_tickets_are_refused_for_good() {
    let house = House::new(None).await;
    let peer = house.peer(None);
    let mut foreign = winner(1);
    foreign.ticket.recipient = Address([8; 20]);
    let mut forged = winner(2);
    forged.ticket.face_value += U256::one();
    let mut loser = winner(3);
    loser.recipient_rand = RecipientRand::from_bytes([4; 32]);
    for (wrong, text) in [
        (foreign, "invalid ticket recipient 0x0808"),
        (forged, "invalid ticket signature"),
        (loser, "recipientRand"),
    ] {
        match peer.queue(&wrong).await {
            Err(RedeemerFailure::Refused(told)) => assert!(told.contains(text), "{told}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(house.stored().await, 0);
}

#[tokio::test]
async fn without_the_token_nothing_is_told_or_taken_and_the_ticket_is_kept() {
    let house = House::new(Some(TOKEN)).await;
    for token in [None, Some("another-token-of-them")] {
        let peer = house.peer(token);
        let outcome = peer.queue(&winner(1)).await;
        // away, not refused: whoever holds the ticket tries again when the token is mended
        assert!(
            matches!(&outcome, Err(RedeemerFailure::Away(text)) if text.contains("-redeemerToken")),
            "{outcome:?}"
        );
        assert!(peer.max_float(RECIPIENT).await.is_err());
        assert!(peer.monitor(RECIPIENT).await.is_err());
    }
    assert_eq!(house.stored().await, 0);
}

#[tokio::test]
async fn a_float_is_told_and_followed_and_never_below_zero() {
    let house = House::new(None).await;
    let peer = house.peer(None);
    assert_eq!(peer.max_float(RECIPIENT).await, Ok(U256::from(500)));
    let mut told = peer.monitor(RECIPIENT).await.expect("followed");
    assert_eq!(told.next().await, Some(Ok(U256::from(500))));
    *house.floats.0.lock() = -1;
    house.floats.1.send_modify(|changes| *changes += 1);
    assert_eq!(told.next().await, Some(Ok(U256::zero())));
    house.shutdown.cancel();
    house
        .serving
        .await
        .expect("an open stream does not hold up the end");
    assert!(!matches!(told.next().await, Some(Ok(_))));
}

#[tokio::test]
async fn one_connection_serves_again_after_the_redeemer_was_away() {
    let house = House::new(None).await;
    let peer = house.peer(None);
    peer.queue(&winner(1)).await.expect("taken");
    let (address, ledger) = (house.address.clone(), house.ledger.clone());
    house.shutdown.cancel();
    house.serving.await.expect("closed");
    assert!(matches!(
        peer.queue(&winner(2)).await,
        Err(RedeemerFailure::Away(_))
    ));
    let floats = house.floats.clone();
    let service = RedeemerService::new(RECIPIENT, ledger, floats, Bell::default());
    let listener = TcpListener::bind((&*address.host, address.port)).await;
    let now = std::time::SystemTime::now();
    let certificate = own_certificate(house._directory.path(), "localhost", now);
    let door = super::door(
        service,
        None,
        Transport::Tls(certificate.expect("certificate")),
        RedeemerLimits::default(),
        metrics(),
    );
    tokio::spawn(door.serve(listener.expect("the same port"), CancellationToken::new()));
    peer.queue(&winner(2)).await.expect("taken");
}

/// A connection as HTTP/2 has it.
async fn connect(house: &House) -> SendRequest<Body> {
    let stream = TcpStream::connect((&*house.address.host, house.address.port)).await;
    let tls = TlsConnector::from(Arc::new(dial::tls(&[b"h2"]).expect("settings")));
    let name = ServerName::try_from("localhost").expect("name");
    let stream = tls.connect(name, stream.expect("connected")).await;
    let io = TokioIo::new(stream.expect("TLS"));
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn a_stranger_is_answered_before_anything_but_the_head_is_read() {
    let house = House::new(Some(TOKEN)).await;
    let mut calls = connect(&house).await;
    for _ in 0..100 {
        // the first bytes of a message, and nothing more
        let half = stream::once(async { Ok::<_, Infallible>(&[0, 0, 0, 16, 0, 1, 2][..]) });
        let body = Body::from_stream(half.chain(stream::pending()));
        let call = Request::post("https://localhost/net.TicketRedeemer/QueueTicket")
            .header("content-type", "application/grpc")
            .body(body)
            .expect("a call");
        calls.ready().await.expect("room");
        let answer = calls.send_request(call).await.expect("an answer");
        assert_eq!(answer.headers()["grpc-status"], "16");
    }
    assert_eq!(house.stored().await, 0);
}

#[tokio::test]
async fn a_connection_on_which_nobody_is_let_in_is_closed_and_one_address_has_few() {
    let limits = RedeemerLimits {
        connections_per_address: 2,
        first_call: Duration::from_millis(500),
        ..RedeemerLimits::default()
    };
    let house = House::with(Some(TOKEN), limits).await;
    let peer = house.peer(Some(TOKEN));
    peer.queue(&winner(1)).await.expect("taken");
    let stranger = connect(&house).await;
    let place = (&*house.address.host, house.address.port);
    let mut third = TcpStream::connect(place).await.expect("connected");
    let told = third.read(&mut [0]).await;
    assert!(matches!(told, Ok(0) | Err(_)), "a third place was given");
    // answers to pings do not make an acquaintance
    while !stranger.is_closed() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    peer.queue(&winner(2)).await.expect("taken");
    let fresh = connect(&house).await;
    assert!(!fresh.is_closed(), "the stranger's place is free again");
}
