//! The client that asks real nodes, over [`Endpoints`].

mod batch;
mod bonding;
mod parse;
#[cfg(test)]
mod tests;
mod tickets;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use protocol::address::Address;
use serde_json::{Value, json};

use self::batch::{Batch, call_error, to_hex};
use crate::bindings::*;
use crate::client::ChainClient;
use crate::contracts::{ContractChange, ContractName, Contracts};
use crate::convert::{clamp, to_address, to_h160};
use crate::endpoints::wire::Question;
use crate::endpoints::{EndpointSnapshot, Endpoints, quantity, rpc_error};
use crate::price_feed::FeedAnswer;
use crate::types::{
    At, Balances, Call, Delegator, EarningsPool, Hash, Head, KnownTransaction, Log, LogFilter,
    Pool, ProtocolParameters, Read, Receipt, RewardInputs, Rounds, SenderInfo, Transcoder, U256,
    UnbondingLock,
};
use crate::{Error, Result, networks};
use telemetry::metrics::label::LogDrop;

/// Where the protocol is on a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// The Controller.
    pub controller: Address,
    /// Registry of service URIs when it is another than the Controller's: [`networks::AI_SERVICE_REGISTRY`].
    pub own_registry: Option<Address>,
}

/// The client.
#[derive(Debug)]
pub struct RpcClient {
    endpoints: Arc<Endpoints>,
    contracts: RwLock<Contracts>,
    chain_id: u64,
    /// Members of the pool when it was last read: all of them are asked for at once next time.
    pool: parking_lot::Mutex<Vec<Address>>,
}

impl RpcClient {
    /// Connects: asks for the chain, makes sure that the Controller is there, and looks the contracts up.
    ///
    /// # Errors
    /// [`Error::NoCode`] when there is no contract at the Controller's address, [`Error::NotRegistered`] when it does
    /// not know a contract without which no paid work is possible, and those of [`ChainClient`].
    pub async fn connect(endpoints: Arc<Endpoints>, deployment: Deployment) -> Result<Arc<Self>> {
        let chain_id = endpoints.chain_id().await?;
        let client = Self {
            endpoints,
            contracts: RwLock::new(Contracts::new(
                deployment.controller,
                deployment.own_registry,
            )),
            chain_id,
            pool: parking_lot::Mutex::default(),
        };
        if !client.has_code(deployment.controller).await? {
            return Err(Error::NoCode {
                name: "the Controller",
                address: deployment.controller,
            });
        }
        client.refresh_contracts().await?;
        for (name, consequence) in client.contracts().missing() {
            tracing::info!(contract = %name, "the Controller does not know it: {consequence}");
        }
        Ok(Arc::new(client))
    }

    /// The transport.
    #[must_use]
    pub fn transport(&self) -> &Arc<Endpoints> {
        &self.endpoints
    }

    fn at(&self, name: ContractName) -> Result<Address> {
        self.contracts.read().require(name)
    }

    /// Asks one question that is neither a call nor an estimate.
    async fn ask(&self, method: &'static str, params: Value) -> Result<Value> {
        let question = Question::new(method, params);
        Ok(self.endpoints.ask_one(question).await?.0)
    }

    /// The newest block's number, to pin reads that belong together.
    async fn pin(&self) -> Result<(u64, Value)> {
        let value = self.ask("eth_blockNumber", json!([])).await?;
        let number = quantity(&value);
        let number = number.ok_or_else(|| Error::decoding("eth_blockNumber", "no number"))?;
        Ok((number, block_tag(number)))
    }

    /// One read of one contract at the newest block.
    async fn read<C, R>(&self, to: Address, call: C) -> Result<R>
    where
        C: ethers::contract::EthCall,
        R: ethers::abi::AbiDecode,
    {
        let mut batch = Batch::new(latest());
        let slot = batch.read::<C, R>(to, call);
        batch.send(&self.endpoints).await?.get(&slot)
    }

    async fn header(&self, tag: Value) -> Result<Option<Head>> {
        let question = Question::new("eth_getBlockByNumber", json!([tag, false]));
        let (value, by) = self.endpoints.ask_one(question).await?;
        let head = parse::block(&value, self.endpoints.label(by))?;
        if let (Some(head), Some("latest")) = (&head, tag.as_str()) {
            self.endpoints.note_head(by, head.number);
        }
        Ok(head)
    }
}

fn latest() -> Value {
    Value::from("latest")
}

fn block_tag(number: u64) -> Value {
    Value::from(format!("{number:#x}"))
}

fn tag(at: At) -> Value {
    match at {
        At::Latest => latest(),
        At::Pending => Value::from("pending"),
        At::Block(number) => block_tag(number),
    }
}

fn account(address: Address) -> Value {
    Value::from(to_hex(&address.0))
}

fn request(call: &Call) -> Value {
    let mut request = serde_json::Map::new();
    request.insert("to".into(), account(call.to));
    request.insert("data".into(), to_hex(&call.data).into());
    if let Some(from) = call.from {
        request.insert("from".into(), account(from));
    }
    if !call.value.is_zero() {
        request.insert("value".into(), format!("{:#x}", call.value).into());
    }
    if let Some(gas) = call.gas {
        request.insert("gas".into(), format!("{gas:#x}").into());
    }
    if let Some(fee) = call.max_fee {
        request.insert("maxFeePerGas".into(), format!("{fee:#x}").into());
    }
    if let Some(tip) = call.tip {
        request.insert("maxPriorityFeePerGas".into(), format!("{tip:#x}").into());
    }
    Value::Object(request)
}

#[async_trait]
impl ChainClient for RpcClient {
    async fn chain_id(&self) -> Result<u64> {
        Ok(self.chain_id)
    }

    async fn head(&self) -> Result<Head> {
        let head = self.header(latest()).await?;
        let mut head = head.ok_or_else(|| Error::decoding("the newest block", "null"))?;
        if head.l1_number.is_none() {
            head.l1_number = match self.l1_block_number().await {
                Ok(number) => Some(number),
                Err(e) if networks::is_arbitrum(self.chain_id) => {
                    return Err(Error::NoL1Number {
                        chain_id: self.chain_id,
                        why: format!("the block has none, and blockNum(): {e}"),
                    });
                }
                // a chain of its own whose RoundsManager counts its blocks
                Err(
                    Error::Reverted { .. } | Error::Decoding { .. } | Error::NotRegistered { .. },
                ) => Some(head.number),
                Err(e) => return Err(e),
            };
        }
        Ok(head)
    }

    async fn block(&self, number: u64) -> Result<Option<Head>> {
        let head = self.header(block_tag(number)).await?;
        match head {
            Some(head) if head.number != number => Err(Error::decoding(
                "block",
                format!("asked for {number}, got {}", head.number),
            )),
            head => Ok(head),
        }
    }

    async fn l1_block_number(&self) -> Result<u64> {
        let to = self.at(ContractName::RoundsManager)?;
        let number: BlockNumReturn = self.read(to, BlockNumCall).await?;
        Ok(clamp(number.0))
    }

    fn contracts(&self) -> Contracts {
        *self.contracts.read()
    }

    async fn refresh_contracts(&self) -> Result<Vec<ContractChange>> {
        let before = self.contracts();
        let mut batch = Batch::new(latest());
        let slots = ContractName::ALL.map(|name| {
            let call = GetContractCall { id: name.id().0 };
            batch.read::<_, GetContractReturn>(before.controller, call)
        });
        let answers = batch.send(&self.endpoints).await?;
        let mut after = before;
        for (name, slot) in ContractName::ALL.into_iter().zip(&slots) {
            after.set(name, to_address(answers.get(slot)?.0));
        }
        for name in ContractName::ALL.into_iter().filter(|n| n.is_required()) {
            after.require(name)?;
        }
        let changes = after.changes_since(&before);
        *self.contracts.write() = after;
        Ok(changes)
    }

    async fn rounds(&self) -> Result<Read<Rounds>> {
        let to = self.at(ContractName::RoundsManager)?;
        let (block, tag) = self.pin().await?;
        let mut batch = Batch::new(tag.clone());
        let current = batch.read::<_, CurrentRoundReturn>(to, CurrentRoundCall);
        let last = batch.read::<_, LastInitializedRoundReturn>(to, LastInitializedRoundCall);
        let initialized =
            batch.read::<_, CurrentRoundInitializedReturn>(to, CurrentRoundInitializedCall);
        let locked = batch.read::<_, CurrentRoundLockedReturn>(to, CurrentRoundLockedCall);
        let start = batch.read::<_, CurrentRoundStartBlockReturn>(to, CurrentRoundStartBlockCall);
        let length = batch.read::<_, RoundLengthReturn>(to, RoundLengthCall);
        let lock_amount = batch.read::<_, RoundLockAmountReturn>(to, RoundLockAmountCall);
        let l1_block = batch.read::<_, BlockNumReturn>(to, BlockNumCall);
        let answers = batch.send(&self.endpoints).await?;
        let last_round = answers.get(&last)?.0;

        let mut batch = Batch::new(tag);
        let mut hash_of = |round: U256| {
            batch.read::<_, BlockHashForRoundReturn>(to, BlockHashForRoundCall { round })
        };
        let hash = hash_of(last_round);
        let previous = hash_of(last_round.saturating_sub(U256::one()));
        let hashes = batch.send(&self.endpoints).await?;
        let value = Rounds {
            current: clamp(answers.get(&current)?.0),
            last_initialized: clamp(last_round),
            initialized: answers.get(&initialized)?.0,
            locked: answers.get(&locked)?.0,
            start_block: clamp(answers.get(&start)?.0),
            length: clamp(answers.get(&length)?.0),
            lock_amount: clamp(answers.get(&lock_amount)?.0),
            l1_block: clamp(answers.get(&l1_block)?.0),
            hash: Hash(hashes.get(&hash)?.0),
            previous_hash: Hash(hashes.get(&previous)?.0),
        };
        Ok(Read { block, value })
    }

    async fn protocol_parameters(&self) -> Result<ProtocolParameters> {
        self.read_parameters().await
    }

    async fn pool_size(&self) -> Result<u64> {
        let to = self.at(ContractName::BondingManager)?;
        let size: GetTranscoderPoolSizeReturn = self.read(to, GetTranscoderPoolSizeCall).await?;
        Ok(clamp(size.0))
    }

    async fn transcoder(&self, transcoder: Address) -> Result<Transcoder> {
        let mut records = self.transcoders(&[transcoder]).await?;
        let record = records.pop();
        record.ok_or_else(|| Error::decoding("transcoder", "no answer"))
    }

    async fn transcoders(&self, transcoders: &[Address]) -> Result<Vec<Transcoder>> {
        let (_, tag) = self.pin().await?;
        self.read_transcoders(transcoders, tag).await
    }

    async fn pool(&self) -> Result<Read<Pool>> {
        let (block, tag) = self.pin().await?;
        let value = self.read_pool(tag).await?;
        Ok(Read { block, value })
    }

    async fn reward_inputs(&self, transcoder: Address) -> Result<Read<RewardInputs>> {
        let (block, tag) = self.pin().await?;
        let value = self.read_reward_inputs(transcoder, tag).await?;
        Ok(Read { block, value })
    }

    async fn sender_infos(
        &self,
        senders: &[Address],
        recipient: Address,
    ) -> Result<Read<Vec<SenderInfo>>> {
        let (block, tag) = self.pin().await?;
        let value = self.read_senders(senders, recipient, tag).await?;
        Ok(Read { block, value })
    }

    async fn claimable_reserve(&self, holder: Address, claimant: Address) -> Result<U256> {
        let to = self.at(ContractName::TicketBroker)?;
        let mut batch = Batch::new(latest());
        let call = ClaimableReserveCall {
            reserve_holder: to_h160(holder),
            claimant: to_h160(claimant),
        };
        let slot = batch.read::<_, ClaimableReserveReturn>(to, call);
        let answers = batch.send(&self.endpoints).await?;
        tickets::claimable(&answers, &slot)
    }

    async fn used_tickets(&self, tickets: &[Hash]) -> Result<Vec<bool>> {
        let to = self.at(ContractName::TicketBroker)?;
        let mut batch = Batch::new(latest());
        let slots: Vec<_> = tickets
            .iter()
            .map(|ticket| {
                let call = UsedTicketsCall {
                    ticket_hash: ticket.0,
                };
                batch.read::<_, UsedTicketsReturn>(to, call)
            })
            .collect();
        let answers = batch.send(&self.endpoints).await?;
        slots
            .iter()
            .map(|slot| answers.get(slot).map(|used| used.0))
            .collect()
    }

    async fn unlock_period(&self) -> Result<u64> {
        let to = self.at(ContractName::TicketBroker)?;
        let period: UnlockPeriodReturn = self.read(to, UnlockPeriodCall).await?;
        Ok(clamp(period.0))
    }

    async fn ticket_validity_period(&self) -> Result<u64> {
        let to = self.at(ContractName::TicketBroker)?;
        let period: TicketValidityPeriodReturn = self.read(to, TicketValidityPeriodCall).await?;
        Ok(clamp(period.0))
    }

    async fn mintable(&self) -> Result<U256> {
        let to = self.at(ContractName::Minter)?;
        let tokens: CurrentMintableTokensReturn = self.read(to, CurrentMintableTokensCall).await?;
        Ok(tokens.0)
    }

    async fn total_bonded(&self) -> Result<U256> {
        let to = self.at(ContractName::BondingManager)?;
        let bonded: GetTotalBondedReturn = self.read(to, GetTotalBondedCall).await?;
        Ok(bonded.0)
    }

    async fn treasury_cut(&self) -> Result<U256> {
        let to = self.at(ContractName::BondingManager)?;
        let mut batch = Batch::new(latest());
        let slot = batch.read::<_, TreasuryRewardCutRateReturn>(to, TreasuryRewardCutRateCall);
        let answers = batch.send(&self.endpoints).await?;
        Ok(answers
            .get_or(&slot, TreasuryRewardCutRateReturn::default())?
            .0)
    }

    async fn earnings_pool(&self, transcoder: Address, round: u64) -> Result<EarningsPool> {
        self.read_earnings_pool(transcoder, round, latest()).await
    }

    async fn reward_caller(&self, transcoder: Address) -> Result<Option<Address>> {
        let to = self.at(ContractName::BondingManager)?;
        let mut batch = Batch::new(latest());
        let call = TranscoderToRewardCallerCall {
            transcoder: to_h160(transcoder),
        };
        let slot = batch.read::<_, TranscoderToRewardCallerReturn>(to, call);
        let answers = batch.send(&self.endpoints).await?;
        let caller = answers.get_or(&slot, TranscoderToRewardCallerReturn::default())?;
        Ok(Some(to_address(caller.0)).filter(|caller| !caller.is_zero()))
    }

    async fn balances(&self, owner: Address) -> Result<Balances> {
        let token = self.contracts().get(ContractName::LivepeerToken);
        let mut batch = Batch::new(latest());
        let params = json!([account(owner), "latest"]);
        let eth = batch.ask::<()>("balance", Question::new("eth_getBalance", params));
        let lpt = (!token.is_zero()).then(|| {
            let call = BalanceOfCall {
                account: to_h160(owner),
            };
            batch.read::<_, BalanceOfReturn>(token, call)
        });
        let answers = batch.send(&self.endpoints).await?;
        let eth = answers.value(&eth, "eth_getBalance")?;
        Ok(Balances {
            eth: parse::one_amount("eth_getBalance", eth)?,
            lpt: match lpt {
                Some(slot) => answers.get(&slot)?.0,
                None => U256::zero(),
            },
        })
    }

    async fn allowance(&self, owner: Address, spender: Address) -> Result<U256> {
        let to = self.at(ContractName::LivepeerToken)?;
        let call = AllowanceCall {
            owner: to_h160(owner),
            spender: to_h160(spender),
        };
        let allowance: AllowanceReturn = self.read(to, call).await?;
        Ok(allowance.0)
    }

    async fn delegator(&self, delegator: Address) -> Result<Delegator> {
        let (_, tag) = self.pin().await?;
        self.read_delegator(delegator, tag).await
    }

    async fn unbonding_locks(
        &self,
        delegator: Address,
        ids: std::ops::Range<u64>,
    ) -> Result<Vec<UnbondingLock>> {
        self.read_unbonding_locks(delegator, ids).await
    }

    async fn service_uri(&self, owner: Address) -> Result<String> {
        let to = self.at(ContractName::ServiceRegistry)?;
        let call = GetServiceURICall {
            account: to_h160(owner),
        };
        let uri: GetServiceURIReturn = self.read(to, call).await?;
        Ok(uri.0)
    }

    async fn faucet_next_request(&self, owner: Address) -> Result<u64> {
        let to = self.at(ContractName::LivepeerTokenFaucet)?;
        let call = NextValidRequestCall {
            account: to_h160(owner),
        };
        let next: NextValidRequestReturn = self.read(to, call).await?;
        Ok(clamp(next.0))
    }

    async fn price_feed(&self, feed: Address) -> Result<FeedAnswer> {
        let mut batch = Batch::new(latest());
        let description = batch.read::<_, DescriptionReturn>(feed, DescriptionCall);
        let decimals = batch.read::<_, DecimalsReturn>(feed, DecimalsCall);
        let round = batch.read::<_, LatestRoundDataReturn>(feed, LatestRoundDataCall);
        let answers = batch.send(&self.endpoints).await?;
        let round = answers.get(&round)?;
        let (negative, answer) = (round.answer.is_negative(), round.answer.into_raw());
        Ok(FeedAnswer {
            description: answers.get(&description)?.0,
            decimals: u8::try_from(clamp(answers.get(&decimals)?.0)).unwrap_or(u8::MAX),
            answer: (!negative).then_some(answer),
            updated_at: clamp(round.updated_at),
        })
    }

    async fn gas_price(&self) -> Result<U256> {
        let value = self.ask("eth_gasPrice", json!([])).await?;
        parse::one_amount("eth_gasPrice", &value)
    }

    async fn max_priority_fee(&self) -> Result<Option<U256>> {
        let method = "eth_maxPriorityFeePerGas";
        match self.ask(method, json!([])).await {
            Ok(value) => parse::one_amount(method, &value).map(Some),
            Err(Error::Rpc { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn call(&self, call: &Call, at: At) -> Result<Vec<u8>> {
        let question = Question::new("eth_call", json!([request(call), tag(at)]));
        let (mut answers, _) = self.endpoints.ask(&[question]).await?;
        let answer = answers.pop();
        let answer = answer.ok_or_else(|| Error::decoding("eth_call", "no answer"))?;
        let value = answer.map_err(|e| call_error("eth_call", e))?;
        batch::bytes(&value).ok_or_else(|| Error::decoding("eth_call", "not hex bytes"))
    }

    async fn estimate_gas(&self, call: &Call) -> Result<u64> {
        let question = Question::new("eth_estimateGas", json!([request(call)]));
        let (mut answers, _) = self.endpoints.ask(&[question]).await?;
        let answer = answers.pop();
        let answer = answer.ok_or_else(|| Error::decoding("eth_estimateGas", "no answer"))?;
        let value = answer.map_err(|e| call_error("eth_estimateGas", e))?;
        quantity(&value).ok_or_else(|| Error::decoding("eth_estimateGas", "no number"))
    }

    async fn has_code(&self, address: Address) -> Result<bool> {
        let code = self
            .ask("eth_getCode", json!([account(address), "latest"]))
            .await?;
        let code = batch::bytes(&code);
        let code = code.ok_or_else(|| Error::decoding("eth_getCode", "not hex bytes"))?;
        Ok(!code.is_empty())
    }

    async fn transaction_count(&self, owner: Address, at: At) -> Result<u64> {
        let method = "eth_getTransactionCount";
        let value = self.ask(method, json!([account(owner), tag(at)])).await?;
        quantity(&value).ok_or_else(|| Error::decoding(method, "no number"))
    }

    async fn send_raw(&self, transaction: &[u8]) -> Result<Hash> {
        let method = "eth_sendRawTransaction";
        let value = self.ask(method, json!([to_hex(transaction)])).await?;
        parse::hash(&value).ok_or_else(|| Error::decoding(method, "no hash"))
    }

    async fn receipts(&self, transactions: &[Hash]) -> Result<Vec<Option<Receipt>>> {
        let method = "eth_getTransactionReceipt";
        let questions = transactions
            .iter()
            .map(|hash| Question::new(method, json!([hash.to_string()])));
        let questions: Vec<Question> = questions.collect();
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let (answers, _) = self.endpoints.ask(&questions).await?;
        let receipts = answers
            .into_iter()
            .zip(transactions)
            .map(|(answer, asked)| {
                let value = answer.map_err(|e| rpc_error(method, e))?;
                match parse::receipt(&value)? {
                    Some(receipt) if receipt.transaction != *asked => Err(Error::decoding(
                        method,
                        "the receipt of another transaction",
                    )),
                    receipt => Ok(receipt),
                }
            });
        receipts.collect()
    }

    async fn transaction(&self, hash: Hash) -> Result<Option<KnownTransaction>> {
        let value = self
            .ask("eth_getTransactionByHash", json!([hash.to_string()]))
            .await?;
        parse::transaction(&value)
    }

    async fn transactions_of(&self, account: Address, block: u64) -> Result<Vec<KnownTransaction>> {
        let params = json!([block_tag(block), true]);
        let value = self.ask("eth_getBlockByNumber", params).await?;
        let all = value.get("transactions").and_then(Value::as_array);
        let mut found = Vec::new();
        for transaction in all.into_iter().flatten() {
            found.extend(parse::transaction(transaction)?.filter(|known| known.from == account));
        }
        Ok(found)
    }

    async fn logs(&self, filter: &LogFilter) -> Result<Vec<Log>> {
        let mut query = json!({
            "fromBlock": block_tag(filter.from),
            "toBlock": block_tag(filter.to),
        });
        if !filter.addresses.is_empty() {
            query["address"] = filter.addresses.iter().copied().map(account).collect();
        }
        if !filter.topics.is_empty() {
            let topics: Value = filter.topics.iter().map(Hash::to_string).collect();
            query["topics"] = json!([topics]);
        }
        let question = Question::new("eth_getLogs", json!([query]));
        let (mut answers, _) = self.endpoints.ask(&[question]).await?;
        let value = match answers.pop() {
            Some(Ok(value)) => value,
            Some(Err(error)) if crate::endpoints::wire::asks_for_less(&error) => {
                return Err(Error::Range {
                    from: filter.from,
                    to: filter.to,
                    reason: error.message,
                });
            }
            Some(Err(error)) => return Err(rpc_error("eth_getLogs", error)),
            None => return Err(Error::decoding("eth_getLogs", "no answer")),
        };
        let read = parse::logs(&value)?;
        for _ in 0..read.dropped {
            self.endpoints.metrics().dropped(LogDrop::Misplaced);
        }
        Ok(read.logs)
    }

    fn endpoints(&self) -> Vec<EndpointSnapshot> {
        self.endpoints.snapshot()
    }
}
