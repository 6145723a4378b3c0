//! Options that choose what the node does.

use super::{OptionSpec, Role};

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::bool(
        "orchestrator",
        false,
        "Take jobs from gateways; with no role given, -orchestrator and -transcoder are assumed",
    )
    .roles(&[Role::Orchestrator]),
    OptionSpec::bool(
        "transcoder",
        false,
        "Transcode on this machine; together with -orchestrator a combined node",
    )
    .roles(&[Role::Transcoder]),
    OptionSpec::bool("aiWorker", false, "Serve AI models on this machine")
        .roles(&[Role::AiWorker]),
    OptionSpec::bool(
        "redeemer",
        false,
        "Redeem winning tickets of one orchestrator account for the nodes that work for it",
    )
    .roles(&[Role::Redeemer])
    .on_chain(),
    OptionSpec::bool(
        "reward",
        false,
        "Call reward each round, also as the only role; when absent, done if the own account is a registered orchestrator or its reward caller",
    )
    .roles(&[Role::Orchestrator])
    .default_note("unset")
    .on_chain(),
    OptionSpec::bool(
        "initializeRound",
        false,
        "Start a new round on chain when one is due, also as the only role",
    )
    .roles(&[Role::Orchestrator])
    .on_chain(),
    OptionSpec::bool("gateway", false, "Be a gateway, which this program is not")
        .aliases(&["broadcaster"])
        .gateway(),
    OptionSpec::bool(
        "remoteSigner",
        false,
        "Be a gateway's signing service, which this program is not",
    )
    .gateway(),
];
