//! Options about the chain, its end points, keys and transactions.

use super::{OptionSpec, Role};
use crate::kind::Kind;

const O: &[Role] = &[Role::Orchestrator];
const RPC: &[&str] = &["https", "http"];
/// Gas prices that the reference reads into a signed 64-bit number, in wei.
const GAS_PRICE: Kind = Kind::int(0, i64::MAX as i128);

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("ethUrl", Kind::UrlList(RPC), "", "JSON-RPC URL of an Arbitrum or Ethereum node; several, parted by commas, are used in this order as long as they are healthy")
        .credentials()
        .on_chain(),
    OptionSpec::new("ethCallsPerSecond", Kind::int(0, 1_000_000), "0", "Most calls per second to all -ethUrl together, each one of a batch counting; 0 is no limit")
        .on_chain()
        .ours(),
    OptionSpec::new("ethStaleAfter", Kind::Duration, "60s", "Time for which the newest block of an -ethUrl may stand still while another's moves on")
        .on_chain()
        .ours(),
    OptionSpec::new("ethConfirmations", Kind::int(1, 1000), "1", "Blocks that must hold a receipt before it counts, the first included")
        .on_chain()
        .ours(),
    OptionSpec::new("blockPollingInterval", Kind::int(1, 86_400), "5", "Seconds between looks at the chain").on_chain(),
    OptionSpec::new("ethController", Kind::Address, "", "Controller contract")
        .default_note("the known network's")
        .on_chain(),
    OptionSpec::new("ethAcctAddr", Kind::Address, "", "Account to use")
        .default_note("the first key of the key store")
        .on_chain(),
    OptionSpec::new("ethPassword", Kind::PathOrValue, "", "Passphrase of the account's key, or the path of a file holding it; asked for on the terminal when empty")
        .secret()
        .on_chain(),
    OptionSpec::new("ethKeystorePath", Kind::Path, "", "Directory of key files, or one key file")
        .default_note("`<dataDir>/keystore`")
        .on_chain(),
    OptionSpec::new("ethOrchAddr", Kind::Address, "", "Registered orchestrator that receives the tickets and for which reward is called")
        .default_note("the own account")
        .roles(&[Role::Orchestrator, Role::Redeemer])
        .on_chain(),
    OptionSpec::new("transactionTimeout", Kind::Duration, "5m", "Time to wait before a pending transaction is replaced").on_chain(),
    OptionSpec::new("maxTransactionReplacements", Kind::int(0, 1000), "1", "How often a pending transaction is replaced at a price 11 % higher").on_chain(),
    OptionSpec::new("gasLimit", Kind::int(0, i64::MAX as i128), "0", "Gas limit of every transaction; 0 asks the chain, with a margin").on_chain(),
    OptionSpec::new("minGasPrice", GAS_PRICE, "0", "Least gas price assumed for ticket prices, in wei")
        .default_note("unset")
        .on_chain()
        .live(),
    OptionSpec::new("maxGasPrice", GAS_PRICE, "0", "Highest fee per gas ever paid, in wei; 0 is no limit").on_chain().live(),
    OptionSpec::new("rewardMaxGasPrice", GAS_PRICE, "0", "The same for reward in the last fifth of a round, so that it is not lost; 0 is -maxGasPrice")
        .roles(O)
        .on_chain()
        .live()
        .ours(),
    OptionSpec::new("initializeRoundMaxDelay", Kind::Duration, "30s", "Longest random wait before a round is started")
        .roles(O)
        .on_chain(),
];
