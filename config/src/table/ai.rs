//! Options about AI workers, models and live runners.

use super::{OptionSpec, Role};
use crate::kind::Kind;

const O: &[Role] = &[Role::Orchestrator];
const W: &[Role] = &[Role::AiWorker];
const BOTH: &[Role] = &[Role::Orchestrator, Role::AiWorker];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "aiModels",
        Kind::PathOrValue,
        "",
        "Models to serve: a JSON file, or a comma list of pipeline:model_id:warm",
    )
    .roles(BOTH)
    // A model entry may carry the token of an external container.
    .live()
    .secret(),
    OptionSpec::new(
        "aiModelsDir",
        Kind::Path,
        "",
        "Directory of model weights, mounted into the containers",
    )
    .default_note("`<dataDir>/models`")
    .roles(W),
    OptionSpec::new(
        "aiThreads",
        Kind::int(0, 1024),
        "0",
        "Threads that each native AI model computes with; 0 is one per two cores",
    )
    .roles(W)
    .ours(),
    OptionSpec::new(
        "aiMemory",
        Kind::Bytes { min: 0 },
        "0",
        "Memory that native AI models may use together; 0 is three quarters of the machine's",
    )
    .roles(W)
    .ours(),
    OptionSpec::new(
        "videoCpuShare",
        Kind::int(1, 99),
        "75",
        "Per cent of the processors that belong to video where AI models run beside it; the others belong to AI",
    )
    .roles(W)
    .ours(),
    OptionSpec::new(
        "videoMemoryShare",
        Kind::int(1, 99),
        "25",
        "Per cent of the memory that belongs to video where AI models run beside it; the other belongs to AI",
    )
    .roles(W)
    .ours(),
    OptionSpec::bool(
        "aiServiceRegistry",
        false,
        "Look up the service address in the AI registry contract",
    )
    .roles(O)
    .needs("payments"),
    OptionSpec::new(
        "aiRunnerImage",
        Kind::Text,
        "livepeer/ai-runner:latest",
        "Image of the AI containers; -aiRunnerImageOverrides is the newer way",
    )
    .roles(W),
    OptionSpec::new(
        "aiRunnerImageOverrides",
        Kind::Text,
        "",
        "Images by pipeline and model, as JSON with default, batch and live",
    )
    .roles(W),
    OptionSpec::new(
        "aiRunnerContainersPerGPU",
        Kind::int(1, 1024),
        "1",
        "AI containers that share one GPU",
    )
    .roles(W),
    OptionSpec::new(
        "aiMinRunnerVersion",
        Kind::Text,
        "[]",
        "Least container version by pipeline and model, as JSON",
    )
    .roles(BOTH)
    .needs("AI"),
    OptionSpec::bool("aiVerboseLogs", false, "Detailed logs of the AI containers").roles(W),
    OptionSpec::bool(
        "aiServerless",
        false,
        "Serve exactly one model through a serverless back end",
    )
    .roles(W)
    .needs("AI"),
    OptionSpec::new(
        "aiProcessingRetryTimeout",
        Kind::Duration,
        "2s",
        "Time for retries when an AI request cannot be started",
    )
    .gateway(),
    OptionSpec::new(
        "liveAITrickleHostForRunner",
        Kind::Text,
        "",
        "Address at which AI containers reach the node's channels",
    )
    .roles(O)
    .needs("AI"),
    OptionSpec::new(
        "livePaymentInterval",
        Kind::Duration,
        "5s",
        "Interval of payment accounting for live AI",
    )
    .roles(O)
    .needs("AI"),
    OptionSpec::new(
        "liveOutSegmentTimeout",
        Kind::Duration,
        "0s",
        "End a live AI job that gives no output for this long",
    )
    .gateway(),
    OptionSpec::new(
        "liveAICapReportInterval",
        Kind::Duration,
        "25m",
        "Interval of the live AI capacity report",
    )
    .roles(O)
    .needs("AI"),
    OptionSpec::new(
        "liveAICapRefreshModels",
        Kind::Text,
        "",
        "No effect; -liveAICapReportInterval took its place",
    )
    .roles(O)
    .obsolete(),
    OptionSpec::new(
        "liveAISaveNSegments",
        Kind::int(0, 1_000_000),
        "10",
        "Live AI segments kept on disk for debugging",
    )
    .roles(O)
    .needs("AI"),
    OptionSpec::bool(
        "useLiveRunners",
        false,
        "Serve pipelines through registered live runners",
    )
    .roles(O)
    .needs("AI"),
    OptionSpec::new(
        "liveRunnerConfig",
        Kind::Path,
        "",
        "JSON file of fixed live runners",
    )
    .roles(O)
    .needs("AI"),
    OptionSpec::new(
        "liveRunnerAddr",
        Kind::Url(&["http", "https"]),
        "",
        "URL at which live runners reach this node",
    )
    .roles(O)
    .credentials()
    .needs("AI"),
    OptionSpec::new(
        "liveRunnerProxyUrl",
        Kind::ProxyPattern,
        "",
        "Public URL pattern of the live-runner proxy, with one {proxy}",
    )
    .roles(O)
    .needs("AI"),
];
