//! Connections, failures, and the end of the port.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{PublicLimits, Transport};
use super::house::{House, client_at, run, segment};

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]).await, Ok(0) | Err(_))
}

#[test]
fn a_connection_too_many_is_closed_and_counted() {
    run(|| async {
        let limits = PublicLimits {
            connections_per_address: 1,
            ..PublicLimits::default()
        };
        let house = House::with(limits, 10, Transport::Plain);
        let mut first = TcpStream::connect(house.address).await.expect("connected");
        first
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: o\r\n\r\n")
            .await
            .expect("sent");
        let mut line = [0; 15];
        first.read_exact(&mut line).await.expect("answer");
        let mut second = TcpStream::connect(house.address).await.expect("connected");
        assert!(is_closed(&mut second).await);
        assert!(house.counted(
            r#"orchestrion_connections_refused_total{door="public",node_id="test",node_type="orch",reason="per_address"} 1"#
        ));
        let other = client_at(2)
            .get(house.url("/healthz"))
            .send()
            .await
            .expect("another address");
        assert_eq!(other.status(), StatusCode::OK);
    });
}

#[test]
fn a_connection_that_asks_nothing_is_closed() {
    run(|| async {
        let limits = PublicLimits {
            first_request: Duration::from_millis(50),
            ..PublicLimits::default()
        };
        let house = House::with(limits, 10, Transport::Plain);
        for start in [
            &b""[..],
            b"PRI * HT",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HT",
        ] {
            let mut stream = TcpStream::connect(house.address).await.expect("connected");
            stream.write_all(start).await.expect("sent");
            let mut rest = Vec::new();
            let ended =
                tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
            assert!(ended.is_ok(), "{start:?}");
        }
    });
}

#[test]
fn failures_hold_off_their_address_alone_and_never_a_gateway_that_delivered() {
    run(|| async {
        let limits = PublicLimits {
            failures_per_minute: 5,
            ..PublicLimits::default()
        };
        let house = House::with(limits, 10, Transport::Plain);
        let scan = |last: u8| {
            let (client, url) = (client_at(last), house.url("/.env"));
            async move { client.get(url).send().await.expect("answer").status() }
        };
        for _ in 0..6 {
            assert_eq!(scan(2).await, StatusCode::NOT_FOUND);
        }
        assert_eq!(scan(2).await, StatusCode::TOO_MANY_REQUESTS);
        let answer = segment(&house, &house.credentials(b"media"), b"media")
            .send()
            .await
            .expect("answer");
        assert_eq!(answer.status(), StatusCode::OK);
        for _ in 0..20 {
            assert_eq!(scan(1).await, StatusCode::NOT_FOUND);
        }
    });
}

#[test]
fn a_closing_port_finishes_what_runs_and_takes_nothing_new() {
    run(|| async {
        let house = House::open();
        let mut running = TcpStream::connect(house.address).await.expect("connected");
        let head = format!(
            "POST /segment HTTP/1.1\r\nhost: o\r\nlivepeer-segment: {}\r\ncontent-length: 5\r\n\r\n",
            house.credentials(b"media").encode_header()
        );
        running.write_all(head.as_bytes()).await.expect("sent");
        while house.context.sessions.slots().used() == 0 {
            tokio::task::yield_now().await;
        }
        house.shutdown.cancel();
        while TcpStream::connect(house.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        running.write_all(b"media").await.expect("sent");
        let mut answer = Vec::new();
        running.read_to_end(&mut answer).await.expect("answer");
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        house.serving.await.expect("ended");
    });
}

#[test]
fn a_closing_port_does_not_wait_for_ever() {
    run(|| async {
        let limits = PublicLimits {
            shutdown: Duration::from_millis(50),
            ..PublicLimits::default()
        };
        let house = House::with(limits, 10, Transport::Plain);
        let mut stuck = TcpStream::connect(house.address).await.expect("connected");
        let head = format!(
            "POST /segment HTTP/1.1\r\nhost: o\r\nlivepeer-segment: {}\r\ncontent-length: 5\r\n\r\n",
            house.credentials(b"media").encode_header()
        );
        stuck.write_all(head.as_bytes()).await.expect("sent");
        while house.context.sessions.slots().used() == 0 {
            tokio::task::yield_now().await;
        }
        house.shutdown.cancel();
        house.serving.await.expect("ended");
        assert!(is_closed(&mut stuck).await);
    });
}
