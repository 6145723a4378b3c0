//! Prices, senders and balances. Amounts are wei in decimal text: a JSON number would lose digits.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use actors::facts::Prices;
use actors::price_oracle::AskedPrice;
use actors::price_oracle::PriceChange;
use actors::ticket_validator::BalanceView;
use protocol::address::Address;
use protocol::money::U256;
use serde::Serialize;
use serde_json::{Map, Value};

use super::failure::{Failure, change};
use super::{State, chain_of};
use crate::doors::operator::reply;
use crate::doors::operator::view::ChainView;

/// The routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/api/v1/payments").route(web::get().to(payments)))
        .service(
            web::resource("/api/v1/prices")
                .route(web::get().to(prices))
                .route(web::post().to(change_price)),
        );
}

fn seller(state: &State) -> Result<Arc<dyn ChainView>, Failure> {
    let chain = chain_of(state)?;
    match chain.identity().sells {
        true => Ok(chain),
        false => Err(Failure::SellsNothing),
    }
}

#[derive(Debug, Serialize)]
struct Payments {
    account: String,
    recipient: String,
    /// 0 = no limit.
    max_face_value: String,
    prices: Arc<Prices>,
    gas: Gas,
    redemption: Option<Redemption>,
    /// Those with a session or with tickets that are not done.
    senders: Vec<Sender>,
}

#[derive(Debug, Serialize)]
struct Gas {
    last: String,
    smoothed: String,
    suggested_tip: Option<String>,
    stale: bool,
    minimum: String,
    /// `null` = no limit.
    maximum: Option<String>,
}

#[derive(Debug, Serialize)]
struct Redemption {
    held: bool,
    by_state: BTreeMap<String, Sum>,
    oldest_s: u64,
    rounds_left: Option<u64>,
    in_last_round: u64,
    redeemed_face_value: String,
    paid: String,
    last_deferral: Option<String>,
}

#[derive(Debug, Serialize)]
struct Sum {
    count: u64,
    face_value: String,
}

#[derive(Debug, Serialize)]
struct Sender {
    sender: String,
    /// Absent while nothing was read of it.
    funds: Option<Funds>,
    /// Tickets that are not done.
    tickets: u64,
    /// Their face values.
    owed: String,
    /// Of these, with a transaction out.
    submitted: String,
    sessions: Vec<BalanceView>,
}

#[derive(Debug, Serialize)]
struct Funds {
    /// Read from the chain, not assumed.
    known: bool,
    deposit: String,
    /// What is left of it.
    reserve: String,
    /// 0 = not unlocking.
    withdraw_round: u64,
    /// Face values of redemptions in flight.
    pending: String,
    /// Highest face value that is safe; may be negative.
    max_float: String,
    /// What a redemption can count on; may be negative.
    available: String,
}

async fn payments(state: State) -> Result<HttpResponse, Failure> {
    let chain = seller(&state)?;
    let (identity, facts, bounds) = (chain.identity(), chain.facts(), chain.gas_bounds());
    let gas = Gas {
        last: facts.gas.last.to_string(),
        smoothed: facts.gas.smoothed.to_string(),
        suggested_tip: facts.gas.suggested_tip.map(|tip| tip.to_string()),
        stale: facts.gas.stale,
        minimum: bounds.minimum.to_string(),
        maximum: bounds.maximum.map(|most| most.to_string()),
    };
    let redemption = facts.redemption.as_ref().map(|state| {
        let sum = |sum: &actors::facts::TicketSum| Sum {
            count: sum.count,
            face_value: sum.face_value.to_string(),
        };
        Redemption {
            held: state.held,
            by_state: state
                .by_state
                .iter()
                .map(|(name, tickets)| (name.clone(), sum(tickets)))
                .collect(),
            oldest_s: state.oldest_s,
            rounds_left: state.rounds_left,
            in_last_round: state.in_last_round,
            redeemed_face_value: state.redeemed_face_value.to_string(),
            paid: state.paid.to_string(),
            last_deferral: state.last_deferral.clone(),
        }
    });
    Ok(reply::json(&Payments {
        account: identity.account.to_string(),
        recipient: identity.recipient.to_string(),
        max_face_value: chain.max_face_value().to_string(),
        senders: senders(&*chain, facts.rounds.pool_size).await?,
        prices: facts.prices,
        gas,
        redemption,
    }))
}

async fn senders(chain: &dyn ChainView, pool_size: u64) -> Result<Vec<Sender>, Failure> {
    let zero = U256::zero().to_string();
    let mut senders: BTreeMap<String, Sender> = BTreeMap::new();
    let new = |sender: &str| Sender {
        sender: sender.to_owned(),
        funds: sender
            .parse()
            .ok()
            .and_then(|sender| funds(chain, sender, pool_size)),
        tickets: 0,
        owed: zero.clone(),
        submitted: zero.clone(),
        sessions: Vec::new(),
    };
    for sum in chain.owed().await? {
        let name = sum.sender.to_string();
        let sender = senders.entry(name.clone()).or_insert_with(|| new(&name));
        sender.tickets = sum.count;
        sender.owed = sum.face_value.to_string();
        sender.submitted = sum.submitted.to_string();
    }
    for balance in chain.balances().await {
        let name = balance.sender.clone();
        let sender = senders.entry(name.clone()).or_insert_with(|| new(&name));
        sender.sessions.push(balance);
    }
    Ok(senders.into_values().collect())
}

fn funds(chain: &dyn ChainView, sender: Address, pool_size: u64) -> Option<Funds> {
    let funds = chain.funds(sender)?;
    Some(Funds {
        known: funds.known,
        deposit: funds.chain.deposit.to_string(),
        reserve: funds.chain.reserve_remaining.to_string(),
        withdraw_round: funds.chain.withdraw_round,
        pending: funds.pending.to_string(),
        max_float: funds.max_float(pool_size).to_string(),
        available: funds.available(pool_size).to_string(),
    })
}

async fn prices(state: State) -> Result<HttpResponse, Failure> {
    Ok(reply::json(&*seller(&state)?.facts().prices))
}

const SHAPE: &str = "{\"price\": \"1200\" or \"0.02USD\", \"units\": \"1e12\", \"gateway\": \"0x…\"} or \
                     {\"auto_adjust\": true}; null in place of a value takes a change back, units (1) and gateway \
                     (all) may be left out";

async fn change_price(
    state: State,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let chain = seller(&state)?;
    let given: Map<String, Value> = change(&request, &body, SHAPE)?;
    let asked = price_change(&given)?;
    tracing::info!(change = ?asked, "operator changes a price");
    chain.change_price(asked).await?;
    Ok(reply::json(&*chain.facts().prices))
}

/// What the body of a change of price means.
fn price_change(given: &Map<String, Value>) -> Result<PriceChange, Failure> {
    let shape = || Failure::BadRequest(format!("the body must be {SHAPE}"));
    let known = ["price", "units", "gateway", "auto_adjust"];
    if given.keys().any(|name| !known.contains(&name.as_str())) {
        return Err(shape());
    }
    match (given.get("price"), given.get("auto_adjust")) {
        (None, Some(adjust)) if given.len() == 1 => match adjust {
            Value::Bool(on) => Ok(PriceChange::Adjust(Some(*on))),
            Value::Null => Ok(PriceChange::Adjust(None)),
            _ => Err(shape()),
        },
        (Some(price), None) => {
            let price = match price {
                Value::Null => None,
                price => {
                    let amount = text(price).ok_or_else(shape)?;
                    let units = match given.get("units") {
                        None => "1".to_owned(),
                        Some(units) => text(units).ok_or_else(shape)?,
                    };
                    let asked = AskedPrice::parse(&amount, &units);
                    Some(asked.map_err(|error| Failure::BadRequest(error.to_string()))?)
                }
            };
            let Some(gateway) = given.get("gateway").filter(|gateway| !gateway.is_null()) else {
                return Ok(PriceChange::Base(price));
            };
            let gateway = gateway.as_str().and_then(|text| text.parse().ok());
            let gateway = gateway.ok_or_else(|| {
                Failure::BadRequest("gateway must be 0x and 40 hexadecimal digits".to_owned())
            })?;
            Ok(PriceChange::Gateway(gateway, price))
        }
        _ => Err(shape()),
    }
}

/// A number, or a text with one.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PriceChange, Failure> {
        price_change(&serde_json::from_str(text).unwrap())
    }

    fn asked(amount: &str, units: &str) -> Option<AskedPrice> {
        Some(AskedPrice::parse(amount, units).unwrap())
    }

    #[test]
    fn a_change_of_price_means_one_thing_or_is_refused() {
        let gateway = Address([0x11; 20]);
        for (text, expected) in [
            (
                r#"{"price":1200}"#.to_owned(),
                PriceChange::Base(asked("1200", "1")),
            ),
            (
                r#"{"price":"0.02USD","units":"1e12"}"#.to_owned(),
                PriceChange::Base(asked("0.02USD", "1e12")),
            ),
            (r#"{"price":null}"#.to_owned(), PriceChange::Base(None)),
            (
                format!(r#"{{"price":"7","units":3,"gateway":"{gateway}"}}"#),
                PriceChange::Gateway(gateway, asked("7", "3")),
            ),
            (
                format!(r#"{{"price":null,"gateway":"{gateway}"}}"#),
                PriceChange::Gateway(gateway, None),
            ),
            (
                r#"{"auto_adjust":false}"#.to_owned(),
                PriceChange::Adjust(Some(false)),
            ),
            (
                r#"{"auto_adjust":null}"#.to_owned(),
                PriceChange::Adjust(None),
            ),
        ] {
            assert_eq!(read(&text).unwrap(), expected, "{text}");
        }
        for wrong in [
            "{}",
            r#"{"price":"-1"}"#,
            r#"{"price":-1}"#,
            r#"{"price":"1","units":"0"}"#,
            r#"{"price":"1","units":null}"#,
            r#"{"price":"1","gateway":"0x12"}"#,
            r#"{"price":"1","gateway":7}"#,
            r#"{"price":true}"#,
            r#"{"price":"1","auto_adjust":true}"#,
            r#"{"auto_adjust":"yes"}"#,
            r#"{"prise":"1"}"#,
        ] {
            assert!(
                matches!(read(wrong), Err(Failure::BadRequest(_))),
                "{wrong}"
            );
        }
    }
}
