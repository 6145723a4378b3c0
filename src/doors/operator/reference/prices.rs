//! Prices, face values and gas bounds that `livepeer_cli` and scripts set. Any method, as the reference takes them.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use actors::price_oracle::{AskedPrice, PriceChange};
use protocol::money::{Currency, Rational};

use super::{Answer, Refusal, State, chain_of, integer, needed, parameter};
use crate::doors::operator::reply;
use crate::doors::operator::view::ChainView;

/// The routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route(
            "/setPriceForBroadcaster",
            web::to(set_price_for_broadcaster),
        )
        .route("/setMaxFaceValue", web::to(set_max_face_value))
        .route("/setMaxGasPrice", web::to(set_max_gas_price))
        .route("/setMinGasPrice", web::to(set_min_gas_price));
}

/// Sets the price of a gateway, or of all with `default`, from the texts of a form.
pub async fn set_price(
    chain: &dyn ChainView,
    gateway: &str,
    price: &str,
    pixels: &str,
    currency: &str,
) -> Result<(), Refusal> {
    let asked = asked(price, pixels, currency).map_err(Refusal::wrong)?;
    let change = match gateway {
        "default" => PriceChange::Base(Some(asked)),
        // 0x and 40 digits, as the reference wants; it also lets through what has more behind them
        text if text.starts_with("0x") && text.len() == 42 => {
            let gateway = text.parse().map_err(|_| no_address(text))?;
            PriceChange::Gateway(gateway, Some(asked))
        }
        text => return Err(no_address(text)),
    };
    tracing::info!(?change, "operator changes a price");
    let changed = chain.change_price(change).await;
    changed.map_err(|error| Refusal::wrong(format!("error converting price: {error}")))
}

fn no_address(text: &str) -> Refusal {
    Refusal::wrong(format!(
        "broadcasterEthAddr is not a valid eth address, provided {text}"
    ))
}

fn asked(price: &str, pixels: &str, currency: &str) -> Result<AskedPrice, String> {
    let negative =
        |text: &str| text.starts_with('-') && number(&text[1..]).is_some_and(|n| !n.is_zero());
    let amount = match number(price) {
        Some(amount) => amount,
        None if negative(price) => {
            return Err(format!(
                "price unit must be greater than or equal to 0, provided {price}"
            ));
        }
        None => return Err(format!("error parsing pricePerUnit value: {price}")),
    };
    let units = match number(pixels) {
        Some(units) => units,
        None if negative(pixels) => Rational::ZERO,
        None => return Err(format!("error parsing pixelsPerUnit value: {pixels}")),
    };
    AskedPrice::new(amount, Currency::from_name(currency), units)
        .ok_or_else(|| format!("pixels per unit must be greater than 0, provided {pixels}"))
}

/// A number that is not negative; a zero may have a sign.
fn number(text: &str) -> Option<Rational> {
    match text.strip_prefix(['+', '-']) {
        None => text.parse().ok(),
        Some(digits) => {
            let number: Rational = digits.parse().ok()?;
            (text.starts_with('+') || number.is_zero()).then_some(number)
        }
    }
}

async fn set_price_for_broadcaster(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let price = needed(&request, &body, "pricePerUnit")?;
    let pixels = needed(&request, &body, "pixelsPerUnit")?;
    let gateway = needed(&request, &body, "broadcasterEthAddr")?;
    let currency = parameter(&request, &body, "currency").unwrap_or_default();
    let chain = chain_of(&state)?;
    if !chain.identity().sells {
        return Err(Refusal::wrong(
            "Node must be orchestrator node to set price for broadcaster",
        ));
    }
    set_price(&*chain, &gateway, &price, &pixels, &currency).await?;
    Ok(reply::text(format!(
        "Price per pixel set to {price} wei for {pixels} pixels for broadcaster {gateway}\n"
    )))
}

async fn set_max_face_value(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let given = needed(&request, &body, "maxfacevalue")?;
    let chain = chain_of(&state)?;
    if !chain.identity().sells {
        return Err(Refusal::wrong(
            "node must be orchestrator node to set maxfacevalue",
        ));
    }
    let wei = integer(&given).map_err(|_| Refusal::wrong("maxfacevalue not set to number"))?;
    let set = chain.set_max_face_value(wei).await;
    set.map_err(|error| Refusal::failed(error.to_string()))?;
    tracing::info!("Max ticket face value set to: {wei}");
    Ok(reply::text("ticket max face value set"))
}

async fn set_max_gas_price(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let given = needed(&request, &body, "amount")?;
    let price = integer(&given);
    let price =
        price.map_err(|error| Refusal::wrong(format!("Parsing failed for price: {error}")))?;
    let price = u128::try_from(price).unwrap_or(u128::MAX);
    let chain = chain_of(&state)?;
    let mut bounds = chain.gas_bounds();
    bounds.maximum = (price > 0).then_some(price);
    set_bounds(&*chain, bounds).await
}

async fn set_min_gas_price(state: State, request: HttpRequest, body: web::Bytes) -> Answer {
    let given = needed(&request, &body, "minGasPrice")?;
    let price = integer(&given);
    let price = price.map_err(|error| Refusal::wrong(format!("invalid minGasPrice: {error}")))?;
    let chain = chain_of(&state)?;
    let mut bounds = chain.gas_bounds();
    bounds.minimum = u128::try_from(price).unwrap_or(u128::MAX);
    set_bounds(&*chain, bounds).await
}

async fn set_bounds(chain: &dyn ChainView, bounds: chain::fees::PriceBounds) -> Answer {
    if bounds.maximum.is_some_and(|most| most < bounds.minimum) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "the maximum gas price must not be below the minimum",
        ));
    }
    let set = chain.set_gas_bounds(bounds).await;
    set.map_err(|error| Refusal::failed(error.to_string()))?;
    Ok(HttpResponse::Ok().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_as_the_reference_reads_them() {
        let price = |price: &str, pixels: &str, currency: &str| {
            asked(price, pixels, currency).map(|asked| asked.to_string())
        };
        assert_eq!(price("1500", "1000", "").unwrap(), "3wei/2");
        assert_eq!(price("1/3", "+2", "wei").unwrap(), "1wei/6");
        assert_eq!(price("0.02", "1e12", "usd").unwrap(), "1USD/50000000000000");
        assert_eq!(price("-0", "1", "").unwrap(), "0wei/1");
        for (given, text) in [
            (
                ("-1", "1"),
                "price unit must be greater than or equal to 0, provided -1",
            ),
            (("x", "1"), "error parsing pricePerUnit value: x"),
            (
                ("1", "0"),
                "pixels per unit must be greater than 0, provided 0",
            ),
            (
                ("1", "-2"),
                "pixels per unit must be greater than 0, provided -2",
            ),
            (("1", "y"), "error parsing pixelsPerUnit value: y"),
        ] {
            assert_eq!(price(given.0, given.1, ""), Err(text.to_owned()));
        }
    }
}
