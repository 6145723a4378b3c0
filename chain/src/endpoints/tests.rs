//! The transport against scripted nodes on loopback.

use std::collections::VecDeque;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use ethers::providers::{Middleware, Provider};
use serde_json::json;
use telemetry::metrics::{Metrics, MetricsOptions, NodeType};

use super::*;

/// What a scripted node does next.
#[derive(Debug, Clone)]
pub(crate) enum Play {
    /// Answers each call by its method from the script's table.
    Table,
    /// This status and body.
    Raw(u16, String),
    /// 429 with `Retry-After`.
    Limited,
    /// Never answers.
    Hang,
}

#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Results by method.
    pub table: std::collections::HashMap<String, Result<Value, Value>>,
    pub plays: VecDeque<Play>,
    pub largest_batch: Option<usize>,
    /// Bodies received.
    pub seen: Vec<Value>,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub script: Arc<Mutex<Script>>,
    address: SocketAddr,
}

impl Node {
    pub async fn start(chain_id: u64) -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let node = Self { script, address };
        node.set("eth_chainId", json!(format!("{chain_id:#x}")));
        node
    }

    pub fn set(&self, method: &str, result: Value) {
        self.script.lock().table.insert(method.into(), Ok(result));
    }

    pub fn set_error(&self, method: &str, code: i64, message: &str) {
        let error = json!({ "code": code, "message": message });
        self.script.lock().table.insert(method.into(), Err(error));
    }

    pub fn play(&self, play: Play) {
        self.script.lock().plays.push_back(play);
    }

    pub fn url(&self) -> EndpointUrl {
        EndpointUrl::parse(&format!("http://{}/k3y", self.address)).unwrap()
    }

    /// How often a method was asked, in batches or alone.
    pub fn asked(&self, method: &str) -> usize {
        let script = self.script.lock();
        let calls = script.seen.iter().flat_map(|body| match body {
            Value::Array(calls) => calls.clone(),
            call => vec![call.clone()],
        });
        calls.filter(|call| call["method"] == method).count()
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let play = {
        let mut script = script.lock();
        script.seen.push(body.clone());
        script.plays.pop_front().unwrap_or(Play::Table)
    };
    let mut headers = HeaderMap::new();
    let (status, text) = match play {
        Play::Hang => std::future::pending().await,
        Play::Raw(status, text) => (status, text),
        Play::Limited => {
            headers.insert(RETRY_AFTER, "7".parse().unwrap());
            (429, "slow down".to_owned())
        }
        Play::Table => (200, table(&script.lock(), &body).to_string()),
    };
    (StatusCode::from_u16(status).unwrap(), headers, text)
}

fn table(script: &Script, body: &Value) -> Value {
    let one = |call: &Value| {
        let method = call["method"].as_str().unwrap_or_default();
        match script.table.get(method) {
            Some(Ok(result)) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Some(Err(error)) => json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }),
            None => {
                json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": -32601, "message": "no such method" } })
            }
        }
    };
    match body {
        Value::Array(calls) if script.largest_batch.is_some_and(|most| calls.len() > most) => {
            json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32600, "message": "batch too long" } })
        }
        Value::Array(calls) => calls.iter().map(one).collect(),
        call => one(call),
    }
}

pub(crate) fn metrics() -> ChainMetrics {
    let options = MetricsOptions {
        node_id: "test".into(),
        node_type: NodeType::Orchestrator,
        version: String::new(),
        runtime: String::new(),
        per_stream: false,
        client_ip: false,
    };
    Metrics::new(&options).unwrap().chain
}

pub(crate) fn transport(
    nodes: &[&Node],
    tune: impl FnOnce(&mut EndpointOptions),
) -> Arc<Endpoints> {
    let mut options = EndpointOptions::new(nodes.iter().map(|node| node.url()).collect());
    options.timeout = Duration::from_millis(500);
    options.pass_wait = Duration::from_millis(1);
    tune(&mut options);
    Endpoints::new(options, metrics()).unwrap()
}

fn gas_price() -> Question {
    Question::new("eth_gasPrice", json!([]))
}

#[tokio::test]
async fn faults_of_the_first_lead_to_the_second_and_stay_there() {
    for play in [
        Play::Raw(503, String::new()),
        Play::Raw(200, "<html>".into()),
        Play::Raw(200, "{}".into()),
        Play::Limited,
        Play::Hang,
        Play::Raw(
            200,
            r#"{"id":2,"error":{"code":-32005,"message":"daily request count exceeded"}}"#.into(),
        ),
    ] {
        let (first, second) = (Node::start(1).await, Node::start(1).await);
        first.set("eth_gasPrice", json!("0x1"));
        second.set("eth_gasPrice", json!("0x2"));
        let endpoints = transport(&[&first, &second], |_| ());
        assert_eq!(endpoints.chain_id().await.unwrap(), 1);
        first.play(play.clone());
        for _ in 0..3 {
            let (value, by) = endpoints.ask_one(gas_price()).await.unwrap();
            assert_eq!((value, by), (json!("0x2"), 1), "{play:?}");
        }
        assert_eq!(first.asked("eth_gasPrice"), 1, "it rests after {play:?}");
        let snapshot = endpoints.snapshot();
        let excluded = snapshot[0].excluded.as_ref().unwrap();
        assert_eq!(excluded.as_str(), "failing", "{play:?}");
        assert_eq!(
            (snapshot[0].errors, snapshot[1].excluded.as_ref()),
            (1, None)
        );
    }
}

#[tokio::test]
async fn an_error_of_the_chain_is_an_answer_and_no_fault() {
    let (first, second) = (Node::start(1).await, Node::start(1).await);
    first.set_error("eth_gasPrice", 3, "execution reverted: too many requests");
    second.set("eth_gasPrice", json!("0x2"));
    let endpoints = transport(&[&first, &second], |_| ());
    let error = endpoints.ask_one(gas_price()).await.unwrap_err();
    assert!(matches!(error, Error::Rpc { code: 3, .. }), "{error}");
    assert_eq!(second.asked("eth_gasPrice"), 0);
    assert_eq!(endpoints.snapshot()[0].excluded, None);
}

#[tokio::test]
async fn what_one_node_lacks_another_is_asked_for() {
    let (first, second) = (Node::start(1).await, Node::start(1).await);
    first.set_error("eth_call", -32000, "header not found");
    second.set("eth_call", json!("0x01"));
    let endpoints = transport(&[&first, &second], |_| ());
    let call = Question::new("eth_call", json!([]));
    assert_eq!(
        endpoints.ask_one(call.clone()).await.unwrap(),
        (json!("0x01"), 1)
    );
    second.set_error("eth_call", -32000, "header not found");
    let error = endpoints.ask_one(call).await.unwrap_err();
    assert!(matches!(error, Error::Rpc { .. }), "nobody has it: {error}");
}

#[tokio::test]
async fn an_end_point_of_another_chain_is_never_believed() {
    let (wrong, right) = (Node::start(5).await, Node::start(1).await);
    wrong.set("eth_gasPrice", json!("0x1"));
    right.set("eth_gasPrice", json!("0x2"));
    let endpoints = transport(&[&wrong, &right], |o| o.chain_id = Some(1));
    assert_eq!(
        endpoints.ask_one(gas_price()).await.unwrap().0,
        json!("0x2")
    );
    assert_eq!(wrong.asked("eth_gasPrice"), 0);
    let excluded = endpoints.snapshot()[0].excluded.clone();
    assert_eq!(excluded, Some(Exclusion::WrongChain { found: 5 }));

    let alone = transport(&[&wrong], |o| o.chain_id = Some(1));
    let error = alone.ask_one(gas_price()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::WrongChain {
                expected: 1,
                found: 5,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(wrong.asked("eth_gasPrice"), 0);
}

#[tokio::test]
async fn a_node_that_comes_back_as_another_chain_is_refused() {
    let node = Node::start(1).await;
    node.set("eth_gasPrice", json!("0x1"));
    let endpoints = transport(&[&node], |o| o.passes = 1);
    endpoints.ask_one(gas_price()).await.unwrap();
    node.play(Play::Raw(502, String::new()));
    endpoints.ask_one(gas_price()).await.unwrap_err();
    node.set("eth_chainId", json!("0x5"));
    let asked = node.asked("eth_gasPrice");
    let error = endpoints.ask_one(gas_price()).await.unwrap_err();
    assert!(
        matches!(error, Error::WrongChain { found: 5, .. }),
        "{error}"
    );
    assert_eq!(node.asked("eth_gasPrice"), asked);
}

#[tokio::test]
async fn a_batch_is_one_request_and_shrinks_for_a_provider_that_takes_fewer() {
    let node = Node::start(1).await;
    node.set("eth_gasPrice", json!("0x1"));
    let endpoints = transport(&[&node], |_| ());
    endpoints.chain_id().await.unwrap();
    let questions = vec![gas_price(); 40];
    let before = node.script.lock().seen.len();
    let (answers, _) = endpoints.ask(&questions).await.unwrap();
    assert!(answers.iter().all(|answer| *answer == Ok(json!("0x1"))));
    assert_eq!(node.script.lock().seen.len() - before, 1);

    for most in [3, 0] {
        node.script.lock().largest_batch = Some(most);
        let (answers, _) = endpoints.ask(&questions).await.unwrap();
        assert_eq!(answers.len(), 40);
        assert!(answers.iter().all(Result::is_ok), "{most}");
        let limit = endpoints.snapshot()[0].batch_limit;
        assert_eq!(limit, if most == 3 { 2 } else { 1 });
    }
    assert_eq!(endpoints.snapshot()[0].excluded, None);
}

#[tokio::test]
async fn one_limited_answer_of_a_batch_is_had_from_another_end_point() {
    let (first, second) = (Node::start(1).await, Node::start(1).await);
    second.set("eth_gasPrice", json!("0x2"));
    let endpoints = transport(&[&first, &second], |_| ());
    endpoints.chain_id().await.unwrap();
    let mixed =
        r#"[{"id":3,"result":"0x1"},{"id":4,"error":{"code":429,"message":"compute units"}}]"#;
    first.play(Play::Raw(200, mixed.into()));
    let (answers, _) = endpoints.ask(&[gas_price(), gas_price()]).await.unwrap();
    assert_eq!(answers, [Ok(json!("0x1")), Ok(json!("0x2"))]);
}

#[tokio::test]
async fn a_huge_answer_is_cut_off_and_asks_for_less() {
    let node = Node::start(1).await;
    node.set("eth_getLogs", json!("x".repeat(5_000)));
    let endpoints = transport(&[&node], |o| o.max_answer = 1_000);
    let logs = Question::new("eth_getLogs", json!([]));
    let (answers, _) = endpoints.ask(&[logs]).await.unwrap();
    let error = answers[0].clone().unwrap_err();
    assert!(wire::asks_for_less(&error), "{error:?}");
    assert_eq!(
        endpoints.snapshot()[0].excluded,
        None,
        "it did nothing wrong"
    );
}

#[tokio::test]
async fn nobody_answering_is_told_without_keys() {
    let node = Node::start(1).await;
    for _ in 0..4 {
        node.play(Play::Raw(500, "secret page".into()));
    }
    let closed = EndpointUrl::parse("http://user:s3cret@127.0.0.1:9/k3y").unwrap();
    let endpoints = transport(&[&node], |o| o.urls.push(closed));
    let error = endpoints.ask_one(gas_price()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Unavailable { .. }) && error.retryable());
    assert!(
        text.contains("status 500") && text.contains("127.0.0.1:9"),
        "{text}"
    );
    assert!(!text.contains("k3y") && !text.contains("s3cret"), "{text}");
    assert!(!format!("{endpoints:?}").contains("k3y"));
}

#[tokio::test]
async fn a_head_that_is_far_behind_is_passed_over_until_it_catches_up() {
    let (slow, fast) = (Node::start(1).await, Node::start(1).await);
    slow.set("eth_blockNumber", json!("0x10"));
    fast.set("eth_blockNumber", json!("0x1000"));
    slow.set("eth_gasPrice", json!("0x1"));
    fast.set("eth_gasPrice", json!("0x2"));
    let endpoints = transport(&[&slow, &fast], |_| ());
    endpoints.probe().await;
    assert_eq!(
        endpoints.ask_one(gas_price()).await.unwrap().0,
        json!("0x2")
    );
    let snapshot = endpoints.snapshot();
    assert_eq!(
        snapshot[0].excluded,
        Some(Exclusion::Behind { blocks: 0xff0 })
    );
    assert_eq!((snapshot[0].lag, snapshot[1].lag), (0xff0, 0));
    slow.set("eth_blockNumber", json!("0x1001"));
    endpoints.probe().await;
    assert_eq!(
        endpoints.ask_one(gas_price()).await.unwrap().0,
        json!("0x1")
    );
}

#[tokio::test]
async fn the_budget_holds_calls_up() {
    let node = Node::start(1).await;
    node.set("eth_gasPrice", json!("0x1"));
    let endpoints = transport(&[&node], |o| o.calls_per_second = NonZeroU32::new(100));
    let start = Instant::now();
    // 1 for the chain, 100 at once from the full bucket, 29 at 100 a second
    endpoints.ask(&vec![gas_price(); 129]).await.unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(250),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(node.asked("eth_gasPrice"), 129);
}

#[tokio::test]
async fn ethers_can_use_the_transport() {
    let (first, second) = (Node::start(1).await, Node::start(1).await);
    first.play(Play::Raw(503, String::new()));
    second.set("eth_gasPrice", json!("0x77359400"));
    let provider = Provider::new(transport(&[&first, &second], |_| ()));
    assert_eq!(
        provider.get_gas_price().await.unwrap().as_u64(),
        2_000_000_000
    );
}
