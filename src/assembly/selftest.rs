//! What this machine can really decode, found out by doing it: a clip of five frames per codec goes through a worker.
//!
//! Only what passes is advertised. H.264 comes first, because without it the node takes no work; the rest joins later.

use actors::body::BodyBudget;
use actors::device_worker::Transcode;
use actors::worker_registry::Workers;
use bytes::Bytes;
use host::job::{Rendition, SegmentJob};
use protocol::capabilities::Capability;
use protocol::profile::{Format, Gop, H264Profile, VideoCodec, VideoProfile};
use protocol::result::provider;
use tokio::time::Instant;

/// Frames in each clip.
const FRAMES: u64 = 5;
/// Side of the test rendition in pixels: the least that hardware encoders take.
const SIDE: u32 = 146;

/// A clip and the capability that it proves.
struct Clip {
    proves: Capability,
    bytes: &'static [u8],
}

const H264: Clip = Clip {
    proves: Capability::H264,
    bytes: include_bytes!("clips/h264.ts"),
};

/// Signature of the test rendition of [`H264`], as the reference's filter makes it from the same frames.
const SIGNATURE: &[u8] = include_bytes!("clips/h264.phash");

const OPTIONAL: [Clip; 6] = [
    Clip {
        proves: Capability::HevcDecode,
        bytes: include_bytes!("clips/hevc.ts"),
    },
    Clip {
        proves: Capability::H264Decode422At8,
        bytes: include_bytes!("clips/h264_422.ts"),
    },
    Clip {
        proves: Capability::H264Decode444At8,
        bytes: include_bytes!("clips/h264_444.ts"),
    },
    Clip {
        proves: Capability::H264Decode420At10,
        bytes: include_bytes!("clips/h264_420_10.ts"),
    },
    Clip {
        proves: Capability::H264Decode422At10,
        bytes: include_bytes!("clips/h264_422_10.ts"),
    },
    Clip {
        proves: Capability::H264Decode444At10,
        bytes: include_bytes!("clips/h264_444_10.ts"),
    },
];

/// Whether the node can transcode H.264 at all.
///
/// # Errors
/// Why not, for the operator.
pub async fn h264(workers: &Workers, budget: &BodyBudget) -> Result<(), String> {
    passes(workers, budget, &H264).await
}

/// What else it can decode.
pub async fn optional(workers: &Workers, budget: &BodyBudget) -> Vec<Capability> {
    let mut passed = Vec::new();
    for clip in &OPTIONAL {
        match passes(workers, budget, clip).await {
            Ok(()) => passed.push(clip.proves),
            Err(reason) => {
                tracing::info!(capability = %clip.proves, reason, "not advertised, its test failed");
            }
        }
    }
    match signs(workers, budget).await {
        Ok(()) => passed.push(Capability::Mpeg7Signature),
        Err(reason) => {
            tracing::info!(capability = %Capability::Mpeg7Signature, reason, "not advertised, its test failed");
        }
    }
    passed
}

/// Whether renditions can be signed: the signature of the clip's rendition is known.
async fn signs(workers: &Workers, budget: &BodyBudget) -> Result<(), String> {
    let (rendition, payload) = transcode(workers, budget, &H264, true).await?;
    let (_, signature) = rendition.split(payload);
    match *signature == *SIGNATURE {
        true => Ok(()),
        false => Err(format!(
            "another signature came back, {} bytes",
            signature.len()
        )),
    }
}

async fn passes(workers: &Workers, budget: &BodyBudget, clip: &Clip) -> Result<(), String> {
    match transcode(workers, budget, clip, false).await? {
        (rendition, _) if rendition.frames == FRAMES => Ok(()),
        (rendition, _) => Err(format!("{} of {FRAMES} frames came back", rendition.frames)),
    }
}

/// Lets a worker make the test rendition of a clip.
async fn transcode(
    workers: &Workers,
    budget: &BodyBudget,
    clip: &Clip,
    perceptual_hash: bool,
) -> Result<(Rendition, Bytes), String> {
    let (mut writer, body) = budget.body();
    let bytes = Bytes::from_static(clip.bytes);
    writer
        .push(bytes)
        .await
        .map_err(|error| error.to_string())?;
    writer.confirm();
    let worker = workers
        .lease("self-test".into())
        .await
        .map_err(|failure| failure.to_string())?;
    let transcode = Transcode {
        spec: job(perceptual_hash),
        body,
        arrived: Instant::now(),
    };
    let finished = worker
        .transcode(transcode)
        .await
        .map_err(|failure| failure.to_string())?;
    let first = finished.renditions.into_iter().next();
    first.ok_or_else(|| "nothing came back".into())
}

fn job(perceptual_hash: bool) -> SegmentJob {
    SegmentJob {
        stream: "self-test".into(),
        seq: 0,
        profiles: vec![VideoProfile {
            name: "self-test".into(),
            width: SIDE,
            height: SIDE,
            bitrate: 100_000,
            fps: 0,
            fps_den: 0,
            format: Format::MpegTs,
            h264_profile: H264Profile::Default,
            gop: Gop::Default,
            codec: VideoCodec::H264,
            quality: 0,
        }],
        duration_ms: 200,
        clip: None,
        provider: provider(super::PROTOCOL_VERSION, "offchain"),
        perceptual_hash,
    }
}
