//! The operator's webhook, asked over HTTP.

use actors::price_webhook::{AskWebhook, PriceWebhook, WebhookPrices};
use config::SecretUrl;
use futures::StreamExt;
use std::sync::Arc;

use super::StartError;

/// Largest answer that is read, bytes.
const MOST_BYTES: usize = 64 << 10;

/// The webhook at `url`, which keeps the prices it hears in `prices`.
pub fn webhook(url: &SecretUrl, prices: WebhookPrices) -> Result<PriceWebhook, StartError> {
    let client = reqwest::Client::builder()
        .build()
        .map_err(|error| StartError::Webhook(error.without_url().to_string()))?;
    let url = url.expose().to_owned();
    let ask: AskWebhook = Arc::new(move |gateway| {
        let body = serde_json::json!({ "id": gateway.to_string() });
        let request = client.post(&url).json(&body);
        Box::pin(async move {
            let answer = request.send().await.map_err(said)?;
            let status = answer.status().as_u16();
            let mut bytes = Vec::new();
            let mut chunks = answer.bytes_stream();
            while let Some(chunk) = chunks.next().await {
                bytes.extend_from_slice(&chunk.map_err(said)?);
                if bytes.len() > MOST_BYTES {
                    return Err(format!("it answered more than {MOST_BYTES} bytes"));
                }
            }
            Ok((status, bytes))
        })
    });
    Ok(PriceWebhook::new(ask, prices))
}

/// The address of a webhook may hold credentials.
fn said(error: reqwest::Error) -> String {
    error.without_url().to_string()
}
