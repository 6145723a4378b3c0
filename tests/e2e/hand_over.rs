//! An upgrade: one process of the node follows the other on the same socket, and a stream that is being pushed notices nothing.

use std::time::Duration;

use super::gateway::{Gateway, small};
use super::media;
use super::neighbour::Neighbour;
use super::node::Home;

/// Segments come without a pause, so that the hand-over meets them at any moment.
const BRISK: Duration = Duration::from_millis(20);
const UPGRADES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_loses_nothing_when_one_process_follows_the_other() {
    let home = Home::with_tls();
    let socket = home.socket();
    let mut node = home.start_on(&socket, &[]).await;
    let stream = Gateway::of(&node).stream("upgraded", small()).await;
    // Fetched only after the upgrades, as by a slow gateway.
    let data = stream.push(1000, media::tiny()).await.outcome;
    let left = data.expect("transcoded").segments[0].url.clone();
    let running = Neighbour::on(stream.clone(), BRISK).await;
    for upgrade in 1..=UPGRADES {
        let before = running.delivered();
        node.until("segments between two upgrades", async || {
            (running.delivered() > before + 5).then_some(())
        })
        .await;
        let pid = node.pid();
        let status = node.stop().await;
        assert_eq!(status.code(), Some(0), "{}", node.log());
        node = home.start_on(&socket, &[]).await;
        assert_ne!(node.pid(), pid);
        if upgrade == 1 {
            let (status, bytes) = stream.fetch(&left).await;
            assert_eq!((status, bytes[0]), (200, 0x47), "what was left behind");
        }
    }
    running.finish().await;
    assert!(!home.directory().join("hand-over").exists(), "taken");
    assert!(node.log().contains("handed over"));
}
