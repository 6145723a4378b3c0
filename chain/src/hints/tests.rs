//! The table of chain 10.4, and the contract's own rule as the judge of random pools.

use proptest::prelude::*;

use super::*;
use crate::types::{DelegatorStatus, Transcoder};

const A: Address = Address([0xa; 20]);
const B: Address = Address([0xb; 20]);
const C: Address = Address([0xc; 20]);
const D: Address = Address([0xd; 20]);
const NONE: Address = Address::ZERO;

fn pool(members: &[(Address, u64)], max_size: u64) -> Pool {
    Pool {
        members: members
            .iter()
            .map(|(address, stake)| PoolMember {
                address: *address,
                stake: (*stake).into(),
            })
            .collect(),
        max_size,
    }
}

fn abc(max_size: u64) -> Pool {
    pool(&[(A, 300), (B, 200), (C, 100)], max_size)
}

fn hint(pool: &Pool, who: Address, stake: u64) -> (Address, Address) {
    let hint = place(pool, who, stake.into()).hint();
    (hint.prev, hint.next)
}

#[test]
fn members_keep_their_place_in_a_full_pool() {
    for max_size in [3, 100] {
        let pool = abc(max_size);
        assert_eq!(hint(&pool, C, 250), (A, B));
        assert_eq!(hint(&pool, B, 400), (NONE, A));
        assert_eq!(hint(&pool, C, 101), (B, NONE));
        assert_eq!(hint(&pool, C, 200), (B, NONE), "behind equals");
        assert_eq!(hint(&pool, B, 250), (A, C));
    }
}

#[test]
fn newcomer_evicts_the_last_of_a_full_pool_or_stays_out() {
    let joined = |hint: (Address, Address), evicted| Placement::Member {
        hint: Hint {
            prev: hint.0,
            next: hint.1,
        },
        evicted,
    };
    assert_eq!(place(&abc(3), D, 350.into()), joined((NONE, A), Some(C)));
    assert_eq!(place(&abc(3), D, 150.into()), joined((B, NONE), Some(C)));
    assert_eq!(place(&abc(3), D, 90.into()), Placement::Outside);
    assert_eq!(place(&abc(3), D, 100.into()), Placement::Outside, "a tie");
    assert_eq!(place(&abc(4), D, 350.into()), joined((NONE, A), None));
    assert_eq!(place(&abc(4), D, 90.into()), joined((C, NONE), None));
    assert_eq!(
        place(&pool(&[], 4), D, 90.into()),
        joined((NONE, NONE), None)
    );
}

fn inputs(stake: U256, active_stake: U256, mintable: U256, total: U256, cut: U256) -> RewardInputs {
    RewardInputs {
        round: 1,
        transcoder: Transcoder {
            address: C,
            registered: true,
            active: true,
            last_reward_round: 0,
            reward_cut: 0,
            fee_share: 0,
            last_active_stake_update_round: 0,
            activation_round: 0,
            deactivation_round: u64::MAX,
            active_cumulative_rewards: 0.into(),
            cumulative_rewards: 0.into(),
            cumulative_fees: 0.into(),
            last_fee_round: 0,
            stake,
            service_uri: String::new(),
        },
        active_stake,
        mintable,
        total_bonded: total,
        treasury_cut: cut,
        pool: abc(3),
    }
}

fn lpt(amount: u64) -> U256 {
    U256::from(amount) * U256::exp10(18)
}

#[test]
fn reward_is_the_contracts_to_the_last_unit() {
    // seen with the real contracts: 137 LPT mintable, 1000 of 6000 staked
    let inputs = inputs(lpt(1000), lpt(1000), lpt(137), lpt(6000), 0.into());
    let reward = reward(&inputs).unwrap();
    assert_eq!(
        reward.earned,
        U256::from(22_833_333_242_u64) * U256::exp10(9)
    );
}

#[test]
fn treasury_takes_its_cut_and_the_stake_grows_by_the_rest() {
    let tenth = U256::exp10(26);
    let reward = reward(&inputs(lpt(1), lpt(1), lpt(10), lpt(1), tenth)).unwrap();
    assert_eq!(reward.minted, lpt(10));
    assert_eq!(reward.treasury, lpt(1));
    assert_eq!(reward.earned, lpt(9));
}

#[test]
fn hint_of_a_reward_stands_where_the_grown_stake_stands() {
    let mut inputs = inputs(100.into(), 100.into(), 600.into(), 600.into(), 0.into());
    // a share of 1/6 in parts of 10⁹ is a little less: 99 are minted, and C stays last
    assert_eq!(for_reward(&inputs).prev, B);
    assert_eq!(for_reward(&inputs).next, NONE);
    inputs.mintable = 612.into();
    assert_eq!(for_reward(&inputs).prev, A, "201 is more than 200");
    inputs.total_bonded = 0.into();
    assert_eq!(for_reward(&inputs).prev, B, "nothing is minted");
}

fn delegator(delegate: Address, pending_stake: u64) -> Delegator {
    Delegator {
        address: D,
        status: DelegatorStatus::Bonded,
        bonded: 0.into(),
        fees: 0.into(),
        delegate,
        delegated: 0.into(),
        start_round: 0,
        last_claim_round: 0,
        next_unbonding_lock: 0,
        pending_stake: pending_stake.into(),
        pending_fees: 0.into(),
    }
}

#[test]
fn change_of_delegate_moves_the_old_one_first_and_carries_the_whole_stake() {
    // B loses 150 and falls behind C; then C gains 150 + 10 and stands behind A
    let hints = for_bond(
        &abc(3),
        &delegator(B, 150),
        200.into(),
        C,
        100.into(),
        10.into(),
    );
    assert_eq!((hints.old.prev, hints.old.next), (C, NONE));
    assert_eq!((hints.current.prev, hints.current.next), (A, B));
    // the same delegate: only the new amount counts
    let hints = for_bond(
        &abc(3),
        &delegator(C, 50),
        100.into(),
        C,
        100.into(),
        110.into(),
    );
    assert_eq!(hints.old, Hint::default());
    assert_eq!((hints.current.prev, hints.current.next), (A, B));
}

#[test]
fn unbonding_and_rebonding_move_the_delegate_alone() {
    let hint = for_unbond(&abc(3), A, 300.into(), 150.into());
    assert_eq!((hint.prev, hint.next), (B, C));
    assert_eq!(
        for_unbond(&abc(3), A, 300.into(), 300.into()),
        Hint::default()
    );
    assert_eq!(
        for_unbond(&abc(3), D, 300.into(), 1.into()),
        Hint::default()
    );
    let hint = for_rebond(&abc(3), C, 100.into(), 250.into());
    assert_eq!((hint.prev, hint.next), (NONE, A));
}

/// `validInsertPosition` of the contract's list, over what is left of the pool.
fn is_valid(list: &[PoolMember], hint: Hint, stake: U256) -> bool {
    let find = |who: Address| list.iter().position(|member| member.address == who);
    match (find(hint.prev), find(hint.next)) {
        (None, None) => list.is_empty() && hint == Hint::default(),
        (None, Some(next)) => hint.prev.is_zero() && next == 0 && stake >= list[0].stake,
        (Some(prev), None) => {
            hint.next.is_zero() && prev + 1 == list.len() && stake <= list[prev].stake
        }
        (Some(prev), Some(next)) => {
            prev + 1 == next && list[prev].stake >= stake && stake >= list[next].stake
        }
    }
}

prop_compose! {
    fn any_pool()(
        mut stakes in prop::collection::vec(1_u64..50, 0..12), room in 0_u64..3,
    ) -> Pool {
        stakes.sort_by(|a, b| b.cmp(a));
        let members: Vec<_> = stakes
            .iter()
            .zip(1_u8..)
            .map(|(stake, id)| (Address([id; 20]), *stake))
            .collect();
        let size = members.len() as u64;
        pool(&members, (size + room).max(1))
    }
}

proptest! {
    #[test]
    fn contract_takes_every_hint_without_a_search(pool in any_pool(), who in 1_u8..15, stake in 0_u64..60) {
        let who = Address([who; 20]);
        let was_member = is_member(&pool, who);
        let before = pool.members.len();
        match place(&pool, who, stake.into()) {
            Placement::Outside => {
                let last = pool.members.last().map_or(U256::zero(), |last| last.stake);
                let full = before as u64 >= pool.max_size;
                prop_assert!(stake == 0 || (!was_member && full && U256::from(stake) <= last));
            }
            Placement::Member { hint, evicted } => {
                prop_assert_eq!(evicted.is_some(), !was_member && before as u64 >= pool.max_size);
                let mut list = pool.members;
                list.retain(|member| member.address != who && Some(member.address) != evicted);
                prop_assert!(is_valid(&list, hint, stake.into()));
            }
        }
    }

    #[test]
    fn no_lying_node_makes_a_reward_that_is_more_than_what_is_minted(
        words: [[u64; 4]; 4], cut: [u64; 4],
    ) {
        let [stake, active, mintable, total] = words.map(U256);
        let inputs = inputs(stake, active, mintable, total, U256(cut));
        if let Some(reward) = reward(&inputs) {
            prop_assert_eq!(Some(reward.minted), reward.treasury.checked_add(reward.earned));
        }
        for_reward(&inputs);
    }
}
