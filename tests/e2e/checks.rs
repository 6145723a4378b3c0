//! The checks of `/segment` and `/payment`, one by one and in their order.
//!
//! A request begins with every fault at once. Each round expects the answer to the first fault that is left, and then
//! mends it: so each text is proved, and that nothing that comes later is looked at before.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use protocol::pb;
use reqwest::{Client, Response};

use super::gateway::{Gateway, Stream, finish, segment_header, small};
use super::media;
use super::neighbour::Neighbour;
use super::node::shared;

/// A request that is being mended.
#[derive(Clone)]
struct Attempt {
    payment: String,
    /// In place of the encoded `data`.
    header: Option<String>,
    data: pb::SegData,
    content_type: &'static str,
}

type Mend = fn(&mut Attempt, &Stream);

/// What is told, as a whole or, where the rest is the parser's own, as its beginning; and what is mended then.
const FAULTS: &[(u16, &str, Mend)] = &[
    (402, "base64 decode error: ", |attempt, _| {
        attempt.payment = STANDARD.encode([0xff, 0xff])
    }),
    (402, "protobuf unmarshal error: ", |attempt, _| {
        attempt.payment = String::new()
    }),
    (403, "ErrorSegEncoding\n", |attempt, _| {
        attempt.header = Some(STANDARD.encode([0x08]))
    }),
    (403, "", |attempt, _| attempt.header = None),
    (403, "unrecognized profile output format\n", |attempt, _| {
        profile(attempt).format = 0
    }),
    (403, "unrecognized encoder profile\n", |attempt, _| {
        profile(attempt).profile = 0
    }),
    (403, "unrecognized video codec\n", |attempt, _| {
        profile(attempt).encoder = 0
    }),
    (403, "invalid duration\n", |attempt, _| {
        attempt.data.duration = 300_001
    }),
    (403, "invalid duration\n", |attempt, _| {
        attempt.data.duration = 1000
    }),
    (403, "incompatible capabilities\n", |attempt, stream| {
        attempt.data.capabilities = stream.seg_data(0, media::tiny()).capabilities;
    }),
    (403, "missing auth token\n", |attempt, stream| {
        attempt.data.auth_token = stream.info.auth_token.clone().map(|mut token| {
            token.token[0] ^= 1;
            token
        });
    }),
    (403, "invalid auth token\n", |attempt, stream| {
        // a token that somebody tried to make last longer
        attempt.data.auth_token = stream.info.auth_token.clone().map(|mut token| {
            token.expiration += 1;
            token
        });
    }),
    (403, "invalid auth token\n", |attempt, stream| {
        attempt.data.auth_token = stream.info.auth_token.clone()
    }),
];

/// What only `/segment` looks at: the body.
const BODY_FAULTS: &[(u16, &str, Mend)] = &[
    // the clip itself is no URL
    (400, "BadRequest\n", |attempt, _| {
        attempt.content_type = "video/MP2T"
    }),
    (403, "Forbidden\n", |attempt, stream| {
        attempt.data.hash = stream.seg_data(0, media::tiny()).hash
    }),
];

fn profile(attempt: &mut Attempt) -> &mut pb::VideoProfile {
    &mut attempt.data.full_profiles[0]
}

fn all_wrong(stream: &Stream) -> Attempt {
    let mut data = stream.seg_data(0, media::tiny());
    let profile = &mut data.full_profiles[0];
    (profile.format, profile.profile, profile.encoder) = (99, 99, 99);
    data.duration = -1;
    // live video to video
    data.capabilities.as_mut().expect("demand").bitstring = vec![1 << 35];
    data.auth_token = None;
    data.hash = vec![7; 32];
    Attempt {
        payment: "*".to_owned(),
        header: Some("no base64".to_owned()),
        data,
        content_type: "application/vnd+livepeer.uri",
    }
}

async fn send(stream: &Stream, client: &Client, path: &str, attempt: &Attempt) -> Response {
    let header = attempt
        .header
        .clone()
        .unwrap_or_else(|| segment_header(&attempt.data));
    let request = client
        .post(stream.gateway.url(path))
        .header("livepeer-segment", header);
    let request = request
        .header("livepeer-payment", &attempt.payment)
        .header("content-type", attempt.content_type);
    request
        .body(media::tiny().bytes.clone())
        .send()
        .await
        .expect("an answer")
}

async fn mend_all(
    stream: &Stream,
    client: &Client,
    path: &str,
    faults: &[(u16, &str, Mend)],
    attempt: &mut Attempt,
) {
    for (number, (status, text, mend)) in faults.iter().enumerate() {
        let answer = send(stream, client, path, attempt).await;
        let told = answer.status().as_u16();
        assert_eq!(
            answer.headers()["content-type"],
            "text/plain; charset=utf-8",
            "{path} {number}"
        );
        assert_eq!(
            answer.headers()["x-content-type-options"],
            "nosniff",
            "{path} {number}"
        );
        let body = answer.text().await.expect("text");
        assert_eq!(told, *status, "{path} {number}: {body}");
        if text.ends_with('\n') {
            assert_eq!(body, *text, "{path} {number}");
        } else {
            assert!(
                body.starts_with(text) && body.ends_with('\n') && body.len() > text.len() + 1,
                "{path} {number}: {body}"
            );
            assert_ne!(body, "ErrorSegEncoding\n");
        }
        mend(attempt, stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_check_of_a_segment_has_its_place_and_its_answer() {
    let node = shared().await;
    let neighbour = Neighbour::beside(node).await;
    let stream = Gateway::of(node).stream("checks", small()).await;
    for client in [&stream.gateway.h2, &stream.gateway.h1] {
        let mut attempt = all_wrong(&stream);
        mend_all(&stream, client, "/segment", FAULTS, &mut attempt).await;
        mend_all(&stream, client, "/segment", BODY_FAULTS, &mut attempt).await;
        let answer = finish(send(&stream, client, "/segment", &attempt).await).await;
        assert!(answer.outcome.is_ok(), "nothing is wrong any more");
    }
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_checked_as_a_segment_is() {
    let stream = Gateway::of(shared().await).stream("payment", small()).await;
    let mut attempt = all_wrong(&stream);
    mend_all(
        &stream,
        &stream.gateway.h2,
        "/payment",
        FAULTS,
        &mut attempt,
    )
    .await;
    let answer = send(&stream, &stream.gateway.h2, "/payment", &attempt).await;
    assert_eq!(answer.status(), 200);
    let result =
        pb::PaymentResult::decode(answer.bytes().await.expect("body")).expect("PaymentResult");
    let info = result.info.expect("info");
    assert_eq!(info.auth_token, stream.info.auth_token);
    assert_eq!(info.transcoder, stream.info.transcoder);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_missing_count_as_empty() {
    let gateway = Gateway::of(shared().await);
    let answer = gateway
        .h2
        .post(gateway.url("/segment"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.text().await.expect("text"), "missing auth token\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_counted_by_its_reason() {
    let node = shared().await;
    let labels = [("stage", "segment"), ("reason", "hash")];
    let before = node.metric("orchestrion_refusals_total", &labels).await;
    let stream = Gateway::of(node).stream("counted", small()).await;
    let mut data = stream.seg_data(0, media::tiny());
    data.hash = vec![1; 32];
    let request = stream
        .request(&stream.gateway.h2, &data)
        .body(media::tiny().bytes.clone());
    assert_eq!(request.send().await.expect("an answer").status(), 403);
    assert!(node.metric("orchestrion_refusals_total", &labels).await > before);
}
