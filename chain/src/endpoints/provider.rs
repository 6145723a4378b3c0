//! The transport as ethers takes one, for its providers and contract objects.

use std::fmt::Debug;

use async_trait::async_trait;
use ethers::providers::{JsonRpcClient, JsonRpcError, ProviderError, RpcError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Endpoints;
use super::wire::Question;
use crate::Error;

/// An [`Error`] as ethers takes one.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct TransportError {
    error: Error,
    answer: Option<JsonRpcError>,
}

impl From<Error> for TransportError {
    fn from(error: Error) -> Self {
        let answer = match &error {
            Error::Rpc {
                code,
                message,
                data,
                ..
            } => Some(JsonRpcError {
                code: *code,
                message: message.clone(),
                data: serde_json::from_str(data).ok(),
            }),
            _ => None,
        };
        Self { error, answer }
    }
}

impl RpcError for TransportError {
    fn as_error_response(&self) -> Option<&JsonRpcError> {
        self.answer.as_ref()
    }

    fn as_serde_error(&self) -> Option<&serde_json::Error> {
        None
    }
}

impl From<TransportError> for ProviderError {
    fn from(error: TransportError) -> Self {
        Self::JsonRpcClientError(Box::new(error))
    }
}

/// Methods that ethers' providers are used for; others are refused, so that no text from elsewhere becomes a method.
const METHODS: &[&str] = &[
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getCode",
    "eth_getLogs",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_sendRawTransaction",
];

#[async_trait]
impl JsonRpcClient for Endpoints {
    type Error = TransportError;

    async fn request<T, R>(&self, method: &str, params: T) -> Result<R, TransportError>
    where
        T: Debug + Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        let known = METHODS.iter().find(|known| **known == method);
        let method = *known.ok_or_else(|| Error::decoding(method, "this node does not use it"))?;
        let params = match serde_json::to_value(params) {
            Ok(Value::Null) => Value::Array(Vec::new()),
            Ok(params) => params,
            Err(e) => return Err(Error::decoding(method, e).into()),
        };
        let (value, _) = self.ask_one(Question::new(method, params)).await?;
        Ok(serde_json::from_value(value).map_err(|e| Error::decoding(method, e))?)
    }
}
