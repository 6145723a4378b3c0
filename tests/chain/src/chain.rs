//! The chain itself: start and deployment, calls and transactions, blocks, time, and what a real chain would not let happen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ethabi::ethereum_types::{Address, H256, U256};
use ethabi::{RawLog, Token};
use serde_json::{Value, json};

use crate::anvil::{Anvil, free_port};
use crate::args;
use crate::double::Double;
use crate::rpc::{Rpc, RpcError, bytes, data, hash, number, quantity};

/// How long anything that only has to happen may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// High enough that what a test changes is mined before what the node under test sends. Wei.
const GAS_PRICE: u64 = 100_000_000_000;

/// The accounts that anvil derives from its well-known words; each has a million ether.
const ACCOUNTS: [&str; 4] = [
    "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
    "70997970c51812dc3a010c7d01b50e0d17dc79c8",
    "3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
    "90f79bf6eb2c4f870365e785982e1f101e93b906",
];

/// How a chain is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// 31337; with 42161 anvil itself adds a number-typed `l1BlockNumber` to headers.
    pub chain_id: u64,
    /// A block each so often, in whole seconds; `None`: one with each transaction.
    pub block_time: Option<Duration>,
    /// A port of one's own, for a chain that comes back as another one.
    pub port: Option<u16>,
    /// Base fee of the first block, wei.
    pub base_fee: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chain_id: 31337,
            block_time: None,
            port: None,
            base_fee: None,
        }
    }
}

/// A running chain with all doubles.
pub struct Chain {
    rpc: Rpc,
    addresses: HashMap<Double, Address>,
    chain_id: u64,
    anvil: Anvil,
}

/// A mined transaction.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Its hash.
    pub hash: H256,
    /// Its block.
    pub block: u64,
    /// False: reverted.
    pub success: bool,
    /// Gas used.
    pub gas: u64,
    /// Number of its logs.
    pub logs: usize,
}

/// A decoded event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its block.
    pub block: u64,
    /// Its transaction.
    pub transaction: H256,
    /// Name and value, as declared.
    pub params: Vec<(String, Token)>,
}

/// A state to come back to, once.
#[derive(Debug)]
pub struct Snapshot(Value);

impl Event {
    fn param(&self, name: &str) -> &Token {
        let found = self.params.iter().find(|(given, _)| given == name);
        &found.unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }

    /// A number of the event.
    pub fn uint(&self, name: &str) -> U256 {
        self.param(name).clone().into_uint().expect("number")
    }

    /// An address of the event.
    pub fn address(&self, name: &str) -> Address {
        self.param(name).clone().into_address().expect("address")
    }
}

impl Chain {
    /// Chain 31337, a block with each transaction, all doubles, the first round initialized.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// The same with other options.
    pub async fn with(options: Options) -> Self {
        let mut flags: Vec<String> = ["--auto-impersonate", "--balance", "1000000", "--chain-id"]
            .map(str::to_owned)
            .to_vec();
        flags.push(options.chain_id.to_string());
        if let Some(fee) = options.base_fee {
            flags.extend(["--block-base-fee-per-gas".to_owned(), fee.to_string()]);
        }
        let anvil = Anvil::start(options.port.unwrap_or_else(free_port), &flags);
        let rpc = Rpc::new(&anvil.url());
        let begun = Instant::now();
        while rpc.ask("eth_chainId", &json!([])).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "anvil does not answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut chain = Self {
            rpc,
            addresses: HashMap::new(),
            chain_id: options.chain_id,
            anvil,
        };
        chain.deploy().await;
        if let Some(every) = options.block_time {
            chain.set_block_time(every).await;
        }
        chain
    }

    async fn deploy(&mut self) {
        // two chains of the same second would have the same blocks
        let unique = Address::from_low_u64_be(started());
        self.rpc.request("anvil_setCoinbase", json!([unique])).await;
        let creation = data(Double::Deployment.creation_code());
        let sent = self
            .queue_raw(json!({ "from": self.account(0), "data": creation }))
            .await
            .expect("deployment");
        let receipt = self.raw_receipt(sent).await;
        assert_eq!(
            number(&receipt["status"]),
            1.into(),
            "deployment: {receipt}"
        );
        let deployment = Address::from_slice(&bytes(&receipt["contractAddress"]));
        self.addresses.insert(Double::Deployment, deployment);
        for (double, getter) in [
            (Double::Controller, "controller"),
            (Double::PriceFeed, "priceFeed"),
            (Double::Poll, "poll"),
        ] {
            let address = self.address_of(Double::Deployment, getter, args![]).await;
            self.addresses.insert(double, address);
        }
        for (double, name) in Double::REGISTERED {
            let id = crate::keccak(name.as_bytes());
            let address = self
                .address_of(Double::Controller, "getContract", args![id])
                .await;
            self.addresses.insert(double, address);
        }
        let multicall = "ca11bde05977b3631167028862be2a173976ca11";
        let multicall = multicall.parse().expect("address");
        self.install(Double::Multicall, multicall).await;
    }

    /// Its end point, without any proxy.
    pub fn url(&self) -> String {
        self.anvil.url()
    }

    /// As started.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// For anything that has no method here.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Account 0 sends what the harness sends; account 1 is the recipient of [`crate::Ticket::winner`]; 0 to 3 are rich.
    pub fn account(&self, index: usize) -> Address {
        ACCOUNTS[index].parse().expect("address")
    }

    /// Where a double is.
    pub fn address(&self, double: Double) -> Address {
        self.addresses[&double]
    }

    /// Lays the code of a double without constructor at any address, where calls then reach it. Its storage begins empty.
    pub async fn install(&mut self, double: Double, address: Address) {
        self.set_code(address, &double.runtime_code()).await;
        self.addresses.entry(double).or_insert(address);
    }

    // Calls

    /// Reads at the newest block; the revert text when it reverts.
    pub async fn try_call(
        &self,
        double: Double,
        function: &str,
        arguments: &[Token],
    ) -> Result<Vec<Token>, String> {
        let call = json!({
            "to": self.address(double),
            "data": data(double.encode(function, arguments)),
        });
        let answer = self
            .rpc
            .try_request("eth_call", json!([call, "latest"]))
            .await;
        let returned = answer.map_err(|error| error.revert_text().to_owned())?;
        Ok(double.decode(function, &bytes(&returned)))
    }

    /// Reads at the newest block.
    pub async fn call(&self, double: Double, function: &str, arguments: &[Token]) -> Vec<Token> {
        self.try_call(double, function, arguments)
            .await
            .unwrap_or_else(|text| panic!("{double:?}.{function}: {text}"))
    }

    async fn first(&self, double: Double, function: &str, arguments: &[Token]) -> Token {
        self.call(double, function, arguments).await.swap_remove(0)
    }

    /// Reads a number.
    pub async fn uint(&self, double: Double, function: &str, arguments: &[Token]) -> U256 {
        let token = self.first(double, function, arguments).await;
        token.into_uint().expect("number")
    }

    /// Reads a truth value.
    pub async fn flag(&self, double: Double, function: &str, arguments: &[Token]) -> bool {
        let token = self.first(double, function, arguments).await;
        token.into_bool().expect("truth value")
    }

    /// Reads a word.
    pub async fn word(&self, double: Double, function: &str, arguments: &[Token]) -> H256 {
        let token = self.first(double, function, arguments).await;
        H256::from_slice(&token.into_fixed_bytes().expect("word"))
    }

    /// Reads an address.
    pub async fn address_of(&self, double: Double, function: &str, arguments: &[Token]) -> Address {
        let token = self.first(double, function, arguments).await;
        token.into_address().expect("address")
    }

    // Transactions

    /// Sends from any address, without a key, and does not wait. With `gas` nothing is estimated, so what reverts is mined.
    pub async fn try_queue(
        &self,
        from: Address,
        double: Double,
        function: &str,
        arguments: &[Token],
        value: U256,
        gas: Option<u64>,
    ) -> Result<H256, String> {
        let mut transaction = json!({
            "from": from,
            "to": self.address(double),
            "data": data(double.encode(function, arguments)),
            "value": quantity(value),
        });
        let reverted = |error: RpcError| error.revert_text().to_owned();
        let gas = match gas {
            Some(gas) => gas,
            None => {
                let estimate = self
                    .rpc
                    .try_request("eth_estimateGas", json!([transaction]));
                number(&estimate.await.map_err(reverted)?).as_u64() * 5 / 4
            }
        };
        transaction["gas"] = quantity(gas);
        // what the harness itself sends outbids what it sends for others
        let first = from == self.account(0);
        let price = if first { GAS_PRICE } else { GAS_PRICE / 10 };
        transaction["gasPrice"] = quantity(price);
        self.queue_raw(transaction).await.map_err(reverted)
    }

    async fn queue_raw(&self, transaction: Value) -> Result<H256, RpcError> {
        let sent = self
            .rpc
            .try_request("eth_sendTransaction", json!([transaction]))
            .await?;
        Ok(hash(&sent))
    }

    /// Sends from any address that has ether, and waits for the block. The revert text when it would revert.
    pub async fn try_send(
        &self,
        from: Address,
        double: Double,
        function: &str,
        arguments: &[Token],
        value: U256,
    ) -> Result<Receipt, String> {
        let sent = self.try_queue(from, double, function, arguments, value, None);
        Ok(self.mined(sent.await?).await)
    }

    /// Sends from account 0 and waits for the block: the way to turn a knob. Not while mining stands still: use
    /// [`Self::queue`] and [`Self::mine`] then.
    pub async fn send(&self, double: Double, function: &str, arguments: &[Token]) -> Receipt {
        let sent = self.queue(double, function, arguments).await;
        let receipt = self.mined(sent).await;
        assert!(receipt.success, "{double:?}.{function} reverted");
        receipt
    }

    /// Sends from account 0 and does not wait; it is mined before anything of the node under test in the same block.
    pub async fn queue(&self, double: Double, function: &str, arguments: &[Token]) -> H256 {
        let gas = Some(1_000_000);
        self.try_queue(
            self.account(0),
            double,
            function,
            arguments,
            U256::zero(),
            gas,
        )
        .await
        .unwrap_or_else(|text| panic!("{double:?}.{function}: {text}"))
    }

    /// Waits until a transaction is in a block.
    pub async fn mined(&self, transaction: H256) -> Receipt {
        receipt_of(&self.raw_receipt(transaction).await)
    }

    async fn raw_receipt(&self, transaction: H256) -> Value {
        let begun = Instant::now();
        loop {
            let receipt = self
                .rpc
                .request("eth_getTransactionReceipt", json!([transaction]))
                .await;
            if !receipt.is_null() {
                return receipt;
            }
            assert!(begun.elapsed() < PATIENCE, "{transaction:#x} is not mined");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The receipt, if there is one.
    pub async fn receipt(&self, transaction: H256) -> Option<Receipt> {
        let receipt = self
            .rpc
            .request("eth_getTransactionReceipt", json!([transaction]))
            .await;
        (!receipt.is_null()).then(|| receipt_of(&receipt))
    }

    /// Hashes of what waits for a block, sent by `from`.
    pub async fn pending_of(&self, from: Address) -> Vec<H256> {
        let pool = self.rpc.request("txpool_content", json!([])).await;
        let by_nonce = |queue: &Value| -> Vec<H256> {
            let accounts = queue.as_object().expect("pool").iter();
            accounts
                .filter(|(sender, _)| sender.parse::<Address>().is_ok_and(|sender| sender == from))
                .flat_map(|(_, nonces)| nonces.as_object().expect("nonces").values())
                .map(|transaction| hash(&transaction["hash"]))
                .collect()
        };
        [by_nonce(&pool["pending"]), by_nonce(&pool["queued"])].concat()
    }

    /// Takes a waiting transaction away, as an end point that forgets it.
    pub async fn drop_transaction(&self, transaction: H256) {
        self.rpc
            .request("anvil_dropTransaction", json!([transaction]))
            .await;
    }

    /// Every event of this name since the first block, in order.
    pub async fn events(&self, double: Double, name: &str) -> Vec<Event> {
        let described = double.interface().event(name).expect("event");
        let filter = json!({
            "address": self.address(double),
            "fromBlock": "0x0",
            "toBlock": "latest",
            "topics": [described.signature()],
        });
        let logs = self.rpc.request("eth_getLogs", json!([filter])).await;
        let logs = logs.as_array().expect("logs").iter();
        logs.map(|log| {
            let raw = RawLog {
                topics: log["topics"]
                    .as_array()
                    .expect("topics")
                    .iter()
                    .map(hash)
                    .collect(),
                data: bytes(&log["data"]),
            };
            let params = described.parse_log(raw).expect("event").params;
            Event {
                block: number(&log["blockNumber"]).as_u64(),
                transaction: hash(&log["transactionHash"]),
                params: params
                    .into_iter()
                    .map(|one| (one.name, one.value))
                    .collect(),
            }
        })
        .collect()
    }

    // Accounts

    /// Wei of an account.
    pub async fn balance(&self, account: Address) -> U256 {
        number(
            &self
                .rpc
                .request("eth_getBalance", json!([account, "latest"]))
                .await,
        )
    }

    /// Gives an account exactly this many wei.
    pub async fn set_balance(&self, account: Address, wei: U256) {
        self.rpc
            .request("anvil_setBalance", json!([account, quantity(wei)]))
            .await;
    }

    /// Transactions that an account has in blocks.
    pub async fn nonce(&self, account: Address) -> u64 {
        let nonce = self
            .rpc
            .request("eth_getTransactionCount", json!([account, "latest"]))
            .await;
        number(&nonce).as_u64()
    }

    /// Says that an account has sent this many.
    pub async fn set_nonce(&self, account: Address, nonce: u64) {
        self.rpc
            .request("anvil_setNonce", json!([account, quantity(nonce)]))
            .await;
    }

    /// Another code at an address; empty: none.
    pub async fn set_code(&self, address: Address, code: &[u8]) {
        self.rpc
            .request("anvil_setCode", json!([address, data(code)]))
            .await;
    }

    // Blocks

    /// The newest block.
    pub async fn height(&self) -> u64 {
        number(&self.rpc.request("eth_blockNumber", json!([])).await).as_u64()
    }

    /// Hash of a block.
    pub async fn block_hash(&self, height: u64) -> H256 {
        let block = self
            .rpc
            .request("eth_getBlockByNumber", json!([quantity(height), false]))
            .await;
        hash(&block["hash"])
    }

    /// Makes blocks, the first with what waits.
    pub async fn mine(&self, blocks: u64) {
        self.rpc
            .request("anvil_mine", json!([quantity(blocks)]))
            .await;
    }

    /// Whether each transaction makes a block at once. Off: only [`Self::mine`] makes blocks.
    pub async fn set_automine(&self, on: bool) {
        self.rpc.request("evm_setAutomine", json!([on])).await;
    }

    /// A block each so often, in whole seconds, in place of one with each transaction.
    pub async fn set_block_time(&self, every: Duration) {
        self.rpc
            .request("evm_setIntervalMining", json!([every.as_secs()]))
            .await;
    }

    /// Base fee of the next block, wei.
    pub async fn set_base_fee(&self, wei: U256) {
        self.rpc
            .request("anvil_setNextBlockBaseFeePerGas", json!([quantity(wei)]))
            .await;
    }

    /// Time of the newest block, Unix seconds.
    pub async fn time(&self) -> u64 {
        let block = self
            .rpc
            .request("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        number(&block["timestamp"]).as_u64()
    }

    /// Lets the clock of the chain jump, and makes a block.
    pub async fn advance_time(&self, by: Duration) {
        self.rpc
            .request("evm_increaseTime", json!([by.as_secs()]))
            .await;
        self.mine(1).await;
    }

    /// Keeps the state of now.
    pub async fn snapshot(&self) -> Snapshot {
        Snapshot(self.rpc.request("evm_snapshot", json!([])).await)
    }

    /// Goes back; blocks since then are as if they had never been.
    pub async fn revert(&self, to: Snapshot) {
        let done = self.rpc.request("evm_revert", json!([to.0])).await;
        assert_eq!(done, true, "the state is gone");
    }

    /// Replaces the newest `depth` blocks by as many empty ones with other hashes. What was in them is lost.
    pub async fn reorg(&self, depth: u64) {
        self.rpc.request("anvil_reorg", json!([depth, []])).await;
    }
}

/// Unix nanoseconds.
fn started() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.expect("clock").as_nanos()).unwrap_or_default()
}

fn receipt_of(receipt: &Value) -> Receipt {
    Receipt {
        hash: hash(&receipt["transactionHash"]),
        block: number(&receipt["blockNumber"]).as_u64(),
        success: number(&receipt["status"]) == 1.into(),
        gas: number(&receipt["gasUsed"]).as_u64(),
        logs: receipt["logs"].as_array().map_or(0, Vec::len),
    }
}
