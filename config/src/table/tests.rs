//! The table against the reference's names and against itself.

use super::*;
use std::collections::BTreeSet;

/// Every name that the reference's binary accepts, plus one that its next release adds.
const REFERENCE_NAMES: &str = "
    j version v config help h enableCliTxRoutes
    network rtmpAddr cliAddr httpAddr serviceAddr nodes verifierUrl verifierPath localVerify httpIngest
    orchAddr orchWebhookUrl extraNodes orchBlocklist orchMinLivepeerVersion selectRandFreq selectStakeWeight selectPriceWeight
    selectPriceExpFactor orchPerfStatsUrl region maxPricePerUnit maxPricePerCapability ignoreMaxPriceIfNeeded minPerfScore
    discoveryTimeout gatewayHost
    orchestrator transcoder gateway broadcaster orchSecret transcodingOptions maxAttempts maxSessions currentManifest nvidia netint
    testTranscoder hevcDecoding
    aiServiceRegistry aiWorker aiServerless useLiveRunners liveRunnerConfig liveRunnerProxyUrl aiModels aiModelsDir aiRunnerImage
    aiVerboseLogs aiRunnerImageOverrides aiProcessingRetryTimeout aiRunnerContainersPerGPU aiMinRunnerVersion
    mediaMTXApiPassword liveRunnerAddr liveAITrickleHostForRunner liveAIAuthApiKey liveAIHeartbeatURL liveAIHeartbeatHeaders
    liveAIHeartbeatInterval liveAIAuthWebhookUrl livePaymentInterval liveOutSegmentTimeout liveAISaveNSegments liveAICapRefreshModels
    liveAICapReportInterval
    ethAcctAddr ethPassword ethKeystorePath ethOrchAddr ethUrl transactionTimeout maxTransactionReplacements gasLimit minGasPrice
    maxGasPrice ethController initializeRound initializeRoundMaxDelay ticketEV maxFaceValue maxTicketEV maxTotalEV depositMultiplier
    pricePerUnit pixelsPerUnit priceFeedAddr autoAdjustPrice pricePerGateway pricePerBroadcaster blockPollingInterval redeemer
    redeemerAddr reward
    monitor metricsPerStream metricsClientIP metadataQueueUri metadataAmqpExchange metadataPublishTimeout
    datadir dataDir objectStore recordStore FVfailGsbucket FVfailGskey authWebhookUrl startupAvailabilityCheck
    remoteSigner remoteSignerUrl remoteSignerHeaders remoteSignerWebhookUrl remoteSignerWebhookHeaders remoteSignerAllowNoAuth
    remoteDiscovery kafkaBootstrapServers kafkaUser kafkaPassword kafkaGatewayTopic
";

#[test]
fn every_name_of_the_reference_is_accepted() {
    let missing: Vec<_> = REFERENCE_NAMES
        .split_whitespace()
        .filter(|name| find(name).is_none())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn names_beyond_the_reference_are_marked_as_ours() {
    let reference: BTreeSet<_> = REFERENCE_NAMES.split_whitespace().collect();
    for option in options() {
        assert_eq!(
            option.ours,
            !reference.contains(option.name),
            "{}",
            option.name
        );
    }
}

#[test]
fn no_name_stands_twice() {
    let mut seen = BTreeSet::new();
    for option in options() {
        for name in option.aliases.iter().chain([&option.name]) {
            assert!(seen.insert(*name), "{name}");
        }
    }
}

#[test]
fn every_default_has_the_form_of_its_kind() {
    for option in options().filter(|option| !option.default.is_empty()) {
        assert_eq!(option.kind.check(option.default), Ok(()), "{}", option.name);
    }
}

#[test]
fn what_the_reference_hides_is_secret() {
    for name in [
        "ethPassword",
        "orchSecret",
        "kafkaPassword",
        "mediaMTXApiPassword",
        "liveAIAuthApiKey",
        "FVfailGskey",
        "remoteSignerHeaders",
        "remoteSignerWebhookHeaders",
        "cliToken",
        "redeemerToken",
    ] {
        assert_eq!(find(name).unwrap().secrecy, Secrecy::Secret, "{name}");
    }
    for name in ["ethUrl", "metadataQueueUri", "objectStore", "recordStore"] {
        assert_eq!(
            find(name).unwrap().secrecy,
            Secrecy::UrlWithCredentials,
            "{name}"
        );
    }
}

#[test]
fn variables_are_capitals_without_split_words() {
    assert_eq!(find("ethUrl").unwrap().env_name(), "LP_ETHURL");
    assert_eq!(env_name("a-b.c/d"), "LP_A_B_C_D");
}

#[test]
fn help_lines_are_one_plain_line() {
    for option in options() {
        assert!(
            !option.help.is_empty() && !option.help.ends_with('.') && !option.help.contains('\n'),
            "{}",
            option.name
        );
    }
}
