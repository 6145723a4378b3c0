//! `/segment` and `/payment`: the order of the checks, their texts, and what an answer looks like.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use prost::Message;
use protocol::token::TokenKey;
use protocol::{pb, result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{PublicLimits, Transport};
use super::house::{House, NOW, SERVICE, client, client_at, run, segment};

const MEDIA: &[u8] = b"hello livepeer segment";

async fn told(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.expect("body");
    if status != 200 {
        assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
    (status, text)
}

fn base64(message: &impl Message) -> String {
    STANDARD.encode(message.encode_to_vec())
}

/// What is wrong with the headers, in the order of the checks, and the answer. Each case has all later faults as well.
fn faults(house: &House) -> Vec<(String, Option<String>, u16, &'static str)> {
    let profile = |change: fn(&mut pb::VideoProfile)| {
        let mut profile = pb::VideoProfile {
            name: "p".into(),
            ..Default::default()
        };
        change(&mut profile);
        let data = pb::SegData {
            full_profiles: vec![profile],
            duration: -1,
            ..Default::default()
        };
        Some(base64(&data))
    };
    let with_token = |auth_token: Option<pb::AuthToken>| {
        let mut credentials = house.credentials(b"other media");
        credentials.auth_token = auth_token;
        Some(credentials.encode_header())
    };
    let incompatible = {
        let mut credentials = house.credentials(MEDIA);
        credentials.auth_token = None;
        credentials.capabilities.set.insert_number(16);
        credentials.encode_header()
    };
    let expired = house.context.tokens.issue("s".into(), NOW - 1_801_000);
    let foreign = TokenKey::new([8; 32]).issue("s".into(), 0);
    let none = String::new;
    vec![
        ("!".into(), Some("!".into()), 402, "base64 decode error: "),
        (
            "/////w==".into(),
            Some("!".into()),
            402,
            "protobuf unmarshal error: ",
        ),
        (none(), Some("!".into()), 403, "ErrorSegEncoding\n"),
        (none(), Some("/////w==".into()), 403, ""),
        (
            none(),
            profile(|profile| profile.format = 9),
            403,
            "unrecognized profile output format\n",
        ),
        (
            none(),
            profile(|profile| profile.profile = 9),
            403,
            "unrecognized encoder profile\n",
        ),
        (
            none(),
            profile(|profile| profile.encoder = 9),
            403,
            "unrecognized video codec\n",
        ),
        (none(), profile(|_| {}), 403, "invalid duration\n"),
        (
            none(),
            Some(incompatible),
            403,
            "incompatible capabilities\n",
        ),
        (none(), None, 403, "missing auth token\n"),
        (none(), with_token(None), 403, "missing auth token\n"),
        (
            none(),
            with_token(Some(foreign)),
            403,
            "invalid auth token\n",
        ),
        (
            none(),
            with_token(Some(expired)),
            403,
            "expired auth token\n",
        ),
        (
            none(),
            with_token(Some(house.context.tokens.issue("s".into(), NOW))),
            403,
            "Forbidden\n",
        ),
    ]
}

#[test]
fn every_check_answers_in_order_with_its_status_and_text() {
    run(|| async {
        let house = House::open();
        for (payment, credentials, status, text) in faults(&house) {
            let mut request = client()
                .post(house.url("/segment"))
                .header("Livepeer-Payment", payment)
                .body(MEDIA);
            if let Some(credentials) = credentials {
                request = request.header("Livepeer-Segment", credentials);
            }
            assert_eq!(
                house.context.sessions.slots().used(),
                0,
                "nothing refused here may take a slot"
            );
            let (got, body) = told(request.send().await.expect("answer")).await;
            assert_eq!(got, status, "{text:?} {body:?}");
            assert!(
                body.starts_with(text) && body.ends_with('\n'),
                "{text:?} {body:?}"
            );
        }
    });
}

#[test]
fn a_right_segment_gets_200_without_type_or_length_and_a_result() {
    run(|| async {
        let house = House::open();
        let credentials = house.credentials(MEDIA);
        let response = segment(&house, &credentials, MEDIA)
            .send()
            .await
            .expect("answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().get("content-type"), None);
        assert_eq!(response.headers().get("content-length"), None);
        assert_eq!(response.headers()["transfer-encoding"], "chunked");
        let answer = result::decode(&response.bytes().await.expect("body")).expect("a result");
        assert_eq!(answer.seq, 12);
        assert_eq!(answer.outcome, Err("no transcoders available".into()));
        let info = answer.info.expect("info");
        assert_eq!(info.transcoder, SERVICE);
        assert_eq!(info.auth_token, credentials.auth_token);
        assert!(info.price_info.is_none() && info.ticket_params.is_none());
    });
}

#[test]
fn a_wrong_hash_is_forbidden() {
    run(|| async {
        let house = House::open();
        let credentials = house.credentials(b"other media");
        let answer = segment(&house, &credentials, MEDIA)
            .send()
            .await
            .expect("answer");
        assert_eq!(told(answer).await, (403, "Forbidden\n".into()));
    });
}

#[test]
fn one_byte_too_many_is_refused_announced_or_not() {
    run(|| async {
        let limits = PublicLimits {
            body_bytes: MEDIA.len(),
            ..PublicLimits::default()
        };
        let house = House::with(limits, 10, Transport::Plain);
        let fits = segment(&house, &house.credentials(MEDIA), MEDIA)
            .send()
            .await
            .expect("answer");
        assert_eq!(fits.status(), StatusCode::OK);
        let long = [MEDIA, b"!"].concat();
        let announced = segment(&house, &house.credentials(&long), &long)
            .send()
            .await
            .expect("answer");
        assert_eq!(
            told(announced).await,
            (500, "Internal Server Error\n".into())
        );
        let pieces: Vec<Result<Bytes, std::io::Error>> = long
            .iter()
            .map(|byte| Ok(Bytes::copy_from_slice(&[*byte])))
            .collect();
        let chunked = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
        let unannounced = segment(&house, &house.credentials(&long), b"")
            .body(chunked)
            .send()
            .await
            .expect("answer");
        assert_eq!(
            told(unannounced).await,
            (500, "Internal Server Error\n".into())
        );
    });
}

#[test]
fn a_body_that_comes_too_slowly_is_refused() {
    run(|| async {
        let limits = PublicLimits {
            body_lag: Duration::from_millis(50),
            ..PublicLimits::default()
        };
        let house = House::with(limits, 10, Transport::Plain);
        let never =
            reqwest::Body::wrap_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let answer = segment(&house, &house.credentials(MEDIA), b"")
            .body(never)
            .send()
            .await
            .expect("answer");
        assert_eq!(told(answer).await, (500, "Internal Server Error\n".into()));
    });
}

#[test]
fn a_full_node_refuses_new_sessions_and_serves_running_ones() {
    run(|| async {
        let house = House::with(PublicLimits::default(), 1, Transport::Plain);
        let credentials = house.credentials(MEDIA);
        // one byte is missing, so the slot stays taken
        let mut slow = TcpStream::connect(house.address).await.expect("connected");
        let head = format!(
            "POST /segment HTTP/1.1\r\nhost: o\r\nlivepeer-segment: {}\r\ncontent-length: {}\r\n\r\n",
            credentials.encode_header(),
            MEDIA.len(),
        );
        slow.write_all(head.as_bytes()).await.expect("sent");
        slow.write_all(&MEDIA[..MEDIA.len() - 1])
            .await
            .expect("sent");
        while house.context.sessions.slots().used() == 0 {
            tokio::task::yield_now().await;
        }
        let mut other = house.credentials(MEDIA);
        other.auth_token = Some(house.context.tokens.issue("another".into(), NOW));
        let answer = segment(&house, &other, MEDIA).send().await.expect("answer");
        assert_eq!(told(answer).await, (403, "OrchestratorCapped\n".into()));
        let answer = segment(&house, &credentials, MEDIA)
            .send()
            .await
            .expect("answer");
        assert_eq!(answer.status(), StatusCode::OK);
        slow.write_all(&MEDIA[MEDIA.len() - 1..])
            .await
            .expect("sent");
        let mut line = [0; 15];
        slow.read_exact(&mut line).await.expect("answer");
        assert_eq!(&line, b"HTTP/1.1 200 OK");
    });
}

#[test]
fn the_answer_to_a_refused_upload_can_be_read_and_the_connection_goes_on() {
    run(|| async {
        let house = House::open();
        let mut stream = TcpStream::connect(house.address).await.expect("connected");
        let media = vec![0; 8 << 20];
        let head = format!(
            "POST /segment HTTP/1.1\r\nhost: o\r\ncontent-length: {}\r\n\r\n",
            media.len()
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&media).await.expect("the rest is taken");
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: o\r\nconnection: close\r\n\r\n")
            .await
            .expect("sent");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.expect("answers");
        assert!(
            answers.starts_with("HTTP/1.1 403 Forbidden\r\n"),
            "{answers}"
        );
        assert!(answers.contains("missing auth token\n"), "{answers}");
        assert!(answers.contains("HTTP/1.1 200 OK\r\n"), "{answers}");
    });
}

#[test]
fn a_client_that_asks_first_gets_the_refusal_without_sending() {
    run(|| async {
        let house = House::open();
        let mut stream = TcpStream::connect(house.address).await.expect("connected");
        let head = "POST /segment HTTP/1.1\r\nhost: o\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answer");
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    });
}

#[test]
fn a_url_is_a_bad_request_when_it_may_not_be_fetched() {
    run(|| async {
        let house = House::open();
        let secret = house.url("/healthz");
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            &secret,
            "file:///etc/passwd",
            "nonsense",
            "\u{0}",
        ] {
            let credentials = house.credentials(b"");
            let request = client()
                .post(house.url("/segment"))
                .header("Livepeer-Segment", credentials.encode_header())
                .header("Content-Type", "application/vnd+livepeer.uri")
                .body(url.to_owned());
            assert_eq!(
                told(request.send().await.expect("answer")).await,
                (400, "BadRequest\n".into()),
                "{url}"
            );
        }
    });
}

#[test]
fn a_node_without_its_session_manager_answers_with_a_fault_of_its_own() {
    run(|| async {
        let house = House::open();
        let (context, _) = super::house::context(PublicLimits::default(), 1);
        let peer = super::super::peer::Peer {
            address: [127, 0, 0, 1].into(),
        };
        let door = super::super::PublicDoor::new(context, Transport::Plain)
            .expect("client")
            .door;
        let mut headers = http::HeaderMap::new();
        let header = house
            .credentials(MEDIA)
            .encode_header()
            .parse()
            .expect("header");
        headers.insert("livepeer-segment", header);
        let refused = super::super::admission::admit(&door, peer, &headers)
            .await
            .err()
            .expect("refused");
        assert_eq!(refused.refusal.status(), 500);
        assert!(!refused.blames_caller());
    });
}

#[test]
fn a_payment_is_answered_with_the_nodes_description() {
    run(|| async {
        let house = House::open();
        let credentials = house.credentials(MEDIA);
        let pay = |header: String| {
            client_at(1)
                .post(house.url("/payment"))
                .header("Livepeer-Segment", header)
                .send()
        };
        let answer = pay(credentials.encode_header()).await.expect("answer");
        let paid = pb::PaymentResult::decode(answer.bytes().await.expect("body")).expect("message");
        let info = paid.info.expect("info");
        assert_eq!(info.transcoder, SERVICE);
        assert_eq!(info.auth_token, credentials.auth_token);
        assert_eq!(house.context.sessions.slots().used(), 0);
        let answer = pay(String::new()).await.expect("answer");
        assert_eq!(told(answer).await, (403, "missing auth token\n".into()));
    });
}
