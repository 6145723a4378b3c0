//! Routes of the reference that this build does not serve, so that whoever calls one is told so instead of "not found".

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::doors::operator::reply;

/// Stake: not built yet.
const STAKE: &[&str] = &[
    "/activateOrchestrator",
    "/bond",
    "/rebond",
    "/unbond",
    "/requestTokens",
];
/// What only a gateway does.
const GATEWAY: &[&str] = &[
    "/setBroadcastConfig",
    "/setMaxPriceForCapability",
    "/fundDeposit",
    "/fundDepositAndReserve",
    "/unlock",
    "/cancelUnlock",
    "/withdraw",
];

/// The routes.
pub fn routes(config: &mut web::ServiceConfig) {
    for path in STAKE {
        config.route(path, web::to(stake));
    }
    for path in GATEWAY {
        config.route(path, web::to(gateway));
    }
}

async fn stake(request: HttpRequest) -> HttpResponse {
    let text = format!(
        "{} is not in this build: use another wallet for the account, or the reference's node",
        request.path()
    );
    reply::error(StatusCode::NOT_IMPLEMENTED, &text)
}

async fn gateway(request: HttpRequest) -> HttpResponse {
    let text = format!(
        "{} is not in this build: this node is no gateway",
        request.path()
    );
    reply::error(StatusCode::NOT_IMPLEMENTED, &text)
}
