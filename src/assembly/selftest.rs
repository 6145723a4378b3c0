//! What this machine can really decode, found out by doing it: a clip of five frames per codec goes through a worker.
//!
//! Only what passes is advertised. H.264 comes first, because without it the node takes no work; the rest joins later.

use actors::body::BodyBudget;
use actors::device_worker::Transcode;
use actors::worker_registry::Workers;
use bytes::Bytes;
use host::job::SegmentJob;
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
    passed
}

async fn passes(workers: &Workers, budget: &BodyBudget, clip: &Clip) -> Result<(), String> {
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
        spec: job(),
        body,
        arrived: Instant::now(),
    };
    let finished = worker
        .transcode(transcode)
        .await
        .map_err(|failure| failure.to_string())?;
    match finished.renditions.first() {
        Some((rendition, _)) if rendition.frames == FRAMES => Ok(()),
        Some((rendition, _)) => Err(format!("{} of {FRAMES} frames came back", rendition.frames)),
        None => Err("nothing came back".into()),
    }
}

fn job() -> SegmentJob {
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
    }
}
