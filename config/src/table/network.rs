//! Options about addresses, certificates and who may connect.

use super::{OptionSpec, Role};
use crate::kind::Kind;

const O: &[Role] = &[Role::Orchestrator];
const WORKERS: &[Role] = &[Role::Transcoder, Role::AiWorker];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("network", Kind::Text, "offchain", "Network to join: offchain, arbitrum-one-mainnet, or the name of a private network, which needs -ethController"),
    OptionSpec::new("serviceAddr", Kind::Text, "", "Address told to gateways: host:port, https by default; 'none' tells none and takes no jobs")
        .default_note("`127.0.0.1:8935`, and the public port then listens on this machine only")
        .roles(O),
    OptionSpec::new("httpAddr", Kind::Text, "", "Listen address of the public port; http:// in front means plain text, for a proxy that ends TLS")
        .default_note("all interfaces, port of `-serviceAddr`")
        .roles(&[Role::Orchestrator, Role::Redeemer]),
    OptionSpec::new("cliAddr", Kind::Text, "", "Listen address of the operator and metrics port; beyond loopback it wants -cliToken")
        .default_note("`127.0.0.1:7935`"),
    OptionSpec::new("cliSocket", Kind::Path, "", "Unix socket on which the operator port listens as well").ours(),
    OptionSpec::new("cliToken", Kind::PathOrValue, "", "Token that callers of the operator port must present, or the path of a file holding it")
        .secret()
        .ours(),
    OptionSpec::new("tlsCert", Kind::Path, "", "Own certificate chain (PEM) for the public port; wants -tlsKey")
        .default_note("self-signed, kept in the data directory")
        .roles(O)
        .ours(),
    OptionSpec::new("tlsKey", Kind::Path, "", "Private key (PEM) of -tlsCert").roles(O).ours(),
    OptionSpec::new("trustedProxies", Kind::Cidrs, "", "Addresses or networks whose X-Forwarded-For is believed").roles(O).ours(),
    OptionSpec::new("segmentUrlAllow", Kind::List, "", "Hosts or networks that segment URLs may name although they are not public")
        .roles(O)
        .live()
        .ours(),
    OptionSpec::new("nodes", Kind::List, "", "Further instances (https URLs) told to gateways next to this one").roles(O),
    OptionSpec::new("orchAddr", Kind::List, "", "Orchestrator (host:port) to which a standalone transcoder or AI worker connects")
        .roles(WORKERS),
    OptionSpec::new("orchSecret", Kind::PathOrValue, "", "Secret shared with remote transcoders and workers, or the path of a file holding it; lets them in")
        .roles(&[Role::Orchestrator, Role::Transcoder, Role::AiWorker])
        .secret(),
    OptionSpec::bool("startupAvailabilityCheck", true, "Call the node through its own service address after the start and end if that fails")
        .roles(O)
        .needs("the start-up self-check"),
    OptionSpec::new("authWebhookUrl", Kind::Url(&["http", "https"]), "", "Asked for each gateway whether it is admitted and at which price")
        .roles(O)
        .credentials(),
];
