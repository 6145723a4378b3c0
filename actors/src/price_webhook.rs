//! The operator's webhook: whether a gateway is admitted, and at which price.
//!
//! An answer is good for [`KEPT`]; meanwhile nobody is asked. What the webhook says no to is not remembered, as peers
//! expect, but asking takes at most [`PATIENCE`] and all who ask for one gateway share one request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use moka::sync::Cache;
use parking_lot::Mutex;
use protocol::address::Address;
use protocol::money::{Price, PriceError};
use protocol::pb;
use serde::Deserialize;
use tokio::time::Instant;

/// How long an answer is good.
pub const KEPT: Duration = Duration::from_secs(30 * 60);
/// Longest time that a gateway waits for the webhook.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// Answers that are remembered.
const MOST_KEPT: u64 = 10_000;
/// Bytes of a refusal that gateways are told.
const MOST_TEXT: usize = 500;

/// Status and body of the webhook's answer, or why there is none.
pub type WebhookAnswer = Result<(u16, Vec<u8>), String>;

/// Posts `{"id":"<gateway>"}` as JSON. Bounded in bytes; bounded in time by who calls.
pub type AskWebhook = Arc<dyn Fn(Address) -> BoxFuture<'static, WebhookAnswer> + Send + Sync>;

/// Why a gateway is not admitted. The display stands behind `authentication failed: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefusal {
    /// The webhook said no, with this body.
    #[error("{0}")]
    No(String),
    /// The webhook did not answer in time.
    #[error("webhook did not answer in time")]
    Late,
    /// The webhook could not be reached.
    #[error("webhook could not be reached")]
    Unreachable,
    /// Its answer is no JSON of the form.
    #[error("webhook answered what is not JSON of its form")]
    Form,
    /// Its price is none.
    #[error("webhook answered a price that is none: {0}")]
    Price(PriceError),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "priceInfo")]
    price: Option<AnsweredPrice>,
}

#[derive(Deserialize)]
struct AnsweredPrice {
    #[serde(rename = "pricePerUnit", default)]
    price_per_unit: i64,
    #[serde(rename = "pixelsPerUnit", default)]
    pixels_per_unit: i64,
}

/// Prices by gateway as the webhook gave them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WebhookPrices(Cache<Address, (Option<Price>, Instant)>);

impl Default for WebhookPrices {
    fn default() -> Self {
        Self(Cache::new(MOST_KEPT))
    }
}

impl WebhookPrices {
    /// Price of a gateway, if the webhook gave one that is still good.
    pub fn price(&self, gateway: Address) -> Option<Price> {
        self.known(gateway).flatten()
    }

    /// Sets a price, for tests of whoever reads it.
    #[cfg(test)]
    pub(crate) fn put(&self, gateway: Address, price: Option<Price>) {
        self.0.insert(gateway, (price, Instant::now()));
    }

    fn known(&self, gateway: Address) -> Option<Option<Price>> {
        let (price, since) = self.0.get(&gateway)?;
        (since.elapsed() < KEPT).then_some(price)
    }
}

type Asking = Shared<BoxFuture<'static, Result<Option<Price>, WebhookRefusal>>>;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct PriceWebhook {
    ask: AskWebhook,
    prices: WebhookPrices,
    under_way: Arc<Mutex<HashMap<Address, Asking>>>,
}

impl PriceWebhook {
    /// Asks with `ask`, keeps answers in `prices`.
    pub fn new(ask: AskWebhook, prices: WebhookPrices) -> Self {
        Self {
            ask,
            prices,
            under_way: Arc::default(),
        }
    }

    /// Whether a gateway is admitted.
    ///
    /// # Errors
    /// [`WebhookRefusal`].
    pub async fn admit(&self, gateway: Address) -> Result<(), WebhookRefusal> {
        if self.prices.known(gateway).is_some() {
            return Ok(());
        }
        let asking = self
            .under_way
            .lock()
            .entry(gateway)
            .or_insert_with(|| {
                let answer = (self.ask)(gateway);
                let judged = async move {
                    let answer = tokio::time::timeout(PATIENCE, answer).await;
                    judge(answer.map_err(|_| WebhookRefusal::Late)?)
                };
                judged.boxed().shared()
            })
            .clone();
        let judged = asking.clone().await;
        let mut under_way = self.under_way.lock();
        // another one may be asking again by now
        if under_way
            .get(&gateway)
            .is_some_and(|now| now.ptr_eq(&asking))
        {
            under_way.remove(&gateway);
            if let Ok(price) = &judged {
                self.prices.0.insert(gateway, (*price, Instant::now()));
            }
        }
        judged.map(drop)
    }
}

fn judge(answer: WebhookAnswer) -> Result<Option<Price>, WebhookRefusal> {
    let (status, body) = answer.map_err(|error| {
        // the address of the webhook is the operator's own
        tracing::warn!(error, "webhook could not be asked");
        WebhookRefusal::Unreachable
    })?;
    if status != 200 {
        let text = String::from_utf8_lossy(&body);
        return Err(WebhookRefusal::No(
            text.trim().chars().take(MOST_TEXT).collect(),
        ));
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| WebhookRefusal::Form)?;
    answer
        .price
        .map(|price| {
            Price::from_wire(Some(&pb::PriceInfo {
                price_per_unit: price.price_per_unit,
                pixels_per_unit: price.pixels_per_unit,
                ..Default::default()
            }))
        })
        .transpose()
        .map_err(WebhookRefusal::Price)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const GATEWAY: Address = Address([1; 20]);

    fn webhook(
        answer: impl Fn() -> WebhookAnswer + Send + Sync + 'static,
    ) -> (PriceWebhook, WebhookPrices, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let ask: AskWebhook = Arc::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            std::future::ready(answer()).boxed()
        });
        let prices = WebhookPrices::default();
        (PriceWebhook::new(ask, prices.clone()), prices, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_good_for_half_an_hour_with_its_price() {
        let body = br#"{"priceInfo":{"pricePerUnit":7,"pixelsPerUnit":2}}"#;
        let (webhook, prices, asked) = webhook(|| Ok((200, body.to_vec())));
        webhook.admit(GATEWAY).await.unwrap();
        webhook.admit(GATEWAY).await.unwrap();
        assert_eq!(prices.price(GATEWAY), Price::new(7u64, 2u64));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(KEPT).await;
        assert_eq!(prices.price(GATEWAY), None);
        webhook.admit(GATEWAY).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_the_webhook_says_a_gateway_is_told_and_no_bad_price_gets_in() {
        let price = |n: i64, d: i64| {
            format!(r#"{{"priceInfo":{{"pricePerUnit":{n},"pixelsPerUnit":{d}}}}}"#)
        };
        for (status, body, expected) in [
            (200, "{}".to_owned(), None),
            (
                200,
                String::new(),
                Some("webhook answered what is not JSON of its form"),
            ),
            (403, "go away\n".into(), Some("go away")),
            (
                200,
                price(1, 0),
                Some("webhook answered a price that is none: pixels per unit is 0"),
            ),
            (
                200,
                price(-1, 1),
                Some("webhook answered a price that is none: price per unit is negative: -1"),
            ),
        ] {
            let (webhook, prices, _) = webhook(move || Ok((status, body.clone().into_bytes())));
            let told = webhook.admit(GATEWAY).await.err().map(|e| e.to_string());
            assert_eq!(told.as_deref(), expected);
            assert_eq!(prices.price(GATEWAY), None);
        }
        let (webhook, ..) = webhook(|| Err("connection to https://user:secret@x refused".into()));
        let told = webhook.admit(GATEWAY).await.unwrap_err().to_string();
        assert_eq!(told, "webhook could not be reached");
    }

    #[tokio::test(start_paused = true)]
    async fn a_webhook_that_hangs_holds_nobody_for_long_and_is_asked_once_for_all() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let ask: AskWebhook = Arc::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            std::future::pending().boxed()
        });
        let webhook = PriceWebhook::new(ask, WebhookPrices::default());
        let began = Instant::now();
        let both = futures::join!(webhook.admit(GATEWAY), webhook.admit(GATEWAY));
        assert_eq!(both, (Err(WebhookRefusal::Late), Err(WebhookRefusal::Late)));
        assert_eq!(began.elapsed(), PATIENCE);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(webhook.under_way.lock().is_empty());
    }
}
