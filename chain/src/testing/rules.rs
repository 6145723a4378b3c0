//! What the contracts do, as far as an orchestrator meets them.

use ethers::abi::{AbiDecode, Token};
use ethers::contract::EthEvent;
use protocol::address::Address;
use protocol::money::{ExpirationParams, RecipientRand, Ticket, WinningTicket};

use super::{State, Tx, World};
use crate::bindings::*;
use crate::contracts::ContractName;
use crate::convert::{to_address, to_h160};
use crate::types::{Hash, Log, U256};

/// What a reward mints, base units of LPT.
const REWARD: u64 = 1_000;

fn word(address: Address) -> Hash {
    let mut out = [0; 32];
    out[12..].copy_from_slice(&address.0);
    Hash(out)
}

fn number(n: impl Into<U256>) -> Token {
    Token::Uint(n.into())
}

impl State {
    /// Runs a transaction; its log entries, or the contract's words. `mining` tells a block from a simulation.
    pub(super) fn execute(
        &mut self,
        world: &mut World,
        tx: &Tx,
        mining: bool,
    ) -> Result<Vec<Log>, String> {
        match self.contracts.name_of(tx.to) {
            Some(ContractName::TicketBroker) => self.broker(world, tx, mining),
            Some(ContractName::BondingManager) => self.bonding(world, tx),
            Some(ContractName::RoundsManager) => self.rounds(world, tx),
            _ => Ok(Vec::new()),
        }
    }

    fn log(&self, name: ContractName, tx: &Tx, topics: Vec<Hash>, data: &[Token]) -> Log {
        Log {
            address: self.contracts.get(name),
            topics,
            data: ethers::abi::encode(data),
            block: 0,
            block_hash: Hash::ZERO,
            transaction: tx.hash,
            index: 0,
        }
    }

    fn rounds(&self, world: &mut World, tx: &Tx) -> Result<Vec<Log>, String> {
        InitializeRoundCall::decode(&tx.data).map_err(|e| e.to_string())?;
        if world.is_initialized() {
            return Err("round already initialized".into());
        }
        let round = world.round();
        world.last_initialized = round;
        let mut topic = [0; 32];
        topic[24..].copy_from_slice(&round.to_be_bytes());
        let topics = vec![Hash(NewRoundFilter::signature().0), Hash(topic)];
        let hash = Token::FixedBytes(World::round_hash(round).0.to_vec());
        Ok(vec![self.log(
            ContractName::RoundsManager,
            tx,
            topics,
            &[hash],
        )])
    }

    fn bonding(&self, world: &mut World, tx: &Tx) -> Result<Vec<Log>, String> {
        let whose = if RewardWithHintCall::decode(&tx.data).is_ok() {
            tx.from
        } else {
            let call = RewardForTranscoderWithHintCall::decode(&tx.data);
            let whose = to_address(call.map_err(|e| e.to_string())?.transcoder);
            let orchestrator = world.orchestrators.get(&whose);
            if orchestrator.and_then(|o| o.reward_caller) != Some(tx.from) {
                return Err("caller is not the reward caller".into());
            }
            whose
        };
        if !world.is_initialized() {
            return Err("current round is not initialized".into());
        }
        let round = world.round();
        let orchestrator = world
            .orchestrators
            .get_mut(&whose)
            .filter(|orchestrator| orchestrator.active)
            .ok_or("caller must be an active transcoder")?;
        if orchestrator.last_reward_round == round {
            return Err("caller has already called reward for the current round".into());
        }
        orchestrator.last_reward_round = round;
        orchestrator.stake += REWARD.into();
        world.rewards.insert((whose, round));
        let topics = vec![Hash(RewardFilter::signature().0), word(whose)];
        Ok(vec![self.log(
            ContractName::BondingManager,
            tx,
            topics,
            &[number(REWARD)],
        )])
    }

    fn broker(&mut self, world: &mut World, tx: &Tx, mining: bool) -> Result<Vec<Log>, String> {
        let call = RedeemWinningTicketCall::decode(&tx.data).map_err(|e| e.to_string())?;
        let ticket = winner(&call)?;
        let hash = Hash(ticket.ticket.hash());
        if let Some(words) = self.faults.poisoned.get(&hash) {
            return Err(words.clone());
        }
        if mining
            && let Some(left) = self.faults.betrayed.get_mut(&hash)
            && *left > 0
        {
            *left -= 1;
            return Err("something changed on the way".into());
        }
        if !world.is_initialized() {
            return Err("current round is not initialized".into());
        }
        let Ticket {
            sender,
            recipient,
            face_value,
            expiration,
            ..
        } = ticket.ticket;
        if expiration.creation_round_block_hash != World::round_hash(expiration.creation_round).0 {
            return Err("ticket creationRoundBlockHash invalid for creationRound".into());
        }
        let round = world.round();
        if expiration.creation_round + world.validity <= round {
            return Err("ticket is expired".into());
        }
        if world.redeemed.contains_key(&hash) {
            return Err("ticket is used".into());
        }
        ticket.check().map_err(|_| "ticket did not win")?;
        if !world.orchestrators.contains_key(&recipient) {
            return Err("transcoder must be registered".into());
        }
        let claimable = world.claimable(sender, recipient);
        let funds = world.senders.entry(sender).or_default();
        if funds.withdraw_round != 0 && funds.withdraw_round <= round {
            return Err("sender is unlocked".into());
        }
        if self.strict_funds && funds.deposit + funds.reserve < face_value {
            return Err(
                "sender deposit and reserve insufficient to cover ticket face value".into(),
            );
        }
        if funds.deposit.is_zero() && funds.reserve.is_zero() {
            return Err("sender deposit and reserve are zero".into());
        }
        let from_deposit = face_value.min(funds.deposit);
        let from_reserve = (face_value - from_deposit).min(claimable);
        funds.deposit -= from_deposit;
        funds.reserve -= from_reserve;
        if funds.claim_round != round {
            funds.claim_round = round;
            funds.claimed.clear();
        }
        *funds.claimed.entry(recipient).or_default() += from_reserve;
        let paid = from_deposit + from_reserve;
        world.redeemed.insert(hash, paid);
        if let Some(orchestrator) = world.orchestrators.get_mut(&recipient) {
            orchestrator.fees += paid;
        }
        Ok(self.redemption_logs(tx, &ticket, &call, from_reserve, paid))
    }

    fn redemption_logs(
        &self,
        tx: &Tx,
        ticket: &WinningTicket,
        call: &RedeemWinningTicketCall,
        from_reserve: U256,
        paid: U256,
    ) -> Vec<Log> {
        let Ticket {
            sender, recipient, ..
        } = ticket.ticket;
        let broker = ContractName::TicketBroker;
        let mut logs = Vec::new();
        if !from_reserve.is_zero() {
            let topics = vec![Hash(ReserveClaimedFilter::signature().0), word(sender)];
            let data = [Token::Address(to_h160(recipient)), number(from_reserve)];
            logs.push(self.log(broker, tx, topics, &data));
        }
        if !paid.is_zero() {
            let topic = Hash(WinningTicketTransferFilter::signature().0);
            let topics = vec![topic, word(sender), word(recipient)];
            logs.push(self.log(broker, tx, topics, &[number(paid)]));
        }
        let topic = Hash(WinningTicketRedeemedFilter::signature().0);
        let topics = vec![topic, word(sender), word(recipient)];
        let data = [
            number(call.ticket.face_value),
            number(call.ticket.win_prob),
            number(call.ticket.sender_nonce),
            number(call.recipient_rand),
            Token::Bytes(call.ticket.aux_data.to_vec()),
        ];
        logs.push(self.log(broker, tx, topics, &data));
        logs
    }
}

/// The ticket of a call.
fn winner(call: &RedeemWinningTicketCall) -> Result<WinningTicket, String> {
    let mut rand = [0; 32];
    call.recipient_rand.to_big_endian(&mut rand);
    let ticket = &call.ticket;
    let aux: [u8; 64] = ticket
        .aux_data
        .to_vec()
        .try_into()
        .map_err(|_| "invalid length for ticket auxData: must be 64 bytes")?;
    let (round, hash) = aux.split_at(32);
    Ok(WinningTicket {
        ticket: Ticket {
            recipient: to_address(ticket.recipient),
            sender: to_address(ticket.sender),
            face_value: ticket.face_value,
            win_prob: ticket.win_prob,
            nonce: ticket.sender_nonce.as_u32(),
            recipient_rand_hash: ticket.recipient_rand_hash,
            expiration: ExpirationParams {
                creation_round: U256::from_big_endian(round).as_u64(),
                creation_round_block_hash: hash.try_into().map_err(|_| "auxData")?,
            },
        },
        sig: call
            .sig
            .to_vec()
            .try_into()
            .map_err(|_| "INVALID_SIGNATURE_LENGTH")?,
        recipient_rand: RecipientRand::from_bytes(rand),
        expiration_block: 0,
    })
}
