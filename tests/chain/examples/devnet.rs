//! A local chain with all doubles, for demonstrations: prints its end point and addresses as JSON, obeys the lines of its
//! standard input with a line of JSON for each, and stays until that is closed.
//!
//! Arguments: address and whole LPT of each transcoder to make.
//!
//! | line | what it does, and says |
//! |---|---|
//! | `ether ADDRESS N` | gives an account exactly N whole ether |
//! | `l1 N` | moves L1 on by N blocks: its height |
//! | `blocks N` | makes N blocks of this chain: its height |
//! | `round` | the next round, initialized: its number |
//! | `sender ADDRESS` | deposit and reserve of a gateway, wei |
//! | `recipient ADDRESS` | what was paid to an orchestrator by tickets, and its pending fees, wei |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a tool of the tests"
)]

use orchestrion_test_chain::{Address, Chain, Double, Options, Proxy, ether};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

/// Wei per gas, as on Arbitrum.
const BASE_FEE: u64 = 10_000_000;

#[tokio::main]
async fn main() {
    let chain = Chain::with(Options {
        base_fee: Some(BASE_FEE),
        ..Options::default()
    })
    .await;
    let proxy = Proxy::before(&chain).await;
    proxy.like_arbitrum();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let [account, stake] = pair else {
            panic!("usage: devnet [ADDRESS STAKE]…")
        };
        let account = address(account).expect("address");
        let stake = stake.parse().expect("whole LPT");
        chain.add_transcoder(account, ether(stake)).await;
        chain.set_balance(account, ether(100)).await;
    }
    let said = json!({
        "rpc": proxy.url(),
        "chain": chain.url(),
        "chainId": chain.chain_id(),
        "controller": chain.address(Double::Controller),
        "priceFeed": chain.address(Double::PriceFeed),
        "ticketBroker": chain.address(Double::TicketBroker),
    });
    println!("{said}");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("standard input") {
        let words: Vec<&str> = line.split_whitespace().collect();
        let said = obey(&chain, &words).await;
        println!("{}", said.unwrap_or_else(|| json!({ "error": line })));
    }
}

/// What a line asks for; `None` when it makes no sense.
async fn obey(chain: &Chain, words: &[&str]) -> Option<Value> {
    Some(match words {
        ["ether", account, amount] => {
            let amount = amount.parse().ok()?;
            chain.set_balance(address(account)?, ether(amount)).await;
            json!({})
        }
        ["l1", blocks] => {
            let blocks: u64 = blocks.parse().ok()?;
            chain.set_l1(chain.l1().await + blocks).await;
            json!({ "l1": chain.l1().await })
        }
        ["blocks", count] => {
            chain.mine(count.parse().ok()?).await;
            json!({ "height": chain.height().await })
        }
        ["round"] => json!({ "round": chain.new_round().await }),
        ["sender", account] => {
            let info = chain.sender_info(address(account)?).await;
            json!({ "deposit": info.deposit.to_string(), "reserve": info.reserve.to_string() })
        }
        ["recipient", account] => {
            let account = address(account)?;
            let (paid, fees) = (
                chain.paid_to(account).await,
                chain.pending_fees(account).await,
            );
            json!({ "paid": paid.to_string(), "fees": fees.to_string() })
        }
        _ => return None,
    })
}

fn address(text: &str) -> Option<Address> {
    text.trim_start_matches("0x").parse().ok()
}
