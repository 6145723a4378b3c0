//! The client against a node that lies.

use serde_json::{Value, json};

use super::*;
use crate::endpoints::tests::{Node, Play, transport};

fn word(number: u64) -> Value {
    Value::from(format!("0x{number:064x}"))
}

fn hash(byte: u8) -> String {
    Hash([byte; 32]).to_string()
}

fn block(number: &str) -> Value {
    json!({ "number": number, "hash": hash(1), "parentHash": hash(2), "timestamp": "0x1" })
}

/// A client whose every contract read gives `read`.
async fn client(chain_id: u64, read: Value) -> (Node, Arc<RpcClient>) {
    let node = Node::start(chain_id).await;
    node.set("eth_getCode", json!("0x60"));
    node.set("eth_blockNumber", json!("0x64"));
    node.set("eth_call", word(7));
    let deployment = Deployment {
        controller: Address([1; 20]),
        own_registry: None,
    };
    let client = RpcClient::connect(transport(&[&node], |_| ()), deployment).await;
    node.set("eth_call", read);
    (node, client.unwrap())
}

#[tokio::test]
async fn a_pool_without_end_is_refused() {
    let (node, client) = client(1, word(7)).await;
    let error = client.pool().await.unwrap_err();
    assert!(error.to_string().contains("no end"), "{error}");
    assert!(node.asked("eth_call") < 30);
}

#[tokio::test]
async fn answers_that_no_contract_gives_are_typed_errors() {
    for read in [
        json!("0x"),
        json!("0x01"),
        json!("soon"),
        json!(5),
        Value::Null,
        json!({}),
    ] {
        let (_node, client) = client(1, read.clone()).await;
        let errors = [
            client.rounds().await.map(|_| ()),
            client.pool().await.map(|_| ()),
            client.transcoder(Address([2; 20])).await.map(|_| ()),
            client
                .sender_info(Address([2; 20]), Address([3; 20]))
                .await
                .map(|_| ()),
            client.used_tickets(&[Hash::ZERO]).await.map(|_| ()),
            client.delegator(Address([2; 20])).await.map(|_| ()),
            client.price_feed(Address([2; 20])).await.map(|_| ()),
        ];
        for error in errors {
            let error = error.unwrap_err();
            assert!(matches!(error, Error::Decoding { .. }), "{read}: {error}");
        }
    }
}

#[tokio::test]
async fn an_l2_number_never_stands_in_for_the_l1_number_on_arbitrum() {
    let (node, client) = client(42161, json!("0x")).await;
    node.set("eth_getBlockByNumber", block("0x12a05f200"));
    let error = client.head().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoL1Number {
                chain_id: 42161,
                ..
            }
        ),
        "{error}"
    );
    node.set("eth_call", word(20_000_000));
    assert_eq!(client.head().await.unwrap().l1_number, Some(20_000_000));

    let (node, client) = self::client(1, json!("0x")).await;
    node.set("eth_getBlockByNumber", block("0x10"));
    assert_eq!(client.head().await.unwrap().l1_number, Some(16));
}

#[tokio::test]
async fn another_block_or_receipt_than_asked_for_is_refused() {
    let (node, client) = client(1, word(7)).await;
    node.set("eth_getBlockByNumber", block("0x11"));
    assert!(client.block(16).await.is_err());
    assert_eq!(client.block(17).await.unwrap().unwrap().number, 17);
    let receipt = json!({
        "transactionHash": hash(9), "blockNumber": "0x1", "blockHash": hash(1), "status": "0x1",
        "gasUsed": "0x5208", "from": "0x0000000000000000000000000000000000000001", "logs": [],
    });
    node.set("eth_getTransactionReceipt", receipt);
    assert!(client.receipts(&[Hash([8; 32])]).await.is_err());
    let found = client.receipts(&[Hash([9; 32])]).await.unwrap();
    assert!(found[0].as_ref().unwrap().success);
}

#[tokio::test]
async fn what_an_old_contract_or_node_does_not_know_is_absence_not_failure() {
    let (node, client) = client(1, json!("0x")).await;
    assert_eq!(client.reward_caller(Address([2; 20])).await, Ok(None));
    assert_eq!(client.treasury_cut().await, Ok(U256::zero()));
    assert_eq!(client.max_priority_fee().await, Ok(None));
    node.set_error("eth_call", 3, "execution reverted");
    assert_eq!(client.reward_caller(Address([2; 20])).await, Ok(None));
    let claimable = client
        .claimable_reserve(Address([2; 20]), Address([3; 20]))
        .await;
    assert_eq!(
        claimable,
        Ok(U256::zero()),
        "the contract panics when more than the share was drawn"
    );
}

#[tokio::test]
async fn a_required_contract_that_vanishes_leaves_the_old_addresses() {
    let (node, client) = client(1, word(0)).await;
    let before = client.contracts();
    let error = client.refresh_contracts().await.unwrap_err();
    assert!(matches!(error, Error::NotRegistered { .. }), "{error}");
    assert_eq!(client.contracts(), before);
    node.play(Play::Raw(200, "[]".into()));
    node.set("eth_call", word(8));
    let changes = client.refresh_contracts().await.unwrap();
    assert_eq!(changes.len(), ContractName::ALL.len());
}
