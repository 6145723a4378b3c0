//! Ladders that cannot be made: told inside the result, because the headers went out before.

use protocol::profile::{Gop, VideoProfile};
use protocol::texts;

use super::gateway::{Gateway, profile};
use super::media;
use super::neighbour::Neighbour;
use super::node::shared;

async fn refused(profiles: Vec<VideoProfile>) -> String {
    let stream = Gateway::of(shared().await)
        .stream("bad ladder", profiles)
        .await;
    stream
        .transcode(0, media::tiny())
        .await
        .err()
        .expect("no renditions")
}

#[tokio::test(flavor = "multi_thread")]
async fn ladders_that_cannot_be_made_are_told_for_good() {
    let neighbour = Neighbour::beside(shared().await).await;
    let eleven = (0..11)
        .map(|number| profile(&format!("p{number}"), 160, 90, 0))
        .collect();
    assert_eq!(refused(eleven).await, texts::TOO_MANY_OUTPUTS);
    let mut gop = profile("gop", 160, 90, 0);
    gop.gop = Gop::Invalid(-2);
    assert_eq!(refused(vec![gop]).await, texts::INVALID_GOP);
    // a hundred frames out for each one in
    assert_eq!(
        refused(vec![profile("runaway", 160, 90, 1000)]).await,
        texts::RUNAWAY
    );
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_renditions_are_made() {
    let ten: Vec<_> = (0..10)
        .map(|number| profile(&format!("p{number}"), 160, 90, 0))
        .collect();
    let stream = Gateway::of(shared().await).stream("ten", ten).await;
    let renditions = stream
        .transcode(0, media::tiny())
        .await
        .expect("ten renditions");
    assert_eq!(renditions.len(), 10);
}
