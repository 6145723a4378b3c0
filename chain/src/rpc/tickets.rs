//! Reads of the TicketBroker.

use protocol::address::Address;
use serde_json::Value;

use super::RpcClient;
use super::batch::{Answers, Batch, Slot};
use crate::bindings::*;
use crate::contracts::ContractName;
use crate::convert::{clamp, to_h160};
use crate::types::{SenderInfo, U256};
use crate::{Error, Result};

/// Zero where the contract reverts: it subtracts what was drawn from a share that has become smaller.
pub(super) fn claimable(answers: &Answers, slot: &Slot<ClaimableReserveReturn>) -> Result<U256> {
    match answers.get(slot) {
        Ok(amount) => Ok(amount.0),
        Err(Error::Reverted { .. }) => Ok(U256::zero()),
        Err(e) => Err(e),
    }
}

impl RpcClient {
    pub(super) async fn read_senders(
        &self,
        senders: &[Address],
        recipient: Address,
        tag: Value,
    ) -> Result<Vec<SenderInfo>> {
        let to = self.at(ContractName::TicketBroker)?;
        let claimant = to_h160(recipient);
        let mut batch = Batch::new(tag);
        let slots: Vec<_> = senders
            .iter()
            .map(|sender| {
                let holder = to_h160(*sender);
                let info = GetSenderInfoCall { sender: holder };
                let claimed = ClaimedReserveCall {
                    reserve_holder: holder,
                    claimant,
                };
                let may_claim = ClaimableReserveCall {
                    reserve_holder: holder,
                    claimant,
                };
                (
                    *sender,
                    batch.read::<_, GetSenderInfoReturn>(to, info),
                    batch.read::<_, ClaimedReserveReturn>(to, claimed),
                    batch.read::<_, ClaimableReserveReturn>(to, may_claim),
                )
            })
            .collect();
        let answers = batch.send(&self.endpoints).await?;
        let infos = slots.iter().map(|(sender, info, claimed, may_claim)| {
            let info = answers.get(info)?;
            Ok(SenderInfo {
                sender: *sender,
                deposit: info.deposit,
                withdraw_round: clamp(info.withdraw_round),
                reserve: info.funds_remaining,
                claimed_in_round: info.claimed_in_current_round,
                claimed_by_recipient: answers.get(claimed)?.0,
                claimable: claimable(&answers, may_claim)?,
            })
        });
        infos.collect()
    }
}
