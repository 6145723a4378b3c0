//! Bodies that are too long, too slow, or break off.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
use protocol::segment::MAX_BYTES;
use reqwest::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::gateway::{Gateway, Stream, segment_header, small};
use super::media;
use super::neighbour::Neighbour;
use super::node::{Node, plain, shared};

/// Zeros, in pieces as they come from a network.
fn zeros(length: usize) -> Body {
    const PIECE: usize = 1 << 20;
    static ZEROS: [u8; PIECE] = [0; PIECE];
    let pieces = (0..length.div_ceil(PIECE)).map(move |number| {
        Ok::<_, std::io::Error>(Bytes::from_static(
            &ZEROS[..PIECE.min(length - number * PIECE)],
        ))
    });
    Body::wrap_stream(stream::iter(pieces))
}

/// Some bytes and then nothing more.
fn stuck() -> Body {
    let begin = stream::iter([Ok::<_, std::io::Error>(media::tiny().bytes.slice(..2000))]);
    Body::wrap_stream(begin.chain(stream::pending()))
}

async fn refusals(node: &Node, reason: &str) -> f64 {
    node.metric(
        "orchestrion_refusals_total",
        &[("stage", "segment"), ("reason", reason)],
    )
    .await
}

async fn send(stream: &Stream, body: Body) -> (u16, String) {
    let request = stream.request(&stream.gateway.h1, &stream.seg_data(0, media::tiny()));
    let answer = request.body(body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_over_the_limit_is_too_much_and_none_is_not() {
    let node = plain().await;
    let neighbour = Neighbour::beside(node).await;
    let stream = Gateway::of(node).stream("long", small()).await;
    let before = refusals(node, "too_large").await;
    // As long as allowed: only the hash is wrong.
    assert_eq!(
        send(&stream, zeros(MAX_BYTES)).await,
        (403, "Forbidden\n".to_owned())
    );
    assert_eq!(refusals(node, "too_large").await, before);
    assert_eq!(
        send(&stream, zeros(MAX_BYTES + 1)).await,
        (500, "Internal Server Error\n".to_owned())
    );
    assert_eq!(refusals(node, "too_large").await, before + 1.0);
    stream
        .transcode(1, media::tiny())
        .await
        .expect("the stream goes on");
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_announced_too_long_is_not_read() {
    let node = plain().await;
    let stream = Gateway::of(node).stream("announced", small()).await;
    let header = segment_header(&stream.seg_data(0, media::tiny()));
    let address = node.public.strip_prefix("http://").expect("plain text");
    let mut connection = TcpStream::connect(address).await.expect("connect");
    let head = format!(
        "POST /segment HTTP/1.1\r\nHost: {address}\r\nLivepeer-Segment: {header}\r\nContent-Length: {}\r\n\r\n",
        MAX_BYTES + 1
    );
    connection
        .write_all(head.as_bytes())
        .await
        .expect("send a head");
    // Not a byte of the body has been sent.
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(10), connection.read(&mut answer)).await;
    let length = read.expect("an answer at once").expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_slower_than_the_limit_is_given_up() {
    let node = Node::start(&["-bodyTimeout", "2s"]).await;
    let neighbour = Neighbour::beside(&node).await;
    let stream = Gateway::of(&node).stream("slow", small()).await;
    let begun = Instant::now();
    assert_eq!(
        send(&stream, stuck()).await,
        (500, "Internal Server Error\n".to_owned())
    );
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "not before the limit"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(refusals(&node, "body").await, 1.0);
    stream
        .transcode(1, media::tiny())
        .await
        .expect("the stream goes on");
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_takes_nothing_with_it() {
    let node = Node::start(&[]).await;
    let neighbour = Neighbour::beside(&node).await;
    let stream = Gateway::of(&node).stream("leaver", small()).await;
    // Again and again: the session ends with its broken segment, and the next one meets that end now and then.
    for client in [&stream.gateway.h1, &stream.gateway.h2].repeat(8) {
        let request = stream
            .request(client, &stream.seg_data(0, media::tiny()))
            .body(stuck());
        let sending = tokio::spawn(request.send());
        node.until("its bytes", async || {
            (node.metric("orchestrion_body_bytes", &[]).await > 0.0).then_some(())
        })
        .await;
        sending.abort();
        let _ = sending.await;
        stream
            .transcode(1, media::tiny())
            .await
            .expect("the stream goes on");
    }
    neighbour.finish().await;
    // What was held for it is free again.
    node.until("free memory", async || {
        (node.metric("orchestrion_body_bytes", &[]).await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_result_does_not_stop_the_stream() {
    let node = shared().await;
    let stream = Gateway::of(node).stream("impatient", small()).await;
    drop(stream.begin(0, media::tiny()).await);
    // The work goes on, and what it made is there.
    let url = format!("{}/stream/{}/small/0.ts", node.public, stream.session());
    node.until("the rendition", async || {
        (stream.fetch(&url).await.0 == 200).then_some(())
    })
    .await;
}
