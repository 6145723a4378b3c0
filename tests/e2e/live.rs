//! The main job: consecutive segments of a live stream go in, and every rendition comes back whole.

use nix::sys::signal::{Signal, kill};
use protocol::profile::Format;

use super::gateway::{Gateway, finish, profile, small};
use super::media::{self, Clip};
use super::node::shared;
use super::probe::{Probe, probe};

/// Half the rate of the source; 6000 ticks a frame.
const SLOW: u32 = 15;
const SLOW_TICKS: i64 = 6000;

fn ladder() -> Vec<protocol::profile::VideoProfile> {
    let mut half = profile("half rate", 160, 90, SLOW);
    half.gop = protocol::profile::Gop::Millis(500);
    // a name that a URL cannot carry as it is
    let mut whole = profile("50% ä/b?#", 256, 144, 0);
    whole.format = Format::Mp4;
    vec![half, whole]
}

/// Slots of the grid that a segment fills: each frame lies in the nearest slot and lasts until the next one.
fn slots(source: &Probe) -> (i64, i64) {
    let slot = |pts: i64| (2 * pts + SLOW_TICKS).div_euclid(2 * SLOW_TICKS);
    let (first, last) = (source.frames[0], source.frames[source.frames.len() - 1]);
    let frame = source.frames[1] - source.frames[0];
    (slot(first), slot(last + frame))
}

fn close(a: i64, b: i64, tolerance: i64) -> bool {
    (a - b).abs() <= tolerance
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_comes_back_whole_in_every_rendition() {
    let gateway = Gateway::of(shared().await);
    let stream = gateway.stream("live", ladder()).await;
    let mut grid = Vec::new();
    for (seq, clip) in (7..).zip(media::stream()) {
        let renditions = stream.transcode(seq, clip).await.expect("renditions");
        let source = probe(&clip.bytes);
        assert_eq!(source.frames.len(), 30);
        let seen: Vec<Probe> = renditions
            .iter()
            .map(|rendition| probe(&rendition.bytes))
            .collect();
        for (rendition, seen) in renditions.iter().zip(&seen) {
            assert_eq!(
                rendition.pixels,
                seen.pixels(),
                "segment {seq}: billed is what is there"
            );
            assert!(seen.begins_with_key, "segment {seq}");
            assert_eq!(seen.codec, "h264");
            let maker = b"Livepeer Transcoder 0.9.1 (offchain)";
            assert!(
                rendition
                    .bytes
                    .windows(maker.len())
                    .any(|part| part == maker),
                "segment {seq}: the maker stands in the metadata of TS and MP4"
            );
        }
        let [half, whole] = &seen[..] else {
            panic!("two renditions")
        };
        assert_eq!(
            (half.width, half.height, whole.width, whole.height),
            (160, 90, 256, 144)
        );
        // Pass-through keeps each frame and its time, to a millisecond also in MP4.
        assert_eq!(whole.frames.len(), source.frames.len(), "segment {seq}");
        assert!(
            whole
                .frames
                .iter()
                .zip(&source.frames)
                .all(|(a, b)| close(*a, *b, 90)),
            "segment {seq}"
        );
        let (first, end) = slots(&source);
        let expected: Vec<i64> = (first..end).map(|slot| slot * SLOW_TICKS).collect();
        assert!(
            half.frames
                .iter()
                .zip(&expected)
                .all(|(a, b)| close(*a, *b, 1)),
            "{:?} {expected:?}",
            half.frames
        );
        assert_eq!(half.frames.len(), expected.len(), "segment {seq}");
        assert!(half.key_frames >= 2, "a key frame each half second");
        // Sound is copied packet by packet.
        assert!(!source.audio.is_empty());
        assert_eq!(half.audio, source.audio, "segment {seq}");
        assert!(whole.audio.len() >= source.audio.len(), "segment {seq}");
        assert!(
            close(whole.audio[0].0, source.audio[0].0, 90),
            "segment {seq}"
        );
        grid.extend(half.frames.iter().copied());
    }
    assert!(
        grid.windows(2)
            .all(|pair| close(pair[1] - pair[0], SLOW_TICKS, 1)),
        "no gap and no overlap where segments meet: {grid:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_result_tells_the_gateway_to_go_on_with_the_same_node_and_token() {
    let gateway = Gateway::of(shared().await);
    let stream = gateway.stream("token", small()).await;
    assert_eq!(stream.info.transcoder, shared().await.public);
    assert_eq!(stream.info.address, [0; 20]);
    assert!(stream.info.price_info.is_none() && stream.info.ticket_params.is_none());
    let broken = Clip::of(media::noise(10_000));
    for (seq, clip) in [(0, media::tiny()), (1, &broken), (2, media::tiny())] {
        let answer = stream.push(seq, clip).await;
        assert_eq!(answer.outcome.is_err(), seq == 1, "segment {seq}");
        let info = answer.info.expect("info, also beside an error");
        assert_eq!(info.transcoder, stream.info.transcoder);
        assert_eq!(info.auth_token, stream.info.auth_token);
        assert!(info.price_info.is_none() && info.ticket_params.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_the_answer_goes_out_before_the_work_is_done() {
    let node = shared().await;
    let stream = Gateway::of(node).stream("early", small()).await;
    stream
        .transcode(0, media::tiny())
        .await
        .expect("first segment");
    let worker = node.worker_of(stream.session()).await;
    kill(worker, Signal::SIGSTOP).expect("stop the worker");
    // Nothing can be done while it stands still, and the head is here.
    let head = stream.begin(1, media::tiny()).await;
    assert_eq!(head.status(), 200);
    assert!(
        head.headers().get("content-type").is_none()
            && head.headers().get("content-length").is_none()
    );
    kill(worker, Signal::SIGCONT).expect("wake the worker");
    assert!(finish(head).await.outcome.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn renditions_are_served_whole_with_the_headers_that_players_need() {
    let stream = Gateway::of(shared().await).stream("served", ladder()).await;
    let answer = stream.push(3, media::tiny()).await;
    let data = answer.outcome.expect("renditions");
    for (segment, kind) in data.segments.iter().zip(["video/mp2t", "video/mp4"]) {
        for client in [&stream.gateway.h1, &stream.gateway.h2] {
            let answer = client.get(&segment.url).send().await.expect("rendition");
            assert_eq!(answer.status(), 200);
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("content-type"), kind);
            assert_eq!(header("access-control-allow-origin"), "*");
            assert_eq!(header("access-control-expose-headers"), "Content-Length");
            assert_eq!(header("cache-control"), "max-age=5");
            let length: usize = header("content-length").parse().unwrap();
            assert_eq!(answer.bytes().await.unwrap().len(), length);
        }
        let missing = segment.url.replace("/3.", "/4.");
        let (status, text) = stream.fetch(&missing).await;
        assert_eq!((status, &text[..]), (404, &b"ErrNotFound\n"[..]));
    }
}
