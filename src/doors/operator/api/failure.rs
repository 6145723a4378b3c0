//! Why a request to the JSON API is not answered: a status, a code that does not change, and words for a person.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use actors::price_oracle::PriceBoardError;
use actors::redeemer::TicketsError;
use chain::transactions::TransactionError;
use ledger::LedgerError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no chain.
    #[error("this node runs off-chain: it has no rounds, prices, balances or tickets")]
    OffChain,
    /// On-chain, but without tickets.
    #[error("this node redeems no tickets; ask the one that does")]
    NoTickets,
    /// On-chain, but sells nothing.
    #[error("this node sells no work: it has no prices and no balances")]
    SellsNothing,
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// A change wants JSON, which no foreign web page can send unasked.
    #[error("the body must be application/json")]
    MediaType,
    /// The node refuses the change.
    #[error("{0}")]
    Refused(String),
    /// Tickets.
    #[error(transparent)]
    Tickets(#[from] TicketsError),
    /// Prices.
    #[error(transparent)]
    Prices(#[from] PriceBoardError),
    /// The database.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Transactions.
    #[error(transparent)]
    Transactions(#[from] TransactionError),
}

impl Failure {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::OffChain => (StatusCode::NOT_FOUND, "off_chain"),
            Self::NoTickets => (StatusCode::NOT_FOUND, "no_tickets"),
            Self::SellsNothing => (StatusCode::NOT_FOUND, "sells_nothing"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type"),
            Self::Refused(_) => (StatusCode::CONFLICT, "refused"),
            Self::Tickets(TicketsError::Ledger(error)) | Self::Ledger(error) => of_ledger(error),
            Self::Tickets(TicketsError::Away) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Tickets(TicketsError::NotHeld(_)) => (StatusCode::CONFLICT, "illegal_step"),
            Self::Prices(PriceBoardError::Restarting) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            Self::Prices(PriceBoardError::Currency(_)) => {
                (StatusCode::CONFLICT, "no_exchange_rate")
            }
            Self::Prices(PriceBoardError::Ledger(error)) => of_ledger(error),
            Self::Transactions(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }
}

fn of_ledger(error: &LedgerError) -> (StatusCode, &'static str) {
    match error {
        LedgerError::UnknownTicket(_) => (StatusCode::NOT_FOUND, "unknown_ticket"),
        LedgerError::IllegalStep(_) => (StatusCode::CONFLICT, "illegal_step"),
        LedgerError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "database"),
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status_and_code().0
    }

    fn error_response(&self) -> HttpResponse {
        #[derive(Serialize)]
        struct Body {
            code: &'static str,
            error: String,
        }
        let (status, code) = self.status_and_code();
        tracing::warn!(status = status.as_u16(), error = %self, "operator request refused");
        HttpResponse::build(status).json(Body {
            code,
            error: self.to_string(),
        })
    }
}

/// The JSON body of a change; `shape` says what it should look like.
pub fn change<T: DeserializeOwned>(
    request: &HttpRequest,
    body: &[u8],
    shape: &str,
) -> Result<T, Failure> {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Failure::MediaType);
    }
    serde_json::from_slice(body)
        .map_err(|_| Failure::BadRequest(format!("the body must be {shape}")))
}
