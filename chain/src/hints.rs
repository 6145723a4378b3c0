//! Where an orchestrator stands in the pool after its stake changed, so that the contract need not search. Pure.
//!
//! The pool is a list by falling stake. The contract takes a pair of neighbours that are adjacent once the mover has
//! been taken out, with `prev ≥ stake ≥ next`; any other pair never fails, it only costs the gas of a walk.

use protocol::address::Address;
use protocol::money::U512;

use crate::types::{Delegator, Pool, PoolMember, RewardInputs, U256};

/// Parts in which the contract counts a share of the active stake.
const PARTS: u64 = 1_000_000_000;

/// Neighbours in the pool; zero where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hint {
    /// Next higher stake.
    pub prev: Address,
    /// Next lower stake.
    pub next: Address,
}

/// Where an orchestrator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In the pool.
    Member {
        /// Its neighbours.
        hint: Hint,
        /// Who lost the last place to it.
        evicted: Option<Address>,
    },
    /// Not in the pool: no stake, or none greater than the last member's of a full pool.
    Outside,
}

impl Placement {
    /// Its neighbours; none when outside.
    pub fn hint(self) -> Hint {
        match self {
            Self::Member { hint, .. } => hint,
            Self::Outside => Hint::default(),
        }
    }
}

/// Where `who` stands with `stake`. A member of a full pool keeps a place whatever its stake; only a newcomer evicts,
/// and only a smaller stake.
pub fn place(pool: &Pool, who: Address, stake: U256) -> Placement {
    moved(pool, who, stake).1
}

/// The pool with `who` at `stake`, and where that is.
fn moved(pool: &Pool, who: Address, stake: U256) -> (Pool, Placement) {
    let mut after = pool.clone();
    after.members.retain(|member| member.address != who);
    let newcomer = after.members.len() == pool.members.len();
    if stake.is_zero() {
        return (after, Placement::Outside);
    }
    let full = u64::try_from(after.members.len()).is_ok_and(|size| size >= pool.max_size);
    let mut evicted = None;
    if newcomer && full {
        match after.members.last() {
            Some(last) if stake > last.stake => evicted = Some(last.address),
            _ => return (after, Placement::Outside),
        }
        after.members.pop();
    }
    // behind equals, as a stable sort would put it
    let at = after
        .members
        .iter()
        .position(|member| member.stake < stake)
        .unwrap_or(after.members.len());
    let address = |at: Option<usize>| {
        at.and_then(|at| after.members.get(at))
            .map_or(Address::ZERO, |member| member.address)
    };
    let hint = Hint {
        prev: address(at.checked_sub(1)),
        next: address(Some(at)),
    };
    after.members.insert(
        at,
        PoolMember {
            address: who,
            stake,
        },
    );
    (after, Placement::Member { hint, evicted })
}

/// What a reward call will mint, base units of LPT, to the unit as the contract reckons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reward {
    /// Minted in all.
    pub minted: U256,
    /// The treasury's part.
    pub treasury: U256,
    /// What the stake grows by.
    pub earned: U256,
}

/// What a reward call mints now. `None` while nothing is staked.
///
/// The share of the stake is cut to parts of 10⁹, and the treasury's cut to parts of 10²⁷.
pub fn reward(inputs: &RewardInputs) -> Option<Reward> {
    if inputs.total_bonded.is_zero() {
        return None;
    }
    let share = mul_div(inputs.active_stake, PARTS.into(), inputs.total_bonded)?;
    let minted = mul_div(inputs.mintable, share, PARTS.into())?;
    let treasury = mul_div(minted, inputs.treasury_cut, U256::exp10(27))?.min(minted);
    Some(Reward {
        minted,
        treasury,
        earned: minted - treasury,
    })
}

/// a × b / c, cut down; `None` when it does not fit or c is zero.
fn mul_div(a: U256, b: U256, c: U256) -> Option<U256> {
    let quotient = a.full_mul(b).checked_div(U512::from(c))?;
    U256::try_from(quotient).ok()
}

/// Neighbours for `rewardWithHint`, or for `rewardForTranscoderWithHint` on behalf of `inputs.transcoder`. With nothing
/// to mint the stake stays.
pub fn for_reward(inputs: &RewardInputs) -> Hint {
    let earned = reward(inputs).map_or(U256::zero(), |reward| reward.earned);
    let stake = inputs.transcoder.stake.saturating_add(earned);
    place(&inputs.pool, inputs.transcoder.address, stake).hint()
}

/// Neighbours for `bondWithHint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BondHints {
    /// Of the delegate that is left; none when it stays the same.
    pub old: Hint,
    /// Of the delegate that is bonded to.
    pub current: Hint,
}

/// Neighbours for bonding `amount` more to `to`, whose stake is `to_stake`. `old_stake` is that of the delegate so far,
/// and plays no part when the delegate stays.
///
/// A delegator that changes its delegate takes its whole pending stake along; the *amount* of the transaction is the
/// plain one all the same.
pub fn for_bond(
    pool: &Pool,
    delegator: &Delegator,
    old_stake: U256,
    to: Address,
    to_stake: U256,
    amount: U256,
) -> BondHints {
    let old = delegator.delegate;
    if old.is_zero() || old == to {
        let stake = to_stake.saturating_add(amount);
        return BondHints {
            old: Hint::default(),
            current: place(pool, to, stake).hint(),
        };
    }
    let taken = delegator.pending_stake;
    let (without, left) = if is_member(pool, old) {
        moved(pool, old, old_stake.saturating_sub(taken))
    } else {
        (pool.clone(), Placement::Outside)
    };
    let stake = to_stake.saturating_add(taken).saturating_add(amount);
    BondHints {
        old: left.hint(),
        current: place(&without, to, stake).hint(),
    }
}

/// Neighbours for unbonding `amount` from `delegate`, whose stake is `stake`.
pub fn for_unbond(pool: &Pool, delegate: Address, stake: U256, amount: U256) -> Hint {
    if is_member(pool, delegate) {
        place(pool, delegate, stake.saturating_sub(amount)).hint()
    } else {
        Hint::default()
    }
}

/// Neighbours for bonding `amount` of an unbonding lock to `delegate` again, whose stake is `stake`.
pub fn for_rebond(pool: &Pool, delegate: Address, stake: U256, amount: U256) -> Hint {
    place(pool, delegate, stake.saturating_add(amount)).hint()
}

fn is_member(pool: &Pool, who: Address) -> bool {
    pool.members.iter().any(|member| member.address == who)
}

#[cfg(test)]
mod tests;
