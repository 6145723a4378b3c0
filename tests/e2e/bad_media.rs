//! Bytes that are no good segment. The gateway is told its text, the stream goes on, and a second stream loses nothing.

use protocol::texts;

use super::gateway::{Gateway, Stream, small};
use super::media::{self, Clip, PACKET, pid};
use super::neighbour::Neighbour;
use super::node::shared;
use super::probe::probe;

/// Stream identifier that ffmpeg gives to the video of its transport streams.
const VIDEO: u16 = 0x100;

/// What must become of a segment.
enum Outcome {
    /// An error with this text.
    Told(&'static str),
    /// An error with a text that gateways know.
    Refused,
    /// Renditions with at least so many frames.
    Delivered(usize),
    /// Either is right, as long as what is delivered is sound.
    Any,
}

/// Texts that gateways know and bad media may cause.
const KNOWN: &[&str] = &[
    texts::INVALID_VIDEO,
    texts::INVALID_DATA,
    texts::NO_KEYFRAMES,
    texts::DECODER_NOT_FOUND,
    texts::UNSUPPORTED_CODEC,
    texts::INVALID_DURATION,
];

async fn run(cases: Vec<(&str, Clip, Outcome)>) {
    let node = shared().await;
    let neighbour = Neighbour::beside(node).await;
    let stream = Gateway::of(node).stream("bad media", small()).await;
    for (seq, (name, clip, expected)) in (0..).zip(cases) {
        judge(name, &stream, seq, &clip, &expected).await;
    }
    // The same stream goes on.
    stream
        .transcode(1000, media::tiny())
        .await
        .expect("a good segment after the bad ones");
    neighbour.finish().await;
}

async fn judge(name: &str, stream: &Stream, seq: i64, clip: &Clip, expected: &Outcome) {
    match (stream.transcode(seq, clip).await, expected) {
        (Err(text), Outcome::Told(wanted)) => assert_eq!(text, *wanted, "{name}"),
        (Err(text), Outcome::Refused | Outcome::Any) => {
            assert!(KNOWN.contains(&text.as_str()), "{name}: {text}")
        }
        (Err(text), Outcome::Delivered(_)) => panic!("{name}: {text}"),
        (Ok(_), Outcome::Told(_) | Outcome::Refused) => panic!("{name}: was transcoded"),
        (Ok(renditions), Outcome::Delivered(_) | Outcome::Any) => {
            let least = if let Outcome::Delivered(least) = expected {
                *least
            } else {
                1
            };
            let seen = probe(&renditions[0].bytes);
            assert_eq!(renditions[0].pixels, seen.pixels(), "{name}");
            assert!(
                seen.frames.len() >= least,
                "{name}: {} frames",
                seen.frames.len()
            );
        }
    }
}

fn packets(keep: impl Fn(usize, &[u8]) -> bool) -> Clip {
    let packets = media::second().bytes.chunks(PACKET).enumerate();
    Clip::of(
        packets
            .filter(|(number, packet)| keep(*number, packet))
            .flat_map(|(_, packet)| packet.to_vec())
            .collect::<Vec<u8>>(),
    )
}

fn damaged(clip: &Clip, count: usize) -> Clip {
    let mut bytes = clip.bytes.to_vec();
    let places = media::noise(count * 3);
    // Not at the very start, so that the container is still recognised.
    let span = bytes.len() - 2 * PACKET;
    for place in places.chunks(3) {
        let position =
            usize::from(place[0]) << 16 | usize::from(place[1]) << 8 | usize::from(place[2]);
        bytes[2 * PACKET + position % span] ^= 0x55;
    }
    Clip::of(bytes)
}

fn cut(clip: &Clip, keep: f64) -> Clip {
    Clip::of(
        clip.bytes
            .slice(..(clip.bytes.len() as f64 * keep) as usize),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_media_are_told_as_such() {
    let empty_packets: Vec<u8> = (0..200)
        .flat_map(|_| std::iter::once(0x47).chain(media::noise(PACKET - 1)))
        .collect();
    run(vec![
        (
            "nothing",
            Clip::of(Vec::new()),
            Outcome::Told(texts::INVALID_DATA),
        ),
        (
            "one byte",
            Clip::of(vec![0x47]),
            Outcome::Told(texts::INVALID_DATA),
        ),
        (
            "noise",
            Clip::of(media::noise(100_000)),
            Outcome::Told(texts::INVALID_DATA),
        ),
        (
            "text",
            Clip::of(b"<html>no video here</html>".repeat(50)),
            Outcome::Told(texts::INVALID_DATA),
        ),
        (
            "packets of noise",
            Clip::of(empty_packets),
            Outcome::Refused,
        ),
        (
            "only the head of an MP4",
            Clip::of(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1".to_vec()),
            Outcome::Refused,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_transport_stream_gives_what_can_be_decoded() {
    let second = media::second();
    run(vec![
        (
            "cut in a packet",
            cut(second, 0.503),
            Outcome::Delivered(10),
        ),
        (
            "cut between packets",
            packets(|number, _| number < 60),
            Outcome::Delivered(3),
        ),
        ("400 bytes changed", damaged(second, 400), Outcome::Any),
        (
            "each 97th packet lost",
            packets(|number, _| number % 97 != 96),
            Outcome::Delivered(20),
        ),
        (
            "no sound",
            packets(|_, packet| pid(packet) != VIDEO + 1),
            Outcome::Delivered(30),
        ),
        (
            "no tables",
            packets(|_, packet| !matches!(pid(packet), 0 | 0x1000)),
            Outcome::Refused,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_without_usable_video_is_told_why() {
    let second = media::second();
    let long = "-f lavfi -i testsrc2=s=160x90:r=1/301 -frames:v 2 -c:v libx264 -pix_fmt yuv420p";
    run(vec![
        (
            "only sound",
            media::derived(second, "a.ts", "-vn -c copy"),
            Outcome::Told(texts::INVALID_VIDEO),
        ),
        (
            "video without frames",
            packets(|_, packet| pid(packet) != VIDEO),
            Outcome::Told(texts::INVALID_VIDEO),
        ),
        (
            "no key frame",
            media::derived(second, "a.ts", "-c copy -bsf:v noise=drop=key"),
            Outcome::Told(texts::NO_KEYFRAMES),
        ),
        (
            "MPEG-2",
            media::derived(second, "a.ts", "-c:v mpeg2video -q:v 5 -c:a copy"),
            Outcome::Told(texts::DECODER_NOT_FOUND),
        ),
        (
            "ten minutes",
            media::clip("long.ts", long),
            Outcome::Told(texts::INVALID_DURATION),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mp4_harms_nobody() {
    let first = media::h264("index-first.mp4", "-movflags +faststart");
    let last = media::h264("index-last.mp4", "");
    let fragments = media::h264(
        "fragments.mp4",
        "-movflags +frag_keyframe+empty_moov+default_base_moof",
    );
    run(vec![
        ("index lost", cut(&last, 0.9), Outcome::Refused),
        ("index cut", cut(&first, 0.02), Outcome::Refused),
        ("cut behind the index", cut(&first, 0.6), Outcome::Any),
        ("fragment cut", cut(&fragments, 0.6), Outcome::Any),
        (
            "bytes changed, index first",
            damaged(&first, 400),
            Outcome::Any,
        ),
        (
            "bytes changed, index last",
            damaged(&last, 400),
            Outcome::Any,
        ),
        (
            "bytes changed, fragments",
            damaged(&fragments, 400),
            Outcome::Any,
        ),
    ])
    .await;
}
