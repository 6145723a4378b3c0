//! Whether a ticket is worth its transaction now. Pure.

use ledger::ticket::Deferral;
use protocol::money::U256;

use crate::facts::Rounds;

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Most that redeeming may cost, percent of what the ticket pays (`-maxRedeemCost`). Not asked for in the last hours
    /// of a ticket.
    pub max_cost_percent: u32,
    /// Most to pay per gas, wei (`-maxGasPrice`); `None` is no bound.
    pub max_gas_price: Option<u128>,
    /// Last L1 blocks of a ticket's last round in which anything above the cost will do; at most a quarter of the round.
    pub urgent_blocks: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_cost_percent: 10,
            max_gas_price: None,
            // about 3 hours
            urgent_blocks: 900,
        }
    }
}

/// Rounds of a ticket's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Round of its parameters.
    pub creation_round: u64,
    /// Rounds in which the contract pays it, the creation round included.
    pub validity: u64,
}

impl Life {
    /// Last round in which the contract pays it.
    pub fn last_round(&self) -> u64 {
        let end = self.creation_round.saturating_add(self.validity);
        end.saturating_sub(1)
    }

    /// Rounds left, the current one included.
    pub fn rounds_left(&self, current: u64) -> u64 {
        (self.last_round() + 1).saturating_sub(current)
    }
}

impl Policy {
    /// Whether a ticket is in its last hours.
    pub fn is_urgent(&self, life: Life, rounds: &Rounds) -> bool {
        let window = self.urgent_blocks.min(rounds.length / 4);
        life.last_round() <= rounds.current && rounds.blocks_left() <= window
    }
}

/// What a sender has for this recipient, wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purse {
    /// Pays first, and whoever comes first.
    pub deposit: U256,
    /// What the recipient may still draw from the reserve.
    pub claimable: U256,
}

impl Purse {
    /// What a ticket would be paid.
    pub fn pays(&self, face: U256) -> U256 {
        let first = face.min(self.deposit);
        first.saturating_add((face - first).min(self.claimable))
    }

    /// The same, and it is gone for those behind.
    pub fn take(&mut self, face: U256) -> U256 {
        let first = face.min(self.deposit);
        let rest = (face - first).min(self.claimable);
        self.deposit -= first;
        self.claimable -= rest;
        first.saturating_add(rest)
    }
}

/// What to do with a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Send it; it should pay so much.
    Redeem(U256),
    /// Not now, since it would pay only so much.
    Defer(Deferral, U256),
}

/// Judges a ticket of `face` whose transaction costs `cost`. `all` is what the sender has, `left` what tickets that go
/// first leave of it.
pub fn judge(
    policy: &Policy,
    face: U256,
    cost: U256,
    all: &Purse,
    left: &Purse,
    urgent: bool,
) -> Verdict {
    let pays = left.pays(face);
    if pays < face && !(urgent && pays > cost) {
        let (reason, has) = match all.pays(face) >= face {
            true => (Deferral::Order, pays),
            false => (Deferral::SenderFunds, all.pays(face)),
        };
        return Verdict::Defer(reason, has);
    }
    if pays <= cost {
        return Verdict::Defer(Deferral::Cost, pays);
    }
    let percent = U256::from(policy.max_cost_percent);
    let bearable = match (cost.checked_mul(100.into()), pays.checked_mul(percent)) {
        (Some(cost), Some(limit)) => cost <= limit,
        // that much money: the cost is nothing
        (_, None) => true,
        (None, Some(_)) => false,
    };
    if !bearable && !urgent {
        return Verdict::Defer(Deferral::Cost, pays);
    }
    Verdict::Redeem(pays)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn purse(deposit: u64, claimable: u64) -> Purse {
        Purse {
            deposit: deposit.into(),
            claimable: claimable.into(),
        }
    }

    fn verdict(face: u64, cost: u64, all: Purse, left: Purse, urgent: bool) -> Verdict {
        let policy = Policy::default();
        judge(&policy, face.into(), cost.into(), &all, &left, urgent)
    }

    fn reason(verdict: Verdict) -> Option<Deferral> {
        match verdict {
            Verdict::Defer(reason, _) => Some(reason),
            Verdict::Redeem(_) => None,
        }
    }

    #[test]
    fn full_pay_at_a_small_cost_goes_and_all_else_waits_with_its_reason() {
        let rich = purse(1000, 1000);
        assert_eq!(
            verdict(1000, 100, rich, rich, false),
            Verdict::Redeem(1000.into())
        );
        assert_eq!(
            reason(verdict(1000, 101, rich, rich, false)),
            Some(Deferral::Cost)
        );
        assert_eq!(reason(verdict(1000, 101, rich, rich, true)), None);
        assert_eq!(
            reason(verdict(1000, 1000, rich, rich, true)),
            Some(Deferral::Cost)
        );
        let poor = purse(300, 200);
        assert_eq!(
            reason(verdict(1000, 1, poor, poor, false)),
            Some(Deferral::SenderFunds)
        );
        assert_eq!(
            verdict(1000, 1, poor, poor, true),
            Verdict::Redeem(500.into())
        );
        assert_eq!(
            reason(verdict(1000, 1, rich, poor, false)),
            Some(Deferral::Order)
        );
    }

    #[test]
    fn only_the_last_hours_of_the_last_round_are_urgent() {
        let policy = Policy::default();
        let life = Life {
            creation_round: 10,
            validity: 2,
        };
        let at = |current, l1_block| Rounds {
            current,
            start_block: 0,
            length: 5760,
            l1_block,
            ..Rounds::unknown()
        };
        assert!(!policy.is_urgent(life, &at(10, 5700)));
        assert!(!policy.is_urgent(life, &at(11, 4859)));
        assert!(policy.is_urgent(life, &at(11, 4860)));
        let short = Rounds {
            length: 40,
            ..at(11, 29)
        };
        assert!(
            !policy.is_urgent(life, &short),
            "a quarter of a short round"
        );
        assert_eq!(
            [9, 10, 11, 12].map(|round| life.rounds_left(round)),
            [3, 2, 1, 0]
        );
    }

    proptest! {
        #[test]
        fn tickets_taken_in_a_row_never_take_more_than_there_is(
            deposit: u64, claimable: u64, faces in prop::collection::vec(any::<u64>(), 0..20),
        ) {
            let all = purse(deposit, claimable);
            let mut left = all;
            let mut sum = U256::zero();
            for face in faces {
                let expected = left.pays(face.into());
                prop_assert_eq!(left.take(face.into()), expected);
                sum += expected;
            }
            prop_assert_eq!(sum + left.deposit + left.claimable, all.deposit + all.claimable);
        }

        #[test]
        fn nothing_is_ever_sent_at_a_loss(
            face: u64, cost: u64, deposit: u64, claimable: u64, urgent: bool,
        ) {
            let purse = purse(deposit, claimable);
            if let Verdict::Redeem(pays) = verdict(face, cost, purse, purse, urgent) {
                prop_assert!(pays > U256::from(cost));
                prop_assert!(pays <= U256::from(face));
            }
        }
    }
}
