//! JSON as Go's encoder writes the reference's structures: big integers as bare digits of any length, addresses in lower
//! case, exact prices as text, `&`, `<` and `>` escaped.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use chain::types::{self, NEVER};
use protocol::address::Address;
use protocol::money::{Price, U256};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::Refusal;

/// A number of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Big(pub U256);

impl From<u64> for Big {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl Serialize for Big {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = RawValue::from_string(self.0.to_string()).map_err(S::Error::custom)?;
        digits.serialize(serializer)
    }
}

/// A round; the contracts write 2^256 − 1 for "never".
fn round(number: u64) -> Big {
    match number {
        NEVER => Big(U256::MAX),
        number => number.into(),
    }
}

/// An address as Go's encoder writes it.
pub fn lower(address: Address) -> String {
    address.to_string().to_ascii_lowercase()
}

/// 200 with JSON.
pub fn json(value: &impl Serialize) -> Result<HttpResponse, Refusal> {
    let text = serde_json::to_string(value).map_err(|error| Refusal::failed(error.to_string()))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(escaped(&text)))
}

/// These characters stand in JSON only inside of texts.
fn escaped(json: &str) -> String {
    json.replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// An orchestrator.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Transcoder {
    address: String,
    #[serde(rename = "ServiceURI")]
    service_uri: String,
    last_reward_round: Big,
    reward_cut: Big,
    fee_share: Big,
    delegated_stake: Big,
    activation_round: Big,
    deactivation_round: Big,
    last_active_stake_update_round: Big,
    active: bool,
    status: &'static str,
    price_per_pixel: Option<String>,
}

impl Transcoder {
    /// With a price, which only lists have.
    pub fn new(of: types::Transcoder, price_per_pixel: Option<String>) -> Self {
        Self {
            address: lower(of.address),
            service_uri: of.service_uri,
            last_reward_round: round(of.last_reward_round),
            reward_cut: of.reward_cut.into(),
            fee_share: of.fee_share.into(),
            delegated_stake: Big(of.stake),
            activation_round: round(of.activation_round),
            deactivation_round: round(of.deactivation_round),
            last_active_stake_update_round: round(of.last_active_stake_update_round),
            active: of.active,
            status: match of.registered {
                true => "Registered",
                false => "Not Registered",
            },
            price_per_pixel,
        }
    }
}

/// `/orchestratorInfo`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OrchestratorInfo {
    transcoder: Transcoder,
    price_info: Option<String>,
}

impl OrchestratorInfo {
    /// This node's own; `null` as price while there is none.
    pub fn new(transcoder: types::Transcoder, price: Option<Price>) -> Self {
        Self {
            transcoder: Transcoder::new(transcoder, None),
            price_info: price.map(|price| price.to_string()),
        }
    }
}

/// `/delegatorInfo`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Delegator {
    address: String,
    bonded_amount: Big,
    fees: Big,
    delegate_address: String,
    delegated_amount: Big,
    start_round: Big,
    last_claim_round: Big,
    next_unbonding_lock_id: Big,
    pending_stake: Big,
    pending_fees: Big,
    status: &'static str,
}

impl From<types::Delegator> for Delegator {
    fn from(of: types::Delegator) -> Self {
        Self {
            address: lower(of.address),
            bonded_amount: Big(of.bonded),
            fees: Big(of.fees),
            delegate_address: lower(of.delegate),
            delegated_amount: Big(of.delegated),
            start_round: round(of.start_round),
            last_claim_round: round(of.last_claim_round),
            next_unbonding_lock_id: of.next_unbonding_lock.into(),
            pending_stake: Big(of.pending_stake),
            pending_fees: Big(of.pending_fees),
            status: match of.status {
                types::DelegatorStatus::Pending => "Pending",
                types::DelegatorStatus::Bonded => "Bonded",
                types::DelegatorStatus::Unbonded => "Unbonded",
            },
        }
    }
}

/// A row of `/unbondingLocks`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnbondingLock {
    #[serde(rename = "ID")]
    id: u64,
    delegator: String,
    amount: Big,
    withdraw_round: u64,
}

impl UnbondingLock {
    /// A lock of `delegator`.
    pub fn new(delegator: Address, of: types::UnbondingLock) -> Self {
        Self {
            id: of.id,
            delegator: lower(delegator),
            amount: Big(of.amount),
            withdraw_round: of.withdraw_round,
        }
    }
}

/// `/orchestratorEarningPoolsForRound`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TokenPools {
    total_stake: Big,
    transcoder_reward_cut: Big,
    transcoder_fee_share: Big,
    cumulative_reward_factor: Big,
    cumulative_fee_factor: Big,
}

impl From<types::EarningsPool> for TokenPools {
    fn from(of: types::EarningsPool) -> Self {
        Self {
            total_stake: Big(of.total_stake),
            transcoder_reward_cut: of.reward_cut.into(),
            transcoder_fee_share: of.fee_share.into(),
            cumulative_reward_factor: Big(of.cumulative_reward_factor),
            cumulative_fee_factor: Big(of.cumulative_fee_factor),
        }
    }
}

/// `/protocolParameters`. What the contracts no longer have stays empty.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProtocolParameters {
    num_active_transcoders: Big,
    round_length: Big,
    round_lock_amount: Big,
    unbonding_period: u64,
    verification_rate: u64,
    verification_period: Option<Big>,
    slashing_period: Option<Big>,
    failed_verification_slash_amount: Option<Big>,
    missed_verification_slash_amount: Option<Big>,
    double_claim_segment_slash_amount: Option<Big>,
    finder_fee: Option<Big>,
    inflation: Big,
    inflation_change: Big,
    target_bonding_rate: Big,
    verification_code_hash: &'static str,
    total_bonded: Big,
    total_supply: Big,
    paused: bool,
}

impl From<types::ProtocolParameters> for ProtocolParameters {
    fn from(of: types::ProtocolParameters) -> Self {
        Self {
            num_active_transcoders: of.pool_max_size.into(),
            round_length: of.round_length.into(),
            round_lock_amount: of.round_lock_amount.into(),
            unbonding_period: of.unbonding_period,
            verification_rate: 0,
            verification_period: None,
            slashing_period: None,
            failed_verification_slash_amount: None,
            missed_verification_slash_amount: None,
            double_claim_segment_slash_amount: None,
            finder_fee: None,
            inflation: Big(of.inflation),
            inflation_change: Big(of.inflation_change),
            target_bonding_rate: Big(of.target_bonding_rate),
            verification_code_hash: "",
            total_bonded: Big(of.total_bonded),
            total_supply: Big(of.total_supply),
            paused: of.paused,
        }
    }
}

/// `/senderInfo`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SenderInfo {
    deposit: Big,
    withdraw_round: Big,
    reserve: Reserve,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reserve {
    funds_remaining: Big,
    claimed_in_current_round: Big,
}

impl From<types::SenderInfo> for SenderInfo {
    fn from(of: types::SenderInfo) -> Self {
        Self {
            deposit: Big(of.deposit),
            withdraw_round: of.withdraw_round.into(),
            reserve: Reserve {
                funds_remaining: Big(of.reserve),
                claimed_in_current_round: Big(of.claimed_in_round),
            },
        }
    }
}

/// `/ticketBrokerParams`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TicketBrokerParams {
    /// Rounds.
    pub unlock_period: Big,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &impl Serialize) -> String {
        escaped(&serde_json::to_string(value).unwrap())
    }

    const LONG: &str =
        "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    fn transcoder() -> types::Transcoder {
        types::Transcoder {
            address: Address([0xAB; 20]),
            registered: true,
            active: true,
            last_reward_round: 10,
            reward_cut: 50_000,
            fee_share: 1_000_000,
            last_active_stake_update_round: 11,
            activation_round: 3,
            deactivation_round: NEVER,
            active_cumulative_rewards: U256::zero(),
            cumulative_rewards: U256::zero(),
            cumulative_fees: U256::zero(),
            last_fee_round: 0,
            stake: U256::exp10(24),
            service_uri: "https://a.b:8935/?x=<1>&y".into(),
        }
    }

    #[test]
    fn an_orchestrator_is_byte_for_byte_the_reference_s() {
        let expected = format!(
            concat!(
                r#"{{"Transcoder":{{"Address":"0x{a}","ServiceURI":"https://a.b:8935/?x=\u003c1\u003e\u0026y","#,
                r#""LastRewardRound":10,"RewardCut":50000,"FeeShare":1000000,"#,
                r#""DelegatedStake":1000000000000000000000000,"ActivationRound":3,"DeactivationRound":{long},"#,
                r#""LastActiveStakeUpdateRound":11,"Active":true,"Status":"Registered","PricePerPixel":null}},"#,
                r#""PriceInfo":"3/2"}}"#
            ),
            a = "ab".repeat(20),
            long = LONG
        );
        let price = Price::new(1500u64, 1000u64);
        assert_eq!(text(&OrchestratorInfo::new(transcoder(), price)), expected);
        let none = text(&OrchestratorInfo::new(transcoder(), None));
        assert!(none.ends_with(r#""PriceInfo":null}"#), "{none}");
        let whole = text(&OrchestratorInfo::new(transcoder(), Price::new(5u64, 1u64)));
        assert!(whole.ends_with(r#""PriceInfo":"5"}"#), "{whole}");
    }

    #[test]
    fn delegators_locks_and_pools_are_byte_for_byte_the_reference_s() {
        let delegator = types::Delegator {
            address: Address([1; 20]),
            status: types::DelegatorStatus::Pending,
            bonded: 1.into(),
            fees: 2.into(),
            delegate: Address::ZERO,
            delegated: U256::MAX,
            start_round: 4,
            last_claim_round: 5,
            next_unbonding_lock: 6,
            pending_stake: 7.into(),
            pending_fees: 8.into(),
        };
        let expected = format!(
            concat!(
                r#"{{"Address":"0x{one}","BondedAmount":1,"Fees":2,"DelegateAddress":"0x{zero}","DelegatedAmount":{long},"#,
                r#""StartRound":4,"LastClaimRound":5,"NextUnbondingLockId":6,"PendingStake":7,"PendingFees":8,"#,
                r#""Status":"Pending"}}"#
            ),
            one = "01".repeat(20),
            zero = "00".repeat(20),
            long = LONG
        );
        assert_eq!(text(&Delegator::from(delegator)), expected);
        let lock = types::UnbondingLock {
            id: 3,
            amount: U256::exp10(20),
            withdraw_round: 9,
        };
        assert_eq!(
            text(&vec![UnbondingLock::new(Address([1; 20]), lock)]),
            format!(
                r#"[{{"ID":3,"Delegator":"0x{}","Amount":100000000000000000000,"WithdrawRound":9}}]"#,
                "01".repeat(20)
            )
        );
        let pool = types::EarningsPool {
            total_stake: 1.into(),
            reward_cut: 2,
            fee_share: 3,
            cumulative_reward_factor: 4.into(),
            cumulative_fee_factor: 5.into(),
        };
        assert_eq!(
            text(&TokenPools::from(pool)),
            r#"{"TotalStake":1,"TranscoderRewardCut":2,"TranscoderFeeShare":3,"CumulativeRewardFactor":4,"CumulativeFeeFactor":5}"#
        );
    }

    #[test]
    fn protocol_parameters_keep_the_fields_of_old_contracts() {
        let parameters = types::ProtocolParameters {
            pool_max_size: 100,
            round_length: 5760,
            round_lock_amount: 100_000,
            unbonding_period: 7,
            inflation: 220_500.into(),
            inflation_change: 500.into(),
            target_bonding_rate: 500_000_000.into(),
            total_bonded: 1.into(),
            total_supply: 2.into(),
            paused: false,
        };
        assert_eq!(
            text(&ProtocolParameters::from(parameters)),
            concat!(
                r#"{"NumActiveTranscoders":100,"RoundLength":5760,"RoundLockAmount":100000,"UnbondingPeriod":7,"#,
                r#""VerificationRate":0,"VerificationPeriod":null,"SlashingPeriod":null,"#,
                r#""FailedVerificationSlashAmount":null,"MissedVerificationSlashAmount":null,"#,
                r#""DoubleClaimSegmentSlashAmount":null,"FinderFee":null,"Inflation":220500,"InflationChange":500,"#,
                r#""TargetBondingRate":500000000,"VerificationCodeHash":"","TotalBonded":1,"TotalSupply":2,"Paused":false}"#
            )
        );
    }
}
