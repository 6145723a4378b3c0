//! Options that only a gateway or its signing service reads. Operators share one file between roles, so they are accepted.

use super::OptionSpec;
use crate::kind::Kind;

const fn text(name: &'static str, default: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec::new(name, Kind::Text, default, help).gateway()
}

const fn flag(name: &'static str, default: bool, help: &'static str) -> OptionSpec {
    OptionSpec::bool(name, default, help).gateway()
}

pub(super) const OPTIONS: &[OptionSpec] = &[
    text("rtmpAddr", "", "Listen address for RTMP"),
    flag("httpIngest", true, "Take streams over HTTP").default_note("unset"),
    text("verifierUrl", "", "Verification service").credentials(),
    text(
        "verifierPath",
        "",
        "Directory shared with the verification service",
    ),
    flag(
        "localVerify",
        true,
        "Check pixels and signatures of renditions",
    )
    .default_note("unset"),
    text("orchWebhookUrl", "", "Service that lists orchestrators").credentials(),
    OptionSpec::new(
        "extraNodes",
        Kind::int(i64::MIN as i128, i64::MAX as i128),
        "0",
        "Further instances taken from one orchestrator",
    )
    .gateway(),
    text("orchBlocklist", "", "Orchestrators never used"),
    text(
        "orchMinLivepeerVersion",
        "",
        "Least version of an orchestrator",
    ),
    OptionSpec::new(
        "selectRandFreq",
        Kind::Float,
        "0.3",
        "Weight of chance in the selection",
    )
    .gateway(),
    OptionSpec::new(
        "selectStakeWeight",
        Kind::Float,
        "0.7",
        "Weight of stake in the selection",
    )
    .gateway(),
    OptionSpec::new(
        "selectPriceWeight",
        Kind::Float,
        "0",
        "Weight of the price in the selection",
    )
    .gateway(),
    OptionSpec::new(
        "selectPriceExpFactor",
        Kind::Float,
        "100",
        "How sharply the price counts in the selection",
    )
    .gateway(),
    text("orchPerfStatsUrl", "", "Service with performance scores").credentials(),
    text("region", "", "Region of the gateway"),
    text("maxPricePerUnit", "0", "Highest video price accepted"),
    OptionSpec::new(
        "maxPricePerCapability",
        Kind::PathOrValue,
        "",
        "Highest AI prices accepted, as JSON or a file",
    )
    .gateway(),
    flag(
        "ignoreMaxPriceIfNeeded",
        false,
        "Pay more when nobody is cheap enough",
    ),
    OptionSpec::new(
        "minPerfScore",
        Kind::Float,
        "0",
        "Least performance score accepted",
    )
    .gateway(),
    OptionSpec::new(
        "discoveryTimeout",
        Kind::Duration,
        "500ms",
        "Wait for answers of orchestrators",
    )
    .gateway(),
    text("gatewayHost", "", "Host name of the gateway"),
    OptionSpec::new(
        "transcodingOptions",
        Kind::PathOrValue,
        "P240p30fps16x9,P360p30fps16x9",
        "Renditions asked for by default",
    )
    .gateway(),
    OptionSpec::new(
        "maxAttempts",
        Kind::int(i64::MIN as i128, i64::MAX as i128),
        "3",
        "Tries per segment",
    )
    .gateway(),
    flag(
        "currentManifest",
        false,
        "Serve the newest stream under a fixed name",
    ),
    text("mediaMTXApiPassword", "", "Password of the media server").secret(),
    text("liveAIAuthApiKey", "", "Key for live AI admission").secret(),
    text(
        "liveAIAuthWebhookUrl",
        "",
        "Service that admits live AI streams",
    )
    .credentials(),
    text(
        "liveAIHeartbeatURL",
        "",
        "Service told that a live AI stream runs",
    )
    .credentials(),
    text(
        "liveAIHeartbeatHeaders",
        "",
        "Headers for -liveAIHeartbeatURL",
    )
    .secret(),
    OptionSpec::new(
        "liveAIHeartbeatInterval",
        Kind::Duration,
        "5s",
        "Interval of -liveAIHeartbeatURL",
    )
    .gateway(),
    text(
        "maxTicketEV",
        "3000000000000",
        "Highest expected value of a ticket, in wei",
    ),
    text(
        "maxTotalEV",
        "20000000000000",
        "Highest expected value of a payment, in wei",
    ),
    OptionSpec::new(
        "depositMultiplier",
        Kind::int(i64::MIN as i128, i64::MAX as i128),
        "1",
        "Bounds the face value by the deposit",
    )
    .gateway(),
    text(
        "FVfailGsbucket",
        "",
        "Bucket for segments that failed verification",
    ),
    text("FVfailGskey", "", "Key of -FVfailGsbucket").secret(),
    text("remoteSignerUrl", "", "Signing service").credentials(),
    text("remoteSignerHeaders", "", "Headers for the signing service").secret(),
    text(
        "remoteSignerWebhookUrl",
        "",
        "Service that admits callers of the signing service",
    )
    .credentials(),
    text(
        "remoteSignerWebhookHeaders",
        "",
        "Headers for -remoteSignerWebhookUrl",
    )
    .secret(),
    flag(
        "remoteSignerAllowNoAuth",
        false,
        "Sign for callers without admission",
    ),
    flag(
        "remoteDiscovery",
        false,
        "Find orchestrators through the signing service",
    ),
    text("kafkaBootstrapServers", "", "Kafka servers for events"),
    text("kafkaUser", "", "Kafka user"),
    text("kafkaPassword", "", "Kafka password").secret(),
    text("kafkaGatewayTopic", "", "Kafka topic"),
];
