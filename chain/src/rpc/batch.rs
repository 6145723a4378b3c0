//! Several contract reads in one question, each with its typed answer.

use std::marker::PhantomData;

use ethers::abi::AbiDecode;
use ethers::contract::EthCall;
use protocol::address::Address;
use serde_json::{Value, json};

use crate::endpoints::wire::{Answer, Question, RpcError};
use crate::endpoints::{Endpoints, rpc_error};
use crate::{Error, Result};

/// Reads to be asked together, all against the same state.
pub(super) struct Batch {
    at: Value,
    questions: Vec<Question>,
}

/// Where the answer to one read will be.
pub(super) struct Slot<R> {
    place: usize,
    name: String,
    answer: PhantomData<fn() -> R>,
}

/// What came back.
pub(super) struct Answers(Vec<Answer>);

impl Batch {
    /// Reads against the state that `at` names: `"latest"` or a block number in hex.
    pub fn new(at: Value) -> Self {
        Self {
            at,
            questions: Vec::new(),
        }
    }

    /// Adds a read of the contract at `to`; `R` is what it returns.
    pub fn read<C: EthCall, R: AbiDecode>(&mut self, to: Address, call: C) -> Slot<R> {
        let name = C::function_name().into_owned();
        let request = json!({ "to": to_hex(&to.0), "data": to_hex(&call.encode()) });
        self.ask(name, Question::new("eth_call", json!([request, self.at])))
    }

    /// Adds a question of another kind.
    pub fn ask<R>(&mut self, name: impl Into<String>, question: Question) -> Slot<R> {
        self.questions.push(question);
        Slot {
            place: self.questions.len() - 1,
            name: name.into(),
            answer: PhantomData,
        }
    }

    /// Asks them all.
    pub async fn send(self, endpoints: &Endpoints) -> Result<Answers> {
        if self.questions.is_empty() {
            return Ok(Answers(Vec::new()));
        }
        Ok(Answers(endpoints.ask(&self.questions).await?.0))
    }
}

impl Answers {
    /// What a contract returned.
    ///
    /// # Errors
    /// [`Error::Reverted`], [`Error::Rpc`], or [`Error::Decoding`] when it is not what the function returns, nothing
    /// included: then there is no such contract.
    pub fn get<R: AbiDecode>(&self, slot: &Slot<R>) -> Result<R> {
        let value = self.value(slot, "eth_call")?;
        let bytes = bytes(value).ok_or_else(|| Error::decoding(&slot.name, "not hex bytes"))?;
        if bytes.is_empty() {
            return Err(Error::decoding(
                &slot.name,
                "nothing came back: there is no such contract or function",
            ));
        }
        R::decode(&bytes).map_err(|e| Error::decoding(&slot.name, e))
    }

    /// The same, or `absent` where the contract reverts or has no such function.
    pub fn get_or<R: AbiDecode>(&self, slot: &Slot<R>, absent: R) -> Result<R> {
        match self.get(slot) {
            Err(Error::Reverted { .. } | Error::Decoding { .. }) => Ok(absent),
            other => other,
        }
    }

    /// The raw result of a question.
    pub fn value<R>(&self, slot: &Slot<R>, method: &str) -> Result<&Value> {
        match self.0.get(slot.place) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(call_error(method, error.clone())),
            None => Err(Error::decoding(&slot.name, "no answer")),
        }
    }
}

/// An error of a call or an estimate: a revert, or something else.
pub(super) fn call_error(method: &str, error: RpcError) -> Error {
    let text = error.message.to_ascii_lowercase();
    let reverted = error.code == 3
        || ["revert", "invalid opcode", "vm exception"]
            .iter()
            .any(|word| text.contains(word));
    if reverted {
        let data = serde_json::from_str(&error.data).ok();
        return Error::Reverted {
            message: error.message,
            data: data.as_ref().and_then(first_bytes).unwrap_or_default(),
        };
    }
    rpc_error(method, error)
}

/// The first hex text in `data`: nodes put revert data there as it is, or inside an object.
fn first_bytes(data: &Value) -> Option<Vec<u8>> {
    match data {
        Value::String(text) => {
            // "Reverted 0x…" is how one family of nodes writes it
            let hex = text.get(text.find("0x")?..)?;
            hex::decode(hex.get(2..)?.trim()).ok()
        }
        Value::Object(fields) => fields.values().find_map(first_bytes),
        _ => None,
    }
}

/// `0x` and two digits per byte.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Bytes from `0x` and two digits per byte.
pub(super) fn bytes(value: &Value) -> Option<Vec<u8>> {
    hex::decode(value.as_str()?.strip_prefix("0x")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, message: &str, data: &str) -> RpcError {
        RpcError {
            code,
            message: message.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn revert_data_is_found_in_every_shape() {
        for data in [
            "\"0x08c379a0\"",
            "{\"data\":\"0x08c379a0\"}",
            "{\"txHash\":{\"error\":\"revert\",\"return\":\"0x08c379a0\"}}",
            "\"Reverted 0x08c379a0\"",
        ] {
            let found = call_error("eth_call", error(3, "execution reverted: x", data));
            let Error::Reverted { data: bytes, .. } = found else {
                panic!("{data}");
            };
            assert_eq!(bytes, [0x08, 0xc3, 0x79, 0xa0], "{data}");
        }
        for data in ["", "null", "\"0xzz\"", "[]", "\"0x1\"", "\"é\""] {
            let found = call_error("eth_call", error(-32000, "execution reverted", data));
            assert!(matches!(found, Error::Reverted { data, .. } if data.is_empty()));
        }
        let found = call_error("eth_call", error(-32000, "insufficient funds", ""));
        assert!(matches!(found, Error::Rpc { .. }));
    }
}
