//! The questions that the chain in memory answers.

use std::ops::Range;

use async_trait::async_trait;
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::utils::rlp::Rlp;
use protocol::address::Address;
use protocol::signature::keccak256;

use super::{CHAIN_ID, FakeChain, GAS, MinedTx, State, Tx, World};
use crate::client::{ChainClient, Result};
use crate::contracts::{ContractChange, Contracts};
use crate::convert::to_address;
use crate::endpoints::EndpointSnapshot;
use crate::fees::price_from_wire;
use crate::price_feed::FeedAnswer;
use crate::types::{
    At, Balances, Call, Delegator, EarningsPool, Hash, Head, KnownTransaction, Log, LogFilter,
    NEVER, Pool, PoolMember, ProtocolParameters, Read, Receipt, RewardInputs, Rounds, SenderInfo,
    Transcoder, U256, UnbondingLock,
};
use crate::{ContractName, Error};

fn unavailable(method: &str) -> Error {
    Error::Unavailable {
        method: method.into(),
        failures: "fake: down".into(),
    }
}

fn rpc(method: &str, message: &str) -> Error {
    Error::Rpc {
        method: method.into(),
        code: -32000,
        message: message.into(),
        data: String::new(),
    }
}

impl State {
    /// Blocks that this answer knows.
    fn seen(&self) -> usize {
        let lag = if self.answers.is_multiple_of(2) {
            0
        } else {
            self.faults.lag
        };
        self.blocks.len().saturating_sub(lag).max(1)
    }

    fn seen_world(&self) -> &World {
        &self.blocks[self.seen() - 1].world
    }

    fn head_at(&self, number: usize) -> Head {
        let block = &self.blocks[number];
        Head {
            number: number as u64,
            hash: block.hash,
            parent: number
                .checked_sub(1)
                .map_or(Hash::ZERO, |n| self.blocks[n].hash),
            l1_number: Some(block.world.l1_block),
            base_fee: Some(self.base_fee.into()),
            timestamp: 1_700_000_000 + number as u64,
            endpoint: "fake".into(),
        }
    }

    fn find(&self, hash: Hash) -> Option<(usize, &MinedTx)> {
        let blocks = self.blocks.iter().enumerate().take(self.seen());
        let mut all =
            blocks.flat_map(|(n, block)| block.transactions.iter().map(move |tx| (n, tx)));
        all.find(|(_, mined)| mined.tx.hash == hash)
    }

    fn transcoder(&self, address: Address) -> Transcoder {
        let world = self.seen_world();
        let orchestrator = world.orchestrators.get(&address).cloned();
        let registered = orchestrator.is_some();
        let orchestrator = orchestrator.unwrap_or_default();
        Transcoder {
            address,
            registered,
            active: orchestrator.active,
            last_reward_round: orchestrator.last_reward_round,
            reward_cut: 0,
            fee_share: 0,
            last_active_stake_update_round: 1,
            activation_round: 1,
            deactivation_round: NEVER,
            active_cumulative_rewards: U256::zero(),
            cumulative_rewards: U256::zero(),
            cumulative_fees: orchestrator.fees,
            last_fee_round: 0,
            stake: orchestrator.stake,
            service_uri: String::new(),
        }
    }

    fn pool_of(&self) -> Pool {
        let orchestrators = self.seen_world().orchestrators.iter();
        let mut members: Vec<PoolMember> = orchestrators
            .map(|(address, o)| PoolMember {
                address: *address,
                stake: o.stake,
            })
            .collect();
        members.sort_by_key(|member| std::cmp::Reverse(member.stake));
        Pool {
            members,
            max_size: 100,
        }
    }

    fn simulate(&mut self, call: &Call, at: At) -> Result<Vec<u8>> {
        let from = call.from.unwrap_or(Address::ZERO);
        let tx = |data: Vec<u8>, to| Tx {
            hash: Hash::ZERO,
            from,
            nonce: 0,
            max_fee: u128::MAX,
            to,
            data,
        };
        let mut world = match at {
            At::Block(number) => match self.blocks.get(number as usize) {
                Some(block) => block.world.clone(),
                None => return Err(rpc("eth_call", "header not found")),
            },
            _ => self.seen_world().clone(),
        };
        if at == At::Pending {
            let waiting: Vec<Tx> = self.pool.values().cloned().collect();
            for tx in waiting {
                let mut after = world.clone();
                if self.execute(&mut after, &tx, false).is_ok() {
                    world = after;
                }
            }
        }
        let tx = tx(call.data.clone(), call.to);
        match self.execute(&mut world, &tx, false) {
            Ok(_) => Ok(Vec::new()),
            Err(words) => Err(Error::Reverted {
                message: format!("execution reverted: {words}"),
                data: Vec::new(),
            }),
        }
    }

    fn take(&mut self, raw: &[u8]) -> std::result::Result<Hash, String> {
        let (decoded, signature) =
            TypedTransaction::decode_signed(&Rlp::new(raw)).map_err(|e| e.to_string())?;
        let TypedTransaction::Eip1559(inner) = &decoded else {
            return Err("transaction type not supported".into());
        };
        let from = signature
            .recover(decoded.sighash())
            .map_err(|e| e.to_string())?;
        let from = to_address(from);
        let tx = Tx {
            hash: Hash(keccak256(raw)),
            from,
            nonce: decoded.nonce().map_or(0, |nonce| nonce.as_u64()),
            max_fee: price_from_wire(inner.max_fee_per_gas.unwrap_or_default()),
            to: decoded.to_addr().map_or(Address::ZERO, |to| Address(to.0)),
            data: decoded.data().map(|data| data.to_vec()).unwrap_or_default(),
        };
        if tx.nonce < self.world().nonces.get(&from).copied().unwrap_or(0) {
            return Err("nonce too low".into());
        }
        if let Some(old) = self.pool.get(&(from, tx.nonce)) {
            if old.hash == tx.hash {
                return Err("already known".into());
            }
            if tx.max_fee.saturating_mul(10) < old.max_fee.saturating_mul(11) {
                return Err("replacement transaction underpriced".into());
            }
        }
        let hash = tx.hash;
        self.pool.insert((from, tx.nonce), tx);
        Ok(hash)
    }
}

impl FakeChain {
    fn ask<T>(&self, method: &'static str, f: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.with(|state| {
            *state.asked.entry(method).or_default() += 1;
            state.answers += 1;
            if state.faults.down {
                return Err(unavailable(method));
            }
            f(state)
        })
    }
}

#[async_trait]
impl ChainClient for FakeChain {
    async fn chain_id(&self) -> Result<u64> {
        Ok(CHAIN_ID)
    }

    async fn head(&self) -> Result<Head> {
        self.ask("head", |state| Ok(state.head_at(state.seen() - 1)))
    }

    async fn block(&self, number: u64) -> Result<Option<Head>> {
        self.ask("block", |state| {
            let known = (number as usize) < state.seen();
            Ok(known.then(|| state.head_at(number as usize)))
        })
    }

    async fn l1_block_number(&self) -> Result<u64> {
        self.ask("l1_block_number", |state| Ok(state.seen_world().l1_block))
    }

    fn contracts(&self) -> Contracts {
        self.with(|state| state.contracts)
    }

    async fn refresh_contracts(&self) -> Result<Vec<ContractChange>> {
        self.ask("refresh_contracts", |_| Ok(Vec::new()))
    }

    async fn rounds(&self) -> Result<Read<Rounds>> {
        self.ask("rounds", |state| {
            let world = state.seen_world();
            let current = world.round();
            Ok(Read {
                block: state.seen() as u64 - 1,
                value: Rounds {
                    current,
                    last_initialized: world.last_initialized,
                    initialized: world.is_initialized(),
                    locked: false,
                    start_block: current * world.round_length,
                    length: world.round_length,
                    lock_amount: 0,
                    l1_block: world.l1_block,
                    hash: World::round_hash(world.last_initialized),
                    previous_hash: World::round_hash(world.last_initialized - 1),
                },
            })
        })
    }

    async fn protocol_parameters(&self) -> Result<ProtocolParameters> {
        Err(unavailable("protocol_parameters"))
    }

    async fn pool_size(&self) -> Result<u64> {
        self.ask("pool_size", |state| Ok(state.seen_world().pool_size()))
    }

    async fn transcoder(&self, transcoder: Address) -> Result<Transcoder> {
        self.ask("transcoder", |state| Ok(state.transcoder(transcoder)))
    }

    async fn transcoders(&self, transcoders: &[Address]) -> Result<Vec<Transcoder>> {
        self.ask("transcoders", |state| {
            Ok(transcoders
                .iter()
                .map(|who| state.transcoder(*who))
                .collect())
        })
    }

    async fn pool(&self) -> Result<Read<Pool>> {
        self.ask("pool", |state| {
            Ok(Read {
                block: state.seen() as u64 - 1,
                value: state.pool_of(),
            })
        })
    }

    async fn reward_inputs(&self, transcoder: Address) -> Result<Read<RewardInputs>> {
        self.ask("reward_inputs", |state| {
            let pool = state.pool_of();
            let all = pool.members.iter().map(|member| member.stake);
            Ok(Read {
                block: state.seen() as u64 - 1,
                value: RewardInputs {
                    round: state.seen_world().round(),
                    transcoder: state.transcoder(transcoder),
                    active_stake: state.transcoder(transcoder).stake,
                    mintable: 1_000.into(),
                    total_bonded: all.fold(U256::zero(), |sum, stake| sum + stake),
                    treasury_cut: U256::zero(),
                    pool,
                },
            })
        })
    }

    async fn sender_infos(
        &self,
        senders: &[Address],
        recipient: Address,
    ) -> Result<Read<Vec<SenderInfo>>> {
        self.ask("sender_infos", |state| {
            let world = state.seen_world();
            let info = |sender: &Address| {
                let funds = world.senders.get(sender).cloned().unwrap_or_default();
                let (all, own) = funds.claims(world.round(), recipient);
                SenderInfo {
                    sender: *sender,
                    deposit: funds.deposit,
                    withdraw_round: funds.withdraw_round,
                    reserve: funds.reserve,
                    claimed_in_round: all,
                    claimed_by_recipient: own,
                    claimable: world.claimable(*sender, recipient),
                }
            };
            Ok(Read {
                block: state.seen() as u64 - 1,
                value: senders.iter().map(info).collect(),
            })
        })
    }

    async fn claimable_reserve(&self, holder: Address, claimant: Address) -> Result<U256> {
        self.ask("claimable_reserve", |state| {
            Ok(state.seen_world().claimable(holder, claimant))
        })
    }

    async fn used_tickets(&self, tickets: &[Hash]) -> Result<Vec<bool>> {
        self.ask("used_tickets", |state| {
            let redeemed = &state.seen_world().redeemed;
            Ok(tickets
                .iter()
                .map(|hash| redeemed.contains_key(hash))
                .collect())
        })
    }

    async fn unlock_period(&self) -> Result<u64> {
        Ok(2)
    }

    async fn ticket_validity_period(&self) -> Result<u64> {
        self.ask("ticket_validity_period", |state| {
            Ok(state.seen_world().validity)
        })
    }

    async fn mintable(&self) -> Result<U256> {
        Ok(1_000.into())
    }

    async fn total_bonded(&self) -> Result<U256> {
        Err(unavailable("total_bonded"))
    }

    async fn treasury_cut(&self) -> Result<U256> {
        Ok(U256::zero())
    }

    async fn earnings_pool(&self, _: Address, _: u64) -> Result<EarningsPool> {
        Err(unavailable("earnings_pool"))
    }

    async fn reward_caller(&self, transcoder: Address) -> Result<Option<Address>> {
        self.ask("reward_caller", |state| {
            let orchestrator = state.seen_world().orchestrators.get(&transcoder);
            Ok(orchestrator.and_then(|o| o.reward_caller))
        })
    }

    async fn balances(&self, account: Address) -> Result<Balances> {
        self.ask("balances", |state| {
            let eth = state.seen_world().balances.get(&account).copied();
            Ok(Balances {
                eth: eth.unwrap_or_default(),
                lpt: U256::zero(),
            })
        })
    }

    async fn allowance(&self, _: Address, _: Address) -> Result<U256> {
        Err(unavailable("allowance"))
    }

    async fn delegator(&self, _: Address) -> Result<Delegator> {
        Err(unavailable("delegator"))
    }

    async fn unbonding_locks(&self, _: Address, _: Range<u64>) -> Result<Vec<UnbondingLock>> {
        Err(unavailable("unbonding_locks"))
    }

    async fn service_uri(&self, _: Address) -> Result<String> {
        Ok(String::new())
    }

    async fn faucet_next_request(&self, _: Address) -> Result<u64> {
        Err(unavailable("faucet_next_request"))
    }

    async fn price_feed(&self, _: Address) -> Result<FeedAnswer> {
        Err(unavailable("price_feed"))
    }

    async fn gas_price(&self) -> Result<U256> {
        self.ask("gas_price", |state| Ok(state.base_fee.into()))
    }

    async fn max_priority_fee(&self) -> Result<Option<U256>> {
        self.ask("max_priority_fee", |_| Ok(Some(U256::zero())))
    }

    async fn call(&self, call: &Call, at: At) -> Result<Vec<u8>> {
        self.ask("call", |state| state.simulate(call, at))
    }

    async fn estimate_gas(&self, _: &Call) -> Result<u64> {
        self.ask("estimate_gas", |_| Ok(GAS))
    }

    async fn has_code(&self, address: Address) -> Result<bool> {
        let name = self.contracts().name_of(address);
        Ok(name.is_some_and(|name| name != ContractName::LivepeerTokenFaucet))
    }

    async fn transaction_count(&self, account: Address, at: At) -> Result<u64> {
        self.ask("transaction_count", |state| {
            let count = |world: &World| world.nonces.get(&account).copied().unwrap_or(0);
            match at {
                At::Latest => Ok(count(state.seen_world())),
                At::Pending if state.seen() < state.blocks.len() => Ok(count(state.seen_world())),
                At::Pending => Ok(state.pending_nonce(account)),
                At::Block(number) => match state.blocks.get(number as usize) {
                    Some(block) => Ok(count(&block.world)),
                    None => Err(rpc("eth_getTransactionCount", "header not found")),
                },
            }
        })
    }

    async fn send_raw(&self, transaction: &[u8]) -> Result<Hash> {
        self.ask("send_raw", |state| {
            let taken = state.take(transaction);
            if std::mem::take(&mut state.faults.lose_answer) {
                return Err(unavailable("send_raw"));
            }
            taken.map_err(|words| rpc("eth_sendRawTransaction", &words))
        })
    }

    async fn receipts(&self, transactions: &[Hash]) -> Result<Vec<Option<Receipt>>> {
        self.ask("receipts", |state| {
            let receipt = |hash: &Hash| {
                let (number, mined) = state.find(*hash)?;
                Some(Receipt {
                    transaction: *hash,
                    block: number as u64,
                    block_hash: state.blocks[number].hash,
                    success: mined.success,
                    gas_used: GAS,
                    gas_price: mined.price.into(),
                    from: mined.tx.from,
                    logs: mined.logs.clone(),
                })
            };
            let hidden = state.faults.receipts_hidden;
            Ok(transactions
                .iter()
                .map(|hash| receipt(hash).filter(|_| !hidden))
                .collect())
        })
    }

    async fn transaction(&self, hash: Hash) -> Result<Option<KnownTransaction>> {
        self.ask("transaction", |state| {
            let known = |tx: &Tx, block| KnownTransaction {
                hash,
                from: tx.from,
                nonce: tx.nonce,
                block,
            };
            if let Some((number, mined)) = state.find(hash) {
                return Ok(Some(known(&mined.tx, Some(number as u64))));
            }
            let waiting = state.pool.values().find(|tx| tx.hash == hash);
            Ok(waiting.map(|tx| known(tx, None)))
        })
    }

    async fn transactions_of(&self, account: Address, block: u64) -> Result<Vec<KnownTransaction>> {
        self.ask("transactions_of", |state| {
            let found = state.blocks.get(block as usize);
            let own = found.into_iter().flat_map(|block| &block.transactions);
            Ok(own
                .filter(|mined| mined.tx.from == account)
                .map(|mined| KnownTransaction {
                    hash: mined.tx.hash,
                    from: account,
                    nonce: mined.tx.nonce,
                    block: Some(block),
                })
                .collect())
        })
    }

    async fn logs(&self, filter: &LogFilter) -> Result<Vec<Log>> {
        self.ask("logs", |state| {
            let blocks = state.blocks.iter().enumerate().take(state.seen());
            let wanted = blocks.filter(|(n, _)| (filter.from..=filter.to).contains(&(*n as u64)));
            let logs = wanted
                .flat_map(|(_, block)| &block.transactions)
                .flat_map(|tx| &tx.logs);
            Ok(logs
                .filter(|log| {
                    filter.addresses.is_empty() || filter.addresses.contains(&log.address)
                })
                .filter(|log| filter.topics.is_empty() || filter.topics.contains(&log.topics[0]))
                .cloned()
                .collect())
        })
    }

    fn endpoints(&self) -> Vec<EndpointSnapshot> {
        Vec::new()
    }
}
