//! A proxy before the RPC of a chain that misbehaves on demand, looks like Arbitrum on demand, and counts what is asked.
//!
//! Two proxies before one chain are two end points with, say, different heads. A proxy ends with the runtime that started it.

mod faults;
mod rewrite;
mod server;

use std::collections::HashMap;
use std::sync::Arc;

use ethabi::ethereum_types::{Address, H256};
use parking_lot::Mutex;
use serde_json::Value;

use faults::Plan;
pub use faults::{Fault, RangeRefusal};

use crate::chain::Chain;
use crate::double::Double;
use crate::rpc::Rpc;

/// What an end point takes for the newest block. Reads at `latest` and `pending` are answered as of that block, later blocks,
/// receipts and logs are unknown; what is sent passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The chain's.
    Live,
    /// So many blocks behind it.
    Behind(u64),
    /// Always this one.
    At(u64),
}

/// How `l1BlockNumber` stands in block headers.
#[derive(Debug, Clone, PartialEq)]
pub enum L1Field {
    /// As the chain answers: absent, or with chain 42161 a number that is the block's own.
    AsIs,
    /// Hex text, as Arbitrum nodes write it.
    Hex,
    /// A JSON number.
    Number,
    /// Taken out.
    Absent,
    /// Anything else.
    Garbage(Value),
}

/// What may be switched. Kept under a lock that is never held across a wait.
struct Switches {
    plan: Plan,
    head: Head,
    chain_id: Option<u64>,
    l1_field: L1Field,
    l1_height: Option<u64>,
    zero_tip: bool,
    range: Option<(RangeRefusal, u64)>,
    hidden_receipts: Vec<H256>,
    forgotten_blocks: Vec<H256>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            plan: Plan::default(),
            head: Head::Live,
            chain_id: None,
            l1_field: L1Field::AsIs,
            l1_height: None,
            zero_tip: false,
            range: None,
            hidden_receipts: Vec::new(),
            forgotten_blocks: Vec::new(),
        }
    }
}

#[derive(Default)]
struct Counts {
    requests: u64,
    methods: HashMap<String, u64>,
}

struct State {
    upstream: Rpc,
    rounds_manager: Address,
    switches: Mutex<Switches>,
    counts: Mutex<Counts>,
}

/// See the module.
pub struct Proxy {
    url: String,
    state: Arc<State>,
    server: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// One that passes everything on to `chain`.
    pub async fn before(chain: &Chain) -> Self {
        let state = Arc::new(State {
            upstream: chain.rpc().clone(),
            rounds_manager: chain.address(Double::RoundsManager),
            switches: Mutex::default(),
            counts: Mutex::default(),
        });
        let (port, server) = server::start(Arc::clone(&state)).await;
        Self {
            url: format!("http://127.0.0.1:{port}"),
            state,
            server,
        }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.state.switches.lock());
    }

    // Faults

    /// Lets every call of `method` fail, or of all methods with `*`, until [`Self::heal`]. A method's own fault goes first.
    pub fn fail(&self, method: &str, fault: Fault) {
        self.switch(|switches| switches.plan.add(method, fault, None));
    }

    /// Lets the next `times` calls fail, before what [`Self::fail`] says.
    pub fn fail_times(&self, method: &str, fault: Fault, times: u64) {
        self.switch(|switches| switches.plan.add(method, fault, Some(times)));
    }

    /// Ends the faults of one method, or with `*` those of all methods.
    pub fn heal(&self, method: &str) {
        self.switch(|switches| switches.plan.remove(method));
    }

    /// Passes everything on again, as at start. Counts stay.
    pub fn reset(&self) {
        self.switch(|switches| *switches = Switches::default());
    }

    // Views

    /// Stale, standing or falling heads.
    pub fn head(&self, head: Head) {
        self.switch(|switches| switches.head = head);
    }

    /// Another chain ID than the true one; `None`: the true one.
    pub fn chain_id(&self, id: Option<u64>) {
        self.switch(|switches| switches.chain_id = id);
    }

    /// Form of `l1BlockNumber` in headers. Its value is what the rounds manager says at that block.
    pub fn l1_field(&self, field: L1Field) {
        self.switch(|switches| switches.l1_field = field);
    }

    /// Another value for it, whatever the contracts say; `None`: theirs.
    pub fn l1_height(&self, height: Option<u64>) {
        self.switch(|switches| switches.l1_height = height);
    }

    /// Tip 0 and a gas price that is the base fee, as on Arbitrum.
    pub fn zero_tip(&self, on: bool) {
        self.switch(|switches| switches.zero_tip = on);
    }

    /// Headers, tip and gas price as on Arbitrum.
    pub fn like_arbitrum(&self) {
        self.l1_field(L1Field::Hex);
        self.zero_tip(true);
    }

    /// Refuses `eth_getLogs` over more than `limit` blocks (or results, where the text speaks of those).
    pub fn range_limit(&self, refusal: RangeRefusal, limit: u64) {
        self.switch(|switches| switches.range = Some((refusal, limit)));
    }

    /// Knows no receipt of this transaction.
    pub fn hide_receipt(&self, transaction: H256) {
        self.switch(|switches| switches.hidden_receipts.push(transaction));
    }

    /// Knows all receipts again.
    pub fn show_receipts(&self) {
        self.switch(|switches| switches.hidden_receipts.clear());
    }

    /// Does not know the block of this hash.
    pub fn forget_block(&self, block: H256) {
        self.switch(|switches| switches.forgotten_blocks.push(block));
    }

    // Counts

    /// Calls of a method so far, those in batches and those that failed included.
    pub fn count(&self, method: &str) -> u64 {
        let counts = self.state.counts.lock();
        counts.methods.get(method).copied().unwrap_or_default()
    }

    /// Calls so far by method.
    pub fn counts(&self) -> HashMap<String, u64> {
        self.state.counts.lock().methods.clone()
    }

    /// HTTP requests so far; a batch is one.
    pub fn requests(&self) -> u64 {
        self.state.counts.lock().requests
    }

    /// Counts from zero again.
    pub fn clear_counts(&self) {
        *self.state.counts.lock() = Counts::default();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}
