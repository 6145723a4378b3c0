//! Options about the chain, keys, tickets and prices.

use super::{OptionSpec, Role};
use crate::kind::Kind;

const O: &[Role] = &[Role::Orchestrator];
const PAY: &str = "payments";

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "ethUrl",
        Kind::Text,
        "",
        "JSON-RPC URL of an Ethereum or Arbitrum node",
    )
    .credentials()
    .needs(PAY),
    OptionSpec::new(
        "ethAcctAddr",
        Kind::Address,
        "",
        "Account to use; the first key found when empty",
    )
    .needs(PAY),
    OptionSpec::new(
        "ethPassword",
        Kind::PathOrValue,
        "",
        "Passphrase of the account's key, or the path of a file holding it",
    )
    .secret()
    .needs(PAY),
    OptionSpec::new(
        "ethKeystorePath",
        Kind::Path,
        "",
        "Directory of key files, or one key file",
    )
    .default_note("`<dataDir>/keystore`")
    .needs(PAY),
    OptionSpec::new(
        "ethOrchAddr",
        Kind::Address,
        "",
        "Registered orchestrator that receives the tickets",
    )
    .default_note("the own account")
    .roles(O)
    .needs(PAY),
    OptionSpec::new(
        "ethController",
        Kind::Address,
        "",
        "Controller contract, for private networks",
    )
    .needs(PAY),
    OptionSpec::new(
        "transactionTimeout",
        Kind::Duration,
        "5m",
        "Time to wait before a pending transaction is replaced",
    )
    .needs(PAY),
    OptionSpec::new(
        "maxTransactionReplacements",
        Kind::int(0, 1000),
        "1",
        "How often a pending transaction is replaced",
    )
    .needs(PAY),
    OptionSpec::new(
        "gasLimit",
        Kind::int(0, i64::MAX as i128),
        "0",
        "Gas limit of transactions; 0 asks the chain",
    )
    .needs(PAY),
    OptionSpec::new(
        "minGasPrice",
        Kind::int(0, i64::MAX as i128),
        "0",
        "Least gas price, in wei",
    )
    .default_note("unset")
    .needs(PAY),
    OptionSpec::new(
        "maxGasPrice",
        Kind::int(0, i64::MAX as i128),
        "0",
        "Highest gas price at which a transaction is sent, in wei; 0 is no limit",
    )
    .needs(PAY),
    OptionSpec::new(
        "initializeRoundMaxDelay",
        Kind::Duration,
        "30s",
        "Longest random wait before a round is started",
    )
    .roles(O)
    .needs(PAY),
    OptionSpec::new(
        "ticketEV",
        Kind::wei(),
        "8000000000",
        "Expected value of one ticket, in wei",
    )
    .roles(O)
    .needs(PAY),
    OptionSpec::new(
        "maxFaceValue",
        Kind::wei(),
        "0",
        "Highest face value of a ticket, in wei; 0 is no limit",
    )
    .roles(O)
    .needs(PAY),
    OptionSpec::new(
        "pricePerUnit",
        Kind::Price,
        "0",
        "Price of -pixelsPerUnit pixels, in wei or with a currency, as 0.02USD",
    )
    .default_note("unset")
    .roles(O)
    .needs(PAY),
    OptionSpec::new(
        "pixelsPerUnit",
        Kind::Pixels,
        "1",
        "Pixels that -pricePerUnit pays for; an exponent is allowed, as 1e12",
    )
    .needs(PAY),
    OptionSpec::new(
        "priceFeedAddr",
        Kind::Address,
        "0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612",
        "Price feed contract for currencies",
    )
    .needs(PAY),
    OptionSpec::bool(
        "autoAdjustPrice",
        true,
        "Raise the price by what redeeming a ticket costs",
    )
    .roles(O)
    .needs(PAY),
    OptionSpec::new(
        "pricePerGateway",
        Kind::PathOrValue,
        "",
        "Prices by gateway address, as JSON or the path of a JSON file",
    )
    .aliases(&["pricePerBroadcaster"])
    .roles(O)
    .needs(PAY),
    OptionSpec::new(
        "blockPollingInterval",
        Kind::int(1, 86_400),
        "5",
        "Seconds between looks at the chain",
    )
    .needs(PAY),
    OptionSpec::new(
        "redeemerAddr",
        Kind::Text,
        "",
        "Address of the ticket redemption service",
    )
    .roles(O)
    .needs(PAY),
];
