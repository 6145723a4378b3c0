//! What the node does: orchestrator and transcoder in one or each by itself, a redeemer, or a node that only calls reward or starts
//! rounds.

use super::Reader;
use serde::Serialize;

/// The roles of the node. At least one is set, or [`Self::reward`] is `Some(true)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Roles {
    /// Takes jobs from gateways.
    pub orchestrator: bool,
    /// Transcodes on this machine.
    pub transcoder: bool,
    /// Serves AI models on this machine.
    pub ai_worker: bool,
    /// Redeems tickets for other nodes. Never together with `orchestrator`.
    pub redeemer: bool,
    /// Calls reward each round; `None` leaves it to whether the account may. Always `Some(false)` off-chain.
    pub reward: Option<bool>,
    /// Starts rounds that are due.
    pub initialize_round: bool,
}

const COMBINED: &str = "-orchestrator -transcoder";

pub(super) fn read(reader: &mut Reader<'_>) -> Roles {
    let on_chain = !reader.values.off_chain();
    let mut roles = Roles {
        orchestrator: reader.bool("orchestrator"),
        transcoder: reader.bool("transcoder"),
        ai_worker: reader.bool("aiWorker"),
        redeemer: on_chain && reader.bool("redeemer"),
        reward: if on_chain {
            reader.bool_if_given("reward")
        } else {
            Some(false)
        },
        initialize_round: on_chain && reader.bool("initializeRound"),
    };
    match (roles.orchestrator, roles.transcoder) {
        (true, true) if roles.redeemer => reader.wrong(
            "redeemer",
            "is a node of its own: leave it out, since an orchestrator redeems its tickets itself, or leave out -orchestrator -transcoder",
        ),
        // What a split node needs besides is read with its secret.
        (true, _) | (_, true) => {}
        (false, false) if roles.ai_worker => {}
        (false, false) => {
            let chain_only =
                roles.redeemer || roles.reward == Some(true) || roles.initialize_round;
            if !chain_only {
                without_role(reader, on_chain);
                roles.orchestrator = !on_chain;
                roles.transcoder = !on_chain;
            }
        }
    }
    roles
}

/// Nothing was asked for that this node can be.
fn without_role(reader: &mut Reader<'_>, on_chain: bool) {
    let mut refused = false;
    let mut refuse = |reader: &mut Reader<'_>, name: &str, remedy: &str| {
        if reader.bool(name) {
            reader.wrong(name, remedy);
            refused = true;
        }
    };
    for name in ["redeemer", "reward", "initializeRound"] {
        let remedy = "needs a chain; name it with -network, as arbitrum-one-mainnet";
        refuse(reader, name, remedy);
    }
    for name in ["gateway", "remoteSigner"] {
        let remedy = format!(
            "this program is no gateway and no signing service; run the reference for that, or add {COMBINED}"
        );
        refuse(reader, name, &remedy);
    }
    if refused {
        return;
    }
    let said = ["orchestrator", "transcoder"]
        .into_iter()
        .find(|name| reader.origin(name).is_some());
    match said {
        Some(name) => reader.wrong(
            name,
            &format!("leaves the node without a role; give {COMBINED}, or neither"),
        ),
        None if on_chain => reader.wrong(
            "network",
            &format!("needs a role on a chain: {COMBINED}, -redeemer, -reward or -initializeRound"),
        ),
        None => reader
            .report
            .info(format!("no role given: running as {COMBINED}")),
    }
}
