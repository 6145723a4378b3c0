//! Rounds and reward, end points, transactions under way.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use actors::facts::{RewardState, Rounds};
use chain::endpoints::EndpointSnapshot;
use chain::fees::Fees;
use chain::transactions::TransactionStatus;
use serde::Serialize;

use super::failure::Failure;
use super::{State, chain_of};
use crate::doors::operator::reply;

/// The routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/api/v1/rounds").route(web::get().to(rounds)))
        .service(web::resource("/api/v1/rpc").route(web::get().to(rpc)))
        .service(web::resource("/api/v1/transactions").route(web::get().to(transactions)));
}

#[derive(Debug, Serialize)]
struct RoundsNow {
    #[serde(flatten)]
    rounds: Arc<Rounds>,
    /// L1 blocks until the round is over.
    blocks_left: u64,
    percent_over: u64,
    reward: Arc<RewardState>,
}

async fn rounds(state: State) -> Result<HttpResponse, Failure> {
    let facts = chain_of(&state)?.facts();
    Ok(reply::json(&RoundsNow {
        blocks_left: facts.rounds.blocks_left(),
        percent_over: facts.rounds.percent_over(),
        rounds: facts.rounds,
        reward: facts.reward,
    }))
}

#[derive(Debug, Serialize)]
struct Rpc {
    /// Newest block seen (L2 on Arbitrum).
    head: u64,
    /// Last block whose events were handled.
    cursor: u64,
    healthy: bool,
    last_error: Option<String>,
    endpoints: Vec<EndPoint>,
}

#[derive(Debug, Serialize)]
struct EndPoint {
    label: String,
    /// Without credentials.
    url: String,
    requests: u64,
    errors: u64,
    latency_ms: Option<u128>,
    head: Option<u64>,
    head_age_s: Option<u64>,
    lag: u64,
    /// Why it is passed over; `null` when it is used.
    excluded: Option<&'static str>,
    batch_limit: usize,
}

impl From<EndpointSnapshot> for EndPoint {
    fn from(of: EndpointSnapshot) -> Self {
        Self {
            latency_ms: of.latency.map(|latency| latency.as_millis()),
            head_age_s: of.head_age.map(|age| age.as_secs()),
            excluded: of.excluded.as_ref().map(|why| why.as_str()),
            label: of.label,
            url: of.url,
            requests: of.requests,
            errors: of.errors,
            head: of.head,
            lag: of.lag,
            batch_limit: of.batch_limit,
        }
    }
}

async fn rpc(state: State) -> Result<HttpResponse, Failure> {
    let chain = chain_of(&state)?;
    let rpc = chain.facts().rpc;
    Ok(reply::json(&Rpc {
        head: rpc.head,
        cursor: rpc.cursor,
        healthy: rpc.healthy,
        last_error: rpc.last_error.clone(),
        endpoints: chain
            .client()
            .endpoints()
            .into_iter()
            .map(EndPoint::from)
            .collect(),
    }))
}

#[derive(Debug, Serialize)]
struct Transactions {
    account: String,
    /// Nonces that another process with the same key used, since the start.
    nonces_taken_by_others: u64,
    transactions: Vec<Transaction>,
}

#[derive(Debug, Serialize)]
struct Transaction {
    purpose: String,
    method: String,
    nonce: Option<u64>,
    /// All that was sent under the nonce, oldest first.
    hashes: Vec<String>,
    /// Most per gas of the newest, wei.
    max_fee: Option<String>,
    /// Unix ms; 0 when that was before a restart.
    sent_ms: Option<u64>,
    cancelling: bool,
    /// Why it is not further.
    note: Option<String>,
}

impl From<TransactionStatus> for Transaction {
    fn from(of: TransactionStatus) -> Self {
        Self {
            purpose: of.purpose.to_string(),
            method: of.method.into_owned(),
            nonce: of.nonce,
            hashes: of.hashes.iter().map(ToString::to_string).collect(),
            max_fee: of.fees.map(|fees| match fees {
                Fees::Dynamic { max_fee, .. } => max_fee.to_string(),
                Fees::Legacy { gas_price } => gas_price.to_string(),
            }),
            sent_ms: of.sent_ms,
            cancelling: of.cancelling,
            note: of.note,
        }
    }
}

async fn transactions(state: State) -> Result<HttpResponse, Failure> {
    let chain = chain_of(&state)?;
    let queue = chain.transactions().status().await?;
    Ok(reply::json(&Transactions {
        account: queue.account.to_string(),
        nonces_taken_by_others: queue.nonces_taken_by_others,
        transactions: queue
            .transactions
            .into_iter()
            .map(Transaction::from)
            .collect(),
    }))
}
