//! Winning tickets: lists, the whole life of one, proofs, and what an operator may do with them.

use std::borrow::Cow;

use actix_web::{HttpRequest, HttpResponse, web};
use actors::redeemer::Tickets;
use ledger::ticket::{AddressText, StateSum, TicketExport};
use ledger::{State as TicketState, TicketFilter};
use protocol::signature::Hash;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::failure::{Failure, change};
use super::{State, chain_of};
use crate::doors::operator::reply;

/// The routes.
pub fn routes(config: &mut web::ServiceConfig) {
    let get = |path: &str| web::resource(format!("/api/v1/{path}"));
    config
        .service(get("tickets").route(web::get().to(list)))
        .service(get("tickets/sums").route(web::get().to(sums)))
        .service(get("tickets/export").route(web::get().to(export)))
        .service(get("tickets/{hash}").route(web::get().to(show)))
        .service(get("tickets/{hash}/retry").route(web::post().to(retry)))
        .service(get("tickets/{hash}/hold").route(web::post().to(hold)))
        .service(get("tickets/{hash}/release").route(web::post().to(release)))
        .service(get("redemption").route(web::post().to(hold_all)));
}

/// Proofs of some tickets of a longer list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketProofs {
    /// In order of arrival.
    pub tickets: Vec<TicketExport>,
    /// For the next page's `after`; `None` at the end.
    pub next: Option<i64>,
}

/// Tickets by their state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketSums {
    /// Every state.
    pub states: Vec<StateSum>,
}

/// Reads which tickets are meant: `state` (repeated, or several with commas; `unfinished` for all that are not done),
/// `sender`, `after`, `limit`.
///
/// # Errors
/// What is wrong, for the operator.
pub fn ticket_filter<K: AsRef<str>, V: AsRef<str>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Result<TicketFilter, String> {
    let mut filter = TicketFilter::default();
    for (name, value) in pairs {
        let value = value.as_ref();
        match name.as_ref() {
            "state" => {
                for word in value
                    .split(',')
                    .map(str::trim)
                    .filter(|word| !word.is_empty())
                {
                    if word == "unfinished" {
                        filter.states.extend(TicketFilter::unfinished().states);
                    } else {
                        filter.states.push(state(word)?);
                    }
                }
            }
            "sender" => {
                let sender = value.parse().map_err(|_| {
                    format!("sender {value:?} is no address: give 0x and 40 hexadecimal digits")
                })?;
                filter.sender = Some(AddressText(sender));
            }
            "after" => {
                filter.after = value
                    .parse()
                    .ok()
                    .filter(|after| *after >= 0)
                    .ok_or_else(|| format!("after {value:?} is no place in the list"))?;
            }
            "limit" => {
                filter.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=ledger::ticket::PAGE).contains(limit))
                    .ok_or_else(|| {
                        format!(
                            "limit {value:?} is not between 1 and {}",
                            ledger::ticket::PAGE
                        )
                    })?;
            }
            other => {
                return Err(format!(
                    "{other:?} is not known: state, sender, after and limit are"
                ));
            }
        }
    }
    Ok(filter)
}

fn state(word: &str) -> Result<TicketState, String> {
    word.parse().map_err(|_| {
        let known: Vec<_> = TicketState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect();
        format!(
            "{word:?} is no state of a ticket: unfinished, {}",
            known.join(", ")
        )
    })
}

fn filter_of(request: &HttpRequest) -> Result<TicketFilter, Failure> {
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        form_urlencoded::parse(request.query_string().as_bytes()).collect();
    ticket_filter(pairs).map_err(Failure::BadRequest)
}

fn tickets_of(state: &State) -> Result<Tickets, Failure> {
    chain_of(state)?.tickets().ok_or(Failure::NoTickets)
}

fn hash_of(path: &web::Path<String>) -> Result<Hash, Failure> {
    ledger::parse_hash(path).ok_or_else(|| {
        let text = "a ticket is named by its hash: 0x and 64 hexadecimal digits";
        Failure::BadRequest(text.to_owned())
    })
}

async fn list(state: State, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let filter = filter_of(&request)?;
    Ok(reply::json(&tickets_of(&state)?.list(filter).await?))
}

async fn sums(state: State) -> Result<HttpResponse, Failure> {
    let states = tickets_of(&state)?.sums().await?;
    Ok(reply::json(&TicketSums { states }))
}

async fn export(state: State, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let filter = filter_of(&request)?;
    let (tickets, next) = tickets_of(&state)?.export(filter).await?;
    Ok(reply::json(&TicketProofs { tickets, next }))
}

async fn show(state: State, path: web::Path<String>) -> Result<HttpResponse, Failure> {
    let hash = hash_of(&path)?;
    Ok(reply::json(&tickets_of(&state)?.show(hash).await?))
}

/// Body of a change that needs to say nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Body of `hold`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    #[serde(default)]
    note: String,
}

async fn retry(
    state: State,
    path: web::Path<String>,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let Nothing {} = change(&request, &body, "{}")?;
    let hash = hash_of(&path)?;
    Ok(reply::json(&tickets_of(&state)?.retry(hash).await?))
}

async fn hold(
    state: State,
    path: web::Path<String>,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let Hold { note } = change(&request, &body, "{\"note\": \"why\"} or {}")?;
    let hash = hash_of(&path)?;
    Ok(reply::json(&tickets_of(&state)?.hold(hash, note).await?))
}

async fn release(
    state: State,
    path: web::Path<String>,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let Nothing {} = change(&request, &body, "{}")?;
    let hash = hash_of(&path)?;
    Ok(reply::json(&tickets_of(&state)?.release(hash).await?))
}

/// Whether redemption stands still; body and answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redemption {
    held: bool,
}

async fn hold_all(
    state: State,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Failure> {
    let Redemption { held } = change(&request, &body, "{\"held\": true} or {\"held\": false}")?;
    tickets_of(&state)?.hold_all(held).await?;
    tracing::info!(held, "operator changed redemption");
    Ok(reply::json(&Redemption { held }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn states_may_be_repeated_and_joined() {
        let filter = ticket_filter([("state", "ready,held"), ("state", " paid "), ("after", "7")]);
        let filter = filter.unwrap();
        let states = [TicketState::Ready, TicketState::Held, TicketState::Paid];
        assert_eq!((&filter.states[..], filter.after), (&states[..], 7));
        let unfinished = ticket_filter([("state", "unfinished")]).unwrap().states;
        assert_eq!(unfinished, TicketFilter::unfinished().states);
        for wrong in [
            ("after", "-1"),
            ("limit", "1001"),
            ("sender", "0x"),
            ("state", "Ready"),
            ("x", ""),
        ] {
            assert!(ticket_filter([wrong]).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics_and_none_asks_for_more_than_a_page(
            pairs in prop::collection::vec(("state|sender|after|limit|.{0,4}", ".{0,60}|[0-9]{1,20}|0x[0-9a-f]{40}"), 0..6)
        ) {
            if let Ok(filter) = ticket_filter(pairs) {
                prop_assert!(filter.limit <= ledger::ticket::PAGE && filter.after >= 0);
            }
        }
    }
}
