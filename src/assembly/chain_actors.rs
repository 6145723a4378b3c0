//! The actors of an on-chain node: they follow the chain, price work, take payments, redeem tickets, call reward.

use std::sync::Arc;
use std::time::Duration;

use actix::Actor;
use actors::arbiters::Arbiters;
use actors::chain_watcher::{ChainWatcher, ChainWatcherOptions, ChainWatcherParts, Listener};
use actors::duty::{Bell, ChainNews, Duty, Officer};
use actors::facts::{Fact, ModelKey, PaymentFacts, RedeemerState, RewardState, RpcState};
use actors::price_oracle::{
    AskedPrice, ChainPrices, OracleOptions, OracleParts, PriceBoard, PriceOracle, PricePlan,
};
use actors::price_webhook::WebhookPrices;
use actors::quotes::{Quotes, QuotesSetup, TicketTerms};
use actors::redeemer::{
    OwnFloats, Policy, Redeemer, RedeemerClient, RedeemerClientOptions, RedeemerClientParts,
    RedeemerOptions, RedeemerParts, RedeemerPeer, RedeemerService, RemoteFloats, Tickets,
};
use actors::reward_caller::{RewardCaller, RewardOptions, RewardParts};
use actors::round_initializer::{RoundInitializer, RoundInitializerParts};
use actors::round_tracker::{RoundTracker, RoundTrackerParts};
use actors::sender_monitor::{ChainFunds, SenderMonitor, Senders};
use actors::supervisor::{AddrCell, Factory};
use actors::ticket_validator::{BalanceView, CreditTerms, Payments, PaymentsSetup};
use arc_swap::ArcSwap;
use chain::ChainClient;
use chain::transactions::{TransactionSender, Transactions};
use chain::watcher::WatchOptions;
use config::{Chain, Settings};
use ledger::ticket::SenderSum;
use ledger::{Ledger, LedgerError};
use protocol::address::Address;
use protocol::ai::Pipeline;
use protocol::money::{Amount, Currency, Rational, U256};
use telemetry::Metrics;

use super::StartError;
use super::on_chain::OnChain;
use super::public_port::unix_ms;
use crate::doors::public::Paid;
use crate::doors::redeemer;

/// Name of the highest face value among stored settings.
const MAX_FACE_VALUE: &str = "tickets.max_face_value";

/// What the on-chain actors are made with.
#[derive(Clone)]
pub struct ChainSetup {
    chain: Chain,
    settings: Arc<Settings>,
    client: Arc<dyn ChainClient>,
    transactions: Arc<dyn TransactionSender>,
    ledger: Ledger,
    own: Address,
    recipient: Address,
    /// Who redeems instead of this node.
    elsewhere: Option<Arc<dyn RedeemerPeer>>,
    metrics: Arc<Metrics>,
    /// What all of them publish, and how they are asked.
    pub fronts: ChainFronts,
}

/// What on-chain actors publish, and how they are asked and woken from outside.
#[derive(Clone)]
pub struct ChainFronts {
    /// Rounds, gas, prices.
    pub payments: PaymentFacts,
    /// Reward.
    pub reward: Fact<RewardState>,
    /// Redemption.
    pub redemption: Fact<RedeemerState>,
    /// End points and cursor.
    pub rpc: Fact<RpcState>,
    /// Makes the reward caller look.
    pub reward_bell: Bell,
    /// Winning tickets, as operators see and steer them.
    pub tickets: Tickets,
    /// What senders have.
    pub senders: Senders,
    /// How prices are changed.
    pub prices: PriceBoard,
    redeemer_bell: Bell,
    redeemer: AddrCell<Officer<Redeemer>>,
    sender_monitor: AddrCell<SenderMonitor>,
    oracle: AddrCell<PriceOracle>,
    webhook_prices: WebhookPrices,
    /// `None` for a node that takes no jobs.
    selling: Option<Selling>,
}

/// How work is sold.
#[derive(Clone)]
struct Selling {
    quotes: Quotes,
    payments: Payments,
    ticket_terms: Arc<ArcSwap<TicketTerms>>,
    credit_terms: Arc<ArcSwap<CreditTerms>>,
}

impl ChainSetup {
    /// For the node that `on_chain` was opened for. `validity` is the number of rounds for which a ticket is good.
    pub fn new(
        settings: &Settings,
        chain: &Chain,
        on_chain: &OnChain,
        validity: u64,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let elsewhere = redeemer_elsewhere(settings)?;
        let secret = Arc::new(ArcSwap::from_pointee(on_chain.quote_secret.clone()));
        let facts = PaymentFacts::default();
        let sender_monitor = AddrCell::default();
        let senders = Senders::new(Arc::clone(&sender_monitor), Arc::clone(metrics));
        let senders = match &elsewhere {
            Some(peer) => senders.redeemed_elsewhere(RemoteFloats::new(
                Arc::clone(peer),
                RedeemerClientOptions::default(),
                metrics.redemption.clone(),
            )),
            None => senders,
        };
        let webhook_prices = WebhookPrices::default();
        let redeemer: AddrCell<Officer<Redeemer>> = AddrCell::default();
        let desk = Arc::clone(&redeemer);
        let tickets = Tickets::of_redeemer(
            on_chain.ledger.clone(),
            facts.rounds.clone(),
            validity,
            Arc::new(move || Some(desk.load_full()?.as_ref().clone().recipient())),
        );
        let oracle = AddrCell::default();
        let selling = settings.payments.as_ref().map(|payments| {
            let ticket_terms = Arc::new(ArcSwap::from_pointee(ticket_terms(payments, chain)));
            let credit_terms = Arc::new(ArcSwap::from_pointee(credit_terms(payments)));
            let quotes = Quotes::new(QuotesSetup {
                recipient: on_chain.recipient,
                secret: Arc::clone(&secret),
                facts: facts.clone(),
                senders: senders.clone(),
                webhook: webhook_prices.clone(),
                terms: Arc::clone(&ticket_terms),
                random: Arc::new(rand::random),
                metrics: Arc::clone(metrics),
            });
            let payments = Payments::new(PaymentsSetup {
                recipient: on_chain.recipient,
                secret: Arc::clone(&secret),
                facts: facts.clone(),
                senders: senders.clone(),
                quotes: quotes.clone(),
                terms: Arc::clone(&credit_terms),
                books: Arc::new(on_chain.ledger.clone()),
                metrics: Arc::clone(metrics),
            });
            Selling {
                quotes,
                payments,
                ticket_terms,
                credit_terms,
            }
        });
        Ok(Self {
            elsewhere,
            chain: chain.clone(),
            settings: Arc::new(settings.clone()),
            client: on_chain.client.clone(),
            transactions: Arc::new(Transactions::clone(&on_chain.transactions)),
            ledger: on_chain.ledger.clone(),
            own: on_chain.own_account(),
            recipient: on_chain.recipient,
            metrics: Arc::clone(metrics),
            fronts: ChainFronts {
                payments: facts,
                reward: Fact::default(),
                redemption: Fact::default(),
                rpc: Fact::default(),
                reward_bell: Bell::default(),
                tickets,
                senders,
                prices: PriceBoard::new(Arc::clone(&oracle)),
                redeemer_bell: Bell::default(),
                redeemer,
                sender_monitor,
                oracle,
                webhook_prices,
                selling,
            },
        })
    }

    /// What other nodes give their winners to; they pay the same recipient.
    pub fn redeemer_service(&self) -> RedeemerService {
        let floats = OwnFloats {
            senders: self.fronts.senders.clone(),
            rounds: self.fronts.payments.rounds.clone(),
        };
        RedeemerService::new(
            self.recipient,
            self.ledger.clone(),
            Arc::new(floats),
            self.fronts.redeemer_bell.clone(),
        )
    }

    /// What the public port is paid through; `None` for a node that takes no jobs.
    pub fn paid(&self, on_chain: &OnChain) -> Option<Paid> {
        let selling = self.fronts.selling.as_ref()?;
        Some(Paid {
            signer: on_chain.signer.clone(),
            quotes: selling.quotes.clone(),
            payments: selling.payments.clone(),
        })
    }

    /// Whether the node sells work.
    pub fn sells(&self) -> bool {
        self.fronts.selling.is_some()
    }

    /// Whether the node redeems tickets.
    pub fn redeems(&self) -> bool {
        self.settings.redemption.is_some() && self.elsewhere.is_none()
    }

    /// What each sender's unfinished tickets are worth.
    pub async fn owed(&self) -> Result<Vec<SenderSum>, LedgerError> {
        self.ledger.sender_sums().await
    }

    /// Every session with a balance.
    pub async fn balances(&self) -> Vec<BalanceView> {
        match &self.fronts.selling {
            Some(selling) => selling.payments.views().await,
            None => Vec::new(),
        }
    }

    /// Highest face value of tickets, wei; 0 = none.
    pub fn max_face_value(&self) -> U256 {
        let selling = self.fronts.selling.as_ref();
        selling.map_or(U256::zero(), |selling| {
            selling.ticket_terms.load().max_face_value
        })
    }

    /// Sets it for the quotes from now on. Stored first, so that it holds after a restart as well.
    pub async fn set_max_face_value(&self, wei: U256) -> Result<(), LedgerError> {
        let stored = self
            .ledger
            .set_setting(MAX_FACE_VALUE, Some(wei.to_string()));
        stored.await?;
        self.put_max_face_value(wei);
        Ok(())
    }

    /// Takes up what was changed in an earlier run.
    pub async fn restore(&self) -> Result<(), LedgerError> {
        let settings = self.ledger.settings().await?;
        let stored = settings.get(MAX_FACE_VALUE);
        if let Some(wei) = stored.and_then(|text| U256::from_dec_str(text).ok()) {
            tracing::info!(%wei, "highest face value as set while the node ran before");
            self.put_max_face_value(wei);
        }
        Ok(())
    }

    fn put_max_face_value(&self, wei: U256) {
        if let Some(selling) = &self.fronts.selling {
            let terms = TicketTerms {
                max_face_value: wei,
                ..**selling.ticket_terms.load()
            };
            selling.ticket_terms.store(Arc::new(terms));
        }
    }

    /// Prices that the operator's webhook gives.
    pub fn webhook_prices(&self) -> WebhookPrices {
        self.fronts.webhook_prices.clone()
    }

    /// Applies the options that may change while the node runs.
    pub async fn apply(&self, settings: &Settings) {
        let Some((chain, payments)) = settings.chain.as_ref().zip(settings.payments.as_ref())
        else {
            return;
        };
        if let Some(selling) = &self.fronts.selling {
            selling
                .ticket_terms
                .store(Arc::new(ticket_terms(payments, chain)));
            selling.credit_terms.store(Arc::new(credit_terms(payments)));
        }
        match price_plan(&payments.prices) {
            Some(plan) => self.fronts.prices.configure(plan).await,
            None => {
                tracing::error!("prices were not changed: one of them cannot be counted exactly")
            }
        }
        let bounds = super::on_chain::price_bounds(chain);
        if let Err(error) = self.transactions.set_bounds(bounds).await {
            tracing::error!(%error, "bounds of the gas price were not changed");
        }
    }

    /// Tasks beside the actors: they run until they are aborted.
    pub fn spawn_tasks(&self) -> Vec<tokio::task::JoinHandle<()>> {
        let mut tasks = Vec::new();
        if let Some(selling) = &self.fronts.selling {
            tasks.push(tokio::spawn(selling.payments.clone().run_sweeps()));
            let (winners, bell) = (
                selling.payments.winners(),
                self.fronts.redeemer_bell.clone(),
            );
            tasks.push(tokio::spawn(async move {
                loop {
                    winners.notified().await;
                    bell.ring();
                }
            }));
        }
        tasks
    }

    /// Every actor with its name, in the order of their start.
    pub fn factories(&self, arbiters: &Arbiters) -> Vec<(&'static str, Factory)> {
        let mut factories = Vec::new();
        let mut listeners: Vec<Box<dyn Fn() -> Listener + Send>> = Vec::new();
        let rounds = AddrCell::default();
        listeners.push(listens(&rounds));
        factories.push(("round_tracker", self.round_tracker(rounds)));
        let monitor = Arc::clone(&self.fronts.sender_monitor);
        listeners.push(Box::new(move || {
            let monitor = Arc::clone(&monitor);
            Box::new(move || Some(monitor.load_full()?.as_ref().clone().recipient()))
        }));
        factories.push(("sender_monitor", self.sender_monitor()));
        factories.push(("price_oracle", self.price_oracle()));
        if let Some(selling) = &self.fronts.selling {
            factories.extend(selling.payments.factories(arbiters));
        }
        if let Some(peer) = &self.elsewhere {
            factories.push(("redeemer_client", self.redeemer_client(peer)));
        } else if self.redeems() {
            listeners.push(listens(&self.fronts.redeemer));
            factories.push(("redeemer", self.redeemer()));
        }
        if self.settings.roles.reward != Some(false) {
            let cell = AddrCell::default();
            listeners.push(listens(&cell));
            factories.push(("reward_caller", self.reward_caller(cell)));
        }
        if self.settings.roles.initialize_round {
            factories.push(("round_initializer", self.round_initializer()));
        }
        factories.push(("chain_watcher", self.chain_watcher(listeners)));
        factories
    }

    fn round_tracker(&self, cell: AddrCell<Officer<RoundTracker>>) -> Factory {
        let setup = self.clone();
        Box::new(move |notice| {
            let tracker = RoundTracker::new(RoundTrackerParts {
                client: Arc::clone(&setup.client),
                ledger: setup.ledger.clone(),
                recipient: setup.recipient,
                rounds: setup.fronts.payments.rounds.clone(),
                metrics: setup.metrics.rounds.clone(),
            });
            let officer = Officer::new(tracker, Bell::default(), Vec::new(), notice);
            cell.store(Some(Arc::new(officer.start())));
        })
    }

    fn sender_monitor(&self) -> Factory {
        let setup = self.clone();
        Box::new(move |notice| {
            let reader = Arc::new(ChainFunds {
                client: Arc::clone(&setup.client),
                recipient: setup.recipient,
            });
            let monitor = SenderMonitor::new(
                setup.fronts.senders.clone(),
                reader,
                setup.recipient,
                setup.fronts.payments.rounds.clone(),
                notice,
            );
            let cell = &setup.fronts.sender_monitor;
            cell.store(Some(Arc::new(monitor.start())));
        })
    }

    fn price_oracle(&self) -> Factory {
        let setup = self.clone();
        let prices = self
            .settings
            .payments
            .as_ref()
            .map(|payments| &payments.prices);
        let feed = prices.and_then(|prices| prices.feed.as_ref());
        let options = OracleOptions {
            plan: prices.and_then(price_plan).unwrap_or_default(),
            poll: self.chain.end_points.polling_interval,
            min_gas: U256::from(self.chain.transactions.min_gas_price.0),
            smoothing: prices.map_or(Duration::from_secs(300), |prices| prices.gas_smoothing),
            feed_max_age: feed.map_or(Duration::from_secs(86_400), |feed| feed.max_age),
            feed_max_change: feed.map_or(50, |feed| feed.max_change_percent.into()),
        };
        let feed = feed.map_or(Address::ZERO, |feed| Address(feed.contract.bytes()));
        Box::new(move |notice| {
            let parts = OracleParts {
                reader: Arc::new(ChainPrices {
                    client: Arc::clone(&setup.client),
                    feed,
                }),
                settings: Arc::new(setup.ledger.clone()),
                facts: setup.fronts.payments.clone(),
                metrics: Arc::clone(&setup.metrics),
                now_ms: Arc::new(unix_ms),
            };
            let oracle = PriceOracle::new(options.clone(), parts, notice);
            setup.fronts.oracle.store(Some(Arc::new(oracle.start())));
        })
    }

    fn redeemer(&self) -> Factory {
        let setup = self.clone();
        let policy = Policy {
            max_cost_percent: self
                .settings
                .redemption
                .as_ref()
                .map_or(10, |redemption| redemption.max_cost_percent),
            max_gas_price: self.chain.transactions.max_gas_price.map(|most| most.0),
            ..Policy::default()
        };
        let options = RedeemerOptions::new(self.recipient, policy, self.chain.redeem_gas);
        let options = RedeemerOptions {
            // a re-organisation deeper than the operator's confirmations must not lose a ticket's money unseen
            settle_blocks: options
                .settle_blocks
                .max(self.chain.transactions.confirmations.into()),
            ..options
        };
        Box::new(move |notice| {
            let fronts = &setup.fronts;
            let redeemer = Redeemer::new(
                options,
                RedeemerParts {
                    client: Arc::clone(&setup.client),
                    transactions: Arc::clone(&setup.transactions),
                    senders: Some(fronts.senders.clone()),
                    ledger: setup.ledger.clone(),
                    rounds: fronts.payments.rounds.clone(),
                    gas: fronts.payments.gas.clone(),
                    state: fronts.redemption.clone(),
                    metrics: setup.metrics.redemption.clone(),
                    bell: fronts.redeemer_bell.clone(),
                    now_ms: Arc::new(unix_ms),
                },
            );
            let changes = vec![
                fronts.payments.rounds.changes(),
                fronts.payments.gas.changes(),
            ];
            let officer = Officer::new(redeemer, fronts.redeemer_bell.clone(), changes, notice);
            fronts.redeemer.store(Some(Arc::new(officer.start())));
        })
    }

    fn redeemer_client(&self, peer: &Arc<dyn RedeemerPeer>) -> Factory {
        let (setup, peer) = (self.clone(), Arc::clone(peer));
        Box::new(move |notice| {
            let client = RedeemerClient::new(RedeemerClientParts {
                peer: Arc::clone(&peer),
                ledger: setup.ledger.clone(),
                metrics: setup.metrics.redemption.clone(),
            });
            let bell = setup.fronts.redeemer_bell.clone();
            // it lives as long as its own tasks; nobody sends it messages
            Officer::new(client, bell, Vec::new(), notice).start();
        })
    }

    fn reward_caller(&self, cell: AddrCell<Officer<RewardCaller>>) -> Factory {
        let setup = self.clone();
        let transactions = &self.chain.transactions;
        let options = RewardOptions {
            orchestrator: self.recipient,
            account: self.own,
            asked_for: self.settings.roles.reward == Some(true),
            max_gas_price: transactions.max_gas_price.map(|most| most.0),
            urgent_max_gas_price: transactions.reward_max_gas_price.map(|most| most.0),
        };
        Box::new(move |notice| {
            let fronts = &setup.fronts;
            let caller = RewardCaller::new(
                options,
                RewardParts {
                    client: Arc::clone(&setup.client),
                    transactions: Arc::clone(&setup.transactions),
                    ledger: setup.ledger.clone(),
                    rounds: fronts.payments.rounds.clone(),
                    state: fronts.reward.clone(),
                    metrics: setup.metrics.rounds.clone(),
                    bell: fronts.reward_bell.clone(),
                },
            );
            let changes = vec![fronts.payments.rounds.changes()];
            let officer = Officer::new(caller, fronts.reward_bell.clone(), changes, notice);
            cell.store(Some(Arc::new(officer.start())));
        })
    }

    fn round_initializer(&self) -> Factory {
        let setup = self.clone();
        Box::new(move |notice| {
            let bell = Bell::default();
            let rounds = &setup.fronts.payments.rounds;
            let initializer = RoundInitializer::new(RoundInitializerParts {
                client: Arc::clone(&setup.client),
                transactions: Arc::clone(&setup.transactions),
                rounds: rounds.clone(),
                metrics: setup.metrics.rounds.clone(),
                bell: bell.clone(),
                max_delay: setup.chain.initialize_round_max_delay,
                random: Box::new(|most: Duration| most.mul_f64(rand::random::<f64>())),
            });
            // it lives as long as its own tasks; nobody sends it messages
            Officer::new(initializer, bell, vec![rounds.changes()], notice).start();
        })
    }

    fn chain_watcher(&self, listeners: Vec<Box<dyn Fn() -> Listener + Send>>) -> Factory {
        let setup = self.clone();
        Box::new(move |notice| {
            let options = ChainWatcherOptions {
                interval: setup.chain.end_points.polling_interval,
                watch: WatchOptions::default(),
            };
            let parts = ChainWatcherParts {
                client: Arc::clone(&setup.client),
                ledger: setup.ledger.clone(),
                listeners: listeners.iter().map(|make| make()).collect(),
                state: setup.fronts.rpc.clone(),
                metrics: setup.metrics.chain.clone(),
            };
            ChainWatcher::new(options, parts, notice).start();
        })
    }
}

fn redeemer_elsewhere(settings: &Settings) -> Result<Option<Arc<dyn RedeemerPeer>>, StartError> {
    let Some(client) = settings
        .redemption
        .as_ref()
        .and_then(|r| r.elsewhere.as_ref())
    else {
        return Ok(None);
    };
    let token = client.token.as_ref().map(|token| token.expose());
    let peer = redeemer::Peer::new(&client.address, token)?;
    tracing::info!(redeemer = %client.address, "winning tickets are redeemed elsewhere");
    Ok(Some(Arc::new(peer)))
}

fn ticket_terms(payments: &config::Payments, chain: &Chain) -> TicketTerms {
    TicketTerms {
        ev: U256::from(payments.tickets.expected_value.0),
        redeem_gas: chain.redeem_gas,
        max_face_value: payments
            .tickets
            .max_face_value
            .map_or(U256::zero(), |most| U256::from(most.0)),
    }
}

fn credit_terms(payments: &config::Payments) -> CreditTerms {
    CreditTerms {
        ev: Amount::wei(payments.tickets.expected_value.0),
        by_estimate: payments.credit.by_estimate,
        max_exposure: payments.credit.max_exposure.map(|most| Amount::wei(most.0)),
    }
}

/// Prices as configured; `None` when a number is too long to be counted exactly.
pub fn price_plan(prices: &config::Prices) -> Option<PricePlan> {
    let exact = |number: config::Decimal| Rational::new(number.numerator(), number.denominator());
    let asked = |price: &config::Price| {
        let currency = Currency::from_name(&price.currency.to_string());
        AskedPrice::new(exact(price.amount)?, currency, exact(price.pixels)?)
    };
    let gateways = prices.gateways.iter();
    let gateways = gateways.map(|(gateway, price)| Some((Address(gateway.bytes()), asked(price)?)));
    let models = prices.models.iter().filter_map(|model| {
        let capability = Pipeline::from_name(&model.pipeline)?.capability();
        let gateway = model.gateway.map(|gateway| Address(gateway.bytes()));
        let key = ModelKey {
            capability: capability.number(),
            model: model.model_id.clone(),
        };
        Some(asked(&model.price).map(|price| ((gateway, key), price)))
    });
    Some(PricePlan {
        base: Some(asked(&prices.base)?),
        gateways: gateways.collect::<Option<_>>()?,
        models: models.collect::<Option<_>>()?,
        adjust: prices.auto_adjust,
        surcharge_percent: prices.max_surcharge_percent.into(),
    })
}

/// Makes listeners at the present address of whoever is published in `cell`.
fn listens<D>(cell: &AddrCell<Officer<D>>) -> Box<dyn Fn() -> Listener + Send>
where
    D: Duty + Unpin,
    D::News: From<ChainNews>,
{
    let cell = Arc::clone(cell);
    Box::new(move || {
        let cell = Arc::clone(&cell);
        Box::new(move || Some(cell.load_full()?.as_ref().clone().recipient()))
    })
}
