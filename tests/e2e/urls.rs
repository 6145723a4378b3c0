//! Segments named by URL: fetched from where the operator allows, and never from inside the operator's network.

use protocol::segment::URL_CONTENT_TYPE;

use super::gateway::{Gateway, Stream, finish, small};
use super::media;
use super::neighbour::Neighbour;
use super::node::{plain, shared};
use super::outside::Outside;

/// Sends a URL in place of the tiny clip; status and body.
async fn send(stream: &Stream, url: &str) -> reqwest::Response {
    let data = stream.seg_data(0, media::tiny());
    let request = stream
        .request(&stream.gateway.h2, &data)
        .header("content-type", URL_CONTENT_TYPE);
    request
        .body(url.to_owned())
        .send()
        .await
        .expect("an answer")
}

async fn refused(stream: &Stream, url: &str) {
    let answer = send(stream, url).await;
    let status = answer.status();
    let text = answer.text().await.expect("text");
    assert_eq!(
        (status.as_u16(), text.as_str()),
        (400, "BadRequest\n"),
        "{url}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_url_leads_into_the_network_of_the_operator() {
    let node = shared().await;
    let neighbour = Neighbour::beside(node).await;
    let outside = Outside::serving(media::tiny().bytes.clone()).await;
    let stream = Gateway::of(node).stream("inward", small()).await;
    let port = outside.port;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "localhost.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "user:pass@127.0.0.1",
    ] {
        refused(&stream, &format!("http://{host}:{port}/object")).await;
    }
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "file:///etc/passwd",
        "ftp://8.8.8.8/x",
        "http://",
        "no url",
        "",
    ] {
        refused(&stream, url).await;
    }
    refused(
        &stream,
        &format!("http://127.0.0.1:{port}/{}", "x".repeat(20_000)),
    )
    .await;
    assert_eq!(outside.visits(), 0, "nobody even knocked");
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_fetched_from_where_the_operator_allows() {
    let node = plain().await;
    let outside = Outside::serving(media::tiny().bytes.clone()).await;
    let stream = Gateway::of(node).stream("outward", small()).await;
    let answer = finish(send(&stream, &outside.url("/object")).await).await;
    assert_eq!(answer.outcome.expect("renditions").segments.len(), 1);
    // a redirect within what is allowed
    let answer = finish(
        send(
            &stream,
            &outside.url(&format!("/to/{}", outside.url("/object"))),
        )
        .await,
    )
    .await;
    assert!(answer.outcome.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fetched_is_a_bad_request() {
    let node = plain().await;
    let neighbour = Neighbour::beside(node).await;
    let outside = Outside::serving(media::tiny().bytes.clone()).await;
    let stream = Gateway::of(node).stream("unfetched", small()).await;
    for path in [
        "/missing",
        "/to/http://169.254.169.254/latest/meta-data/",
        "/to/http://[::1]/object",
        "/to/file:///etc/passwd",
        // a redirect to itself, for ever
        "/to/",
        // and a server that never answers
        "/silence",
    ] {
        refused(&stream, &outside.url(path)).await;
    }
    // other bytes than were signed
    let other = Outside::serving(media::noise(1000).into()).await;
    let answer = send(&stream, &other.url("/object")).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.text().await.expect("text"), "Forbidden\n");
    neighbour.finish().await;
}
