//! Options about metrics and events.

use super::OptionSpec;
use crate::kind::Kind;

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::bool(
        "monitor",
        false,
        "Collect metrics and serve /metrics on the operator port",
    ),
    OptionSpec::bool(
        "metricsPerStream",
        false,
        "Add the stream to the labels of metrics; their number then has no bound",
    ),
    OptionSpec::bool(
        "metricsClientIP",
        false,
        "Add the caller's address to the labels of metrics; turns on -metricsPerStream",
    ),
    OptionSpec::bool(
        "enableCliTxRoutes",
        false,
        "Serve the routes of the operator port that sign or spend",
    )
    .needs("the routes of livepeer_cli that spend"),
    OptionSpec::new(
        "metadataQueueUri",
        Kind::Text,
        "",
        "Message broker (amqp) for segment metadata",
    )
    .credentials()
    .gateway(),
    OptionSpec::new(
        "metadataAmqpExchange",
        Kind::Text,
        "lp_golivepeer_metadata",
        "Exchange of -metadataQueueUri",
    )
    .gateway(),
    OptionSpec::new(
        "metadataPublishTimeout",
        Kind::Duration,
        "1s",
        "Longest time to publish one message",
    )
    .gateway(),
];
