//! Sessions: how many, how long a queue, whose token, and what is left when one ends.

use std::net::Ipv4Addr;

use nix::sys::signal::{Signal, kill};
use protocol::{pb, texts};

use super::gateway::{Gateway, Status, Stream, finish, profile, small};
use super::media;
use super::neighbour::Neighbour;
use super::node::{Node, plain, shared};

/// Another address of this machine: another gateway, off-chain.
const STRANGER: std::net::IpAddr = std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

fn unknown(text: &str) -> Status {
    const UNKNOWN: u32 = 2;
    Status {
        code: UNKNOWN,
        message: text.to_owned(),
    }
}

async fn refusal(stream: &Stream) -> (u16, String) {
    let answer = stream.begin(0, media::tiny()).await;
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_turns_new_streams_away_and_serves_the_running_ones() {
    let node = Node::start(&["-maxSessions", "2"]).await;
    let gateway = Gateway::of(&node);
    let neighbour = Neighbour::beside(&node).await;
    let second = gateway.stream("second", small()).await;
    let third = gateway.stream("third", small()).await;
    let stranger = Gateway::from_address(&node, STRANGER);
    second
        .transcode(0, media::tiny())
        .await
        .expect("there is room for two");
    assert_eq!(
        refusal(&third).await,
        (403, "OrchestratorCapped\n".to_owned())
    );
    // A wrong hash comes after the question of room, a wrong token before it.
    let mut data = third.seg_data(0, media::tiny());
    data.hash = vec![0; 32];
    let answer = third
        .request(&gateway.h2, &data)
        .body("other bytes")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.text().await.expect("text"), "OrchestratorCapped\n");
    data.auth_token.as_mut().expect("token").session_id = "0a1b2c3d".to_owned();
    let answer = third
        .request(&gateway.h2, &data)
        .body("other bytes")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.text().await.expect("text"), "invalid auth token\n");
    // Who has a stream here may renew its token; others are told to go elsewhere.
    assert!(gateway.discover().await.is_ok());
    assert_eq!(
        stranger.discover().await.err(),
        Some(unknown(texts::DISCOVERY_CAPPED))
    );
    // An ended stream makes room at once.
    second.end().await.expect("end");
    node.until("room", async || {
        (third.begin(1, media::tiny()).await.status() == 200).then_some(())
    })
    .await;
    third
        .transcode(2, media::tiny())
        .await
        .expect("the third has a place");
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_segment_of_a_stream_that_is_behind_is_told_busy() {
    let node = shared().await;
    let neighbour = Neighbour::beside(node).await;
    let stream = Gateway::of(node).stream("behind", small()).await;
    stream
        .transcode(0, media::tiny())
        .await
        .expect("first segment");
    let worker = node.worker_of(stream.session()).await;
    kill(worker, Signal::SIGSTOP).expect("stop the worker");
    let mut heads = Vec::new();
    for seq in 1..=5 {
        heads.push(stream.begin(seq, media::tiny()).await);
    }
    // One at work, four waiting; the answer to the next is there at once, inside a 200.
    let busy = stream.push(6, media::tiny()).await;
    kill(worker, Signal::SIGCONT).expect("wake the worker");
    assert_eq!(busy.outcome.err().as_deref(), Some(texts::BUSY));
    assert!(busy.info.is_some());
    for head in heads {
        assert!(finish(head).await.outcome.is_ok());
    }
    stream
        .transcode(6, media::tiny())
        .await
        .expect("it may be sent again");
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_may_be_sent_twice_and_at_once() {
    let node = shared().await;
    let gateway = Gateway::of(node);
    let stream = gateway.stream("twice", small()).await;
    let renewed = gateway.stream("twice", small()).await;
    assert_ne!(stream.session(), renewed.session());
    let clip = media::tiny();
    let (first, again, other) = tokio::join!(
        stream.transcode(5, clip),
        stream.transcode(5, clip),
        renewed.transcode(5, clip)
    );
    for renditions in [first, again, other] {
        assert_eq!(renditions.expect("renditions")[0].pixels, 160 * 90 * 10);
    }
    // The later one takes the place of the earlier one.
    let longer = media::second();
    let renditions = stream.transcode(5, longer).await.expect("renditions");
    assert_eq!(super::probe::probe(&renditions[0].bytes).frames.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_made_here_ends_a_session() {
    let node = shared().await;
    let gateway = Gateway::of(node);
    let stream = gateway.stream("ends", small()).await;
    let end = async |token: Option<pb::AuthToken>| {
        let request = pb::EndTranscodingSessionRequest { auth_token: token };
        gateway
            .rpc::<pb::EndTranscodingSessionResponse>("EndTranscodingSession", &request)
            .await
    };
    let token = stream.info.auth_token.clone().expect("token");
    let mut forged = token.clone();
    forged.session_id = "0a1b2c3d".to_owned();
    assert_eq!(
        end(Some(forged)).await.err(),
        Some(unknown(texts::END_SESSION_TOKEN))
    );
    let elsewhere = Gateway::of(plain().await)
        .discover()
        .await
        .expect("discovery")
        .auth_token;
    assert_eq!(
        end(elsewhere).await.err(),
        Some(unknown(texts::END_SESSION_TOKEN))
    );
    // gRPC INVALID_ARGUMENT
    assert_eq!(end(None).await.err().map(|status| status.code), Some(3));
    // A session that never began is no error.
    assert!(end(Some(token)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_keeps_twelve_segments_and_loses_them_some_time_after_its_end() {
    let node = shared().await;
    let stream = Gateway::of(node)
        .stream("ring", vec![profile("r", 160, 90, 0)])
        .await;
    for seq in 0..13 {
        stream
            .transcode(seq, media::tiny())
            .await
            .expect("rendition");
    }
    let url = |seq: i64| format!("{}/stream/{}/r/{seq}.ts", node.public, stream.session());
    assert_eq!(stream.fetch(&url(0)).await.0, 404, "the oldest of thirteen");
    assert_eq!(stream.fetch(&url(1)).await.0, 200);
    stream.end().await.expect("end");
    // Downloads race with the end, so there is a grace period, and it ends.
    assert_eq!(stream.fetch(&url(12)).await.0, 200);
    node.until("their end", async || {
        (stream.fetch(&url(12)).await.0 == 404).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_only_fails_is_held_off_and_nobody_else() {
    let node = Node::start(&["-failureRatePerMinute", "20"]).await;
    let neighbour = Neighbour::beside(&node).await;
    let stranger = Gateway::from_address(&node, STRANGER);
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let answer = stranger
            .h1
            .post(stranger.url("/segment"))
            .send()
            .await
            .expect("an answer");
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses[0], 403);
    assert_eq!(statuses[39], 429, "{statuses:?}");
    // gRPC RESOURCE_EXHAUSTED
    assert_eq!(
        stranger.discover().await.err().map(|status| status.code),
        Some(8)
    );
    neighbour.finish().await;
}
