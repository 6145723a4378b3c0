//! Every way in which peers negotiate on the one TLS listener.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::{PublicLimits, Transport, own_certificate};
use super::house::{House, client, run};
use crate::dial;

fn house(limits: PublicLimits) -> (House, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("directory");
    let tls =
        own_certificate(directory.path(), "127.0.0.1", SystemTime::now()).expect("certificate");
    (House::with(limits, 10, Transport::Tls(tls)), directory)
}

/// Connects by address, so without a server name; what was negotiated, and the answer to a request in HTTP/1.1.
async fn negotiate(house: &House, offered: &[&[u8]]) -> (Option<Vec<u8>>, String) {
    let config = dial::tls(offered).expect("settings");
    let stream = TcpStream::connect(house.address).await.expect("connected");
    let name = ServerName::IpAddress(house.address.ip().into());
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("handshake");
    let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    if chosen.as_deref() == Some(b"h2") {
        return (chosen, String::new());
    }
    let request = b"GET /healthz HTTP/1.1\r\nhost: o\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    // the other end may close without saying so
    let _ = stream.read_to_end(&mut answer).await;
    (chosen, String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn h2_is_preferred_and_clients_that_offer_nothing_get_http_1_1() {
    run(|| async {
        let (house, _directory) = house(PublicLimits::default());
        assert_eq!(
            negotiate(&house, &[b"h2"]).await.0.as_deref(),
            Some(&b"h2"[..])
        );
        // whatever the client prefers
        assert_eq!(
            negotiate(&house, &[b"http/1.1", b"h2"]).await.0.as_deref(),
            Some(&b"h2"[..])
        );
        for offered in [&[][..], &[&b"http/1.1"[..]]] {
            let (chosen, answer) = negotiate(&house, offered).await;
            assert_eq!(chosen.as_deref(), offered.first().copied());
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    });
}

#[test]
fn a_client_over_tls_gets_http2() {
    run(|| async {
        let (house, _directory) = house(PublicLimits::default());
        let url = format!("https://{}/healthz", house.address);
        let answer = client().get(url).send().await.expect("answer");
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, http::Version::HTTP_2)
        );
    });
}

#[test]
fn a_connection_without_a_handshake_ends_and_is_counted() {
    run(|| async {
        let limits = PublicLimits {
            handshake: Duration::from_millis(50),
            ..PublicLimits::default()
        };
        let (house, _directory) = house(limits);
        for start in [&b""[..], b"GET / HTTP/1.1\r\n\r\n"] {
            let mut stream = TcpStream::connect(house.address).await.expect("connected");
            stream.write_all(start).await.expect("sent");
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
        while !house.counted(
            r#"orchestrion_connections_refused_total{door="public",node_id="test",node_type="orch",reason="handshake"} 2"#,
        ) {
            tokio::task::yield_now().await;
        }
    });
}
