//! Blocks, logs, receipts and transactions out of JSON that nobody vouches for.

use protocol::address::Address;
use serde_json::Value;

use crate::endpoints::quantity;
use crate::types::{Hash, Head, KnownTransaction, Log, Receipt, U256};
use crate::{Error, Result};

/// Most log entries taken from one answer.
const MAX_LOGS: usize = 100_000;

/// One JSON object, with what it is for messages.
struct Fields<'a> {
    what: &'static str,
    value: &'a Value,
}

impl<'a> Fields<'a> {
    fn new(what: &'static str, value: &'a Value) -> Result<Self> {
        match value {
            Value::Object(_) => Ok(Self { what, value }),
            _ => Err(Error::decoding(what, "not an object")),
        }
    }

    fn bad(&self, name: &str) -> Error {
        Error::decoding(self.what, format!("field {name} is missing or malformed"))
    }

    /// The field, unless it is absent or null.
    fn field(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    fn number(&self, name: &str) -> Result<u64> {
        let number = self.field(name).and_then(quantity);
        number.ok_or_else(|| self.bad(name))
    }

    fn optional_number(&self, name: &str) -> Result<Option<u64>> {
        match self.field(name) {
            None => Ok(None),
            Some(value) => quantity(value).map(Some).ok_or_else(|| self.bad(name)),
        }
    }

    fn optional_amount(&self, name: &str) -> Result<Option<U256>> {
        match self.field(name) {
            None => Ok(None),
            Some(value) => amount(value).map(Some).ok_or_else(|| self.bad(name)),
        }
    }

    fn fixed<const N: usize>(&self, name: &str) -> Result<[u8; N]> {
        let fixed = self.field(name).and_then(fixed);
        fixed.ok_or_else(|| self.bad(name))
    }

    fn hash(&self, name: &str) -> Result<Hash> {
        self.fixed(name).map(Hash)
    }

    fn address(&self, name: &str) -> Result<Address> {
        self.fixed(name).map(Address)
    }
}

/// A 256-bit number: hex text, or a plain JSON number of up to 64 bits.
pub(super) fn amount(value: &Value) -> Option<U256> {
    match value {
        Value::String(text) => {
            let digits = text.strip_prefix("0x")?;
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            plain.then(|| U256::from_str_radix(digits, 16).ok())?
        }
        other => other.as_u64().map(U256::from),
    }
}

fn fixed<const N: usize>(value: &Value) -> Option<[u8; N]> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    let mut out = [0; N];
    hex::decode_to_slice(digits, &mut out).ok()?;
    Some(out)
}

/// A hash.
pub(super) fn hash(value: &Value) -> Option<Hash> {
    fixed(value).map(Hash)
}

/// A block, as `eth_getBlockByNumber` gives it; `None` for null.
pub(super) fn block(value: &Value, endpoint: String) -> Result<Option<Head>> {
    if value.is_null() {
        return Ok(None);
    }
    let fields = Fields::new("block", value)?;
    Ok(Some(Head {
        number: fields.number("number")?,
        hash: fields.hash("hash")?,
        parent: fields.hash("parentHash")?,
        l1_number: fields.optional_number("l1BlockNumber")?,
        base_fee: fields.optional_amount("baseFeePerGas")?,
        timestamp: fields.number("timestamp")?,
        endpoint,
    }))
}

fn log(value: &Value) -> Result<Log> {
    let fields = Fields::new("log", value)?;
    let topics = fields.field("topics").and_then(Value::as_array);
    let topics = topics
        .filter(|topics| topics.len() <= 4)
        .and_then(|topics| topics.iter().map(hash).collect::<Option<Vec<_>>>());
    let data = fields.field("data").and_then(super::batch::bytes);
    Ok(Log {
        address: fields.address("address")?,
        topics: topics.ok_or_else(|| fields.bad("topics"))?,
        data: data.ok_or_else(|| fields.bad("data"))?,
        block: fields.number("blockNumber")?,
        block_hash: fields.hash("blockHash")?,
        transaction: fields.hash("transactionHash")?,
        index: fields.number("logIndex")?,
    })
}

/// What an answer with logs held.
pub(super) struct Logs {
    /// Entries that could be read, in (block, index) order.
    pub logs: Vec<Log>,
    /// Entries that could not, or that were marked as taken back.
    pub dropped: usize,
}

/// Log entries, as `eth_getLogs` gives them. One that cannot be read is dropped and counted: it must not hide the
/// others.
pub(super) fn logs(value: &Value) -> Result<Logs> {
    let entries = value.as_array();
    let entries = entries.ok_or_else(|| Error::decoding("logs", "not an array"))?;
    if entries.len() > MAX_LOGS {
        return Err(Error::decoding("logs", format!("more than {MAX_LOGS}")));
    }
    let total = entries.len();
    let kept = entries
        .iter()
        .filter(|entry| entry.get("removed") != Some(&Value::Bool(true)))
        .filter_map(|entry| log(entry).ok());
    let mut logs: Vec<Log> = kept.collect();
    logs.sort_by_key(|log| (log.block, log.index));
    let dropped = total - logs.len();
    Ok(Logs { logs, dropped })
}

/// A receipt, as `eth_getTransactionReceipt` gives it; `None` for null and while it is in no block.
pub(super) fn receipt(value: &Value) -> Result<Option<Receipt>> {
    if value.is_null() {
        return Ok(None);
    }
    let fields = Fields::new("receipt", value)?;
    if fields.field("blockNumber").is_none() {
        return Ok(None);
    }
    let logs = match fields.field("logs") {
        Some(entries) => logs(entries)?.logs,
        None => Vec::new(),
    };
    Ok(Some(Receipt {
        transaction: fields.hash("transactionHash")?,
        block: fields.number("blockNumber")?,
        block_hash: fields.hash("blockHash")?,
        success: fields.number("status")? == 1,
        gas_used: fields.number("gasUsed")?,
        gas_price: fields
            .optional_amount("effectiveGasPrice")?
            .unwrap_or_default(),
        from: fields.address("from")?,
        logs,
    }))
}

/// A transaction, as `eth_getTransactionByHash` gives it; `None` for null.
pub(super) fn transaction(value: &Value) -> Result<Option<KnownTransaction>> {
    if value.is_null() {
        return Ok(None);
    }
    let fields = Fields::new("transaction", value)?;
    Ok(Some(KnownTransaction {
        hash: fields.hash("hash")?,
        from: fields.address("from")?,
        nonce: fields.number("nonce")?,
        block: fields.optional_number("blockNumber")?,
    }))
}

/// A single amount as an answer of its own.
pub(super) fn one_amount(method: &str, value: &Value) -> Result<U256> {
    amount(value).ok_or_else(|| Error::decoding(method, "no number"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn hex32(byte: u8) -> String {
        format!("0x{}", hex::encode([byte; 32]))
    }

    fn block_with(l1: Option<Value>) -> Value {
        let mut block = json!({
            "number": "0x10", "hash": hex32(1), "parentHash": hex32(2), "timestamp": "0x5",
            "baseFeePerGas": "0x3b9aca00",
        });
        if let Some(l1) = l1 {
            block["l1BlockNumber"] = l1;
        }
        block
    }

    #[test]
    fn the_l1_number_is_read_as_text_as_number_and_when_absent() {
        for (l1, read) in [
            (Some(json!("0x2c")), Some(44)),
            (Some(json!(44)), Some(44)),
            (Some(Value::Null), None),
            (None, None),
        ] {
            let head = block(&block_with(l1.clone()), String::new())
                .unwrap()
                .unwrap();
            assert_eq!(head.l1_number, read, "{l1:?}");
            assert_eq!(head.number, 16);
        }
        for l1 in [
            json!(""),
            json!("44"),
            json!("0x"),
            json!(-1),
            json!("0x1ffffffffffffffff"),
            json!([]),
        ] {
            assert!(
                block(&block_with(Some(l1.clone())), String::new()).is_err(),
                "{l1}"
            );
        }
    }

    #[test]
    fn an_unreadable_log_does_not_hide_the_others() {
        let good = |block: u64, index: u64| {
            json!({
                "address": format!("0x{}", hex::encode([7u8; 20])), "topics": [hex32(3)], "data": "0x",
                "blockNumber": format!("{block:#x}"), "blockHash": hex32(4), "transactionHash": hex32(5),
                "logIndex": format!("{index:#x}"), "removed": false,
            })
        };
        let mut removed = good(1, 0);
        removed["removed"] = json!(true);
        let mut odd = good(1, 9);
        odd["data"] = json!("0x123");
        let read = logs(&json!([
            good(2, 1),
            odd,
            good(2, 0),
            removed,
            null,
            good(1, 5)
        ]))
        .unwrap();
        let places: Vec<_> = read.logs.iter().map(|log| (log.block, log.index)).collect();
        assert_eq!(places, [(1, 5), (2, 0), (2, 1)]);
        assert_eq!(read.dropped, 3);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(0x)?[0-9a-f]{0,66}".prop_map(Value::from),
            Just(Value::from(hex32(9))),
        ];
        let names = [
            "number",
            "hash",
            "parentHash",
            "timestamp",
            "l1BlockNumber",
            "baseFeePerGas",
            "address",
            "topics",
            "data",
            "blockNumber",
            "blockHash",
            "transactionHash",
            "logIndex",
            "removed",
            "logs",
            "status",
            "gasUsed",
            "from",
            "nonce",
        ];
        leaf.prop_recursive(3, 40, 8, move |inner| {
            let name = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(name, inner, 0..12)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_or_refused(value in any_json()) {
            let _ = block(&value, String::new());
            let _ = logs(&value);
            let _ = receipt(&value);
            let _ = transaction(&value);
            let _ = amount(&value);
        }

        #[test]
        fn any_amount_survives_its_text(words: [u64; 4]) {
            let number = U256(words);
            prop_assert_eq!(amount(&Value::from(format!("{number:#x}"))), Some(number));
        }
    }
}
