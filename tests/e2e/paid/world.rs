//! A chain, an orchestrator that is active on it, and what a node needs to work there.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use chain::keystore::{self, Password, ScryptCost};
use protocol::address::Address;
use protocol::money::U256;
use protocol::signature::{Hash, keccak256};
use test_chain::{Chain, Double, Event, Options, Proxy, ether};

use super::payer::{Payer, Sent};
use crate::node::{Home, Node, scratch};

/// Passphrase of the orchestrator's key.
pub const PASSPHRASE: &str = "a passphrase of the tests";

/// L1 blocks after which ticket parameters have ended.
pub const PARAMS_LIFE: u64 = 41;

/// Wei per gas at the start: tickets of [`Stakes`] cost a ten-thousandth of what they pay.
const BASE_FEE: u64 = 1_000_000;

/// Expected and face value of tickets, wei.
#[derive(Debug, Clone, Copy)]
pub struct Stakes {
    /// `-ticketEV`.
    pub ev: u64,
    /// `-maxFaceValue`, which is what binds here.
    pub face: u64,
}

/// Every ticket wins: one in 10^15 does not.
pub const ALL_WIN: Stakes = Stakes {
    ev: 1_999_999_999_999_999,
    face: 2_000_000_000_000_000,
};

/// One of four wins.
pub const QUARTER_WINS: Stakes = Stakes {
    ev: 500_000_000_000_000,
    face: 2_000_000_000_000_000,
};

/// States of tickets that nothing follows.
const FINAL: [&str; 4] = ["paid", "expired", "used_elsewhere", "imported"];

/// See the module.
pub struct World {
    /// The chain.
    pub chain: Chain,
    /// What the node sees of it: like Arbitrum, and as faulty as it is told to be.
    pub proxy: Proxy,
    /// The active orchestrator, whose key the node has.
    pub orchestrator: Address,
    /// Where a node lives.
    pub home: Home,
    /// What tickets are worth.
    pub stakes: Stakes,
    keys: tempfile::TempDir,
}

impl World {
    /// With tickets of these stakes, and no senders yet.
    pub async fn new(stakes: Stakes) -> Self {
        let options = Options {
            base_fee: Some(BASE_FEE),
            ..Options::default()
        };
        let chain = Chain::with(options).await;
        let proxy = Proxy::before(&chain).await;
        proxy.like_arbitrum();
        let keys = scratch();
        let account = keystore::create_at_cost(
            keys.path(),
            &Password::new(PASSPHRASE),
            ScryptCost {
                log_n: 4,
                r: 8,
                p: 1,
            },
        );
        let orchestrator = account.expect("key file").address;
        chain.add_transcoder(h160(orchestrator), ether(100)).await;
        chain.set_balance(h160(orchestrator), ether(100)).await;
        Self {
            chain,
            proxy,
            orchestrator,
            home: Home::plain(),
            stakes,
            keys,
        }
    }

    /// Directory with the key file of the orchestrator.
    pub fn keys(&self) -> &Path {
        self.keys.path()
    }

    /// Options of a node here, those of the same name in `more` left out, then `more`.
    pub fn options(&self, more: &[&str]) -> Vec<String> {
        let own = [
            ("-network", "devnet".to_owned()),
            ("-ethUrl", self.proxy.url().to_owned()),
            (
                "-ethController",
                format!("{:#x}", self.chain.address(Double::Controller)),
            ),
            ("-ethKeystorePath", self.keys.path().display().to_string()),
            ("-ethPassword", PASSPHRASE.to_owned()),
            ("-pricePerUnit", "2500000000".to_owned()),
            ("-ticketEV", self.stakes.ev.to_string()),
            ("-maxFaceValue", self.stakes.face.to_string()),
            ("-blockPollingInterval", "1".to_owned()),
            ("-failureRatePerMinute", "1000000".to_owned()),
            ("-maxSessions", "100".to_owned()),
        ];
        let mut options: Vec<String> = own
            .into_iter()
            .filter(|(name, _)| !more.contains(name))
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect();
        let roles = ["-orchestrator", "-transcoder"].iter();
        options.extend(
            roles
                .filter(|role| !more.contains(role))
                .map(|role| (*role).to_owned()),
        );
        options.extend(more.iter().map(|option| (*option).to_owned()));
        options
    }

    /// Starts the node, anew or again, and returns when it knows the round: before that it quotes nothing.
    pub async fn node(&self, more: &[&str]) -> Node {
        let options = self.options(more);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let node = self.home.start(&options).await;
        node.until("a round", async || {
            (node.metric("orchestrion_round", &[]).await > 0.0).then_some(())
        })
        .await;
        node
    }

    /// A gateway with ten ether of deposit and one of reserve.
    pub async fn payer(&self, number: u8) -> Payer {
        let payer = Payer::new(number);
        self.fund(&payer, ether(10), ether(1)).await;
        payer
    }

    /// Adds to what a gateway has on the chain, wei.
    pub async fn fund(&self, payer: &Payer, deposit: U256, reserve: U256) {
        self.chain
            .fund_sender(h160(payer.address()), deposit, reserve)
            .await;
    }

    /// Moves L1 on, in one block of this chain.
    pub async fn advance_l1(&self, blocks: u64) {
        let height = self.chain.l1().await;
        self.chain.set_l1(height + blocks).await;
    }

    /// Lets all parameters end that are out, so that their winners may be redeemed.
    pub async fn expire_params(&self) {
        self.advance_l1(PARAMS_LIFE).await;
    }

    /// Every redemption on the chain, in order.
    pub async fn redeemed(&self) -> Vec<Event> {
        self.chain
            .events(Double::TicketBroker, "WinningTicketRedeemed")
            .await
    }

    /// Sender, hash of the secret number and nonce of every redemption, none twice: together they name a ticket.
    pub async fn redeemed_tickets(&self) -> HashSet<(Address, Hash, u32)> {
        let events = self.redeemed().await;
        let name = |event: &Event| {
            let mut rand = [0; 32];
            event.uint("recipientRand").to_big_endian(&mut rand);
            let sender = Address(event.address("sender").0);
            (sender, keccak256(rand), event.uint("senderNonce").as_u32())
        };
        let names: HashSet<_> = events.iter().map(name).collect();
        assert_eq!(names.len(), events.len(), "a ticket was redeemed twice");
        names
    }

    /// Lets L1 go on until all of these are redeemed.
    pub async fn await_paid(&self, node: &Node, winners: &[Sent]) {
        node.until("redemptions", async || {
            let redeemed = self.redeemed_tickets().await;
            if winners
                .iter()
                .all(|winner| redeemed.contains(&winner.name()))
            {
                return Some(());
            }
            self.tick().await;
            None
        })
        .await;
    }

    /// Lets L1 go on until so many winners are redeemed; that there are no more is for the caller to say.
    pub async fn await_redeemed(&self, node: &Node, count: usize) -> Vec<Event> {
        node.until("redemptions", async || {
            let redeemed = self.redeemed().await;
            if redeemed.len() >= count {
                return Some(redeemed);
            }
            self.tick().await;
            None
        })
        .await
    }

    /// A block of L1, half a second later: a live chain never stands still, and much waits for the next block.
    pub async fn tick(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.advance_l1(1).await;
        // deep enough for a receipt to count for good
        self.chain.mine(64).await;
    }

    /// Lets L1 go on until no ticket of the node's books is without its end, and for as long as they move.
    pub async fn settle(&self, node: &Node) {
        let mut last = String::new();
        while node
            .until("the end of a ticket", async || {
                let (_, sums) = node.get("/api/v1/tickets/sums").await;
                if !has_open(&sums) {
                    return Some(false);
                }
                self.tick().await;
                (sums != last).then(|| {
                    last = sums;
                    true
                })
            })
            .await
        {}
    }

    /// Wei that redeemed tickets came to, as the bonding manager has it.
    pub async fn fees(&self) -> U256 {
        self.chain.pending_fees(h160(self.orchestrator)).await
    }

    /// Hashes of the transactions of the orchestrator's key that are in blocks and failed.
    pub async fn failed_transactions(&self) -> Vec<String> {
        let own = format!("{:#x}", h160(self.orchestrator));
        let mut failed = Vec::new();
        for height in 0..=self.chain.height().await {
            let receipts = self
                .chain
                .rpc()
                .request(
                    "eth_getBlockReceipts",
                    serde_json::json!([format!("{height:#x}")]),
                )
                .await;
            let receipts = receipts.as_array().cloned().unwrap_or_default();
            let own = receipts
                .iter()
                .filter(|receipt| receipt["from"] == own && receipt["status"] == "0x0");
            failed.extend(own.filter_map(|one| one["transactionHash"].as_str().map(str::to_owned)));
        }
        failed
    }
}

/// Whether a ticket is without its end. Ages move by themselves and count for nothing here.
fn has_open(sums: &str) -> bool {
    let sums: serde_json::Value = serde_json::from_str(sums).expect("sums of tickets");
    let states = sums["states"].as_array().expect("states").iter();
    states
        .filter(|sum| sum["count"] != 0)
        .any(|sum| !FINAL.iter().any(|state| sum["state"] == *state))
}

/// An address as the harness of the chain has it.
pub fn h160(address: Address) -> test_chain::Address {
    test_chain::Address::from(address.0)
}
