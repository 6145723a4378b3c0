//! The chain: end points, contracts, this node's key, transactions.

use super::chain_networks::{KNOWN, KnownNetwork, LAYER_1_REDEEM_GAS};
use super::{Reader, seconds};
use crate::kind::list_items;
use crate::money::{Account, Wei};
use crate::path_or_value;
use crate::report::Origin;
use crate::secret::{Secret, SecretUrl};
use serde::Serialize;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the chain is read and written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndPoints {
    /// JSON-RPC URLs (http, https), the preferred one first; never empty.
    pub urls: Vec<SecretUrl>,
    /// Most calls per second to all of them together; `None` is no limit.
    pub calls_per_second: Option<NonZeroU32>,
    /// Time for which the newest block of one may stand still while another's moves on.
    #[serde(serialize_with = "seconds")]
    pub stale_after: Duration,
    /// Time between two looks for new blocks.
    #[serde(serialize_with = "seconds")]
    pub polling_interval: Duration,
}

/// Where the encrypted keys lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStore {
    /// A directory of key files, which may be missing.
    Directory(PathBuf),
    /// One key file.
    File(PathBuf),
}

/// How the passphrase was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PasswordSource {
    /// As the value of the option.
    Value,
    /// As the content of a file.
    File,
}

/// The passphrase of the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Password {
    /// Itself, trimmed where it comes from a file.
    pub secret: Secret,
    /// How it was given, which is what the message about a wrong one has to say.
    pub source: PasswordSource,
}

/// How transactions are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transactions {
    /// Gas limit of each; `None` asks the chain.
    pub gas_limit: Option<u64>,
    /// Least gas price, in wei, that counts for ticket prices.
    pub min_gas_price: Wei,
    /// Highest fee per gas, in wei; `None` is no limit.
    pub max_gas_price: Option<Wei>,
    /// The same for reward near the end of a round.
    pub reward_max_gas_price: Option<Wei>,
    /// Time until a pending one is replaced.
    #[serde(serialize_with = "seconds")]
    pub timeout: Duration,
    /// How often a pending one is replaced.
    pub replacements: u32,
    /// Blocks that must hold a receipt, the first included; at least 1.
    pub confirmations: u32,
}

/// Everything about the chain and this node's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// What every end point must answer; `None` on a private network, where the first answer counts.
    pub chain_id: Option<u64>,
    /// The contract that names all others.
    pub controller: Account,
    /// Where the chain is read and written.
    pub end_points: EndPoints,
    /// The account to use; `None` is the first of the key store.
    pub account: Option<Account>,
    /// The orchestrator for which this node works; `None` is its own account.
    pub orchestrator: Option<Account>,
    /// Where the keys lie.
    pub key_store: KeyStore,
    /// The passphrase; `None` asks on the terminal.
    pub password: Option<Password>,
    /// How transactions are sent.
    pub transactions: Transactions,
    /// Gas assumed for redeeming a ticket until own receipts tell better.
    pub redeem_gas: u64,
    /// Longest random wait before a round is started.
    #[serde(serialize_with = "seconds")]
    pub initialize_round_max_delay: Duration,
}

/// `None` off-chain.
pub(super) fn read(reader: &mut Reader<'_>, data_dir: &Path) -> Option<Chain> {
    if reader.values.off_chain() {
        return None;
    }
    let known = known_network(reader);
    Some(Chain {
        chain_id: known.map(|network| network.chain_id),
        controller: controller(reader, known),
        end_points: end_points(reader),
        account: reader.account("ethAcctAddr"),
        orchestrator: reader.account("ethOrchAddr"),
        key_store: key_store(reader, data_dir),
        password: password(reader),
        transactions: transactions(reader, known),
        redeem_gas: reader
            .number("redeemGas")
            .or(known.map(|network| network.redeem_gas))
            .unwrap_or(LAYER_1_REDEEM_GAS),
        initialize_round_max_delay: reader.duration("initializeRoundMaxDelay"),
    })
}

fn known_network(reader: &mut Reader<'_>) -> Option<&'static KnownNetwork> {
    let name = reader.text("network").to_owned();
    let known = KnownNetwork::find(&name);
    let names = || {
        let names: Vec<_> = KNOWN.iter().map(|network| network.name).collect();
        names.join(", ")
    };
    if known.is_some_and(|network| !network.alive) {
        reader.report.warn(format!(
            "-network {name:?}: no gateway works on this network any more"
        ));
    } else if known.is_none() && reader.account("ethController").is_none() {
        reader.wrong(
            "network",
            &format!(
                "is not one of offchain, {}; a private network needs -ethController as well",
                names()
            ),
        );
    } else if name.contains(['/', '\\']) || name.starts_with('.') {
        // The name becomes that of a directory.
        reader.wrong("network", "must not hold slashes or begin with a dot");
    }
    known
}

fn controller(reader: &mut Reader<'_>, known: Option<&KnownNetwork>) -> Account {
    let given = reader.account("ethController");
    match (given, known) {
        (Some(given), Some(network)) if given != network.controller() => {
            reader.report.warn(format!(
                "-ethController {given} takes the place of the one known for {}, {}",
                network.name,
                network.controller()
            ));
            given
        }
        (Some(given), _) => given,
        (None, Some(network)) => network.controller(),
        // Said to be missing already.
        (None, None) => Account::from_bytes([0; 20]),
    }
}

fn end_points(reader: &mut Reader<'_>) -> EndPoints {
    let mut urls: Vec<SecretUrl> = Vec::new();
    for item in list_items(reader.text("ethUrl")) {
        let url = SecretUrl::new(item);
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    match urls.len() {
        0 if reader.values.given("ethUrl").is_none_or(|given| given.value.is_empty()) => reader.wrong(
            "ethUrl",
            "must be given on-chain: the JSON-RPC URL of a node of this network, or several parted by commas",
        ),
        1 => reader.report.info("only one -ethUrl: while it fails, nothing can be redeemed; give several, parted by commas"),
        _ => {}
    }
    let stale_after = reader.duration("ethStaleAfter");
    let polling_interval = Duration::from_secs(reader.number("blockPollingInterval").unwrap_or(5));
    if stale_after <= polling_interval {
        reader.wrong(
            "ethStaleAfter",
            &format!(
                "must be longer than -blockPollingInterval, {} s, or every end point is stale between two looks",
                polling_interval.as_secs()
            ),
        );
    }
    EndPoints {
        urls,
        calls_per_second: reader.number("ethCallsPerSecond").and_then(NonZeroU32::new),
        stale_after,
        polling_interval,
    }
}

fn key_store(reader: &mut Reader<'_>, data_dir: &Path) -> KeyStore {
    match reader.path("ethKeystorePath") {
        None => KeyStore::Directory(data_dir.join("keystore")),
        Some(path) if path.is_dir() => KeyStore::Directory(path),
        Some(path) => {
            if !path.is_file() {
                reader.wrong(
                    "ethKeystorePath",
                    "is neither a directory nor a file; give the directory of the key files, or one of them",
                );
            }
            KeyStore::File(path)
        }
    }
}

fn password(reader: &mut Reader<'_>) -> Option<Password> {
    let text = reader.text("ethPassword").to_owned();
    if text.is_empty() {
        return None;
    }
    Some(match path_or_value::content(reader.directory, &text) {
        Some(content) => Password {
            secret: Secret::new(content),
            source: PasswordSource::File,
        },
        None => {
            if reader.origin("ethPassword") == Some(&Origin::CommandLine) {
                reader.report.warn("-ethPassword (command line): others on this machine can read it in the list of processes; give the path of a file holding it");
            }
            Password {
                secret: Secret::new(text),
                source: PasswordSource::Value,
            }
        }
    })
}

fn transactions(reader: &mut Reader<'_>, known: Option<&KnownNetwork>) -> Transactions {
    let given = reader.given("minGasPrice").is_some();
    let min_gas_price = match known {
        Some(network) if !given => Wei(network.min_gas_price.into()),
        _ => reader.wei("minGasPrice"),
    };
    let max_gas_price = reader.wei_limit("maxGasPrice");
    let reward_max_gas_price = reader.wei_limit("rewardMaxGasPrice").or(max_gas_price);
    if max_gas_price.is_some_and(|most| most < min_gas_price) {
        reader.wrong(
            "maxGasPrice",
            &format!("is below the least gas price, {min_gas_price} wei, so no transaction would ever be sent"),
        );
    }
    if reward_max_gas_price
        .zip(max_gas_price)
        .is_some_and(|(reward, most)| reward < most)
    {
        reader.wrong(
            "rewardMaxGasPrice",
            "must not be below -maxGasPrice; it is there to spend more when reward would be lost",
        );
    }
    let gas_limit = reader.number("gasLimit").filter(|limit| *limit > 0);
    if gas_limit.is_some() {
        reader.report.warn("-gasLimit holds for every transaction: one that needs more fails and is paid for; 0 asks the chain");
    }
    let timeout = reader.duration("transactionTimeout");
    if timeout.is_zero() {
        reader.wrong(
            "transactionTimeout",
            "must be above 0, or a transaction is replaced as soon as it is sent",
        );
    }
    Transactions {
        gas_limit,
        min_gas_price,
        max_gas_price,
        reward_max_gas_price,
        timeout,
        replacements: reader.number("maxTransactionReplacements").unwrap_or(1),
        confirmations: reader.number("ethConfirmations").unwrap_or(1),
    }
}
