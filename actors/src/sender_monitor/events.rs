//! What an event of the chain changes about a sender. Pure.

use chain::watcher::ContractEvent;
use protocol::address::Address;
use protocol::money::SenderFunds;

/// Whom an event is about; `None` when it changes no sender's money.
pub(super) fn sender_of(event: &ContractEvent) -> Option<Address> {
    match event {
        ContractEvent::DepositFunded { sender, .. }
        | ContractEvent::Withdrawal { sender, .. }
        | ContractEvent::WinningTicketTransfer { sender, .. }
        | ContractEvent::Unlock { sender, .. }
        | ContractEvent::UnlockCancelled { sender } => Some(*sender),
        ContractEvent::ReserveFunded { holder, .. } => Some(*holder),
        _ => None,
    }
}

/// Applies an event about this sender. `recipient` is who is paid by tickets to this node, which need not be its own
/// account.
pub(super) fn apply(funds: &mut SenderFunds, event: &ContractEvent, recipient: Address) {
    match event {
        ContractEvent::DepositFunded { amount, .. } => {
            funds.deposit = funds.deposit.saturating_add(*amount);
        }
        ContractEvent::ReserveFunded { amount, .. } => {
            funds.reserve_remaining = funds.reserve_remaining.saturating_add(*amount);
        }
        ContractEvent::Withdrawal { .. } => {
            *funds = SenderFunds {
                withdraw_round: funds.withdraw_round,
                ..SenderFunds::default()
            };
        }
        ContractEvent::WinningTicketTransfer {
            recipient: paid,
            amount,
            ..
        } => {
            let from_deposit = funds.deposit.min(*amount);
            let from_reserve = *amount - from_deposit;
            funds.deposit -= from_deposit;
            funds.reserve_remaining = funds.reserve_remaining.saturating_sub(from_reserve);
            funds.reserve_claimed = funds.reserve_claimed.saturating_add(from_reserve);
            if *paid == recipient {
                funds.claimed_by_recipient =
                    funds.claimed_by_recipient.saturating_add(from_reserve);
            }
        }
        ContractEvent::Unlock { end_round, .. } => funds.withdraw_round = *end_round,
        ContractEvent::UnlockCancelled { .. } => funds.withdraw_round = 0,
        _ => {}
    }
}

/// A new round has begun: nothing is drawn from any reserve yet.
pub(super) fn new_round(funds: &mut SenderFunds) {
    funds.reserve_claimed = 0.into();
    funds.claimed_by_recipient = 0.into();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::money::U256;

    use super::*;

    const OWN: Address = Address([1; 20]);
    const ORCHESTRATOR: Address = Address([2; 20]);
    const SENDER: Address = Address([3; 20]);

    fn transfer(recipient: Address, amount: u64) -> ContractEvent {
        ContractEvent::WinningTicketTransfer {
            sender: SENDER,
            recipient,
            amount: amount.into(),
        }
    }

    fn funds(deposit: u64, reserve: u64) -> SenderFunds {
        SenderFunds {
            deposit: deposit.into(),
            reserve_remaining: reserve.into(),
            ..SenderFunds::default()
        }
    }

    #[test]
    fn a_transfer_takes_the_deposit_first_and_counts_as_claimed_for_the_recipient_of_tickets() {
        let mut sender = funds(100, 1000);
        apply(&mut sender, &transfer(ORCHESTRATOR, 150), ORCHESTRATOR);
        assert_eq!(
            sender,
            SenderFunds {
                reserve_remaining: 950.into(),
                reserve_claimed: 50.into(),
                claimed_by_recipient: 50.into(),
                ..SenderFunds::default()
            }
        );
        // the reference counts only its own account, and so believes in a float that is gone
        apply(&mut sender, &transfer(OWN, 10), ORCHESTRATOR);
        assert_eq!(sender.claimed_by_recipient, U256::from(50));
        assert_eq!(sender.reserve_claimed, U256::from(60));
        new_round(&mut sender);
        assert_eq!(sender, funds(0, 940));
    }

    #[test]
    fn a_withdrawal_leaves_nothing_and_an_unlock_shows() {
        let mut sender = funds(5, 6);
        let unlock = ContractEvent::Unlock {
            sender: SENDER,
            start_round: 8,
            end_round: 10,
        };
        apply(&mut sender, &unlock, OWN);
        assert!(sender.unlocks_soon(9) && !sender.unlocks_soon(8));
        let withdrawal = ContractEvent::Withdrawal {
            sender: SENDER,
            deposit: 5.into(),
            reserve: 6.into(),
        };
        apply(&mut sender, &withdrawal, OWN);
        assert!(sender.is_empty());
        assert_eq!(sender.withdraw_round, 10);
        apply(
            &mut sender,
            &ContractEvent::UnlockCancelled { sender: SENDER },
            OWN,
        );
        assert_eq!(sender.withdraw_round, 0);
    }

    proptest! {
        #[test]
        fn transfers_never_make_money(deposit: u64, reserve: u64, amounts: Vec<(bool, u64)>) {
            let mut sender = funds(deposit, reserve);
            for (own, amount) in amounts {
                apply(&mut sender, &transfer(if own { OWN } else { ORCHESTRATOR }, amount), OWN);
                prop_assert!(sender.deposit <= deposit.into());
                prop_assert!(sender.reserve_remaining <= reserve.into());
                prop_assert!(sender.claimed_by_recipient <= sender.reserve_claimed);
            }
        }
    }
}
