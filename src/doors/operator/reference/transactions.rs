//! What `livepeer_cli` has this node sign and send. By POST only, as `livepeer_cli` asks; a link must not move money.
//!
//! A route that sends waits until the transaction is settled, like the reference.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::{HttpRequest, HttpResponse, web};
use actors::reward_caller::reward_write;
use chain::calls::{self, Write};
use chain::transactions::{Mined, Outcome, Purpose, Request};
use protocol::address::Address;
use protocol::money::U256;

use super::prices::set_price;
use super::{Answer, Refusal, State, chain_of, integer, needed, parameter};
use crate::doors::operator::view::ChainView;
use crate::doors::operator::{limits, reply};

/// Routes that wait for a transaction.
const SENDING: [&str; 9] = [
    "/reward",
    "/initializeRound",
    "/setOrchestratorConfig",
    "/withdrawStake",
    "/withdrawFees",
    "/claimEarnings",
    "/transferTokens",
    "/vote",
    "/voteOnProposal",
];

/// Whether a route waits for a transaction.
pub fn waits(path: &str) -> bool {
    SENDING.contains(&path)
}

/// The routes.
pub fn routes(config: &mut web::ServiceConfig) {
    let at = web::resource::<&str>;
    config
        .service(at("/signMessage").route(web::post().to(sign_message)))
        .service(at("/reward").route(web::post().to(reward)))
        .service(at("/initializeRound").route(web::post().to(initialize_round)))
        .service(at("/setOrchestratorConfig").route(web::post().to(set_orchestrator_config)))
        .service(at("/withdrawStake").route(web::post().to(withdraw_stake)))
        .service(at("/withdrawFees").route(web::post().to(withdraw_fees)))
        .service(at("/claimEarnings").route(web::post().to(claim_earnings)))
        .service(at("/transferTokens").route(web::post().to(transfer_tokens)))
        .service(at("/vote").route(web::post().to(vote)))
        .service(at("/voteOnProposal").route(web::post().to(vote_on_proposal)));
}

/// Sends a write and waits until it is settled.
async fn carry_out(chain: &dyn ChainView, purpose: Purpose, write: Write) -> Result<Mined, String> {
    let request = Request {
        valid_until_ms: Some(unix_ms().saturating_add(millis(limits::TRANSACTION_WAIT))),
        ..Request::new(purpose.clone(), write)
    };
    tracing::info!(%purpose, "operator asks for a transaction");
    let pending = chain.transactions().submit(request).await;
    let pending = pending.map_err(|error| error.to_string())?;
    let outcome = actix_rt::time::timeout(limits::TRANSACTION_WAIT, pending.outcome()).await;
    let outcome = outcome
        .map_err(|_| "it is not settled yet; /api/v1/transactions tells how it stands".to_owned())?
        .map_err(|error| error.to_string())?;
    match outcome {
        Outcome::Mined(mined) => Ok(mined),
        Outcome::Reverted(mined, revert) => {
            Err(format!("transaction failed txHash={}: {revert}", mined.hash))
        }
        Outcome::Refused(revert) => Err(format!("execution reverted: {revert}; nothing was sent")),
        Outcome::Cancelled(_) => Err("it was cancelled".to_owned()),
        Outcome::Expired => Err(
            "it could not be sent in time; see the log for the gas price, the balance and the end points"
                .to_owned(),
        ),
        Outcome::Unknown { nonce, .. } => Err(format!(
            "its nonce {nonce} was used by something else; look on the chain whether it happened"
        )),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, millis)
}

/// The purpose of what an operator asks for; asked again while it is under way it is the same.
fn by_operator(text: impl Into<String>) -> Purpose {
    Purpose::Operator(text.into())
}

fn plain(error: impl ToString) -> Refusal {
    Refusal::failed(error.to_string())
}

async fn reward(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let failed = |error: String| Refusal::failed(format!("Error calling reward: {error}"));
    let identity = chain.identity();
    let rounds = chain.client().rounds().await;
    let rounds = rounds.map_err(|error| failed(error.to_string()))?.value;
    let write = reward_write(chain.client(), identity.account, identity.recipient).await;
    let purpose = Purpose::Reward {
        round: rounds.current,
        transcoder: identity.recipient,
    };
    let done = carry_out(&*chain, purpose, write.map_err(failed)?).await;
    done.map_err(failed)?;
    Ok(reply::nothing())
}

async fn initialize_round(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let failed = |error: String| Refusal::failed(format!("could not initialize round: {error}"));
    let rounds = chain.client().rounds().await;
    let rounds = rounds.map_err(|error| failed(error.to_string()))?.value;
    if rounds.initialized {
        return Err(failed("ErrRoundInitialized".to_owned()));
    }
    let write = calls::initialize_round(&chain.client().contracts());
    let write = write.map_err(|error| failed(error.to_string()))?;
    let done = carry_out(&*chain, Purpose::InitializeRound(rounds.current), write).await;
    done.map_err(failed)?;
    Ok(reply::nothing())
}

async fn set_orchestrator_config(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let chain = chain_of(&state)?;
    let given = |name: &str| parameter(&request, &body, name);
    if let (Some(pixels), Some(price)) = (given("pixelsPerUnit"), given("pricePerUnit")) {
        let currency = given("currency").unwrap_or_default();
        set_price(&*chain, "default", &price, &pixels, &currency).await?;
    }
    let cut = percent(given("blockRewardCut"), "Cannot convert block reward cut")?;
    let share = percent(given("feeShare"), "Cannot convert fee share")?;
    let transcoder = chain.client().transcoder(chain.identity().account).await;
    let transcoder = transcoder.map_err(plain)?;
    let contracts = chain.client().contracts();
    if let (Some(cut), Some(share)) = (cut, share)
        && (cut, share) != (transcoder.reward_cut, transcoder.fee_share)
    {
        let write = calls::transcoder(&contracts, cut, share).map_err(plain)?;
        let purpose = by_operator(format!("transcoder {cut} {share}"));
        carry_out(&*chain, purpose, write).await.map_err(plain)?;
    }
    if let Some(uri) = given("serviceURI") {
        let parsed = url::Url::parse(&uri)
            .map_err(|error| Refusal::wrong(format!("parse {uri:?}: {error}")))?;
        if transcoder.service_uri != uri {
            if parsed
                .host_str()
                .is_some_and(|host| host.contains("0.0.0.0"))
            {
                return Err(Refusal::failed(
                    "service address must be a public IP address or hostname",
                ));
            }
            let write = calls::set_service_uri(&contracts, &uri).map_err(plain)?;
            let purpose = by_operator(format!("setServiceURI {uri}"));
            carry_out(&*chain, purpose, write).await.map_err(plain)?;
            tracing::warn!(
                uri,
                "registered on the chain; gateways that ask this node itself are told -serviceAddr, which changes at the next start only"
            );
        }
    }
    Ok(reply::nothing())
}

/// Percent as the contracts count it, in millionths. Go multiplies the binary fraction and cuts: 0.57 is 5699.
fn percent(given: Option<String>, what: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = given else {
        return Ok(None);
    };
    let percent: f64 = text.parse().map_err(|_| {
        Refusal::wrong(format!(
            "{what}: strconv.ParseFloat: parsing {text:?}: invalid syntax"
        ))
    })?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(Refusal::wrong(format!(
            "{what}: {text} is not between 0 and 100 percent"
        )));
    }
    // at most 1,000,000
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(Some((percent * 10_000.0) as u64))
}

async fn withdraw_stake(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let given = needed(&request, &body, "unbondingLockId")?;
    let chain = chain_of(&state)?;
    let lock = integer(&given)
        .map_err(|error| Refusal::wrong(format!("Cannot convert unbondingLockId: {error}")))?;
    let lock = u64::try_from(lock).map_err(|_| Refusal::wrong("no such unbonding lock"))?;
    let write = calls::withdraw_stake(&chain.client().contracts(), lock).map_err(plain)?;
    let purpose = by_operator(format!("withdrawStake {lock}"));
    carry_out(&*chain, purpose, write).await.map_err(plain)?;
    Ok(reply::nothing())
}

async fn withdraw_fees(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let chain = chain_of(&state)?;
    let identity = chain.identity();
    let amount = if matches!(identity.chain_id, 1 | 4) {
        // the old contracts move all there is
        U256::zero()
    } else {
        let given = needed(&request, &body, "amount")?;
        integer(&given).map_err(|error| Refusal::wrong(format!("invalid amount: {error}")))?
    };
    let failed =
        |error: String| Refusal::failed(format!("could not execute WithdrawFees: {error}"));
    let contracts = chain.client().contracts();
    let write = calls::withdraw_fees(&contracts, identity.chain_id, identity.account, amount);
    let write = write.map_err(|error| failed(error.to_string()))?;
    let purpose = by_operator(format!("withdrawFees {amount}"));
    carry_out(&*chain, purpose, write).await.map_err(failed)?;
    Ok(reply::nothing())
}

async fn claim_earnings(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let failed = |error: String| Refusal::failed(format!("Error claiming earnings: {error}"));
    let rounds = chain.client().rounds().await;
    let rounds = rounds.map_err(|error| failed(error.to_string()))?.value;
    if !rounds.initialized {
        return Err(failed("Round not initialized".to_owned()));
    }
    let write = calls::claim_earnings(&chain.client().contracts(), rounds.current);
    let write = write.map_err(|error| failed(error.to_string()))?;
    let purpose = by_operator(format!("claimEarnings {}", rounds.current));
    carry_out(&*chain, purpose, write).await.map_err(failed)?;
    Ok(reply::nothing())
}

async fn transfer_tokens(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let to = needed(&request, &body, "to")?;
    let amount = needed(&request, &body, "amount")?;
    let chain = chain_of(&state)?;
    // the reference turns any text into some address, and the tokens are gone
    let to: Address = to
        .parse()
        .map_err(|_| Refusal::wrong(format!("to is not a valid eth address, provided {to}")))?;
    let amount = integer(&amount)?;
    let write = calls::transfer(&chain.client().contracts(), to, amount).map_err(plain)?;
    let purpose = by_operator(format!("transfer {to} {amount}"));
    carry_out(&*chain, purpose, write).await.map_err(plain)?;
    tracing::info!(%to, %amount, "transferred LPT");
    Ok(reply::nothing())
}

async fn vote(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let poll = needed(&request, &body, "poll")?;
    let choice = needed(&request, &body, "choiceID")?;
    let chain = chain_of(&state)?;
    let poll: Address = poll
        .parse()
        .map_err(|_| Refusal::failed("invalid poll contract address"))?;
    let choice =
        integer(&choice).map_err(|_| Refusal::failed("choiceID is not a valid integer value"))?;
    if choice > U256::one() {
        return Err(Refusal::failed("invalid choiceID"));
    }
    let purpose = by_operator(format!("vote {poll} {choice}"));
    let mined = carry_out(&*chain, purpose, calls::vote(poll, choice)).await;
    let mined = mined.map_err(|error| {
        Refusal::failed(format!("unable to submit vote transaction err={error:?}"))
    })?;
    Ok(reply::bytes(mined.hash.0.to_vec()))
}

async fn vote_on_proposal(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let proposal = needed(&request, &body, "proposalID")?;
    let support = needed(&request, &body, "support")?;
    let chain = chain_of(&state)?;
    let proposal = integer(&proposal)
        .map_err(|_| Refusal::failed("proposalID is not a valid integer value"))?;
    let support =
        integer(&support).map_err(|_| Refusal::failed("support is not a valid integer value"))?;
    let support = u8::try_from(support)
        .ok()
        .filter(|support| *support <= 2)
        .ok_or_else(|| Refusal::failed("invalid support"))?;
    let reason = parameter(&request, &body, "reason").unwrap_or_default();
    let contracts = chain.client().contracts();
    let write = calls::vote_on_proposal(&contracts, proposal, support, &reason).map_err(plain)?;
    let purpose = by_operator(format!("voteOnProposal {proposal} {support}"));
    let mined = carry_out(&*chain, purpose, write).await.map_err(|error| {
        Refusal::failed(format!(
            "unable to submit proposal vote transaction err={error:?}"
        ))
    })?;
    Ok(reply::bytes(mined.hash.0.to_vec()))
}

async fn sign_message(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let message = needed(&request, &body, "message")?;
    let chain = chain_of(&state)?;
    let typed = request
        .headers()
        .get("SigFormat")
        .is_some_and(|format| format.as_bytes() == b"data/typed");
    let signature = if typed {
        let signed = chain.signer().sign_typed_data(message.as_bytes());
        signed.map_err(|error| {
            let error = error.to_string();
            Refusal::wrong(format!("could not unmarshal typed data - err={error:?}"))
        })?
    } else {
        chain.signer().sign_text(message.as_bytes())
    };
    tracing::info!(
        typed,
        bytes = message.len(),
        "signed a message for the operator"
    );
    Ok(HttpResponse::Ok()
        .insert_header(("content-type", "application/octet-stream"))
        .body(signature.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_become_millionths_as_go_makes_them() {
        let millionths = |text: &str| percent(Some(text.to_owned()), "x").unwrap();
        for (text, expected) in [
            ("5", 50_000),
            ("33.33", 333_300),
            ("0.57", 5_699),
            ("1.13", 11_299),
            ("100", 1_000_000),
        ] {
            assert_eq!(millionths(text), Some(expected), "{text}");
        }
        assert_eq!(percent(None, "x").unwrap(), None);
        for wrong in ["", "a", "-1", "100.1", "NaN", "inf"] {
            assert!(percent(Some(wrong.to_owned()), "x").is_err(), "{wrong}");
        }
    }
}
