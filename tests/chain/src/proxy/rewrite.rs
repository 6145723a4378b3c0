//! What a call becomes on its way to the chain, and its answer on the way back.

use ethabi::ethereum_types::U256;
use serde_json::{Value, json};

use super::{Head, L1Field, RangeRefusal, State};
use crate::double::Double;
use crate::rpc::{hash, number, quantity};

/// The switches that one call is answered by.
struct View {
    /// Newest known block, when it is not the chain's.
    head: Option<u64>,
    chain_id: Option<u64>,
    zero_tip: bool,
    range: Option<(RangeRefusal, u64)>,
}

impl State {
    /// Answers one call: a result, or an error object.
    pub(super) async fn answer(&self, method: &str, mut params: Value) -> Result<Value, Value> {
        let view = self.view().await;
        if let Some(own) = self.own_answer(&view, method).await {
            return Ok(own);
        }
        if let Some(head) = view.head {
            match method {
                "eth_getBlockByNumber" if height(&params[0]).is_some_and(|asked| asked > head) => {
                    return Ok(Value::Null);
                }
                "eth_getLogs" if !clamp(&mut params[0], head) => return Ok(json!([])),
                _ => pin(method, &mut params, head),
            }
        }
        if method == "eth_getLogs" {
            return self.logs(params, view.range).await;
        }
        let result = self.pass(method, params).await?;
        Ok(self.rewritten(&view, method, result).await)
    }

    async fn view(&self) -> View {
        let (head, view) = {
            let switches = self.switches.lock();
            let view = View {
                head: None,
                chain_id: switches.chain_id,
                zero_tip: switches.zero_tip,
                range: switches.range,
            };
            (switches.head, view)
        };
        let head = match head {
            Head::Live => None,
            Head::At(height) => Some(height),
            Head::Behind(blocks) => Some(self.height().await.saturating_sub(blocks)),
        };
        View { head, ..view }
    }

    async fn height(&self) -> u64 {
        number(&self.upstream.request("eth_blockNumber", json!([])).await).as_u64()
    }

    async fn pass(&self, method: &str, params: Value) -> Result<Value, Value> {
        let answer = self.upstream.try_request(method, params).await;
        answer.map_err(|error| {
            let mut object = json!({ "code": error.code, "message": error.message });
            if let Some(data) = error.data {
                object["data"] = data;
            }
            object
        })
    }

    /// What is answered without the chain's own answer.
    async fn own_answer(&self, view: &View, method: &str) -> Option<Value> {
        match method {
            "eth_blockNumber" => view.head.map(quantity),
            "eth_chainId" => view.chain_id.map(quantity),
            "net_version" => view.chain_id.map(|id| id.to_string().into()),
            "eth_maxPriorityFeePerGas" if view.zero_tip => Some(quantity(0)),
            "eth_gasPrice" if view.zero_tip => {
                let params = json!(["latest", false]);
                let block = self.upstream.request("eth_getBlockByNumber", params).await;
                Some(block["baseFeePerGas"].clone())
            }
            _ => None,
        }
    }

    async fn logs(
        &self,
        params: Value,
        range: Option<(RangeRefusal, u64)>,
    ) -> Result<Value, Value> {
        let Some((refusal, limit)) = range else {
            return self.pass("eth_getLogs", params).await;
        };
        let newest = self.height().await;
        let from = height(&params[0]["fromBlock"]).unwrap_or(newest);
        let to = height(&params[0]["toBlock"]).unwrap_or(newest);
        if !refusal.counts_results() {
            if to.saturating_sub(from) >= limit {
                return Err(refusal.error(from, to, limit));
            }
            return self.pass("eth_getLogs", params).await;
        }
        let logs = self.pass("eth_getLogs", params).await?;
        let found = logs.as_array().map_or(0, Vec::len) as u64;
        if found > limit {
            return Err(refusal.error(from, to, limit));
        }
        Ok(logs)
    }

    async fn rewritten(&self, view: &View, method: &str, mut result: Value) -> Value {
        if result.is_null() {
            return result;
        }
        let beyond = |value: &Value| {
            let head = view.head.unwrap_or(u64::MAX);
            height(value).is_some_and(|block| block > head)
        };
        match method {
            "eth_getBlockByNumber" | "eth_getBlockByHash" => {
                if beyond(&result["number"]) || self.is_forgotten(&result) {
                    return Value::Null;
                }
                self.put_l1(&mut result).await;
            }
            "eth_getTransactionReceipt"
                if beyond(&result["blockNumber"]) || self.is_hidden(&result) =>
            {
                return Value::Null;
            }
            "eth_getTransactionByHash" if beyond(&result["blockNumber"]) => {
                for field in ["blockHash", "blockNumber", "transactionIndex"] {
                    result[field] = Value::Null;
                }
            }
            _ => {}
        }
        result
    }

    fn is_forgotten(&self, block: &Value) -> bool {
        let switches = self.switches.lock();
        !block["hash"].is_null() && switches.forgotten_blocks.contains(&hash(&block["hash"]))
    }

    fn is_hidden(&self, receipt: &Value) -> bool {
        let switches = self.switches.lock();
        switches
            .hidden_receipts
            .contains(&hash(&receipt["transactionHash"]))
    }

    async fn put_l1(&self, block: &mut Value) {
        let (field, forced) = {
            let switches = self.switches.lock();
            (switches.l1_field.clone(), switches.l1_height)
        };
        let value = match field {
            L1Field::AsIs => return,
            L1Field::Absent => None,
            L1Field::Garbage(value) => Some(value),
            L1Field::Hex | L1Field::Number => {
                let l1 = match forced {
                    Some(height) => height,
                    None => self.l1_at(&block["number"]).await,
                };
                let hex = matches!(field, L1Field::Hex);
                Some(if hex { quantity(l1) } else { l1.into() })
            }
        };
        if let Some(fields) = block.as_object_mut() {
            fields.remove("l1BlockNumber");
            fields.extend(value.map(|value| ("l1BlockNumber".to_owned(), value)));
        }
    }

    /// What the rounds manager said at a block; 0 before there was one.
    async fn l1_at(&self, block: &Value) -> u64 {
        let data = Double::RoundsManager.encode("blockNum", &[]);
        let call = json!({ "to": self.rounds_manager, "data": crate::rpc::data(data) });
        let answer = self
            .upstream
            .try_request("eth_call", json!([call, block]))
            .await;
        match answer.as_ref().map(Value::as_str) {
            Ok(Some("0x")) | Err(_) => 0,
            Ok(_) => answer.map_or(U256::zero(), |value| number(&value)).as_u64(),
        }
    }
}

/// A block that is named by its number.
fn height(block: &Value) -> Option<u64> {
    let digits = block.as_str()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

/// Ends a query of logs at `head`, as nodes do without a word. False when nothing is left of it.
fn clamp(filter: &mut Value, head: u64) -> bool {
    if !filter["blockHash"].is_null() {
        return true;
    }
    let end = height(&filter["toBlock"]).map_or(head, |to| to.min(head));
    let from = height(&filter["fromBlock"]).unwrap_or(head);
    filter["toBlock"] = quantity(end);
    filter["fromBlock"] = quantity(from);
    from <= end
}

/// Reads as of `head` what asks for the newest state.
fn pin(method: &str, params: &mut Value, head: u64) {
    let place = match method {
        "eth_getBlockByNumber" => 0,
        "eth_getStorageAt" => 2,
        "eth_call"
        | "eth_estimateGas"
        | "eth_getBalance"
        | "eth_getCode"
        | "eth_getTransactionCount" => 1,
        _ => return,
    };
    let Some(list) = params.as_array_mut() else {
        return;
    };
    if list.len() == place {
        list.push("latest".into());
    }
    if let Some(block) = list.get_mut(place)
        && matches!(
            block.as_str(),
            Some("latest" | "pending" | "safe" | "finalized")
        )
    {
        *block = quantity(head);
    }
}
