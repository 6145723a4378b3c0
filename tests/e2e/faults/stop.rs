//! A node with many live streams is told to stop.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::gateway::{Gateway, small};
use crate::media;
use crate::neighbour::Neighbour;
use crate::node::Node;

const STREAMS: usize = 20;
/// Pace of each stream: live, since a clip lasts a second.
const PACE: Duration = Duration::from_secs(1);
/// How long streams go on after the order to stop.
const AFTERWARDS: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_costs_none_of_twenty_live_streams_a_segment_and_admits_nobody() {
    let mut node = Node::start(&["-maxSessions", "100", "-drainTimeout", "50s"]).await;
    let gateway = Gateway::of(&node);
    let mut streams = Vec::new();
    let mut running = Vec::new();
    for number in 0..STREAMS {
        let stream = gateway.stream(&format!("live-{number}"), small()).await;
        running.push(Neighbour::on(stream.clone(), PACE).await);
        streams.push(stream);
    }
    let late = gateway.stream("late", small()).await;
    let stranger = Gateway::from_address(&node, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)));

    node.signal(Signal::SIGTERM);
    let told = Instant::now();
    node.until("the drain", async || {
        (node.get("/readyz").await.0 == 503).then_some(())
    })
    .await;
    while told.elapsed() < AFTERWARDS {
        assert!(
            stranger.discover().await.is_err(),
            "a stranger was admitted"
        );
        assert_eq!(late.begin(0, media::tiny()).await.status(), 403);
        tokio::time::sleep(PACE / 4).await;
    }
    let mut delivered = 0;
    for one in running {
        delivered += one.finish().await;
    }
    for stream in &streams {
        stream.end().await.expect("end");
    }
    assert_eq!(node.exit().await.code(), Some(0), "{}", node.log());
    println!(
        "stop with {STREAMS} live streams: {delivered} segments delivered, 0 lost, ended after {:.1} s",
        told.elapsed().as_secs_f64()
    );
}
