//! Every write of the protocol as a contract, call data and value. Pure: what is sent, when and at what price is the
//! queue's business (`transactions`).

use std::borrow::Cow;

use ethers::{abi::AbiEncode, types::Bytes};
use protocol::{address::Address, money::WinningTicket};

use crate::{
    ContractName, Contracts, Result,
    bindings::*,
    convert::to_h160,
    hints::{BondHints, Hint},
    types::U256,
};

/// A contract write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Name of the function, for people.
    pub method: Cow<'static, str>,
    /// Contract.
    pub to: Address,
    /// Selector and arguments.
    pub data: Vec<u8>,
    /// Wei sent along.
    pub value: U256,
}

impl Write {
    fn new(method: &'static str, to: Address, call: impl AbiEncode) -> Self {
        Self {
            method: method.into(),
            to,
            data: call.encode(),
            value: U256::zero(),
        }
    }

    fn paying(mut self, value: U256) -> Self {
        self.value = value;
        self
    }

    /// First four bytes of the call data; zero for a plain transfer.
    pub fn selector(&self) -> [u8; 4] {
        self.data.first_chunk().copied().unwrap_or_default()
    }
}

/// Selector of [`redeem_winning_ticket`]: under it the gas that redemptions used is asked for.
pub const REDEEM_SELECTOR: [u8; 4] = [0xec, 0x8b, 0x3c, 0xb6];

/// Redeems one winning ticket. Any account may send it.
pub fn redeem_winning_ticket(contracts: &Contracts, ticket: &WinningTicket) -> Result<Write> {
    Ok(Write::new(
        "redeemWinningTicket",
        contracts.require(ContractName::TicketBroker)?,
        RedeemWinningTicketCall {
            ticket: contract_ticket(ticket),
            sig: Bytes::from(ticket.sig.to_vec()),
            recipient_rand: revealed(ticket),
        },
    ))
}

/// Redeems several winning tickets. One that fails is passed over without a word: ask `usedTickets` afterwards.
pub fn batch_redeem_winning_tickets(
    contracts: &Contracts,
    tickets: &[WinningTicket],
) -> Result<Write> {
    Ok(Write::new(
        "batchRedeemWinningTickets",
        contracts.require(ContractName::TicketBroker)?,
        BatchRedeemWinningTicketsCall {
            tickets: tickets.iter().map(contract_ticket).collect(),
            sigs: tickets
                .iter()
                .map(|ticket| Bytes::from(ticket.sig.to_vec()))
                .collect(),
            recipient_rands: tickets.iter().map(revealed).collect(),
        },
    ))
}

fn contract_ticket(winner: &WinningTicket) -> Ticket {
    let ticket = &winner.ticket;
    Ticket {
        recipient: to_h160(ticket.recipient),
        sender: to_h160(ticket.sender),
        face_value: ticket.face_value,
        win_prob: ticket.win_prob,
        sender_nonce: ticket.nonce.into(),
        recipient_rand_hash: ticket.recipient_rand_hash,
        aux_data: Bytes::from(ticket.aux_data()),
    }
}

fn revealed(winner: &WinningTicket) -> U256 {
    U256::from_big_endian(&winner.recipient_rand.reveal())
}

/// Puts wei into the sender's deposit.
pub fn fund_deposit(contracts: &Contracts, amount: U256) -> Result<Write> {
    let broker = contracts.require(ContractName::TicketBroker)?;
    Ok(Write::new("fundDeposit", broker, FundDepositCall).paying(amount))
}

/// Puts wei into the sender's reserve.
pub fn fund_reserve(contracts: &Contracts, amount: U256) -> Result<Write> {
    let broker = contracts.require(ContractName::TicketBroker)?;
    Ok(Write::new("fundReserve", broker, FundReserveCall).paying(amount))
}

/// Puts wei into both.
pub fn fund_deposit_and_reserve(
    contracts: &Contracts,
    deposit_amount: U256,
    reserve_amount: U256,
) -> Result<Write> {
    let call = FundDepositAndReserveCall {
        deposit_amount,
        reserve_amount,
    };
    let broker = contracts.require(ContractName::TicketBroker)?;
    Ok(Write::new("fundDepositAndReserve", broker, call)
        .paying(deposit_amount.saturating_add(reserve_amount)))
}

/// Announces a withdrawal of deposit and reserve.
pub fn unlock(contracts: &Contracts) -> Result<Write> {
    let broker = contracts.require(ContractName::TicketBroker)?;
    Ok(Write::new("unlock", broker, UnlockCall))
}

/// Takes the announcement back.
pub fn cancel_unlock(contracts: &Contracts) -> Result<Write> {
    let broker = contracts.require(ContractName::TicketBroker)?;
    Ok(Write::new("cancelUnlock", broker, CancelUnlockCall))
}

/// Withdraws deposit and reserve after the unlock period.
pub fn withdraw(contracts: &Contracts) -> Result<Write> {
    let broker = contracts.require(ContractName::TicketBroker)?;
    Ok(Write::new("withdraw", broker, WithdrawCall))
}

/// Starts the round.
pub fn initialize_round(contracts: &Contracts) -> Result<Write> {
    let rounds = contracts.require(ContractName::RoundsManager)?;
    Ok(Write::new("initializeRound", rounds, InitializeRoundCall))
}

/// Mints the sender's own reward of the round.
pub fn reward(contracts: &Contracts, hint: Hint) -> Result<Write> {
    Ok(Write::new(
        "rewardWithHint",
        contracts.require(ContractName::BondingManager)?,
        RewardWithHintCall {
            new_pos_prev: to_h160(hint.prev),
            new_pos_next: to_h160(hint.next),
        },
    ))
}

/// Mints the reward of `transcoder`, whose reward caller the sender is (LIP-118). The hint is the transcoder's.
pub fn reward_for(contracts: &Contracts, transcoder: Address, hint: Hint) -> Result<Write> {
    Ok(Write::new(
        "rewardForTranscoderWithHint",
        contracts.require(ContractName::BondingManager)?,
        RewardForTranscoderWithHintCall {
            transcoder: to_h160(transcoder),
            new_pos_prev: to_h160(hint.prev),
            new_pos_next: to_h160(hint.next),
        },
    ))
}

/// Lets `caller` call reward for the sender; zero takes it back (LIP-118).
pub fn set_reward_caller(contracts: &Contracts, caller: Address) -> Result<Write> {
    Ok(Write::new(
        "setRewardCaller",
        contracts.require(ContractName::BondingManager)?,
        SetRewardCallerCall {
            reward_caller: to_h160(caller),
        },
    ))
}

/// Sets the cuts, in millionths. `fee_share` is what delegators get.
pub fn transcoder(contracts: &Contracts, reward_cut: u64, fee_share: u64) -> Result<Write> {
    Ok(Write::new(
        "transcoder",
        contracts.require(ContractName::BondingManager)?,
        TranscoderCall {
            reward_cut: reward_cut.into(),
            fee_share: fee_share.into(),
        },
    ))
}

/// Bonds `amount` more of LPT to `to`.
pub fn bond(contracts: &Contracts, amount: U256, to: Address, hints: BondHints) -> Result<Write> {
    Ok(Write::new(
        "bondWithHint",
        contracts.require(ContractName::BondingManager)?,
        BondWithHintCall {
            amount,
            to: to_h160(to),
            old_delegate_new_pos_prev: to_h160(hints.old.prev),
            old_delegate_new_pos_next: to_h160(hints.old.next),
            curr_delegate_new_pos_prev: to_h160(hints.current.prev),
            curr_delegate_new_pos_next: to_h160(hints.current.next),
        },
    ))
}

/// Unbonds `amount` of LPT into a new lock.
pub fn unbond(contracts: &Contracts, amount: U256, hint: Hint) -> Result<Write> {
    Ok(Write::new(
        "unbondWithHint",
        contracts.require(ContractName::BondingManager)?,
        UnbondWithHintCall {
            amount,
            new_pos_prev: to_h160(hint.prev),
            new_pos_next: to_h160(hint.next),
        },
    ))
}

/// Bonds a lock to the delegate again. For a sender that is bonded.
pub fn rebond(contracts: &Contracts, lock: u64, hint: Hint) -> Result<Write> {
    Ok(Write::new(
        "rebondWithHint",
        contracts.require(ContractName::BondingManager)?,
        RebondWithHintCall {
            unbonding_lock_id: lock.into(),
            new_pos_prev: to_h160(hint.prev),
            new_pos_next: to_h160(hint.next),
        },
    ))
}

/// Bonds a lock to `to`. For a sender that is unbonded.
pub fn rebond_from_unbonded(
    contracts: &Contracts,
    to: Address,
    lock: u64,
    hint: Hint,
) -> Result<Write> {
    Ok(Write::new(
        "rebondFromUnbondedWithHint",
        contracts.require(ContractName::BondingManager)?,
        RebondFromUnbondedWithHintCall {
            to: to_h160(to),
            unbonding_lock_id: lock.into(),
            new_pos_prev: to_h160(hint.prev),
            new_pos_next: to_h160(hint.next),
        },
    ))
}

/// Withdraws the stake of a lock.
pub fn withdraw_stake(contracts: &Contracts, lock: u64) -> Result<Write> {
    Ok(Write::new(
        "withdrawStake",
        contracts.require(ContractName::BondingManager)?,
        WithdrawStakeCall {
            unbonding_lock_id: lock.into(),
        },
    ))
}

/// Moves `amount` of earned fees to `recipient`. On the L1 chains 1 and 4 the old form, which moves all to the sender.
pub fn withdraw_fees(
    contracts: &Contracts,
    chain_id: u64,
    recipient: Address,
    amount: U256,
) -> Result<Write> {
    let bonding = contracts.require(ContractName::BondingManager)?;
    Ok(if matches!(chain_id, 1 | 4) {
        Write::new("withdrawFees", bonding, l1_fees_contract::WithdrawFeesCall)
    } else {
        Write::new(
            "withdrawFees",
            bonding,
            bonding_manager_contract::WithdrawFeesCall {
                recipient: to_h160(recipient),
                amount,
            },
        )
    })
}

/// Claims earnings; the contract ignores the round.
pub fn claim_earnings(contracts: &Contracts, round: u64) -> Result<Write> {
    Ok(Write::new(
        "claimEarnings",
        contracts.require(ContractName::BondingManager)?,
        ClaimEarningsCall {
            end_round: round.into(),
        },
    ))
}

/// Publishes the service URI.
pub fn set_service_uri(contracts: &Contracts, uri: &str) -> Result<Write> {
    Ok(Write::new(
        "setServiceURI",
        contracts.require(ContractName::ServiceRegistry)?,
        SetServiceURICall {
            service_uri: uri.to_owned(),
        },
    ))
}

/// Lets the BondingManager take `amount` of LPT.
pub fn approve_bonding(contracts: &Contracts, amount: U256) -> Result<Write> {
    Ok(Write::new(
        "approve",
        contracts.require(ContractName::LivepeerToken)?,
        ApproveCall {
            spender: to_h160(contracts.require(ContractName::BondingManager)?),
            amount,
        },
    ))
}

/// Moves `amount` of LPT.
pub fn transfer(contracts: &Contracts, to: Address, amount: U256) -> Result<Write> {
    Ok(Write::new(
        "transfer",
        contracts.require(ContractName::LivepeerToken)?,
        TransferCall {
            to: to_h160(to),
            amount,
        },
    ))
}

/// Asks the faucet of a test network for LPT.
pub fn request_tokens(contracts: &Contracts) -> Result<Write> {
    let faucet = contracts.require(ContractName::LivepeerTokenFaucet)?;
    Ok(Write::new("request", faucet, RequestCall))
}

/// Votes in the poll at `poll`: 0 is yes, 1 is no.
pub fn vote(poll: Address, choice: U256) -> Write {
    Write::new("vote", poll, VoteCall { choice_id: choice })
}

/// Votes on a proposal, 0 against, 1 for, 2 abstain; with a reason when it is not empty.
pub fn vote_on_proposal(
    contracts: &Contracts,
    proposal_id: U256,
    support: u8,
    reason: &str,
) -> Result<Write> {
    let governor = contracts.require(ContractName::LivepeerGovernor)?;
    Ok(if reason.is_empty() {
        let call = CastVoteCall {
            proposal_id,
            support,
        };
        Write::new("castVote", governor, call)
    } else {
        let call = CastVoteWithReasonCall {
            proposal_id,
            support,
            reason: reason.to_owned(),
        };
        Write::new("castVoteWithReason", governor, call)
    })
}

/// Nothing: wei 0 from the account to itself, which only uses up a nonce.
pub fn nothing(account: Address) -> Write {
    Write {
        method: "cancel".into(),
        to: account,
        data: Vec::new(),
        value: U256::zero(),
    }
}

#[cfg(test)]
mod tests;
