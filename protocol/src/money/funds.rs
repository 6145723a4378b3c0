//! What a sender has on chain, and how much of it this node may count on.

use primitive_types::U256;

/// Deposit and reserve of a sender, as the chain tells them. All amounts in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderFunds {
    /// Pays winners first, whoever they belong to.
    pub deposit: U256,
    /// Round from which the sender may withdraw; 0 = not unlocking.
    pub withdraw_round: u64,
    /// What is left of the reserve.
    pub reserve_remaining: U256,
    /// What all recipients drew from the reserve in this round.
    pub reserve_claimed: U256,
    /// What this node's recipient drew from the reserve in this round.
    pub claimed_by_recipient: U256,
}

impl SenderFunds {
    /// This recipient's share of the reserve that is not drawn yet, for `pool_size` active orchestrators; 0 without
    /// any. Negative when the share shrank after claims.
    pub fn reserve_alloc(&self, pool_size: u64) -> i128 {
        if pool_size == 0 {
            return 0;
        }
        let total = self.reserve_remaining.saturating_add(self.reserve_claimed);
        let share = total / U256::from(pool_size);
        to_signed(share).saturating_sub(to_signed(self.claimed_by_recipient))
    }

    /// Largest face value that is safe: the share of the reserve, less the face values of redemptions in flight
    /// (`pending`) unless the deposit is at least three times as large.
    pub fn max_float(&self, pool_size: u64, pending: U256) -> i128 {
        let alloc = self.reserve_alloc(pool_size);
        let covered = pending
            .checked_mul(U256::from(3))
            .is_some_and(|threefold| self.deposit >= threefold);
        if covered {
            alloc
        } else {
            alloc.saturating_sub(to_signed(pending))
        }
    }

    /// What a redemption can count on: share of the reserve and deposit, less what is in flight.
    pub fn available_funds(&self, pool_size: u64, pending: U256) -> i128 {
        self.reserve_alloc(pool_size)
            .saturating_add(to_signed(self.deposit))
            .saturating_sub(to_signed(pending))
    }

    /// Whether the sender can withdraw in the round after `last_round`, the last initialised one, or earlier: its
    /// tickets are refused from then on.
    pub fn unlocks_soon(&self, last_round: u64) -> bool {
        self.withdraw_round != 0 && self.withdraw_round <= last_round.saturating_add(1)
    }

    /// Whether no winner of this sender could be paid at all.
    pub fn is_empty(&self) -> bool {
        self.deposit.is_zero() && self.reserve_remaining.is_zero()
    }
}

/// Wei as a signed number; saturates at 1.7 × 10^38, which is 10^12 times all ether there is.
pub fn to_signed(wei: U256) -> i128 {
    u128::try_from(wei)
        .ok()
        .and_then(|wei| i128::try_from(wei).ok())
        .unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn funds(deposit: u64, remaining: u64, claimed: u64, own: u64) -> SenderFunds {
        SenderFunds {
            deposit: deposit.into(),
            withdraw_round: 0,
            reserve_remaining: remaining.into(),
            reserve_claimed: claimed.into(),
            claimed_by_recipient: own.into(),
        }
    }

    #[test]
    fn float_has_the_figures_of_the_reference() {
        assert_eq!(funds(0, 500, 0, 100).max_float(50, U256::zero()), -90);
        for (deposit, float) in [(400, 500), (300, 500), (299, 400), (200, 400), (0, 400)] {
            assert_eq!(
                funds(deposit, 500, 0, 0).max_float(1, U256::from(100)),
                float,
                "deposit {deposit}"
            );
        }
        assert_eq!(funds(7, 500, 0, 0).max_float(0, U256::zero()), 0);
        assert_eq!(funds(7, 500, 100, 20).reserve_alloc(6), 80);
        assert_eq!(
            funds(7, 500, 100, 20).available_funds(6, U256::from(90)),
            -3
        );
    }

    #[test]
    fn unlocking_senders_are_refused_one_round_early() {
        let mut sender = funds(1, 1, 0, 0);
        assert!(!sender.unlocks_soon(u64::MAX));
        sender.withdraw_round = 10;
        assert!(!sender.unlocks_soon(8));
        assert!(sender.unlocks_soon(9));
        assert!(sender.unlocks_soon(u64::MAX));
    }

    proptest! {
        #[test]
        fn any_answer_of_a_chain_gives_a_float(
            deposit: [u64; 4], remaining: [u64; 4], claimed: [u64; 4], own: [u64; 4], pool: u64, pending: [u64; 4]
        ) {
            let sender = SenderFunds {
                deposit: U256(deposit),
                withdraw_round: pool,
                reserve_remaining: U256(remaining),
                reserve_claimed: U256(claimed),
                claimed_by_recipient: U256(own),
            };
            let float = sender.max_float(pool, U256(pending));
            let alloc = sender.reserve_alloc(pool);
            prop_assert!(float <= alloc);
            let available = sender.available_funds(pool, U256(pending));
            prop_assert!(available <= alloc.saturating_add(to_signed(sender.deposit)));
        }
    }
}
