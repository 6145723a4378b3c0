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
    OptionSpec::bool("aiWorker", false, "Run AI containers on this machine")
        .roles(&[Role::AiWorker])
        .needs("AI"),
    OptionSpec::bool(
        "redeemer",
        false,
        "Redeem winning tickets for one or more orchestrators",
    )
    .roles(&[Role::Redeemer])
    .needs("payments"),
    OptionSpec::bool(
        "reward",
        false,
        "Call reward each round; when absent, done if the own address is a registered orchestrator",
    )
    .roles(&[Role::Orchestrator])
    .default_note("unset")
    .needs("payments"),
    OptionSpec::bool(
        "initializeRound",
        false,
        "Start a new round on chain when one is due",
    )
    .roles(&[Role::Orchestrator])
    .needs("payments"),
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
