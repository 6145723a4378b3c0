//! Contract events of the protocol, out of log entries that nobody vouches for.

use ethers::abi::RawLog;
use ethers::contract::EthEvent;
use ethers::types::H256;
use protocol::address::Address;

use crate::bindings::*;
use crate::contracts::ContractName;
use crate::convert::{clamp, to_address};
use crate::types::{Hash, Log, U256};
use crate::{Error, Result};

/// An event of the protocol. Amounts are wei or base units of LPT; rounds are clamped to 64 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are named as in the contracts")]
pub enum ContractEvent {
    /// A round was initialised. Its hash is the contracts' own, and may be zero.
    NewRound { round: u64, block_hash: Hash },
    /// Stake was taken off.
    Unbond {
        delegate: Address,
        delegator: Address,
        lock: u64,
        amount: U256,
        withdraw_round: u64,
    },
    /// Stake that waited was put back.
    Rebond {
        delegate: Address,
        delegator: Address,
        lock: u64,
        amount: U256,
    },
    /// Stake that waited was taken out.
    WithdrawStake {
        delegator: Address,
        lock: u64,
        amount: U256,
        withdraw_round: u64,
    },
    /// An orchestrator joins the active set.
    TranscoderActivated {
        transcoder: Address,
        activation_round: u64,
    },
    /// An orchestrator leaves the active set.
    TranscoderDeactivated {
        transcoder: Address,
        deactivation_round: u64,
    },
    /// Reward was called; the amount is what is left after the treasury's share.
    Reward { transcoder: Address, amount: U256 },
    /// Somebody else may call reward for an orchestrator; zero for nobody.
    RewardCallerSet {
        transcoder: Address,
        reward_caller: Address,
    },
    /// A deposit grew.
    DepositFunded { sender: Address, amount: U256 },
    /// A reserve grew.
    ReserveFunded { holder: Address, amount: U256 },
    /// A sender took everything out.
    Withdrawal {
        sender: Address,
        deposit: U256,
        reserve: U256,
    },
    /// Money moved for a ticket: the amount really paid. Absent when nothing was.
    WinningTicketTransfer {
        sender: Address,
        recipient: Address,
        amount: U256,
    },
    /// A ticket was redeemed, whether or not money moved.
    WinningTicketRedeemed {
        sender: Address,
        recipient: Address,
        face_value: U256,
        win_prob: U256,
        sender_nonce: U256,
        recipient_rand: U256,
        aux_data: Vec<u8>,
    },
    /// Part of a reserve was drawn.
    ReserveClaimed {
        holder: Address,
        claimant: Address,
        amount: U256,
    },
    /// A sender will be able to withdraw from `end_round` on.
    Unlock {
        sender: Address,
        start_round: u64,
        end_round: u64,
    },
    /// A sender stays.
    UnlockCancelled { sender: Address },
    /// An orchestrator changed its URI.
    ServiceUriUpdate { account: Address, uri: String },
}

impl ContractEvent {
    /// Name in the contract.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NewRound { .. } => "NewRound",
            Self::Unbond { .. } => "Unbond",
            Self::Rebond { .. } => "Rebond",
            Self::WithdrawStake { .. } => "WithdrawStake",
            Self::TranscoderActivated { .. } => "TranscoderActivated",
            Self::TranscoderDeactivated { .. } => "TranscoderDeactivated",
            Self::Reward { .. } => "Reward",
            Self::RewardCallerSet { .. } => "RewardCallerSet",
            Self::DepositFunded { .. } => "DepositFunded",
            Self::ReserveFunded { .. } => "ReserveFunded",
            Self::Withdrawal { .. } => "Withdrawal",
            Self::WinningTicketTransfer { .. } => "WinningTicketTransfer",
            Self::WinningTicketRedeemed { .. } => "WinningTicketRedeemed",
            Self::ReserveClaimed { .. } => "ReserveClaimed",
            Self::Unlock { .. } => "Unlock",
            Self::UnlockCancelled { .. } => "UnlockCancelled",
            Self::ServiceUriUpdate { .. } => "ServiceURIUpdate",
        }
    }
}

/// Topic 0 of every event above.
#[must_use]
pub fn topics() -> Vec<Hash> {
    let signatures = [
        NewRoundFilter::signature(),
        UnbondFilter::signature(),
        RebondFilter::signature(),
        WithdrawStakeFilter::signature(),
        TranscoderActivatedFilter::signature(),
        TranscoderDeactivatedFilter::signature(),
        RewardFilter::signature(),
        RewardCallerSetFilter::signature(),
        DepositFundedFilter::signature(),
        ReserveFundedFilter::signature(),
        WithdrawalFilter::signature(),
        WinningTicketTransferFilter::signature(),
        WinningTicketRedeemedFilter::signature(),
        ReserveClaimedFilter::signature(),
        UnlockFilter::signature(),
        UnlockCancelledFilter::signature(),
        ServiceURIUpdateFilter::signature(),
    ];
    signatures.into_iter().map(|topic| Hash(topic.0)).collect()
}

fn raw(log: &Log) -> RawLog {
    RawLog {
        topics: log.topics.iter().map(|topic| H256(topic.0)).collect(),
        data: log.data.clone(),
    }
}

/// Reads one kind of event; `None` when the log is of another.
type Reader = fn(&Log) -> Result<Option<ContractEvent>>;

/// The event of `T`, if the log's topic is its.
fn decode_as<T: EthEvent>(
    log: &Log,
    event: fn(T) -> ContractEvent,
) -> Result<Option<ContractEvent>> {
    if log.topics.first().map(|topic| topic.0) != Some(T::signature().0) {
        return Ok(None);
    }
    let decoded = T::decode_log(&raw(log)).map_err(|e| Error::decoding(T::name(), e))?;
    Ok(Some(event(decoded)))
}

/// The event that a log entry of `contract` is; `None` when it is none of those above.
///
/// # Errors
/// [`Error::Decoding`] when it does not decode as the event its topic names.
pub fn decode(contract: ContractName, log: &Log) -> Result<Option<ContractEvent>> {
    let readers: &[Reader] = match contract {
        ContractName::RoundsManager => &[new_round],
        ContractName::BondingManager => BONDING,
        ContractName::TicketBroker => BROKER,
        ContractName::ServiceRegistry => &[service_uri],
        _ => &[],
    };
    for reader in readers {
        if let Some(event) = reader(log)? {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

fn new_round(log: &Log) -> Result<Option<ContractEvent>> {
    decode_as::<NewRoundFilter>(log, |e| ContractEvent::NewRound {
        round: clamp(e.round),
        block_hash: Hash(e.block_hash),
    })
}

fn service_uri(log: &Log) -> Result<Option<ContractEvent>> {
    decode_as::<ServiceURIUpdateFilter>(log, |e| ContractEvent::ServiceUriUpdate {
        account: to_address(e.account),
        uri: e.service_uri,
    })
}

const BONDING: &[Reader] = &[
    |log| {
        decode_as::<UnbondFilter>(log, |e| ContractEvent::Unbond {
            delegate: to_address(e.delegate),
            delegator: to_address(e.delegator),
            lock: clamp(e.unbonding_lock_id),
            amount: e.amount,
            withdraw_round: clamp(e.withdraw_round),
        })
    },
    |log| {
        decode_as::<RebondFilter>(log, |e| ContractEvent::Rebond {
            delegate: to_address(e.delegate),
            delegator: to_address(e.delegator),
            lock: clamp(e.unbonding_lock_id),
            amount: e.amount,
        })
    },
    |log| {
        decode_as::<WithdrawStakeFilter>(log, |e| ContractEvent::WithdrawStake {
            delegator: to_address(e.delegator),
            lock: clamp(e.unbonding_lock_id),
            amount: e.amount,
            withdraw_round: clamp(e.withdraw_round),
        })
    },
    |log| {
        decode_as::<TranscoderActivatedFilter>(log, |e| ContractEvent::TranscoderActivated {
            transcoder: to_address(e.transcoder),
            activation_round: clamp(e.activation_round),
        })
    },
    |log| {
        decode_as::<TranscoderDeactivatedFilter>(log, |e| ContractEvent::TranscoderDeactivated {
            transcoder: to_address(e.transcoder),
            deactivation_round: clamp(e.deactivation_round),
        })
    },
    |log| {
        decode_as::<RewardFilter>(log, |e| ContractEvent::Reward {
            transcoder: to_address(e.transcoder),
            amount: e.amount,
        })
    },
    |log| {
        decode_as::<RewardCallerSetFilter>(log, |e| ContractEvent::RewardCallerSet {
            transcoder: to_address(e.transcoder),
            reward_caller: to_address(e.reward_caller),
        })
    },
];

const BROKER: &[Reader] = &[
    |log| {
        decode_as::<DepositFundedFilter>(log, |e| ContractEvent::DepositFunded {
            sender: to_address(e.sender),
            amount: e.amount,
        })
    },
    |log| {
        decode_as::<ReserveFundedFilter>(log, |e| ContractEvent::ReserveFunded {
            holder: to_address(e.reserve_holder),
            amount: e.amount,
        })
    },
    |log| {
        decode_as::<WithdrawalFilter>(log, |e| ContractEvent::Withdrawal {
            sender: to_address(e.sender),
            deposit: e.deposit,
            reserve: e.reserve,
        })
    },
    |log| {
        decode_as::<WinningTicketTransferFilter>(log, |e| ContractEvent::WinningTicketTransfer {
            sender: to_address(e.sender),
            recipient: to_address(e.recipient),
            amount: e.amount,
        })
    },
    |log| {
        decode_as::<WinningTicketRedeemedFilter>(log, |e| ContractEvent::WinningTicketRedeemed {
            sender: to_address(e.sender),
            recipient: to_address(e.recipient),
            face_value: e.face_value,
            win_prob: e.win_prob,
            sender_nonce: e.sender_nonce,
            recipient_rand: e.recipient_rand,
            aux_data: e.aux_data.to_vec(),
        })
    },
    |log| {
        decode_as::<ReserveClaimedFilter>(log, |e| ContractEvent::ReserveClaimed {
            holder: to_address(e.reserve_holder),
            claimant: to_address(e.claimant),
            amount: e.amount,
        })
    },
    |log| {
        decode_as::<UnlockFilter>(log, |e| ContractEvent::Unlock {
            sender: to_address(e.sender),
            start_round: clamp(e.start_round),
            end_round: clamp(e.end_round),
        })
    },
    |log| {
        decode_as::<UnlockCancelledFilter>(log, |e| ContractEvent::UnlockCancelled {
            sender: to_address(e.sender),
        })
    },
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::NEVER;

    fn log(topics: Vec<Hash>, data: Vec<u8>) -> Log {
        Log {
            address: Address([1; 20]),
            topics,
            data,
            block: 1,
            block_hash: Hash::ZERO,
            transaction: Hash::ZERO,
            index: 0,
        }
    }

    fn topic(hex_digits: &str) -> Hash {
        let mut out = [0; 32];
        hex::decode_to_slice(hex_digits, &mut out).unwrap();
        Hash(out)
    }

    fn word(address: Address) -> Hash {
        let mut out = [0; 32];
        out[12..].copy_from_slice(&address.0);
        Hash(out)
    }

    #[test]
    fn topics_are_those_of_the_deployed_contracts() {
        let mut expected = [
            "22f2fc17c5daf07db2379b3a03a8ef20a183f761097a58fce219c8a14619e786",
            "2d5d98d189bee5496a08db2a5948cb7e5e786f09d17d0c3f228eb41776c24a06",
            "9f5b64cc71e1e26ff178caaa7877a04d8ce66fde989251870e80e6fbee690c17",
            "1340f1a8f3d456a649e1a12071dfa15655e3d09252131d0f980c3b405cc8dd2e",
            "65d72d782835d64c3287844a829608d5abdc7e864cc9affe96d910ab3db665e9",
            "fee3e693fc72d0a0a673805f3e606c551f4c677b9072444b90dd2d0406bc995c",
            "619caafabdd75649b302ba8419e48cccf64f37f1983ac4727cfb38b57703ffc9",
            "15932b87747cac36d3c505e86a946c6d3a79d9d7bdb79d81584d32bbe54516c2",
            "5159e237d952190e68d5215430f305831be7c9c8776d1377c76679ae4773413f",
            "b52b99b9e83551fcbd069b559cc3e823e2a1a3bad8ece46561ea77524394c850",
            "df273cb619d95419a9cd0ec88123a0538c85064229baa6363788f743fff90deb",
            "8b87351a208c06e3ceee59d80725fd77a23b4129e1b51ca231fc89b40712649c",
            "f7870c5b224cbc19873599e46ccfc7103934650509b1af0c3ce90138377c2004",
            "fa044b7b93a40365dc68049797c2eb06918523d694e5d56e406cac3eb35578e5",
            "5c2b394723f408a40a60335e24b71829642e35f350cebe2036a96a66e895ea98",
            "c389eb51ed006dbf2528507f010efdf5225ea596e1e1741d74f550dab1925ee7",
            "fbb63068732c85741c9f8e61caffaabe038d577bfafd2d2dcc0e352a4f653a4c",
        ]
        .map(topic)
        .to_vec();
        let mut ours = topics();
        expected.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, expected);
    }

    #[test]
    fn a_round_that_never_ends_is_clamped() {
        let deactivated = topic("fee3e693fc72d0a0a673805f3e606c551f4c677b9072444b90dd2d0406bc995c");
        let who = Address([7; 20]);
        let entry = log(vec![deactivated, word(who)], vec![0xff; 32]);
        assert_eq!(
            decode(ContractName::BondingManager, &entry),
            Ok(Some(ContractEvent::TranscoderDeactivated {
                transcoder: who,
                deactivation_round: NEVER
            }))
        );
        assert_eq!(decode(ContractName::TicketBroker, &entry), Ok(None));
    }

    #[test]
    fn the_claimant_of_a_reserve_is_not_indexed() {
        let claimed = topic("5c2b394723f408a40a60335e24b71829642e35f350cebe2036a96a66e895ea98");
        let (holder, claimant) = (Address([2; 20]), Address([3; 20]));
        let mut data = word(claimant).0.to_vec();
        data.extend([0; 31]);
        data.push(9);
        let entry = log(vec![claimed, word(holder)], data.clone());
        assert_eq!(
            decode(ContractName::TicketBroker, &entry),
            Ok(Some(ContractEvent::ReserveClaimed {
                holder,
                claimant,
                amount: 9.into()
            }))
        );
        let short = log(vec![claimed, word(holder)], data[..40].to_vec());
        assert!(decode(ContractName::TicketBroker, &short).is_err());
        let bare = log(vec![claimed], data);
        assert!(decode(ContractName::TicketBroker, &bare).is_err());
    }

    proptest! {
        #[test]
        fn any_log_is_an_event_or_refused(
            place in 0..17usize,
            rest in prop::collection::vec(any::<[u8; 32]>(), 0..4),
            data in prop::collection::vec(any::<u8>(), 0..300),
            zeros in 0..200usize,
        ) {
            let mut all = vec![topics()[place]];
            all.extend(rest.into_iter().map(Hash));
            for data in [data.clone(), vec![0; zeros], [vec![0; zeros / 32 * 32], data].concat()] {
                let entry = log(all.clone(), data);
                for contract in ContractName::ALL {
                    let _ = decode(contract, &entry);
                }
            }
        }
    }
}
