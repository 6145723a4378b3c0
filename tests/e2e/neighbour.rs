//! A stream that runs beside a fault and must not lose a segment.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::gateway::{Gateway, Stream, small};
use super::media;
use super::node::Node;

/// Live pace of the neighbour: faster than real time, and light.
const PACE: Duration = Duration::from_millis(250);

/// A stream being pushed in the background.
pub struct Neighbour {
    stop: watch::Sender<bool>,
    delivered: watch::Receiver<u64>,
    pushing: JoinHandle<u64>,
}

impl Neighbour {
    /// Starts one on `node`; its first segment is out on return.
    pub async fn beside(node: &Node) -> Self {
        let stream = Gateway::of(node).stream("neighbour", small()).await;
        Self::on(stream, PACE).await
    }

    /// Pushes `stream` in the background, a segment each `pace`; its first segment is out on return.
    pub async fn on(stream: Stream, pace: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (tell, mut delivered) = watch::channel(0);
        let pushing = tokio::spawn(push(stream, pace, stopped, tell));
        // A failed push ends the task, and `finish` tells how.
        let _ = delivered.wait_for(|count| *count > 0).await;
        Self {
            stop,
            delivered,
            pushing,
        }
    }

    /// Segments delivered so far.
    pub fn delivered(&self) -> u64 {
        *self.delivered.borrow()
    }

    /// Waits for one more segment, stops, and counts: each one that was pushed came back.
    pub async fn finish(mut self) -> u64 {
        let now = self.delivered();
        let _ = self.delivered.wait_for(|count| *count > now).await;
        let _ = self.stop.send(true);
        let pushed = self.pushing.await.expect("the neighbour lost a segment");
        assert_eq!(pushed, *self.delivered.borrow());
        pushed
    }
}

async fn push(
    stream: Stream,
    pace: Duration,
    stopped: watch::Receiver<bool>,
    delivered: watch::Sender<u64>,
) -> u64 {
    let clip = media::tiny();
    let mut pace = tokio::time::interval(pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seq = 0;
    while !*stopped.borrow() {
        pace.tick().await;
        let renditions = stream.transcode(seq, clip).await;
        let renditions =
            renditions.unwrap_or_else(|text| panic!("segment {seq} of the neighbour: {text}"));
        assert!(renditions.iter().all(|rendition| rendition.pixels > 0));
        seq += 1;
        delivered.send_modify(|count| *count += 1);
    }
    seq.unsigned_abs()
}
