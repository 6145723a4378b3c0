//! Options about transcoding: devices, sessions, encoder, stores.

use super::{OptionSpec, Role};
use crate::kind::Kind;

const T: &[Role] = &[Role::Transcoder];
const BOTH: &[Role] = &[Role::Orchestrator, Role::Transcoder];

/// Names of the encoder's speed levels: ours, then x264's own, quickest first.
pub(crate) const X264_PRESETS: &[&str] = &[
    "balanced",
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("maxSessions", Kind::Sessions, "10", "Streams at once; with -transcoder those of this machine, to which remote transcoders add theirs; 'auto', their sum, is for an orchestrator without -transcoder")
        .roles(BOTH)
        .live(),
    OptionSpec::new("nvidia", Kind::GpuList, "", "Nvidia GPUs to use: comma list of indexes, or 'all'; none means the CPU")
        .roles(&[Role::Transcoder, Role::AiWorker]),
    OptionSpec::new("netint", Kind::List, "", "Netint devices to use: comma list of identifiers").roles(T).needs("Netint devices"),
    OptionSpec::bool("testTranscoder", true, "Try each device and optional codec at the start; false assumes the default capabilities").roles(T),
    OptionSpec::bool("hevcDecoding", false, "Force the HEVC decode capability on or off; when absent the start-up test decides")
        .default_note("unset")
        .roles(T),
    OptionSpec::new("x264Preset", Kind::Choice(X264_PRESETS), "balanced", "Speed level of the CPU encoder; medium is what the reference uses, balanced looks the same for less").roles(T).ours(),
    OptionSpec::new("x264Lookahead", Kind::int(0, 250), "", "Frames the CPU encoder looks ahead").default_note("the preset's").roles(T).ours(),
    OptionSpec::new("x264Threads", Kind::int(0, 128), "0", "Threads per CPU encoder; 0 lets the node choose").roles(T).ours(),
    OptionSpec::new("objectStore", Kind::AnyUrl, "", "Store to which renditions are written instead of node memory: s3://KEY:SECRET@REGION/BUCKET, or s3+https://KEY:SECRET@HOST/BUCKET")
        .roles(&[Role::Orchestrator])
        .credentials(),
    OptionSpec::new("recordStore", Kind::Text, "", "Store for a gateway's recordings").credentials().gateway(),
];
