//! The port of an on-chain node, over a chain in memory and a real database.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actors::facts::{Funds, Gas, Prices, RewardState, Rounds, RpcState};
use actors::price_oracle::{AskedPrice, PriceBoardError, PriceChange};
use actors::redeemer::Tickets;
use actors::ticket_validator::BalanceView;
use async_trait::async_trait;
use chain::fees::PriceBounds;
use chain::testing::{CHAIN_ID, FakeChain, Orchestrator, Sender};
use chain::transactions::{
    self, MemoryJournal, Options, TransactionError, TransactionSender, Transactions,
};
use chain::{ChainClient, Signer};
use ledger::ticket::SenderSum;
use ledger::{FILE_NAME, Ledger, LedgerError, hash_text};
use protocol::address::Address;
use protocol::money::{
    ExpirationParams, Price, RecipientRand, SenderFunds, Ticket, U256, WinningTicket,
};
use protocol::signature::{SecretKey, keccak256};

use super::*;

/// A gateway.
pub const GATEWAY: Address = Address([0xCD; 20]);

/// A winner that differs from others by its number; round 10, L1 block 1040.
pub fn winner(n: u32) -> WinningTicket {
    let rand = RecipientRand::from_bytes(keccak256(n.to_be_bytes()));
    let mut sig = [27; 65];
    sig[..32].copy_from_slice(&keccak256(format!("sig {n}")));
    WinningTicket {
        ticket: Ticket {
            recipient: Address([0xAB; 20]),
            sender: GATEWAY,
            face_value: U256::from(720_000_000_000_000_u64),
            win_prob: U256::MAX / 90_000,
            nonce: n,
            recipient_rand_hash: rand.hash(),
            expiration: ExpirationParams {
                creation_round: 10,
                creation_round_block_hash: keccak256("round 10"),
            },
        },
        sig,
        recipient_rand: rand,
        expiration_block: 1040,
    }
}

/// Hash of a winner as text.
pub fn name(n: u32) -> String {
    hash_text(&winner(n).ticket.hash())
}

/// See the module.
pub struct Chain {
    pub chain: FakeChain,
    pub ledger: Ledger,
    tickets: Option<Tickets>,
    transactions: Transactions,
    signer: Signer,
    sells: bool,
    changes: Mutex<Vec<PriceChange>>,
    max_face_value: Mutex<U256>,
    bounds: Mutex<PriceBounds>,
    _dir: tempfile::TempDir,
}

impl Chain {
    /// A node in the active set, with two winners.
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().expect("folder");
        let options = ledger::Options {
            chain_id: CHAIN_ID,
            ..ledger::Options::default()
        };
        let ledger = Ledger::open(dir.path().join(FILE_NAME), options).expect("opens");
        let winners = vec![winner(1), winner(2)];
        ledger.add_winners(winners).await.expect("stored");
        let tickets = Tickets::of_file(ledger.clone()).await.expect("tickets");
        let signer = Signer::new(SecretKey::from_bytes([1; 32]).expect("key"));
        let account = signer.address();
        let chain = FakeChain::new(100);
        chain.set(|world| {
            let orchestrator = Orchestrator {
                stake: 1000.into(),
                active: true,
                ..Orchestrator::default()
            };
            world.orchestrators.insert(account, orchestrator);
            world.balances.insert(account, U256::exp10(18));
            let own = Sender {
                deposit: 7.into(),
                reserve: 9.into(),
                ..Sender::default()
            };
            world.senders.insert(account, own);
        });
        let options = Options {
            confirmations: 1,
            poll_ms: 1,
            ..Options::default()
        };
        let started = transactions::start(
            Arc::new(chain.clone()),
            MemoryJournal::default(),
            signer.clone(),
            options,
            || {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                since.expect("after 1970").as_millis() as u64
            },
        );
        let (transactions, queue) = started.await.expect("queue");
        tokio::spawn(queue);
        let miner = chain.clone();
        // the chain makes blocks as long as somebody waits for one
        actix_rt::spawn(async move {
            loop {
                actix_rt::time::sleep(Duration::from_millis(2)).await;
                if miner.with(|state| !state.pool.is_empty()) {
                    miner.mine(0);
                }
            }
        });
        Self {
            chain,
            ledger,
            tickets: Some(tickets),
            transactions,
            signer,
            sells: true,
            changes: Mutex::default(),
            max_face_value: Mutex::default(),
            bounds: Mutex::default(),
            _dir: dir,
        }
    }
}

#[async_trait]
impl ChainView for Chain {
    fn identity(&self) -> ChainIdentity {
        ChainIdentity {
            account: self.signer.address(),
            recipient: self.signer.address(),
            chain_id: CHAIN_ID,
            sells: self.sells,
        }
    }
    fn facts(&self) -> ChainSnapshot {
        ChainSnapshot {
            rounds: Arc::new(Rounds {
                current: 10,
                last_initialized: 10,
                initialized: true,
                start_block: 1000,
                length: 100,
                l1_block: 1025,
                pool_size: 1,
                ..Rounds::unknown()
            }),
            gas: Arc::new(Gas {
                last: 3.into(),
                smoothed: U256::exp10(19),
                ..Gas::default()
            }),
            prices: Arc::new(Prices {
                default: Price::new(3u64, 2u64),
                ..Prices::default()
            }),
            reward: Arc::new(RewardState::default()),
            redemption: None,
            rpc: Arc::new(RpcState {
                cursor: 258,
                ..RpcState::default()
            }),
        }
    }
    fn client(&self) -> &dyn ChainClient {
        &self.chain
    }
    fn transactions(&self) -> &dyn TransactionSender {
        &self.transactions
    }
    fn signer(&self) -> &Signer {
        &self.signer
    }
    fn tickets(&self) -> Option<Tickets> {
        self.tickets.clone()
    }
    fn funds(&self, sender: Address) -> Option<Funds> {
        (sender == GATEWAY).then(|| Funds {
            chain: SenderFunds {
                deposit: U256::exp10(20),
                reserve_remaining: 100.into(),
                ..SenderFunds::default()
            },
            known: true,
            ..Funds::default()
        })
    }
    async fn owed(&self) -> Result<Vec<SenderSum>, LedgerError> {
        self.ledger.sender_sums().await
    }
    async fn balances(&self) -> Vec<BalanceView> {
        vec![BalanceView {
            sender: Address([0xEF; 20]).to_string(),
            key: "session".into(),
            balance: "-1.5".into(),
            fixed_price: Some("3/2".into()),
            in_work: "0".into(),
        }]
    }
    async fn change_price(&self, change: PriceChange) -> Result<(), PriceBoardError> {
        if let PriceChange::Base(Some(price)) = &change
            && price.currency().needs_feed()
        {
            return Err(PriceBoardError::Currency(price.currency().to_string()));
        }
        self.changes.lock().push(change);
        Ok(())
    }
    fn max_face_value(&self) -> U256 {
        *self.max_face_value.lock()
    }
    async fn set_max_face_value(&self, wei: U256) -> Result<(), LedgerError> {
        *self.max_face_value.lock() = wei;
        Ok(())
    }
    fn gas_bounds(&self) -> PriceBounds {
        *self.bounds.lock()
    }
    async fn set_gas_bounds(&self, bounds: PriceBounds) -> Result<(), TransactionError> {
        *self.bounds.lock() = bounds;
        Ok(())
    }
}

async fn on_chain() -> (Desk, Arc<Chain>) {
    with(Chain::new().await).await
}

async fn with(chain: Chain) -> (Desk, Arc<Chain>) {
    let chain = Arc::new(chain);
    let desk = desk_on(false, None, Some(chain.clone() as Arc<dyn ChainView>)).await;
    (desk, chain)
}

impl Desk {
    async fn read(&self, request: TestRequest) -> (u16, serde_json::Value) {
        let (status, body) = self.ask(request).await;
        let value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
        (status.as_u16(), value)
    }
}

#[actix_web::test]
async fn off_chain_every_route_says_so() {
    let desk = desk(false).await;
    for path in [
        "/currentRound",
        "/roundInitialized",
        "/orchestratorInfo",
        "/registeredOrchestrators",
        "/orchestratorEarningPoolsForRound?round=1",
        "/delegatorInfo",
        "/unbondingLocks",
        "/protocolParameters",
        "/contractAddresses",
        "/ethAddr",
        "/tokenBalance",
        "/ethBalance",
        "/maxGasPrice",
        "/minGasPrice",
        "/senderInfo",
        "/ticketBrokerParams",
    ] {
        desk.expect(get(path), 500, "missing ETH client\n").await;
    }
    for path in [
        "/reward",
        "/initializeRound",
        "/setOrchestratorConfig",
        "/claimEarnings",
    ] {
        desk.expect(form(path, ""), 500, "missing ETH client\n")
            .await;
    }
    desk.expect(get("/currentBlock"), 200, "").await;
    for path in [
        "tickets",
        "tickets/sums",
        "payments",
        "prices",
        "rounds",
        "rpc",
        "transactions",
    ] {
        let (status, body) = desk.read(get(&format!("/api/v1/{path}"))).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (404, Some("off_chain")),
            "{path}"
        );
    }
}

#[actix_web::test]
async fn reads_of_the_chain_are_the_reference_s() {
    let (desk, node) = on_chain().await;
    let account = node.signer.address();
    let low = account.to_string().to_lowercase();
    desk.expect(get("/ethAddr"), 200, &account.to_string())
        .await;
    desk.expect(get("/ethBalance"), 200, "1000000000000000000")
        .await;
    desk.expect(get("/currentRound"), 200, "10").await;
    desk.expect(get("/roundInitialized"), 200, "true").await;
    desk.expect(get("/maxGasPrice"), 200, "").await;
    desk.expect(get("/minGasPrice"), 200, "0").await;
    let info = format!(
        concat!(
            r#"{{"Transcoder":{{"Address":"{low}","ServiceURI":"","LastRewardRound":0,"RewardCut":0,"FeeShare":0,"#,
            r#""DelegatedStake":1000,"ActivationRound":1,"DeactivationRound":{never},"LastActiveStakeUpdateRound":1,"#,
            r#""Active":true,"Status":"Registered","PricePerPixel":{price}}}"#
        ),
        low = low,
        never = U256::MAX,
        price = "PRICE"
    );
    let own = format!("{},\"PriceInfo\":\"3/2\"}}", info.replace("PRICE", "null"));
    desk.expect(get("/orchestratorInfo"), 200, &own).await;
    let listed = info
        .replace("PRICE", "\"0\"")
        .replace("{\"Transcoder\":", "[")
        + "]";
    desk.expect(get("/registeredOrchestrators"), 200, &listed)
        .await;
    desk.expect(
        get("/senderInfo"),
        200,
        r#"{"Deposit":7,"WithdrawRound":0,"Reserve":{"FundsRemaining":9,"ClaimedInCurrentRound":0}}"#,
    )
    .await;
    let (_, period) = desk.ask(get("/ticketBrokerParams")).await;
    assert!(period.starts_with(r#"{"UnlockPeriod":"#), "{period}");
    let (_, contracts) = desk.ask(get("/contractAddresses")).await;
    let names: Vec<_> = contracts.split('"').skip(1).step_by(4).collect();
    assert_eq!(
        names,
        [
            "BondingManager",
            "Controller",
            "LivepeerToken",
            "LivepeerTokenFaucet",
            "Minter",
            "RoundsManager",
            "TicketBroker"
        ]
    );
    let block = (desk.call)(get("/currentBlock")).await;
    assert_eq!(
        (block.bytes, &*block.kind),
        (vec![1, 2], "application/octet-stream")
    );

    node.chain.set(|world| world.orchestrators.clear());
    desk.expect(get("/registeredOrchestrators"), 200, "null")
        .await;
    node.chain.with(|state| state.faults.down = true);
    let (status, text) = desk.ask(get("/currentRound")).await;
    assert_eq!(status, 500);
    assert!(
        text.starts_with("could not query current round: "),
        "{text}"
    );
    desk.expect(get("/orchestratorInfo"), 500, "could not get transcoder\n")
        .await;
}

#[actix_web::test]
async fn prices_are_set_as_livepeer_cli_sets_them() {
    let (desk, node) = on_chain().await;
    let path = "/setPriceForBroadcaster";
    let gateway = GATEWAY.to_string();
    let body = format!("pricePerUnit=1500&pixelsPerUnit=1000&broadcasterEthAddr={gateway}");
    let said =
        format!("Price per pixel set to 1500 wei for 1000 pixels for broadcaster {gateway}\n");
    desk.expect(form(path, &body), 200, &said).await;
    desk.expect(
        form("/setOrchestratorConfig", "pricePerUnit=7&pixelsPerUnit=1"),
        200,
        "",
    )
    .await;
    let price = |amount, units| Some(AskedPrice::parse(amount, units).expect("price"));
    assert_eq!(
        *node.changes.lock(),
        [
            PriceChange::Gateway(GATEWAY, price("1500", "1000")),
            PriceChange::Base(price("7", "1")),
        ]
    );
    for (body, text) in [
        (
            "pixelsPerUnit=1&broadcasterEthAddr=default",
            "missing form param: pricePerUnit\n",
        ),
        (
            "pricePerUnit=1&pixelsPerUnit=0&broadcasterEthAddr=default",
            "pixels per unit must be greater than 0, provided 0\n",
        ),
        (
            "pricePerUnit=1&pixelsPerUnit=1&broadcasterEthAddr=my-default",
            "broadcasterEthAddr is not a valid eth address, provided my-default\n",
        ),
        (
            "pricePerUnit=1&pixelsPerUnit=1&currency=usd&broadcasterEthAddr=default",
            "error converting price: the price was not changed: the exchange rate of USD is not known, set -priceFeedAddr to a feed between ETH and USD\n",
        ),
    ] {
        desk.expect(form(path, body), 400, text).await;
    }
    let long = format!("pricePerUnit=1&pixelsPerUnit=1&broadcasterEthAddr={gateway}00");
    assert_eq!(desk.ask(form(path, &long)).await.0, 400);
    assert_eq!(
        node.changes.lock().len(),
        2,
        "what was refused changed nothing"
    );
}

#[actix_web::test]
async fn bounds_are_set_and_nonsense_is_not() {
    let (desk, node) = on_chain().await;
    let face = "/setMaxFaceValue";
    desk.expect(
        form(face, "maxfacevalue=5000"),
        200,
        "ticket max face value set",
    )
    .await;
    for wrong in ["-1", "1.5", "0x10", "%20"] {
        let body = format!("maxfacevalue={wrong}");
        desk.expect(form(face, &body), 400, "maxfacevalue not set to number\n")
            .await;
    }
    assert_eq!(node.max_face_value(), 5000.into());
    desk.expect(form("/setMinGasPrice", "minGasPrice=10"), 200, "")
        .await;
    desk.expect(form("/setMaxGasPrice", "amount=20"), 200, "")
        .await;
    desk.expect(get("/maxGasPrice"), 200, "20").await;
    assert_eq!(desk.ask(form("/setMaxGasPrice", "amount=9")).await.0, 400);
    desk.expect(form("/setMaxGasPrice", "amount=0"), 200, "")
        .await;
    let bounds = PriceBounds {
        minimum: 10,
        maximum: None,
    };
    assert_eq!(node.gas_bounds(), bounds);
}

#[actix_web::test]
async fn reward_and_rounds_are_seen_to_when_asked() {
    let (desk, node) = on_chain().await;
    assert_eq!(
        desk.ask(get("/reward")).await.0,
        405,
        "a link must not send"
    );
    desk.expect(form("/reward", ""), 200, "").await;
    let account = node.signer.address();
    assert!(node.chain.world().rewards.contains(&(account, 10)));
    // asked again it is done already, and nothing more is sent
    desk.expect(form("/reward", ""), 200, "").await;
    assert_eq!(node.chain.world().nonces.get(&account), Some(&1));
    desk.expect(
        form("/initializeRound", ""),
        500,
        "could not initialize round: ErrRoundInitialized\n",
    )
    .await;
    node.chain.mine(100);
    desk.expect(get("/roundInitialized"), 200, "false").await;
    desk.expect(form("/initializeRound", ""), 200, "").await;
    desk.expect(get("/roundInitialized"), 200, "true").await;
}

#[actix_web::test]
async fn a_refusal_of_the_contract_is_told_and_nothing_sent() {
    let (desk, node) = on_chain().await;
    let account = node.signer.address();
    node.chain.set(|world| {
        world.rewards.insert((account, 10));
        if let Some(own) = world.orchestrators.get_mut(&account) {
            own.last_reward_round = 10;
        }
    });
    let (status, text) = desk.ask(form("/reward", "")).await;
    assert_eq!(status, 500);
    assert!(
        text.starts_with("Error calling reward: execution reverted: ")
            && text.contains("already called reward"),
        "{text}"
    );
    assert_eq!(node.chain.world().nonces.get(&account), None);
}

#[actix_web::test]
async fn messages_are_signed_by_post_and_come_back_raw() {
    let (desk, node) = on_chain().await;
    assert_eq!(desk.ask(get("/signMessage?message=x")).await.0, 405);
    let answer = (desk.call)(form("/signMessage", "message=hello%20there")).await;
    let expected = node.signer.sign_text(b"hello there").to_vec();
    assert_eq!((answer.status.as_u16(), answer.bytes), (200, expected));
    let typed = form("/signMessage", "message=nonsense").insert_header(("SigFormat", "data/typed"));
    let (status, text) = desk.ask(typed).await;
    assert_eq!(status, 400);
    assert!(
        text.starts_with("could not unmarshal typed data - err="),
        "{text}"
    );
}

#[actix_web::test]
async fn what_is_not_built_says_so() {
    let (desk, _) = on_chain().await;
    for path in [
        "/bond",
        "/activateOrchestrator",
        "/fundDeposit",
        "/withdraw",
    ] {
        let (status, text) = desk.ask(form(path, "amount=1")).await;
        assert_eq!(status, 501, "{path}");
        assert!(
            text.starts_with(&format!("{path} is not in this build")),
            "{text}"
        );
    }
    let bad = form("/transferTokens", "to=0x12&amount=1");
    desk.expect(bad, 400, "to is not a valid eth address, provided 0x12\n")
        .await;
}

#[actix_web::test]
async fn tickets_are_listed_held_and_let_go() {
    let (desk, node) = on_chain().await;
    let (status, list) = desk
        .read(get("/api/v1/tickets?state=unfinished&limit=1"))
        .await;
    assert_eq!(status, 200);
    let ticket = &list["tickets"][0];
    assert_eq!(
        (
            &ticket["hash"],
            &ticket["state"],
            &ticket["face_value"],
            &ticket["sender_nonce"]
        ),
        (
            &name(1).into(),
            &"waiting".into(),
            &"720000000000000".into(),
            &1.into()
        )
    );
    let next = list["next"].as_i64().expect("more");
    let (_, rest) = desk
        .read(get(&format!("/api/v1/tickets?after={next}")))
        .await;
    assert_eq!(rest["tickets"].as_array().map(Vec::len), Some(1));
    let other = format!("/api/v1/tickets?sender={}", Address([1; 20]));
    assert_eq!(
        desk.read(get(&other)).await.1["tickets"],
        serde_json::json!([])
    );

    let path = format!("/api/v1/tickets/{}", name(1));
    let (status, held) = desk
        .read(json(&format!("{path}/hold"), r#"{"note":"asked"}"#))
        .await;
    assert_eq!(
        (status, &held["state"], &held["note"]),
        (200, &"held".into(), &"asked".into())
    );
    assert_eq!(desk.read(get(&path)).await.1["ticket"]["state"], "held");
    assert_eq!(
        desk.read(get("/api/v1/tickets?state=held")).await.1["next"],
        serde_json::Value::Null
    );
    let (_, sums) = desk.read(get("/api/v1/tickets/sums")).await;
    let held = sums["states"]
        .as_array()
        .and_then(|all| all.iter().find(|sum| sum["state"] == "held"));
    assert_eq!(held.map(|sum| &sum["count"]), Some(&1.into()));
    let release = format!("{path}/release");
    assert_eq!(desk.read(json(&release, "{}")).await.1["state"], "waiting");
    let (status, twice) = desk.read(json(&release, "{}")).await;
    assert_eq!((status, &twice["code"]), (409, &"illegal_step".into()));

    for (request, status, code) in [
        (
            get(&format!("/api/v1/tickets/0x{}", "0".repeat(64))),
            404,
            "unknown_ticket",
        ),
        (get("/api/v1/tickets/0x12"), 400, "bad_request"),
        (get("/api/v1/tickets?state=nonsense"), 400, "bad_request"),
        (get("/api/v1/tickets?limit=0"), 400, "bad_request"),
        (get("/api/v1/tickets?colour=red"), 400, "bad_request"),
        (json(&format!("{path}/retry"), "{}"), 409, "illegal_step"),
        (
            json(&format!("{path}/retry"), r#"{"x":1}"#),
            400,
            "bad_request",
        ),
        (form(&format!("{path}/retry"), ""), 415, "media_type"),
        (
            json("/api/v1/redemption", r#"{"held":true}"#),
            503,
            "unavailable",
        ),
    ] {
        let (got, body) = desk.read(request).await;
        assert_eq!((got, &body["code"]), (status, &code.into()), "{body}");
    }
    assert_eq!(desk.ask(get(&format!("{path}/retry"))).await.0, 405);
    let entry = node
        .ledger
        .ticket(winner(1).ticket.hash())
        .await
        .expect("there");
    assert_eq!(
        entry.state.name(),
        ledger::State::Waiting,
        "refusals changed nothing"
    );
}

#[actix_web::test]
async fn proofs_keep_the_secret_while_the_parameters_live() {
    let mut node = Chain::new().await;
    let (desk, _) = with(Chain::new().await).await;
    let (_, early) = desk.read(get("/api/v1/tickets/export")).await;
    let proof = &early["tickets"][0];
    assert_eq!(proof["recipient_rand"], serde_json::Value::Null);
    assert_eq!(proof["sig"].as_str().map(str::len), Some(132));
    node.ledger.raise_l1_block(1040).await.expect("raised");
    node.tickets = Some(
        Tickets::of_file(node.ledger.clone())
            .await
            .expect("tickets"),
    );
    let (desk, _) = with(node).await;
    let (_, late) = desk.read(get("/api/v1/tickets/export")).await;
    let secret = hash_text(&winner(1).recipient_rand.reveal());
    assert_eq!(late["tickets"][0]["recipient_rand"], secret.as_str());
}

#[actix_web::test]
async fn payments_show_every_sender_and_amounts_as_text() {
    let (desk, _) = on_chain().await;
    let (status, body) = desk.read(get("/api/v1/payments")).await;
    assert_eq!(status, 200);
    assert_eq!(body["prices"]["default"], "3/2");
    assert_eq!(body["gas"]["smoothed"], "10000000000000000000");
    let senders = body["senders"].as_array().expect("list");
    let owing = &senders[0];
    assert_eq!(owing["sender"], GATEWAY.to_string());
    assert_eq!(
        (&owing["tickets"], &owing["owed"]),
        (&2.into(), &"1440000000000000".into())
    );
    assert_eq!(owing["funds"]["deposit"], "100000000000000000000");
    assert_eq!(owing["funds"]["max_float"], "100");
    let working = &senders[1];
    assert_eq!(working["funds"], serde_json::Value::Null);
    assert_eq!(working["sessions"][0]["balance"], "-1.5");
}

#[actix_web::test]
async fn prices_change_by_json_post() {
    let (desk, node) = on_chain().await;
    let (status, prices) = desk
        .read(json("/api/v1/prices", r#"{"price":"1200"}"#))
        .await;
    assert_eq!((status, &prices["default"]), (200, &"3/2".into()));
    let base = AskedPrice::parse("1200", "1").expect("price");
    assert_eq!(*node.changes.lock(), [PriceChange::Base(Some(base))]);
    let (status, refused) = desk
        .read(json("/api/v1/prices", r#"{"price":"1USD"}"#))
        .await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &"no_exchange_rate".into())
    );
    assert_eq!(desk.read(json("/api/v1/prices", "{}")).await.0, 400);
    assert_eq!(desk.read(form("/api/v1/prices", "price=1")).await.0, 415);
}

#[actix_web::test]
async fn a_node_that_sells_nothing_says_so() {
    let mut node = Chain::new().await;
    (node.sells, node.tickets) = (false, None);
    let (desk, _) = with(node).await;
    for (path, code) in [
        ("payments", "sells_nothing"),
        ("prices", "sells_nothing"),
        ("tickets", "no_tickets"),
    ] {
        let (status, body) = desk.read(get(&format!("/api/v1/{path}"))).await;
        assert_eq!((status, &body["code"]), (404, &code.into()));
    }
    let text = "node must be orchestrator node to set maxfacevalue\n";
    desk.expect(form("/setMaxFaceValue", "maxfacevalue=1"), 400, text)
        .await;
}

#[actix_web::test]
async fn rounds_end_points_and_transactions_are_told() {
    let (desk, _) = on_chain().await;
    let (_, rounds) = desk.read(get("/api/v1/rounds")).await;
    assert_eq!(
        (
            &rounds["current"],
            &rounds["blocks_left"],
            &rounds["percent_over"],
            &rounds["reward"]["due"]
        ),
        (&10.into(), &75.into(), &25.into(), &false.into())
    );
    let (_, rpc) = desk.read(get("/api/v1/rpc")).await;
    assert_eq!(
        (&rpc["cursor"], rpc["endpoints"].is_array()),
        (&258.into(), true)
    );
    let (_, queue) = desk.read(get("/api/v1/transactions")).await;
    assert_eq!(
        (&queue["nonces_taken_by_others"], &queue["transactions"]),
        (&0.into(), &serde_json::json!([]))
    );
}
