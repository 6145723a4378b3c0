//! Callers that want the node's attention and nothing else, beside a stream that must not notice.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::load_time;
use crate::gateway::{Gateway, small};
use crate::media;
use crate::neighbour::Neighbour;
use crate::node::{Home, Node};

/// Connections that one address asks for: more than it may have.
const CONNECTIONS: usize = 700;
/// Requests of each round that are taken back as soon as they are sent.
const RESETS: usize = 500;

fn port(node: &Node) -> SocketAddr {
    let address = node.public.rsplit("//").next().expect("an address");
    address.parse().expect("an address")
}

/// A connection from an address of this machine.
fn connect(to: SocketAddr, last: u8) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&from.into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(5))?;
    Ok(socket.into())
}

/// Whether the other end closes soon, whatever it says before.
fn is_closed(mut stream: &TcpStream) -> bool {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut answer = [0; 1024];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_too_many_connections_is_cut_off_and_nobody_else() {
    let node = Node::start_plain(&[]).await;
    let neighbour = Neighbour::beside(&node).await;
    let to = port(&node);
    let flood = tokio::task::spawn_blocking(move || {
        (0..CONNECTIONS)
            .filter_map(|_| connect(to, 66).ok())
            .collect::<Vec<_>>()
    });
    let held = flood.await.expect("no panic");
    node.until("refused connections", async || {
        let refused = node
            .metric(
                "orchestrion_connections_refused_total",
                &[("reason", "per_address")],
            )
            .await;
        (refused > 0.0).then_some(refused)
    })
    .await;
    let other = Gateway::from_address(&node, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 67)));
    other.discover().await.expect("another address is served");
    let delivered = neighbour.finish().await;
    println!(
        "connection flood: {} opened from one address; {delivered} segments delivered beside it",
        held.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_connections_leave_the_node_the_descriptors_that_its_streams_need() {
    let home = Home::plain();
    let node = home.start_after("ulimit -n 256", &[]).await;
    assert!(node.log().contains("raise the limit of open files"));
    let neighbour = Neighbour::beside(&node).await;
    let to = port(&node);
    let flood = tokio::task::spawn_blocking(move || {
        let addresses = (70..80).flat_map(|last| [last; 40]);
        let held: Vec<_> = addresses
            .filter_map(|last| connect(to, last).ok())
            .collect();
        held
    });
    let held = flood.await.expect("no panic");
    let refused = node.until("refused connections", async || {
        let refused = node.metric(
            "orchestrion_connections_refused_total",
            &[("reason", "limit")],
        );
        Some(refused.await).filter(|refused| *refused > 0.0)
    });
    let refused = refused.await;
    // Another stream needs a process and a place on the way to it, which the flood has left. It comes on a connection of before.
    let delivered = neighbour.finish().await;
    println!(
        "descriptors: {} connections opened with 256 of them, {refused} refused; {delivered} segments delivered beside it",
        held.len()
    );
    assert!(!node.log().contains("connection could not be taken"));
    drop(held);
    let stream = Gateway::of(&node).stream("afterwards", small()).await;
    stream.transcode(0, media::tiny()).await.expect("served");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_taken_back_at_once_cost_nobody_a_segment_and_leave_nothing() {
    let node = Node::start(&["-failureRatePerMinute", "1000000"]).await;
    let neighbour = Neighbour::beside(&node).await;
    let stream = Gateway::of(&node).stream("reset", small()).await;
    stream.transcode(0, media::tiny()).await.expect("room");
    let begun = std::time::Instant::now();
    let mut sent = 0;
    while begun.elapsed() < load_time() / 2 {
        let mut round = tokio::task::JoinSet::new();
        for _ in 0..RESETS {
            let url = stream.gateway.url("/healthz");
            let request = stream.gateway.h2.get(url);
            round.spawn(async move {
                let _ = tokio::time::timeout(Duration::from_micros(300), request.send()).await;
            });
        }
        sent += round.len();
        round.join_all().await;
    }
    stream.transcode(1, media::tiny()).await.expect("served");
    let delivered = neighbour.finish().await;
    println!(
        "rapid reset: {sent} requests in {:?}; {delivered} segments delivered beside it; daemon {} KiB",
        begun.elapsed(),
        Node::resident(node.pid()) >> 10
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_end_and_clients_that_do_not_read_are_given_up() {
    let node = Node::start_plain(&[]).await;
    let neighbour = Neighbour::beside(&node).await;
    let to = port(&node);
    let attack = tokio::task::spawn_blocking(move || {
        // two megabytes of head
        let mut endless = connect(to, 68).expect("connect");
        let _ = endless.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n");
        let line = format!("x-filler: {}\r\n", "a".repeat(8000));
        for _ in 0..300 {
            if endless.write_all(line.as_bytes()).is_err() {
                break;
            }
        }
        let mut answer = [0; 12];
        let _ = endless.set_read_timeout(Some(Duration::from_secs(5)));
        let told = endless
            .read(&mut answer)
            .map(|read| answer[..read].to_vec());
        // a hundred requests, and not one answer read
        let mut deaf = connect(to, 69).expect("connect");
        for _ in 0..100 {
            let _ = deaf.write_all(b"GET /nothing-here HTTP/1.1\r\nhost: x\r\n\r\n");
        }
        // a request line that is none
        let mut garbage = connect(to, 70).expect("connect");
        let _ = garbage.write_all(&[0xff; 4096]);
        let closed = is_closed(&garbage);
        (told, closed, deaf)
    });
    let (told, closed, _deaf) = attack.await.expect("no panic");
    match told {
        Ok(answer) => assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
            "{}",
            String::from_utf8_lossy(&answer)
        ),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    assert!(closed, "garbage keeps a connection open");
    println!(
        "endless heads: {} segments delivered beside them",
        neighbour.finish().await
    );
}
