//! Sessions, devices and the CPU encoder.

use super::{Reader, Roles};
use crate::kind::list_items;
use serde::Serialize;

/// What transcodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Devices {
    /// The CPU.
    Cpu,
    /// Every Nvidia GPU of the machine.
    AllNvidia,
    /// The Nvidia GPUs with these indexes, none of them twice.
    Nvidia(Vec<u32>),
}

/// The CPU encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct X264 {
    /// Speed level.
    pub preset: String,
    /// Frames of look-ahead; `None` is the preset's.
    pub lookahead: Option<u32>,
    /// Threads per encoder; `None` lets the node choose.
    pub threads: Option<u32>,
}

/// How video work is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Video {
    /// Streams at once.
    pub max_sessions: u32,
    /// What transcodes.
    pub devices: Devices,
    /// Try devices and optional codecs at the start.
    pub test_devices: bool,
    /// Forces the HEVC decode capability; `None` leaves it to the start-up test.
    pub hevc_decoding: Option<bool>,
    /// The CPU encoder.
    pub x264: X264,
}

pub(super) fn read(reader: &mut Reader<'_>, roles: &Roles) -> Video {
    if !reader.text("nvidia").is_empty() && !reader.text("netint").is_empty() {
        reader.wrong(
            "netint",
            "cannot be used together with -nvidia; give one of them",
        );
    }
    Video {
        max_sessions: max_sessions(reader, roles),
        devices: devices(reader),
        test_devices: reader.bool("testTranscoder"),
        hevc_decoding: reader.bool_if_given("hevcDecoding"),
        x264: X264 {
            preset: reader.text("x264Preset").to_owned(),
            lookahead: reader.number("x264Lookahead"),
            threads: reader.number("x264Threads").filter(|threads| *threads > 0),
        },
    }
}

fn max_sessions(reader: &mut Reader<'_>, roles: &Roles) -> u32 {
    if reader.text("maxSessions") == "auto" {
        let remedy = if roles.orchestrator && roles.transcoder {
            "cannot be used with -orchestrator and -transcoder together; give a number"
        } else {
            "needs remote transcoders, not in this build; give a number"
        };
        reader.wrong("maxSessions", remedy);
    }
    reader.text("maxSessions").parse().unwrap_or_default()
}

fn devices(reader: &mut Reader<'_>) -> Devices {
    let text = reader.text("nvidia");
    match text {
        "" => Devices::Cpu,
        "all" => Devices::AllNvidia,
        list => {
            let mut indexes: Vec<u32> = list_items(list)
                .filter_map(|item| item.parse().ok())
                .collect();
            let count = indexes.len();
            indexes.sort_unstable();
            indexes.dedup();
            if indexes.len() < count {
                reader.wrong("nvidia", "names a GPU twice; name each once");
            }
            Devices::Nvidia(indexes)
        }
    }
}
