//! JSON-RPC over HTTP, as raw as tests need it.

use bytes::Bytes;
use ethabi::ethereum_types::{H256, U256};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value, json};

/// What an end point answers in place of a result.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RpcError {
    /// −32602, 3 for a revert, …
    pub code: i64,
    /// As sent.
    pub message: String,
    /// As sent.
    pub data: Option<Value>,
}

impl RpcError {
    /// Text that a contract reverted with; the message itself when this is no revert.
    pub fn revert_text(&self) -> &str {
        let text = self.message.as_str();
        text.strip_prefix("execution reverted: ").unwrap_or(text)
    }
}

/// One end point. Keeps no connection, so it may outlive the runtime of a test.
#[derive(Clone)]
pub struct Rpc {
    url: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Rpc {
    /// For an `http://` URL.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.parse().expect("URL of an end point"),
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build_http(),
        }
    }

    /// Posts a body; status and body of the answer, or why there is none.
    pub async fn post(&self, body: Bytes) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("request");
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }

    /// Asks once. `Err(None)` means that there was no JSON-RPC answer at all.
    pub async fn ask(&self, method: &str, params: &Value) -> Result<Value, Option<RpcError>> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, body) = self.post(call.to_string().into()).await.map_err(|_| None)?;
        let mut answer: Value = serde_json::from_slice(&body).map_err(|_| None)?;
        match answer.get_mut("error").map(Value::take) {
            Some(error) => Err(serde_json::from_value(error).ok()),
            None => Ok(answer["result"].take()),
        }
    }

    /// A result, or the error that the end point answered.
    pub async fn try_request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.ask(method, &params)
            .await
            .map_err(|error| error.unwrap_or_else(|| panic!("no answer to {method}")))
    }

    /// A result.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        self.try_request(method, params)
            .await
            .unwrap_or_else(|error| panic!("{method}: {error:?}"))
    }
}

/// A number as JSON-RPC writes it.
pub(crate) fn quantity(number: impl Into<U256>) -> Value {
    format!("{:#x}", number.into()).into()
}

/// Bytes as JSON-RPC writes them.
pub(crate) fn data(bytes: impl AsRef<[u8]>) -> Value {
    format!("0x{}", hex::encode(bytes)).into()
}

/// A number out of an answer.
pub(crate) fn number(value: &Value) -> U256 {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("no quantity: {value}"));
    U256::from_str_radix(text.trim_start_matches("0x"), 16).expect("quantity")
}

/// Bytes out of an answer.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("no data: {value}"));
    hex::decode(text.trim_start_matches("0x")).expect("data")
}

/// A hash out of an answer.
pub(crate) fn hash(value: &Value) -> H256 {
    H256::from_slice(&bytes(value))
}
