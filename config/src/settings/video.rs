//! Sessions, devices and the CPU encoder.

use super::{Reader, Remote, Roles};
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
    /// Streams at once, those on remote transcoders aside where [`Self::remote_sessions`] says so.
    pub max_sessions: u32,
    /// What remote transcoders can carry comes on top of [`Self::max_sessions`]: with `auto`, where that is 0, and when
    /// this machine transcodes as well.
    pub remote_sessions: bool,
    /// What transcodes.
    pub devices: Devices,
    /// Try devices and optional codecs at the start.
    pub test_devices: bool,
    /// Forces the HEVC decode capability; `None` leaves it to the start-up test.
    pub hevc_decoding: Option<bool>,
    /// The CPU encoder.
    pub x264: X264,
}

pub(super) fn read(reader: &mut Reader<'_>, roles: &Roles, remote: &Remote) -> Video {
    if !reader.text("nvidia").is_empty() && !reader.text("netint").is_empty() {
        reader.wrong(
            "netint",
            "cannot be used together with -nvidia; give one of them",
        );
    }
    let max_sessions = max_sessions(reader, roles);
    let beside = roles.orchestrator && roles.transcoder && remote.secret.is_some();
    Video {
        max_sessions: max_sessions.unwrap_or(0),
        remote_sessions: max_sessions.is_none() || beside,
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

/// `None` for `auto`.
fn max_sessions(reader: &mut Reader<'_>, roles: &Roles) -> Option<u32> {
    let auto = reader.text("maxSessions") == "auto";
    if auto && roles.transcoder {
        reader.wrong(
            "maxSessions",
            "is for an orchestrator without -transcoder; give a number",
        );
    }
    (!auto).then(|| reader.text("maxSessions").parse().unwrap_or_default())
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
