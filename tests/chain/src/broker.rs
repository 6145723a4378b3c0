//! Senders and tickets on the chain.

use ethabi::Token;
use ethabi::ethereum_types::{Address, H256, U256};

use crate::args;
use crate::chain::{Chain, Receipt};
use crate::double::Double;
use crate::ticket::Ticket;

/// What the broker knows of a sender. Wei and rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// Its deposit.
    pub deposit: U256,
    /// When it may withdraw; 0: it has not asked.
    pub withdraw_round: U256,
    /// What is left of its reserve.
    pub reserve: U256,
    /// What was claimed from the reserve in the current round.
    pub claimed: U256,
}

impl Chain {
    /// Adds to deposit and reserve of anybody, out of account 0.
    pub async fn fund_sender(&self, sender: Address, deposit: U256, reserve: U256) {
        let arguments = args![sender, deposit, reserve];
        let function = "fundDepositAndReserveFor";
        let broker = Double::TicketBroker;
        let sent = self.try_send(
            self.account(0),
            broker,
            function,
            arguments,
            deposit + reserve,
        );
        assert!(sent.await.expect("funding").success);
    }

    /// Deposit, reserve and lock of a sender.
    pub async fn sender_info(&self, sender: Address) -> SenderInfo {
        let answer = self
            .call(Double::TicketBroker, "getSenderInfo", args![sender])
            .await;
        let words: Vec<U256> = answer
            .into_iter()
            .filter_map(Token::into_tuple)
            .flatten()
            .filter_map(Token::into_uint)
            .collect();
        SenderInfo {
            deposit: words[0],
            withdraw_round: words[1],
            reserve: words[2],
            claimed: words[3],
        }
    }

    /// Takes all funds of a sender away without an event.
    pub async fn drain_sender(&self, sender: Address) {
        self.send(Double::TicketBroker, "drain", args![sender])
            .await;
    }

    /// `unlock`, `cancelUnlock` or `withdraw`, sent by a sender that then has one ether for gas.
    pub async fn try_as_sender(&self, sender: Address, function: &str) -> Result<Receipt, String> {
        self.set_balance(sender, crate::ether(1)).await;
        self.try_send(
            sender,
            Double::TicketBroker,
            function,
            args![],
            U256::zero(),
        )
        .await
    }

    /// True: the rule before protocol#657, which pays what is there, even nothing. False, as at start: the live one, which
    /// reverts when deposit and reserve do not cover the face value.
    pub async fn pay_what_is_there(&self, old_rule: bool) {
        self.send(Double::TicketBroker, "setPaysWhatIsThere", args![old_rule])
            .await;
    }

    /// What every recipient may still claim from every reserve; `None`: by the rule.
    pub async fn set_reserve_share(&self, share: Option<U256>) {
        match share {
            Some(wei) => {
                self.send(Double::TicketBroker, "setReserveShare", args![wei])
                    .await
            }
            None => {
                self.send(Double::TicketBroker, "clearReserveShare", args![])
                    .await
            }
        };
    }

    /// What `claimant` may still claim from the reserve of `holder` in this round.
    pub async fn claimable(&self, holder: Address, claimant: Address) -> U256 {
        self.uint(
            Double::TicketBroker,
            "claimableReserve",
            args![holder, claimant],
        )
        .await
    }

    /// Whether a ticket was redeemed.
    pub async fn used(&self, ticket: H256) -> bool {
        self.flag(Double::TicketBroker, "usedTickets", args![ticket])
            .await
    }

    /// Redeems from account 0, who is a third party. The revert text when it would revert.
    pub async fn try_redeem(
        &self,
        ticket: &Ticket,
        signature: &[u8],
        rand: U256,
    ) -> Result<Receipt, String> {
        self.try_send(
            self.account(0),
            Double::TicketBroker,
            "redeemWinningTicket",
            args![ticket.token(), signature, rand],
            U256::zero(),
        )
        .await
    }

    /// Σ of what tickets really paid to a recipient: the events of transfer, not face values.
    pub async fn paid_to(&self, recipient: Address) -> U256 {
        let events = self
            .events(Double::TicketBroker, "WinningTicketTransfer")
            .await;
        events
            .iter()
            .filter(|event| event.address("recipient") == recipient)
            .fold(U256::zero(), |sum, event| sum + event.uint("amount"))
    }
}
