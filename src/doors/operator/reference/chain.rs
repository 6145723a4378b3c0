//! What `livepeer_cli` reads of the chain.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use chain::{ContractName, Error};
use protocol::money::minimal;

use super::shapes::{self, Big, lower};
use super::{Answer, Refusal, State, chain_of, integer, parameter};
use crate::doors::operator::reply;

/// Contracts that the reference lists beside the Controller.
const LISTED: [ContractName; 6] = [
    ContractName::LivepeerToken,
    ContractName::LivepeerTokenFaucet,
    ContractName::TicketBroker,
    ContractName::RoundsManager,
    ContractName::BondingManager,
    ContractName::Minter,
];

/// The routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/currentBlock", web::to(current_block))
        .route("/currentRound", web::to(current_round))
        .route("/roundInitialized", web::to(round_initialized))
        .route("/orchestratorInfo", web::to(orchestrator_info))
        .route(
            "/registeredOrchestrators",
            web::to(registered_orchestrators),
        )
        .route("/orchestratorEarningPoolsForRound", web::to(earnings_pool))
        .route("/delegatorInfo", web::to(delegator_info))
        .route("/unbondingLocks", web::to(unbonding_locks))
        .route("/protocolParameters", web::to(protocol_parameters))
        .route("/contractAddresses", web::to(contract_addresses))
        .route("/ethAddr", web::to(eth_addr))
        .route("/tokenBalance", web::to(token_balance))
        .route("/ethBalance", web::to(eth_balance))
        .route("/maxGasPrice", web::to(max_gas_price))
        .route("/minGasPrice", web::to(min_gas_price))
        .route("/senderInfo", web::to(sender_info))
        .route("/ticketBrokerParams", web::to(ticket_broker_params));
}

/// 500 with the reference's words before the error.
fn could_not(what: &'static str) -> impl Fn(Error) -> Refusal {
    move |error| Refusal::failed(format!("{what}: {error}"))
}

fn as_it_is(error: Error) -> Refusal {
    Refusal::failed(error.to_string())
}

/// The last block that was handled, as big-endian bytes; nothing before the first.
async fn current_block(state: State) -> HttpResponse {
    let block = state
        .node
        .chain()
        .map_or(0, |chain| chain.facts().rpc.cursor);
    reply::bytes(minimal(block))
}

async fn current_round(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let rounds = chain.client().rounds().await;
    let rounds = rounds.map_err(could_not("could not query current round"))?;
    Ok(reply::text(rounds.value.current.to_string()))
}

async fn round_initialized(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let rounds = chain.client().rounds().await;
    let rounds = rounds.map_err(could_not("could not get initialized round"))?;
    Ok(reply::text(rounds.value.initialized.to_string()))
}

async fn orchestrator_info(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let transcoder = chain.client().transcoder(chain.identity().account).await;
    let transcoder = transcoder.map_err(|error| {
        tracing::warn!(%error, "the chain does not tell about this orchestrator");
        Refusal::failed("could not get transcoder")
    })?;
    let price = chain.facts().prices.default;
    shapes::json(&shapes::OrchestratorInfo::new(transcoder, price))
}

async fn registered_orchestrators(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let pool = chain.client().pool().await.map_err(as_it_is)?.value;
    let members: Vec<_> = pool.members.iter().map(|member| member.address).collect();
    let transcoders = chain.client().transcoders(&members).await;
    // only gateways know prices of others
    let with_price = |of| shapes::Transcoder::new(of, Some("0".to_owned()));
    let list: Vec<_> = transcoders
        .map_err(as_it_is)?
        .into_iter()
        .map(with_price)
        .collect();
    // Go's unset list
    shapes::json(&(!list.is_empty()).then_some(list))
}

async fn earnings_pool(state: State, request: HttpRequest) -> Answer {
    let chain = chain_of(&state)?;
    let round = integer(&parameter(&request, &[], "round").unwrap_or_default())?;
    let round = u64::try_from(round).unwrap_or(u64::MAX);
    let pool = chain
        .client()
        .earnings_pool(chain.identity().account, round)
        .await;
    shapes::json(&shapes::TokenPools::from(pool.map_err(as_it_is)?))
}

async fn delegator_info(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let delegator = chain.client().delegator(chain.identity().account).await;
    shapes::json(&shapes::Delegator::from(delegator.map_err(as_it_is)?))
}

async fn unbonding_locks(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let chain = chain_of(&state)?;
    let (client, account) = (chain.client(), chain.identity().account);
    let delegator = client.delegator(account).await.map_err(as_it_is)?;
    let locks = client
        .unbonding_locks(account, 0..delegator.next_unbonding_lock)
        .await;
    let mut locks = locks.map_err(as_it_is)?;
    let only_withdrawable = parameter(&request, &body, "withdrawable")
        .is_some_and(|text| matches!(&*text, "1" | "t" | "T" | "true" | "TRUE" | "True"));
    if only_withdrawable {
        let round = client.rounds().await.map_err(as_it_is)?.value.current;
        locks.retain(|lock| lock.withdraw_round <= round);
    }
    let rows = locks
        .into_iter()
        .map(|lock| shapes::UnbondingLock::new(account, lock));
    shapes::json(&rows.collect::<Vec<_>>())
}

async fn protocol_parameters(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let parameters = chain.client().protocol_parameters().await;
    shapes::json(&shapes::ProtocolParameters::from(
        parameters.map_err(as_it_is)?,
    ))
}

async fn contract_addresses(state: State) -> Answer {
    let contracts = chain_of(&state)?.client().contracts();
    let listed = LISTED.map(|name| (name.as_str(), lower(contracts.get(name))));
    let mut addresses = BTreeMap::from(listed);
    addresses.insert("Controller", lower(contracts.controller));
    shapes::json(&addresses)
}

async fn eth_addr(state: State) -> Answer {
    Ok(reply::text(
        chain_of(&state)?.identity().account.to_string(),
    ))
}

async fn token_balance(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let balances = chain.client().balances(chain.identity().account).await;
    Ok(reply::text(balances.map_err(as_it_is)?.lpt.to_string()))
}

async fn eth_balance(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let balances = chain.client().balances(chain.identity().account).await;
    Ok(reply::text(balances.map_err(as_it_is)?.eth.to_string()))
}

async fn max_gas_price(state: State) -> Answer {
    let maximum = chain_of(&state)?.gas_bounds().maximum;
    Ok(maximum.map_or_else(reply::nothing, |most| reply::text(most.to_string())))
}

async fn min_gas_price(state: State) -> Answer {
    Ok(reply::text(
        chain_of(&state)?.gas_bounds().minimum.to_string(),
    ))
}

/// This account as a sender of tickets, as the reference has it: not a gateway's.
async fn sender_info(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let account = chain.identity().account;
    let info = chain.client().sender_info(account, account).await;
    let info = info.map_err(could_not("could not query sender info"))?;
    shapes::json(&shapes::SenderInfo::from(info.value))
}

async fn ticket_broker_params(state: State) -> Answer {
    let chain = chain_of(&state)?;
    let period = chain.client().unlock_period().await;
    let period = period.map_err(could_not("could not query TicketBroker unlockPeriod"))?;
    shapes::json(&shapes::TicketBrokerParams {
        unlock_period: Big::from(period),
    })
}
