//! The chain side of a node, opened before any actor starts: end points, database, key, secrets, transaction queue.
//!
//! Whatever is wrong here is wrong for good and said at once: another chain, a file in use, a wrong passphrase. After that the
//! chain may come and go.

use std::path::PathBuf;
use std::sync::Arc;

use actors::journal::LedgerJournal;
use chain::endpoints::{EndpointOptions, EndpointUrl, Endpoints};
use chain::fees::PriceBounds;
use chain::keystore::{self, Password};
use chain::rpc::{Deployment, RpcClient};
use chain::signer::Signer;
use chain::transactions::{self, Transactions};
use config::{Chain, KeyStore, Settings};
use ledger::{FILE_NAME, Ledger, Secrets};
use protocol::address::Address;
use protocol::money::QuoteSecret;
use protocol::token::TokenKey;
use telemetry::Metrics;
use tokio::task::JoinHandle;

use super::StartError;
use super::public_port::unix_ms;

/// See the module.
pub struct OnChain {
    /// What can be asked of the chain.
    pub client: Arc<RpcClient>,
    /// Id of the chain.
    pub chain_id: u64,
    /// What survives the process.
    pub ledger: Ledger,
    /// Signs with the node's own account.
    pub signer: Signer,
    /// Whom tickets pay, and for whom reward is called: `-ethOrchAddr`, else the own account.
    pub recipient: Address,
    /// Every transaction of the own account.
    pub transactions: Transactions,
    /// What quotes are bound with.
    pub quote_secret: QuoteSecret,
    /// What auth tokens are made with.
    pub tokens: TokenKey,
    tasks: Vec<JoinHandle<()>>,
}

impl OnChain {
    /// Connects, opens the database, unlocks the key and takes up the transactions of the last run.
    pub async fn open(
        settings: &Settings,
        chain: &Chain,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let endpoints = Endpoints::new(endpoint_options(chain)?, metrics.chain.clone())?;
        let deployment = Deployment {
            controller: Address(chain.controller.bytes()),
            own_registry: None,
        };
        let client = RpcClient::connect(Arc::clone(&endpoints), deployment).await?;
        let chain_id = endpoints.chain_id().await?;
        let ledger = open_ledger(settings, chain_id, metrics).await?;
        let signer = unlock(settings, chain).await?;
        let own = signer.address();
        let recipient = chain
            .orchestrator
            .map_or(own, |account| Address(account.bytes()));
        tracing::info!(account = %own, %recipient, chain = chain_id, "on-chain");
        let secrets = ledger.secrets_or(fresh_secrets()).await?;
        let quote_secret = QuoteSecret::from_bytes(&secrets.quote).map_err(StartError::Secrets)?;
        let journal = LedgerJournal::new(ledger.clone(), own);
        let (transactions, queue) = transactions::start(
            Arc::clone(&client),
            journal,
            signer.clone(),
            queue_options(chain),
            unix_ms,
        )
        .await?;
        let health = {
            let (endpoints, interval) = (endpoints, chain.end_points.polling_interval);
            async move { endpoints.watch(interval).await }
        };
        Ok(Self {
            client,
            chain_id,
            ledger,
            signer,
            recipient,
            transactions,
            quote_secret,
            tokens: TokenKey::new(secrets.token),
            tasks: vec![tokio::spawn(queue), tokio::spawn(health)],
        })
    }

    /// The node's own account: it signs, and pays for gas.
    pub fn own_account(&self) -> Address {
        self.signer.address()
    }

    /// Stops the queue, whose transactions are in the journal, and closes the database in order.
    pub async fn close(self) {
        for task in self.tasks {
            task.abort();
        }
        if let Err(error) = self.ledger.close().await {
            tracing::error!(%error, "the database was not closed in order");
        }
    }
}

async fn open_ledger(
    settings: &Settings,
    chain_id: u64,
    metrics: &Arc<Metrics>,
) -> Result<Ledger, StartError> {
    let path = settings.program.data_dir.join(FILE_NAME);
    let options = ledger::Options {
        chain_id,
        forward_winners: settings
            .redemption
            .as_ref()
            .is_some_and(|redemption| redemption.elsewhere.is_some()),
        metrics: Some(metrics.ledger.clone()),
        ..ledger::Options::default()
    };
    let ledger = tokio::task::spawn_blocking(move || Ledger::open(path, options))
        .await
        .map_err(|error| StartError::Thread(std::io::Error::other(error)))??;
    let opened = ledger.opened();
    tracing::info!(
        path = %opened.path.display(),
        created = opened.created,
        after_crash = opened.after_crash,
        backup = opened.backup.as_ref().map(|path| path.display().to_string()),
        taken_over = ?opened.takeover,
        "database open"
    );
    Ok(ledger)
}

fn endpoint_options(chain: &Chain) -> Result<EndpointOptions, StartError> {
    let urls = chain
        .end_points
        .urls
        .iter()
        .map(|url| EndpointUrl::parse(url.expose()))
        .collect::<Result<_, _>>()?;
    Ok(EndpointOptions {
        chain_id: chain.chain_id,
        calls_per_second: chain.end_points.calls_per_second,
        stale_after: chain.end_points.stale_after,
        ..EndpointOptions::new(urls)
    })
}

async fn unlock(settings: &Settings, chain: &Chain) -> Result<Signer, StartError> {
    let path: Option<PathBuf> = match &chain.key_store {
        KeyStore::Directory(path) | KeyStore::File(path) => Some(path.clone()),
    };
    let wanted = chain.account.map(|account| Address(account.bytes()));
    let path = path.filter(|path| path.exists());
    let choice = keystore::choose(&settings.program.data_dir, path.as_deref(), wanted)?;
    for skipped in &choice.skipped {
        tracing::warn!(path = %skipped.path.display(), reason = %skipped.reason, "not a key file");
    }
    if choice.defaulted {
        tracing::info!(account = %choice.account.address, "no -ethAcctAddr: using the first key of the store");
    }
    let key = match &chain.password {
        Some(password) => {
            let password = Password::new(password.secret.expose());
            choice.account.unlock(password).await?
        }
        None => choice.account.unlock_or_ask("").await?,
    };
    Ok(Signer::new(key))
}

fn fresh_secrets() -> Secrets {
    Secrets {
        quote: QuoteSecret::new(rand::random()).to_bytes(),
        token: rand::random(),
    }
}

/// Bounds of the gas price as configured.
pub fn price_bounds(chain: &Chain) -> PriceBounds {
    PriceBounds {
        minimum: chain.transactions.min_gas_price.0,
        maximum: chain.transactions.max_gas_price.map(|most| most.0),
    }
}

fn queue_options(chain: &Chain) -> transactions::Options {
    let transactions = &chain.transactions;
    transactions::Options {
        bounds: price_bounds(chain),
        gas_limit: transactions.gas_limit,
        timeout_ms: u64::try_from(transactions.timeout.as_millis()).unwrap_or(u64::MAX),
        max_replacements: transactions.replacements as usize,
        confirmations: transactions.confirmations.into(),
        ..transactions::Options::default()
    }
}
