//! Segments that are unusual and good: other containers, shapes and codecs.

use protocol::capabilities::{Capabilities, Capability};
use protocol::profile::{Format, VideoProfile};

use super::gateway::{Gateway, finish, profile, small};
use super::media::{self, Clip};
use super::node::{Node, shared};
use super::probe::{Probe, probe};

async fn transcode(node: &Node, clip: &Clip, asked: VideoProfile) -> Probe {
    let stream = Gateway::of(node).stream("good", vec![asked]).await;
    let renditions = stream.transcode(0, clip).await.expect("rendition");
    let seen = probe(&renditions[0].bytes);
    assert_eq!(renditions[0].pixels, seen.pixels());
    assert!(seen.begins_with_key);
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn mp4_of_every_layout_is_read_and_keeps_its_timeline() {
    let node = shared().await;
    for (file, muxer) in [
        ("index-first.mp4", "-movflags +faststart"),
        ("index-last.mp4", ""),
        (
            "fragments.mp4",
            "-movflags +frag_keyframe+empty_moov+default_base_moof",
        ),
    ] {
        let clip = media::h264(file, muxer);
        let source = probe(&clip.bytes);
        let mut asked = profile("mp4", 256, 144, 0);
        asked.format = Format::Mp4;
        let seen = transcode(node, &clip, asked).await;
        assert_eq!(seen.frames.len(), source.frames.len(), "{file}");
        let shifts = seen
            .frames
            .iter()
            .zip(&source.frames)
            .map(|(a, b)| (a - b).abs());
        assert!(shifts.max() <= Some(90), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn portrait_video_is_transposed_and_odd_sizes_are_made_even() {
    let node = shared().await;
    let portrait = media::clip(
        "portrait.ts",
        "-f lavfi -i testsrc2=s=180x320:r=10 -t 1 -c:v libx264 -pix_fmt yuv420p",
    );
    let seen = transcode(node, &portrait, profile("p", 320, 180, 0)).await;
    assert_eq!((seen.width, seen.height, seen.frames.len()), (180, 320, 10));
    let odd = media::clip(
        "odd.ts",
        "-f lavfi -i testsrc2=s=321x181:r=10 -t 1 -c:v libx264 -pix_fmt yuv444p",
    );
    let seen = transcode(node, &odd, profile("p", 256, 144, 0)).await;
    assert_eq!(
        (seen.width % 2, seen.height % 2, seen.frames.len()),
        (0, 0, 10)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_without_sound_has_renditions_without_sound() {
    let seen = transcode(shared().await, media::tiny(), profile("p", 160, 90, 0)).await;
    assert_eq!((seen.frames.len(), seen.audio.len()), (10, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_is_transcoded_where_it_is_advertised() {
    let node = shared().await;
    let gateway = Gateway::of(node);
    // The tests of optional codecs end after the node is ready.
    node.until("the HEVC test", async || {
        let info = gateway.discover().await.expect("discovery");
        Capabilities::from_pb(info.capabilities)
            .set
            .contains(Capability::HevcDecode)
            .then_some(())
    })
    .await;
    let clip = media::variant(
        "hevc.ts",
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30",
        "",
    );
    let seen = transcode(node, &clip, profile("p", 160, 90, 0)).await;
    assert_eq!((seen.codec.as_str(), seen.frames.len()), ("h264", 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn baseline_and_intra_only_are_what_they_say() {
    let node = shared().await;
    let mut baseline = profile("baseline", 160, 90, 0);
    baseline.h264_profile = protocol::profile::H264Profile::Baseline;
    let seen = transcode(node, media::tiny(), baseline).await;
    assert!(seen.profile.contains("Baseline"), "{}", seen.profile);
    let mut intra = profile("intra", 160, 90, 0);
    intra.gop = protocol::profile::Gop::IntraOnly;
    let seen = transcode(node, media::tiny(), intra).await;
    assert_eq!(seen.key_frames, seen.frames.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_perceptual_hash_finds_it_beside_the_rendition() {
    let node = shared().await;
    let gateway = Gateway::of(node);
    let has_bit = async || {
        let info = gateway.discover().await.expect("info");
        Capabilities::from_pb(info.capabilities)
            .set
            .contains(Capability::Mpeg7Signature)
    };
    node.until("the self-test of signatures", async || {
        has_bit().await.then_some(())
    })
    .await;
    let stream = gateway.stream("hashed", small()).await;
    let clip = media::tiny();
    let mut data = stream.seg_data(0, clip);
    data.calc_perceptual_hash = true;
    let request = stream.request(&gateway.h2, &data);
    let head = request.body(clip.bytes.clone()).send().await.expect("send");
    let segments = finish(head).await.outcome.expect("a result").segments;
    let frames = probe(&stream.fetch(&segments[0].url).await.1).frames.len();
    assert_eq!(
        segments[0].perceptual_hash_url,
        format!("{}.phash", segments[0].url)
    );
    let (status, hash) = stream.fetch(&segments[0].perceptual_hash_url).await;
    assert_eq!(status, 200);
    assert_eq!(hash[..4], [0, 0, 0, 1], "regions");
    // 32 bits behind 129 others
    let bits = hash[16..21]
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte));
    assert_eq!((bits >> 7) as u32 as usize, frames, "frames");
    let unasked = stream.push(1, clip).await.outcome.expect("a result");
    assert_eq!(unasked.segments[0].perceptual_hash_url, "");
}
