//! Reads of the BondingManager and of what goes with it: token, Minter and service registry.

use std::collections::{HashMap, HashSet};

use protocol::address::Address;
use serde_json::Value;

use super::RpcClient;
use super::batch::{Answers, Batch, Slot};
use crate::bindings::*;
use crate::contracts::ContractName;
use crate::convert::{clamp, to_address, to_h160};
use crate::types::{
    Delegator, DelegatorStatus, EarningsPool, Pool, PoolMember, ProtocolParameters, RewardInputs,
    Transcoder, U256, UnbondingLock,
};
use crate::{Error, Result, networks};

/// Most members a pool is believed to have; the live one has 100.
const MAX_POOL: usize = 2_000;

/// Most unbonding locks read at once.
const MAX_LOCKS: u64 = 10_000;

/// The questions about one orchestrator.
struct TranscoderSlots {
    address: Address,
    record: Slot<GetTranscoderReturn>,
    status: Slot<TranscoderStatusReturn>,
    stake: Slot<TranscoderTotalStakeReturn>,
    active: Slot<IsActiveTranscoderReturn>,
    uri: Option<Slot<GetServiceURIReturn>>,
}

impl TranscoderSlots {
    fn ask(batch: &mut Batch, bonding: Address, registry: Address, address: Address) -> Self {
        let transcoder = to_h160(address);
        Self {
            address,
            record: batch.read(bonding, GetTranscoderCall { transcoder }),
            status: batch.read(bonding, TranscoderStatusCall { transcoder }),
            stake: batch.read(bonding, TranscoderTotalStakeCall { transcoder }),
            active: batch.read(bonding, IsActiveTranscoderCall { transcoder }),
            uri: (!registry.is_zero()).then(|| {
                let call = GetServiceURICall {
                    account: transcoder,
                };
                batch.read(registry, call)
            }),
        }
    }

    fn read(&self, answers: &Answers) -> Result<Transcoder> {
        let record = answers.get(&self.record)?;
        Ok(Transcoder {
            address: self.address,
            registered: answers.get(&self.status)?.0 == U256::one(),
            active: answers.get(&self.active)?.0,
            last_reward_round: clamp(record.last_reward_round),
            reward_cut: clamp(record.reward_cut),
            fee_share: clamp(record.fee_share),
            last_active_stake_update_round: clamp(record.last_active_stake_update_round),
            activation_round: clamp(record.activation_round),
            deactivation_round: clamp(record.deactivation_round),
            active_cumulative_rewards: record.active_cumulative_rewards,
            cumulative_rewards: record.cumulative_rewards,
            cumulative_fees: record.cumulative_fees,
            last_fee_round: clamp(record.last_fee_round),
            stake: answers.get(&self.stake)?.0,
            service_uri: match &self.uri {
                Some(slot) => answers.get(slot)?.0,
                None => String::new(),
            },
        })
    }
}

/// The questions about one member of the pool.
struct MemberSlots {
    next: Slot<GetNextTranscoderInPoolReturn>,
    stake: Slot<TranscoderTotalStakeReturn>,
}

impl MemberSlots {
    fn ask(batch: &mut Batch, bonding: Address, member: Address) -> Self {
        let transcoder = to_h160(member);
        Self {
            next: batch.read(bonding, GetNextTranscoderInPoolCall { transcoder }),
            stake: batch.read(bonding, TranscoderTotalStakeCall { transcoder }),
        }
    }

    fn read(&self, answers: &Answers) -> Result<(Address, U256)> {
        let next = to_address(answers.get(&self.next)?.0);
        Ok((next, answers.get(&self.stake)?.0))
    }
}

impl RpcClient {
    pub(super) async fn read_transcoders(
        &self,
        transcoders: &[Address],
        tag: Value,
    ) -> Result<Vec<Transcoder>> {
        let bonding = self.at(ContractName::BondingManager)?;
        let registry = self.contracts.read().get(ContractName::ServiceRegistry);
        let mut batch = Batch::new(tag);
        let slots: Vec<_> = transcoders
            .iter()
            .map(|address| TranscoderSlots::ask(&mut batch, bonding, registry, *address))
            .collect();
        let answers = batch.send(&self.endpoints).await?;
        slots.iter().map(|slots| slots.read(&answers)).collect()
    }

    /// The pool is a linked list, so it can only be walked; members known from the last time are all asked at once, and
    /// only new ones cost a request of their own.
    pub(super) async fn read_pool(&self, tag: Value) -> Result<Pool> {
        let bonding = self.at(ContractName::BondingManager)?;
        let known = self.pool.lock().clone();
        let mut batch = Batch::new(tag.clone());
        let first =
            batch.read::<_, GetFirstTranscoderInPoolReturn>(bonding, GetFirstTranscoderInPoolCall);
        let size = batch.read::<_, GetTranscoderPoolSizeReturn>(bonding, GetTranscoderPoolSizeCall);
        let max =
            batch.read::<_, GetTranscoderPoolMaxSizeReturn>(bonding, GetTranscoderPoolMaxSizeCall);
        let slots: Vec<_> = known
            .iter()
            .map(|member| (*member, MemberSlots::ask(&mut batch, bonding, *member)))
            .collect();
        let answers = batch.send(&self.endpoints).await?;
        let mut found: HashMap<Address, (Address, U256)> = HashMap::new();
        for (member, slots) in &slots {
            found.insert(*member, slots.read(&answers)?);
        }
        let size = clamp(answers.get(&size)?.0);
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        let mut member = to_address(answers.get(&first)?.0);
        while !member.is_zero() {
            if !seen.insert(member) || members.len() >= MAX_POOL {
                return Err(Error::decoding(
                    "the transcoder pool",
                    format!("its list has no end after {} members", members.len()),
                ));
            }
            let (next, stake) = match found.get(&member) {
                Some(link) => *link,
                None => {
                    let mut batch = Batch::new(tag.clone());
                    let slots = MemberSlots::ask(&mut batch, bonding, member);
                    slots.read(&batch.send(&self.endpoints).await?)?
                }
            };
            members.push(PoolMember {
                address: member,
                stake,
            });
            member = next;
        }
        if members.len() as u64 != size {
            return Err(Error::decoding(
                "the transcoder pool",
                format!("{} members in the list, {size} by its size", members.len()),
            ));
        }
        *self.pool.lock() = members.iter().map(|member| member.address).collect();
        Ok(Pool {
            members,
            max_size: clamp(answers.get(&max)?.0),
        })
    }

    pub(super) async fn read_reward_inputs(
        &self,
        transcoder: Address,
        tag: Value,
    ) -> Result<RewardInputs> {
        let contracts = *self.contracts.read();
        let bonding = contracts.require(ContractName::BondingManager)?;
        let minter = contracts.require(ContractName::Minter)?;
        let rounds = contracts.require(ContractName::RoundsManager)?;
        let registry = contracts.get(ContractName::ServiceRegistry);
        let mut batch = Batch::new(tag.clone());
        let record = TranscoderSlots::ask(&mut batch, bonding, registry, transcoder);
        let round = batch.read::<_, CurrentRoundReturn>(rounds, CurrentRoundCall);
        let mintable =
            batch.read::<_, CurrentMintableTokensReturn>(minter, CurrentMintableTokensCall);
        let bonded = batch.read::<_, GetTotalBondedReturn>(bonding, GetTotalBondedCall);
        let treasury =
            batch.read::<_, TreasuryRewardCutRateReturn>(bonding, TreasuryRewardCutRateCall);
        let answers = batch.send(&self.endpoints).await?;
        let record = record.read(&answers)?;
        let round = clamp(answers.get(&round)?.0);
        let stake_round = record.last_active_stake_update_round.min(round);
        let earnings = self
            .read_earnings_pool(transcoder, stake_round, tag.clone())
            .await?;
        Ok(RewardInputs {
            round,
            active_stake: earnings.total_stake,
            mintable: answers.get(&mintable)?.0,
            total_bonded: answers.get(&bonded)?.0,
            treasury_cut: answers
                .get_or(&treasury, TreasuryRewardCutRateReturn::default())?
                .0,
            pool: self.read_pool(tag).await?,
            transcoder: record,
        })
    }

    pub(super) async fn read_earnings_pool(
        &self,
        transcoder: Address,
        round: u64,
        tag: Value,
    ) -> Result<EarningsPool> {
        let bonding = self.at(ContractName::BondingManager)?;
        let mut batch = Batch::new(tag);
        let call = GetTranscoderEarningsPoolForRoundCall {
            transcoder: to_h160(transcoder),
            round: round.into(),
        };
        let slot = batch.read::<_, GetTranscoderEarningsPoolForRoundReturn>(bonding, call);
        let pool = batch.send(&self.endpoints).await?.get(&slot)?;
        Ok(EarningsPool {
            total_stake: pool.total_stake,
            reward_cut: clamp(pool.transcoder_reward_cut),
            fee_share: clamp(pool.transcoder_fee_share),
            cumulative_reward_factor: pool.cumulative_reward_factor,
            cumulative_fee_factor: pool.cumulative_fee_factor,
        })
    }

    pub(super) async fn read_delegator(&self, address: Address, tag: Value) -> Result<Delegator> {
        let bonding = self.at(ContractName::BondingManager)?;
        let delegator = to_h160(address);
        let mut batch = Batch::new(tag);
        let record = batch.read::<_, GetDelegatorReturn>(bonding, GetDelegatorCall { delegator });
        let status =
            batch.read::<_, DelegatorStatusReturn>(bonding, DelegatorStatusCall { delegator });
        // the contract ignores the round
        let end_round = U256::zero();
        let stake = PendingStakeCall {
            delegator,
            end_round,
        };
        let stake = batch.read::<_, PendingStakeReturn>(bonding, stake);
        let fees = PendingFeesCall {
            delegator,
            end_round,
        };
        let fees = batch.read::<_, PendingFeesReturn>(bonding, fees);
        let answers = batch.send(&self.endpoints).await?;
        let record = answers.get(&record)?;
        let status = clamp(answers.get(&status)?.0);
        Ok(Delegator {
            address,
            status: match status {
                0 => DelegatorStatus::Pending,
                1 => DelegatorStatus::Bonded,
                2 => DelegatorStatus::Unbonded,
                other => {
                    let why = format!("{other} is no status");
                    return Err(Error::decoding("delegatorStatus", why));
                }
            },
            bonded: record.bonded_amount,
            fees: record.fees,
            delegate: to_address(record.delegate_address),
            delegated: record.delegated_amount,
            start_round: clamp(record.start_round),
            last_claim_round: clamp(record.last_claim_round),
            next_unbonding_lock: clamp(record.next_unbonding_lock_id),
            pending_stake: answers.get(&stake)?.0,
            pending_fees: answers.get(&fees)?.0,
        })
    }

    pub(super) async fn read_unbonding_locks(
        &self,
        delegator: Address,
        ids: std::ops::Range<u64>,
    ) -> Result<Vec<UnbondingLock>> {
        if ids.end.saturating_sub(ids.start) > MAX_LOCKS {
            return Err(Error::decoding(
                "unbonding locks",
                format!(
                    "{} asked for, at most {MAX_LOCKS} at once",
                    ids.end - ids.start
                ),
            ));
        }
        let bonding = self.at(ContractName::BondingManager)?;
        let (_, tag) = self.pin().await?;
        let mut batch = Batch::new(tag);
        let slots: Vec<_> = ids
            .map(|id| {
                let call = GetDelegatorUnbondingLockCall {
                    delegator: to_h160(delegator),
                    unbonding_lock_id: id.into(),
                };
                let slot = batch.read::<_, GetDelegatorUnbondingLockReturn>(bonding, call);
                (id, slot)
            })
            .collect();
        let answers = batch.send(&self.endpoints).await?;
        let mut locks = Vec::new();
        for (id, slot) in &slots {
            let lock = answers.get(slot)?;
            // (0, 0) stands for one that was used or never made
            if !lock.withdraw_round.is_zero() {
                locks.push(UnbondingLock {
                    id: *id,
                    amount: lock.amount,
                    withdraw_round: clamp(lock.withdraw_round),
                });
            }
        }
        Ok(locks)
    }

    pub(super) async fn read_parameters(&self) -> Result<ProtocolParameters> {
        let contracts = *self.contracts.read();
        let bonding = contracts.require(ContractName::BondingManager)?;
        let rounds = contracts.require(ContractName::RoundsManager)?;
        let minter = contracts.require(ContractName::Minter)?;
        let token = contracts.require(ContractName::LivepeerToken)?;
        let (_, tag) = self.pin().await?;
        let mut batch = Batch::new(tag);
        let places =
            batch.read::<_, GetTranscoderPoolMaxSizeReturn>(bonding, GetTranscoderPoolMaxSizeCall);
        let length = batch.read::<_, RoundLengthReturn>(rounds, RoundLengthCall);
        let lock = batch.read::<_, RoundLockAmountReturn>(rounds, RoundLockAmountCall);
        let unbonding = batch.read::<_, UnbondingPeriodReturn>(bonding, UnbondingPeriodCall);
        let inflation = batch.read::<_, InflationReturn>(minter, InflationCall);
        let change = batch.read::<_, InflationChangeReturn>(minter, InflationChangeCall);
        let target = batch.read::<_, TargetBondingRateReturn>(minter, TargetBondingRateCall);
        let bonded = batch.read::<_, GetTotalBondedReturn>(bonding, GetTotalBondedCall);
        let paused = batch.read::<_, PausedReturn>(contracts.controller, PausedCall);
        let on_l1 = networks::is_l1(self.chain_id);
        let global = (!on_l1)
            .then(|| batch.read::<_, GetGlobalTotalSupplyReturn>(minter, GetGlobalTotalSupplyCall));
        let local = on_l1.then(|| batch.read::<_, TotalSupplyReturn>(token, TotalSupplyCall));
        let answers = batch.send(&self.endpoints).await?;
        let total_supply = match (global, local) {
            (Some(slot), _) => answers.get(&slot)?.0,
            (None, Some(slot)) => answers.get(&slot)?.0,
            (None, None) => U256::zero(),
        };
        Ok(ProtocolParameters {
            pool_max_size: clamp(answers.get(&places)?.0),
            round_length: clamp(answers.get(&length)?.0),
            round_lock_amount: clamp(answers.get(&lock)?.0),
            unbonding_period: clamp(answers.get(&unbonding)?.0),
            inflation: answers.get(&inflation)?.0,
            inflation_change: answers.get(&change)?.0,
            target_bonding_rate: answers.get(&target)?.0,
            total_bonded: answers.get(&bonded)?.0,
            total_supply,
            paused: answers.get(&paused)?.0,
        })
    }
}
