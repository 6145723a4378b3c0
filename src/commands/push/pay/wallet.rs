//! The accounts that pay and what the chain says of them: unlocks keys, fills deposits, follows rounds and funds.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chain::endpoints::{EndpointOptions, Endpoints};
use chain::keystore::{self, KeystoreError};
use chain::rpc::{Deployment, RpcClient};
use chain::transactions::{
    self, MemoryJournal, Outcome, Purpose, Request, TransactionError, TransactionSender,
};
use chain::{ChainClient, Signer, calls};
use protocol::address::Address;
use protocol::money::{ExpirationParams, U256};
use telemetry::metrics::{Metrics, MetricsOptions, NodeType};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::options::PayOptions;
use super::quote::{Funds, Time};
use super::statement::Statement;
use super::{ChainState, Payer};

/// Time for a deposit to arrive.
const FUNDING: Duration = Duration::from_secs(300);

/// Time between two looks at a transaction, ms.
const LOOK_MS: u64 = 200;

/// Why nothing can be paid.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The chain does not answer, or is not what it should be.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeystoreError),
    /// A deposit could not be sent.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// Counters of the chain's end points cannot be made.
    #[error(transparent)]
    Metrics(#[from] telemetry::TelemetryError),
    /// Money that is worth something.
    #[error(
        "chain {0} is {1}, where ether is dear: -deposit and -reserve are for test chains; fund the account by other means"
    )]
    Live(u64, &'static str),
    /// Too little to fund with.
    #[error(
        "account {account} has {held} wei and needs more than {needed} for its deposit and reserve"
    )]
    Poor {
        /// Whose.
        account: Address,
        /// What it has, wei.
        held: U256,
        /// What it must have besides gas, wei.
        needed: U256,
    },
    /// The deposit was not mined.
    #[error("deposit of {account} failed: {outcome}")]
    Funding {
        /// Whose.
        account: Address,
        /// How it ended.
        outcome: String,
    },
}

/// Accounts that pay. Stops following the chain when dropped.
pub struct Wallet {
    client: Arc<RpcClient>,
    payers: Vec<Arc<Payer>>,
    begun: HashMap<Address, Funds>,
    follower: JoinHandle<()>,
}

impl Wallet {
    /// Connects, unlocks the keys, and fills deposits and reserves.
    pub async fn open(options: &PayOptions) -> Result<Self, WalletError> {
        let endpoints = Endpoints::new(EndpointOptions::new(options.urls.clone()), metrics()?)?;
        let deployment = Deployment {
            controller: options.controller,
            own_registry: None,
        };
        let client = RpcClient::connect(endpoints, deployment).await?;
        let signers = unlock(options).await?;
        for signer in &signers {
            fill(&client, signer, options.deposit, options.reserve).await?;
        }
        let accounts: Vec<Address> = signers.iter().map(Signer::address).collect();
        let state = read(&client, &accounts).await?;
        let begun = state.funds.clone();
        let (publish, state) = watch::channel(Arc::new(state));
        let payer = |signer: &Signer| {
            let limits = options.limits.clone();
            Arc::new(Payer::new(signer.key().clone(), limits, state.clone()))
        };
        Ok(Self {
            payers: signers.iter().map(payer).collect(),
            follower: tokio::spawn(follow(Arc::clone(&client), accounts, options.poll, publish)),
            client,
            begun,
        })
    }

    /// Who pays for a stream: the accounts in turn.
    pub fn payer(&self, stream: usize) -> Option<Arc<Payer>> {
        let index = stream.checked_rem(self.payers.len())?;
        self.payers.get(index).cloned()
    }

    /// What each account paid, with its funds as the chain has them now.
    pub async fn statements(&self) -> Result<Vec<Statement>, WalletError> {
        let accounts: Vec<Address> = self.payers.iter().map(|payer| payer.address()).collect();
        let now = read(&self.client, &accounts).await?.funds;
        let funds = |of: &HashMap<Address, Funds>, account| of.get(&account).copied();
        let statements = self.payers.iter().map(|payer| {
            let account = payer.address();
            payer.statement(
                funds(&self.begun, account).unwrap_or_default(),
                funds(&now, account).unwrap_or_default(),
            )
        });
        Ok(statements.collect())
    }
}

impl Drop for Wallet {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// Counters that nobody reads: the transport wants some.
fn metrics() -> Result<telemetry::metrics::ChainMetrics, WalletError> {
    let options = MetricsOptions {
        node_id: "push".to_owned(),
        node_type: NodeType::Default,
        version: String::new(),
        runtime: String::new(),
        per_stream: false,
        client_ip: false,
    };
    Ok(Metrics::new(&options)?.chain)
}

async fn unlock(options: &PayOptions) -> Result<Vec<Signer>, WalletError> {
    let wanted: Vec<Option<Address>> = match options.accounts.as_slice() {
        [] => vec![None],
        accounts => accounts.iter().copied().map(Some).collect(),
    };
    let mut signers = Vec::with_capacity(wanted.len());
    for account in wanted {
        let choice = keystore::choose(Path::new(""), Some(&options.keys), account)?;
        let key = choice.account.unlock_or_ask(&options.password).await?;
        signers.push(Signer::new(key));
    }
    Ok(signers)
}

/// Fills deposit and reserve up to what is wanted, in one transaction.
async fn fill(
    client: &Arc<RpcClient>,
    signer: &Signer,
    deposit: U256,
    reserve: U256,
) -> Result<(), WalletError> {
    let account = signer.address();
    let held = client.sender_info(account, Address::ZERO).await?.value;
    let deposit = deposit.saturating_sub(held.deposit);
    let reserve = reserve.saturating_sub(held.reserve);
    let needed = deposit.saturating_add(reserve);
    if needed.is_zero() {
        return Ok(());
    }
    let chain_id = client.chain_id().await?;
    if let Some(live) = config::public_network(chain_id) {
        return Err(WalletError::Live(chain_id, live));
    }
    let held = client.balances(account).await?.eth;
    if held <= needed {
        return Err(WalletError::Poor {
            account,
            held,
            needed,
        });
    }
    let write = calls::fund_deposit_and_reserve(&client.contracts(), deposit, reserve)?;
    let options = transactions::Options {
        confirmations: 1,
        poll_ms: LOOK_MS,
        ..transactions::Options::default()
    };
    let (queue, task) = transactions::start(
        Arc::clone(client),
        MemoryJournal::default(),
        signer.clone(),
        options,
        unix_ms,
    )
    .await?;
    let task = tokio::spawn(task);
    let request = Request::new(Purpose::Operator("fund".to_owned()), write);
    let pending = queue.submit(request).await?;
    let outcome = tokio::time::timeout(FUNDING, pending.outcome()).await;
    task.abort();
    let outcome = match outcome {
        Ok(outcome) => outcome?,
        Err(_) => {
            return Err(WalletError::Funding {
                account,
                outcome: format!("not mined within {FUNDING:?}"),
            });
        }
    };
    match outcome {
        Outcome::Mined(mined) => {
            tracing::info!(%account, %deposit, %reserve, transaction = %mined.hash, "funded");
            Ok(())
        }
        Outcome::Reverted(_, revert) | Outcome::Refused(revert) => Err(WalletError::Funding {
            account,
            outcome: revert.to_string(),
        }),
        Outcome::Cancelled(_) | Outcome::Expired | Outcome::Unknown { .. } => {
            Err(WalletError::Funding {
                account,
                outcome: "another program uses this key; try again".to_owned(),
            })
        }
    }
}

async fn read(client: &RpcClient, accounts: &[Address]) -> Result<ChainState, chain::Error> {
    let rounds = client.rounds().await?.value;
    let infos = client.sender_infos(accounts, Address::ZERO).await?.value;
    let funds = infos.into_iter().map(|info| {
        let funds = Funds {
            deposit: info.deposit,
            reserve: info.reserve,
            withdraw_round: info.withdraw_round,
        };
        (info.sender, funds)
    });
    Ok(ChainState {
        time: Time {
            l1_block: rounds.l1_block,
            round: ExpirationParams {
                creation_round: rounds.last_initialized,
                creation_round_block_hash: rounds.hash.0,
            },
        },
        funds: funds.collect(),
    })
}

/// Publishes what the chain says until nobody listens. What was last seen holds while it says nothing.
async fn follow(
    client: Arc<RpcClient>,
    accounts: Vec<Address>,
    every: Duration,
    publish: watch::Sender<Arc<ChainState>>,
) {
    loop {
        tokio::time::sleep(every).await;
        match read(&client, &accounts).await {
            Ok(mut state) => {
                // end points may be behind each other
                let seen = publish.borrow().time.l1_block;
                state.time.l1_block = state.time.l1_block.max(seen);
                if publish.send(Arc::new(state)).is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(%error, "the chain says nothing"),
        }
    }
}

/// Ms since 1970.
fn unix_ms() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
