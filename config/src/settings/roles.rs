//! What the node does. This build is a combined node: orchestrator and transcoder in one, off-chain.

use super::Reader;
use serde::Serialize;

/// The roles of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Roles {
    /// Takes jobs from gateways.
    pub orchestrator: bool,
    /// Transcodes on this machine.
    pub transcoder: bool,
}

/// Roles that cannot stand alone in this build, with what they need.
const UNBUILT: &[(&str, &str)] = &[
    ("aiWorker", "AI"),
    ("redeemer", "payments"),
    ("reward", "payments"),
    ("initializeRound", "payments"),
];

pub(super) fn read(reader: &mut Reader<'_>) -> Roles {
    let orchestrator = reader.bool("orchestrator");
    let transcoder = reader.bool("transcoder");
    match (orchestrator, transcoder) {
        (true, true) => {}
        (true, false) => reader.wrong(
            "orchestrator",
            "without -transcoder needs remote transcoders, not in this build; add -transcoder",
        ),
        (false, true) => reader.wrong(
            "transcoder",
            "without -orchestrator needs remote transcoders, not in this build; add -orchestrator",
        ),
        (false, false) => return without_role(reader),
    }
    Roles {
        orchestrator,
        transcoder,
    }
}

fn without_role(reader: &mut Reader<'_>) -> Roles {
    let mut refused = false;
    for (name, needs) in UNBUILT {
        if reader.bool(name) {
            reader.wrong(
                name,
                &format!("needs {needs}, not in this build; add -orchestrator -transcoder"),
            );
            refused = true;
        }
    }
    for name in ["gateway", "remoteSigner"] {
        if reader.bool(name) {
            reader.wrong(name, "this program is no gateway and no signing service; run the reference for that, or add -orchestrator -transcoder");
            refused = true;
        }
    }
    if !refused
        && (reader.origin("orchestrator").is_some() || reader.origin("transcoder").is_some())
    {
        let name = if reader.origin("orchestrator").is_some() {
            "orchestrator"
        } else {
            "transcoder"
        };
        reader.wrong(
            name,
            "leaves the node without a role; give -orchestrator -transcoder, or neither",
        );
    } else if !refused {
        reader
            .report
            .info("no role given: running as -orchestrator -transcoder");
    }
    Roles {
        orchestrator: true,
        transcoder: true,
    }
}
