//! What can go wrong with a call, and which call it happens to.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

/// What happens to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The connection is closed without an answer, and the chain hears nothing.
    Drop,
    /// The answer breaks off in its middle.
    Eof,
    /// The chain hears the call and the answer is lost: what was sent is sent.
    LoseAnswer,
    /// The answer comes later.
    Delay(Duration),
    /// An HTTP status with a short text, such as 429 or 503.
    Status(u16),
    /// An error of JSON-RPC.
    Error(i64, String),
    /// A lie: this result, and the chain hears nothing.
    Answer(Value),
    /// A body that is no JSON.
    Garbage,
}

impl Fault {
    /// The end point has no such method.
    pub fn unknown_method(method: &str) -> Self {
        let text = format!("the method {method} does not exist/is not available");
        Self::Error(-32601, text)
    }
}

/// Faults by method.
#[derive(Default)]
pub(super) struct Plan(HashMap<String, Vec<(Fault, Option<u64>)>>);

impl Plan {
    pub(super) fn add(&mut self, method: &str, fault: Fault, times: Option<u64>) {
        let faults = self.0.entry(method.to_owned()).or_default();
        if times.is_none() {
            faults.retain(|(_, left)| left.is_some());
        }
        faults.push((fault, times));
        // those that are counted go first, in their order
        faults.sort_by_key(|(_, left)| left.is_none());
    }

    pub(super) fn remove(&mut self, method: &str) {
        self.0.remove(method);
    }

    /// The fault of this call, which is used up by it.
    pub(super) fn take(&mut self, method: &str) -> Option<Fault> {
        self.take_of(method).or_else(|| self.take_of("*"))
    }

    fn take_of(&mut self, method: &str) -> Option<Fault> {
        let faults = self.0.get_mut(method)?;
        faults.retain(|(_, left)| *left != Some(0));
        let (fault, left) = faults.first_mut()?;
        if let Some(left) = left {
            *left -= 1;
        }
        Some(fault.clone())
    }
}

/// In whose words a query of logs is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRefusal {
    /// Names the blocks that would work.
    Alchemy,
    /// Speaks of the width only.
    Ankr,
    /// Counts results.
    Arbitrum,
    /// Speaks of its free tier.
    Drpc,
    /// Counts results.
    Infura,
    /// Names width and limit.
    InfuraRange,
    /// Names the limit.
    Geth,
    /// Names the limit with a comma.
    Quicknode,
}

impl RangeRefusal {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Alchemy,
        Self::Ankr,
        Self::Arbitrum,
        Self::Drpc,
        Self::Infura,
        Self::InfuraRange,
        Self::Geth,
        Self::Quicknode,
    ];

    /// Whether it counts logs rather than blocks.
    pub fn counts_results(self) -> bool {
        matches!(self, Self::Arbitrum | Self::Infura)
    }

    /// The error for blocks `from` to `to`.
    pub fn error(self, from: u64, to: u64, limit: u64) -> Value {
        let works = to.min(from + limit.saturating_sub(1));
        let (code, message) = match self {
            Self::Alchemy => (
                -32600,
                format!(
                    "You can make eth_getLogs requests with up to a {limit} block range. Based on your parameters, this block \
                     range should work: [{from:#x}, {works:#x}]"
                ),
            ),
            Self::Ankr => (-32600, "block range is too wide".to_owned()),
            Self::Arbitrum => (
                -32000,
                format!("logs matched by query exceeds limit of {limit}"),
            ),
            Self::Drpc => (
                35,
                format!("ranges over {limit} blocks are not supported on freetier"),
            ),
            Self::Infura => (-32005, format!("query returned more than {limit} results")),
            Self::InfuraRange => (
                -32602,
                format!("range {} exceeds limit of {limit}", to - from + 1),
            ),
            Self::Geth => (-32701, format!("exceed maximum block range: {limit}")),
            Self::Quicknode => (
                -32614,
                format!("eth_getLogs is limited to a {} range", grouped(limit)),
            ),
        };
        json!({ "code": code, "message": message })
    }
}

/// 10000 as 10,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8(groups.join(&b',')).expect("digits")
}
