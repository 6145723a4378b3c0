//! The proxy: passes on, lies and breaks as it was told, and counts.

use std::time::{Duration, Instant};

use orchestrion_test_chain::{
    Chain, Double, Fault, H256, Head, L1Field, Proxy, RangeRefusal, Rpc, U256, args, ether,
};
use serde_json::{Value, json};

async fn pair() -> (Chain, Proxy, Rpc) {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    let rpc = Rpc::new(proxy.url());
    (chain, proxy, rpc)
}

async fn head(rpc: &Rpc) -> Value {
    rpc.request("eth_getBlockByNumber", json!(["latest", false]))
        .await
}

fn hex(number: u64) -> Value {
    format!("{number:#x}").into()
}

#[tokio::test]
async fn what_is_not_told_otherwise_passes_and_is_counted() {
    let (chain, proxy, rpc) = pair().await;
    assert_eq!(rpc.request("eth_chainId", json!([])).await, "0x7a69");
    let batch = json!([
        { "jsonrpc": "2.0", "id": 7, "method": "eth_blockNumber", "params": [] },
        { "jsonrpc": "2.0", "id": "x", "method": "eth_chainId", "params": [] },
    ]);
    let (status, body) = rpc.post(batch.to_string().into()).await.unwrap();
    let answers: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(answers[0]["result"], hex(chain.height().await));
    assert_eq!(
        (&answers[0]["id"], &answers[1]["id"]),
        (&json!(7), &json!("x"))
    );
    assert_eq!(proxy.requests(), 2);
    assert_eq!(proxy.count("eth_chainId"), 2);
    assert_eq!(proxy.counts().len(), 2);
    proxy.clear_counts();
    assert_eq!(proxy.count("eth_chainId"), 0);

    let failed = rpc
        .try_request("eth_getLogs", json!([{ "fromBlock": "0xffff" }]))
        .await;
    assert_eq!(failed.unwrap_err().code, -32602);
}

#[tokio::test]
async fn connections_break_in_each_way() {
    let (_chain, proxy, rpc) = pair().await;
    let ask = async || rpc.ask("eth_chainId", &json!([])).await;
    for fault in [Fault::Drop, Fault::Eof, Fault::LoseAnswer, Fault::Garbage] {
        proxy.fail("*", fault.clone());
        assert_eq!(ask().await, Err(None), "{fault:?}");
        proxy.heal("*");
        assert!(ask().await.is_ok(), "healed of {fault:?}");
    }
    for status in [429, 500, 503] {
        proxy.fail("eth_chainId", Fault::Status(status));
        assert!(rpc.ask("eth_blockNumber", &json!([])).await.is_ok());
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
        let (answered, _) = rpc.post(call.to_string().into()).await.unwrap();
        assert_eq!(answered, status);
    }
    proxy.reset();
    let pause = Duration::from_millis(80);
    proxy.fail_times("eth_chainId", Fault::Delay(pause), 1);
    let begun = Instant::now();
    assert!(ask().await.is_ok());
    assert!(begun.elapsed() >= pause);
}

#[tokio::test]
async fn counted_faults_go_first_and_run_out() {
    let (_chain, proxy, rpc) = pair().await;
    let unknown = Fault::unknown_method("eth_chainId");
    proxy.fail("*", Fault::Answer("0x1".into()));
    proxy.fail("eth_chainId", Fault::Answer("0x2".into()));
    proxy.fail_times("eth_chainId", unknown, 2);
    for _ in 0..2 {
        let refused = rpc.try_request("eth_chainId", json!([])).await.unwrap_err();
        assert_eq!(refused.code, -32601);
        assert!(
            refused.message.contains("eth_chainId does not exist"),
            "{refused:?}"
        );
    }
    assert_eq!(rpc.request("eth_chainId", json!([])).await, "0x2");
    proxy.heal("eth_chainId");
    assert_eq!(rpc.request("eth_chainId", json!([])).await, "0x1");
    proxy.heal("*");
    assert_eq!(rpc.request("eth_chainId", json!([])).await, "0x7a69");
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_chain_acted() {
    let (chain, proxy, rpc) = pair().await;
    let pay = json!([{ "from": chain.account(1), "to": chain.account(2), "value": "0x1" }]);
    let sent = json!([chain.account(1), "pending"]);
    let sent = async || {
        chain
            .rpc()
            .request("eth_getTransactionCount", sent.clone())
            .await
    };
    proxy.fail_times("eth_sendTransaction", Fault::Drop, 1);
    assert_eq!(rpc.ask("eth_sendTransaction", &pay).await, Err(None));
    assert_eq!(sent().await, "0x0");
    proxy.fail_times("eth_sendTransaction", Fault::LoseAnswer, 1);
    assert_eq!(rpc.ask("eth_sendTransaction", &pay).await, Err(None));
    assert_eq!(sent().await, "0x1");
}

#[tokio::test]
async fn headers_look_like_those_of_arbitrum_in_every_form() {
    let (chain, proxy, rpc) = pair().await;
    assert!(head(&rpc).await["l1BlockNumber"].is_null());
    proxy.like_arbitrum();
    assert_eq!(head(&rpc).await["l1BlockNumber"], "0x1312d00");
    let before = chain.height().await;
    chain.set_l1(20_000_007).await;
    assert_eq!(head(&rpc).await["l1BlockNumber"], "0x1312d07");
    // an older block keeps what was true of it
    let older = rpc
        .request("eth_getBlockByNumber", json!([hex(before), false]))
        .await;
    assert_eq!(older["l1BlockNumber"], "0x1312d00");
    proxy.l1_field(L1Field::Number);
    assert_eq!(head(&rpc).await["l1BlockNumber"], 20_000_007);
    proxy.l1_height(Some(5));
    let hash = head(&rpc).await["hash"].clone();
    let by_hash = rpc
        .request("eth_getBlockByHash", json!([hash, false]))
        .await;
    assert_eq!(by_hash["l1BlockNumber"], 5);
    proxy.l1_field(L1Field::Garbage(json!({ "height": 5 })));
    assert_eq!(head(&rpc).await["l1BlockNumber"]["height"], 5);
    proxy.l1_field(L1Field::Absent);
    assert!(head(&rpc).await.get("l1BlockNumber").is_none());
    assert_eq!(
        rpc.request("eth_maxPriorityFeePerGas", json!([])).await,
        "0x0"
    );
    let fee = rpc.request("eth_gasPrice", json!([])).await;
    assert_eq!(fee, head(&rpc).await["baseFeePerGas"]);
}

#[tokio::test]
async fn a_stale_end_point_knows_nothing_newer() {
    let (chain, proxy, rpc) = pair().await;
    let token = chain.address(Double::Token);
    let balance = Double::Token.encode("balanceOf", args![chain.account(2)]);
    let balance: String = balance.iter().map(|byte| format!("{byte:02x}")).collect();
    let read = json!([{ "to": token, "data": format!("0x{balance}") }, "latest"]);
    let minted = chain
        .send(Double::Token, "mint", args![chain.account(2), ether(3)])
        .await;
    let logs = json!([{ "fromBlock": hex(minted.block), "toBlock": hex(minted.block) }]);
    let word = async || {
        let answer = rpc.request("eth_call", read.clone()).await;
        U256::from_str_radix(answer.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    assert_eq!(word().await, ether(3));

    proxy.head(Head::Behind(1));
    assert_eq!(
        rpc.request("eth_blockNumber", json!([])).await,
        hex(minted.block - 1)
    );
    assert_eq!(head(&rpc).await["number"], hex(minted.block - 1));
    assert_eq!(word().await, U256::zero());
    assert_eq!(rpc.request("eth_getLogs", logs.clone()).await, json!([]));
    let receipt = json!([minted.hash]);
    assert!(
        rpc.request("eth_getTransactionReceipt", receipt.clone())
            .await
            .is_null()
    );
    let pending = rpc
        .request("eth_getTransactionByHash", receipt.clone())
        .await;
    assert!(pending["blockNumber"].is_null() && pending["nonce"].is_string());
    let nonce = json!([chain.account(0), "pending"]);
    let known = rpc.request("eth_getTransactionCount", nonce.clone()).await;
    assert_eq!(known, hex(chain.nonce(chain.account(0)).await - 1));

    chain.mine(1).await;
    assert_eq!(word().await, ether(3));
    assert_eq!(
        rpc.request("eth_getLogs", logs)
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    proxy.head(Head::At(2));
    assert_eq!(head(&rpc).await["number"], "0x2");
    chain.mine(5).await;
    assert_eq!(head(&rpc).await["number"], "0x2");
    proxy.head(Head::Live);
    assert_eq!(head(&rpc).await["number"], hex(chain.height().await));
}

#[tokio::test]
async fn identity_receipts_and_blocks_can_be_denied() {
    let (chain, proxy, rpc) = pair().await;
    proxy.chain_id(Some(1));
    assert_eq!(rpc.request("eth_chainId", json!([])).await, "0x1");
    assert_eq!(rpc.request("net_version", json!([])).await, "1");

    let minted = chain
        .send(Double::Token, "mint", args![chain.account(2), ether(3)])
        .await;
    let ask = json!([minted.hash]);
    proxy.hide_receipt(minted.hash);
    assert!(
        rpc.request("eth_getTransactionReceipt", ask.clone())
            .await
            .is_null()
    );
    proxy.show_receipts();
    assert!(
        !rpc.request("eth_getTransactionReceipt", ask)
            .await
            .is_null()
    );

    let block = chain.block_hash(minted.block).await;
    proxy.forget_block(block);
    assert!(
        rpc.request("eth_getBlockByHash", json!([block, false]))
            .await
            .is_null()
    );
    let other: H256 = chain.block_hash(1).await;
    assert!(
        !rpc.request("eth_getBlockByHash", json!([other, false]))
            .await
            .is_null()
    );
}

#[tokio::test]
async fn wide_log_queries_are_refused_in_the_words_of_each_provider() {
    let (chain, proxy, rpc) = pair().await;
    for _ in 0..3 {
        chain.mint_tokens(chain.account(2), ether(1)).await;
    }
    chain.mine(40).await;
    let top = chain.height().await;
    let query = |from: u64| json!([{ "fromBlock": hex(from), "toBlock": hex(top), "address": chain.address(Double::Token) }]);
    let mut texts = Vec::new();
    for refusal in RangeRefusal::ALL {
        let limit = if refusal.counts_results() { 2 } else { 10 };
        proxy.range_limit(refusal, limit);
        let refused = rpc.try_request("eth_getLogs", query(0)).await.unwrap_err();
        texts.push(refused.message);
        let narrow = rpc.request("eth_getLogs", query(top - 9)).await;
        assert_eq!(narrow, json!([]), "{refusal:?}");
    }
    assert_eq!(
        texts[3],
        "ranges over 10 blocks are not supported on freetier"
    );
    assert_eq!(texts[4], "query returned more than 2 results");
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), RangeRefusal::ALL.len());
    assert_eq!(
        RangeRefusal::Quicknode.error(0, 20_000, 10_000)["message"],
        "eth_getLogs is limited to a 10,000 range"
    );
}

#[tokio::test]
async fn two_end_points_disagree() {
    let chain = Chain::start().await;
    let (fresh, stale) = (Proxy::before(&chain).await, Proxy::before(&chain).await);
    stale.head(Head::Behind(3));
    chain.mine(5).await;
    let heads = [&fresh, &stale].map(|proxy| Rpc::new(proxy.url()));
    let top = chain.height().await;
    assert_eq!(head(&heads[0]).await["number"], hex(top));
    assert_eq!(head(&heads[1]).await["number"], hex(top - 3));
}
