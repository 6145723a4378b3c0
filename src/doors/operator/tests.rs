//! The operator port as its callers see it.

pub mod on_chain;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use parking_lot::Mutex;
use telemetry::metrics::{MetricsOptions, NodeType};

use super::view::*;
use super::*;
use crate::doors::Token;

pub struct Node {
    limit: Mutex<SessionLimit>,
    reasons: Mutex<Vec<Reason>>,
    chain: Mutex<Option<Arc<dyn ChainView>>>,
}

impl NodeView for Node {
    fn status(&self) -> NodeStatus {
        NodeStatus {
            node_id: "host".into(),
            version: "0.9.1".into(),
            runtime: "rustc 1.95.0".into(),
            orchestrator: true,
            chain_id: "0".into(),
            prices: [("default".to_owned(), "1/3".to_owned())].into(),
            ..NodeStatus::default()
        }
    }
    fn live(&self) -> Result<(), String> {
        if self.reasons.lock().is_empty() {
            Ok(())
        } else {
            Err("arbiter 2 is silent".into())
        }
    }
    fn ready(&self) -> Vec<Reason> {
        self.reasons.lock().clone()
    }
    fn max_sessions(&self) -> SessionLimit {
        *self.limit.lock()
    }
    fn set_max_sessions(&self, limit: SessionLimit) -> Result<(), String> {
        if limit == SessionLimit::Fixed(666) {
            return Err("not that many".into());
        }
        *self.limit.lock() = limit;
        Ok(())
    }
    fn set_draining(&self, draining: bool) -> Result<(), String> {
        let mut reasons = self.reasons.lock();
        reasons.retain(|reason| reason.code != "draining");
        if draining {
            reasons.push(Reason {
                code: "draining",
                text: "the node drains".into(),
            });
        }
        Ok(())
    }
    fn workers(&self) -> Vec<WorkerView> {
        vec![WorkerView {
            name: "cpu-1".into(),
            device: "cpu".into(),
            state: "busy".into(),
            pid: 7,
            sessions: 1,
            restarts: 2,
            memory_bytes: 3,
        }]
    }
    fn sessions(&self) -> Vec<SessionView> {
        Vec::new()
    }
    fn chain(&self) -> Option<Arc<dyn ChainView>> {
        self.chain.lock().clone()
    }
}

/// The state of a port over a node of so much chain.
pub fn state_of(chain: Option<Arc<dyn ChainView>>, monitor: bool) -> (OperatorState, Arc<Node>) {
    let node = Arc::new(Node {
        limit: Mutex::new(SessionLimit::Fixed(10)),
        reasons: Mutex::default(),
        chain: Mutex::new(chain),
    });
    let options = MetricsOptions {
        node_id: "host".into(),
        node_type: NodeType::Orchestrator,
        version: "0.9.1".into(),
        runtime: "rustc".into(),
        per_stream: false,
        client_ip: false,
    };
    let state = OperatorState {
        metrics: Arc::new(Metrics::new(&options).expect("table")),
        node: Arc::clone(&node) as Arc<dyn NodeView>,
        levels: None,
        monitor,
    };
    (state, node)
}

/// An answer as the tests look at it.
struct Answer {
    status: StatusCode,
    kind: String,
    body: String,
    bytes: Vec<u8>,
}

type Asking = Pin<Box<dyn Future<Output = Answer>>>;

/// The port without a socket, and the node behind it.
struct Desk {
    call: Box<dyn Fn(TestRequest) -> Asking>,
    node: Arc<Node>,
}

async fn desk(monitor: bool) -> Desk {
    desk_for(monitor, None).await
}

async fn desk_for(monitor: bool, token: Option<Token>) -> Desk {
    desk_on(monitor, token, None).await
}

async fn desk_on(monitor: bool, token: Option<Token>, chain: Option<Arc<dyn ChainView>>) -> Desk {
    let (state, node) = state_of(chain, monitor);
    let bind = OperatorBind {
        listen: Listen::Tcp(([127, 0, 0, 1], 0).into()),
        token,
        allowed_hosts: Vec::new(),
    };
    let app = App::new()
        .wrap(from_fn(measure))
        .app_data(web::Data::new(guard::Policy::of(&bind)))
        .configure(move |config| routes(config, state));
    let app = Rc::new(init_service(app).await);
    let call = move |request: TestRequest| -> Asking {
        let app = Rc::clone(&app);
        Box::pin(async move {
            let answer = call_service(&*app, request.to_request()).await;
            let status = answer.status();
            let kind = answer
                .headers()
                .get("content-type")
                .map(|kind| kind.to_str().expect("text").to_owned());
            let bytes = read_body(answer).await.to_vec();
            Answer {
                status,
                kind: kind.unwrap_or_default(),
                body: String::from_utf8_lossy(&bytes).into_owned(),
                bytes,
            }
        })
    };
    Desk {
        call: Box::new(call),
        node,
    }
}

fn get(path: &str) -> TestRequest {
    TestRequest::get()
        .uri(path)
        .insert_header(("host", "127.0.0.1:7935"))
}

fn form(path: &str, body: &str) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("host", "localhost:7935"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(body.to_owned())
}

fn json(path: &str, body: &str) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("host", "localhost:7935"))
        .insert_header(("content-type", "application/json"))
        .set_payload(body.to_owned())
}

impl Desk {
    async fn ask(&self, request: TestRequest) -> (StatusCode, String) {
        let answer = (self.call)(request).await;
        (answer.status, answer.body)
    }

    async fn expect(&self, request: TestRequest, status: u16, body: &str) {
        let (got, text) = self.ask(request).await;
        assert_eq!((got.as_u16(), text.as_str()), (status, body));
    }
}

#[actix_web::test]
async fn status_is_byte_for_byte_the_reference_s() {
    let desk = desk(false).await;
    let expected = format!(
        concat!(
            r#"{{"Manifests":{{}},"InternalManifests":{{}},"StreamInfo":{{}},"OrchestratorPool":[],"#,
            r#""OrchestratorPoolInfos":null,"Version":"0.9.1","GolangRuntimeVersion":"rustc 1.95.0","GOArch":"{}","#,
            r#""GOOS":"linux","RegisteredTranscodersNumber":0,"RegisteredTranscoders":[],"LocalTranscoding":true,"#,
            r#""BroadcasterPrices":{{"default":"1/3"}}}}"#
        ),
        if cfg!(target_arch = "x86_64") {
            "amd64"
        } else {
            "arm64"
        }
    );
    desk.expect(get("/status"), 200, &expected).await;
}

#[actix_web::test]
async fn livepeer_cli_finds_its_menu() {
    let desk = desk(false).await;
    desk.expect(get("/IsOrchestrator"), 200, "true").await;
    desk.expect(get("/IsRedeemer"), 200, "false").await;
    desk.expect(get("/EthChainID"), 200, "0").await;
    desk.expect(get("/getLogLevel"), 500, "nil log level\n")
        .await;
}

#[actix_web::test]
async fn max_sessions_is_set_by_form_or_query() {
    let desk = desk(false).await;
    desk.expect(
        form("/setMaxSessions", "maxSessions=25"),
        200,
        "Max sessions set to 25\n",
    )
    .await;
    assert_eq!(*desk.node.limit.lock(), SessionLimit::Fixed(25));
    desk.expect(
        get("/setMaxSessions?maxSessions=auto"),
        200,
        "Max sessions set to auto\n",
    )
    .await;
    desk.expect(
        form("/setMaxSessions?maxSessions=3", "maxSessions=4"),
        200,
        "Max sessions set to 4\n",
    )
    .await;
    let low = "Max Sessions must be 'auto' or greater than zero\n";
    desk.expect(form("/setMaxSessions", "maxSessions=0"), 400, low)
        .await;
    desk.expect(
        form("/setMaxSessions", ""),
        400,
        "missing form param: maxSessions\n",
    )
    .await;
    desk.expect(
        form("/setMaxSessions", "maxSessions=a"),
        400,
        "strconv.Atoi: parsing \"a\": invalid syntax\n",
    )
    .await;
    desk.expect(
        form("/setMaxSessions", "maxSessions=666"),
        400,
        "not that many\n",
    )
    .await;
    assert_eq!(*desk.node.limit.lock(), SessionLimit::Fixed(4));
}

#[actix_web::test]
async fn a_drain_is_ordered_taken_back_and_seen() {
    let desk = desk(false).await;
    let path = "/api/v1/drain";
    let (status, body) = desk.ask(json(path, r#"{"draining":true}"#)).await;
    assert_eq!(status, 200);
    assert!(body.contains(r#""code":"draining""#), "{body}");
    let (_, body) = desk.ask(json(path, r#"{"draining":false}"#)).await;
    assert!(body.contains(r#""ready":true"#), "{body}");
    assert_eq!(desk.ask(json(path, r#"{"draining":1}"#)).await.0, 400);
}

#[actix_web::test]
async fn the_new_api_changes_by_json_post_only() {
    let desk = desk(false).await;
    let path = "/api/v1/max-sessions";
    let (status, body) = desk.ask(json(path, r#"{"max_sessions":7}"#)).await;
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_str(&body).expect("json");
    assert_eq!(
        (&body["max_sessions"], &body["ready"]),
        (&7.into(), &true.into())
    );
    assert_eq!(
        desk.ask(json(path, r#"{"max_sessions":"auto"}"#)).await.0,
        200
    );
    for wrong in [
        r#"{"max_sessions":0}"#,
        r#"{"max_sessions":-1}"#,
        r#"{"max_sessions":"x"}"#,
        "{}",
        "",
        "[",
        r#"{"max_sessions":1,"y":2}"#,
    ] {
        assert_eq!(desk.ask(json(path, wrong)).await.0, 400, "{wrong}");
    }
    assert_eq!(desk.ask(json(path, r#"{"max_sessions":666}"#)).await.0, 409);
    assert_eq!(desk.ask(form(path, "max_sessions=7")).await.0, 415);
    assert_eq!(desk.ask(get(path)).await.0, 405);
    assert_eq!(desk.ask(json("/api/v1/status", "{}")).await.0, 405);
}

#[actix_web::test]
async fn readiness_tells_its_reasons() {
    let desk = desk(true).await;
    desk.expect(get("/livez"), 200, "ok\n").await;
    desk.expect(get("/readyz"), 200, r#"{"ready":true,"reasons":[]}"#)
        .await;
    desk.node.reasons.lock().push(Reason {
        code: "draining",
        text: "the node drains".into(),
    });
    desk.expect(
        get("/readyz"),
        503,
        r#"{"ready":false,"reasons":[{"code":"draining","text":"the node drains"}]}"#,
    )
    .await;
    desk.expect(get("/livez"), 503, "arbiter 2 is silent\n")
        .await;
    let (_, page) = desk.ask(get("/metrics")).await;
    assert!(
        page.contains(r#"orchestrion_ready{node_id="host",node_type="orch"} 0"#),
        "{page}"
    );
}

#[actix_web::test]
async fn metrics_are_there_only_when_asked_for() {
    desk(false)
        .await
        .expect(get("/metrics"), 404, "404 page not found\n")
        .await;
    let desk = desk(true).await;
    desk.ask(get("/nowhere/else?x=1")).await;
    let answer = (desk.call)(get("/metrics")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.kind.as_str()),
        (200, "text/plain; version=0.0.4")
    );
    let (_, page) = desk.ask(get("/metrics")).await;
    assert!(
        page.contains(
            r#"code="2xx",door="operator",node_id="host",node_type="orch",route="/metrics""#
        ),
        "{page}"
    );
    assert!(!page.contains("nowhere"), "a stranger's path is no label");
}

#[actix_web::test]
async fn rebinding_and_foreign_pages_are_refused_on_every_route() {
    let desk = desk(true).await;
    for path in [
        "/status",
        "/setMaxSessions?maxSessions=1",
        "/metrics",
        "/livez",
        "/api/v1/status",
        "/nowhere",
    ] {
        let rebound = TestRequest::get()
            .uri(path)
            .insert_header(("host", "evil.example:7935"));
        assert_eq!(desk.ask(rebound).await.0, 403, "{path}");
        let foreign = get(path).insert_header(("sec-fetch-site", "cross-site"));
        assert_eq!(desk.ask(foreign).await.0, 403, "{path}");
    }
    assert_eq!(*desk.node.limit.lock(), SessionLimit::Fixed(10));
}

#[actix_web::test]
async fn the_token_guards_everything_but_the_empty_page() {
    let desk = desk_for(true, Token::new("0123456789abcdef")).await;
    for path in [
        "/status",
        "/metrics",
        "/readyz",
        "/api/v1/workers",
        "/setMaxSessions?maxSessions=1",
    ] {
        assert_eq!(desk.ask(get(path)).await.0, 401, "{path}");
        let open = get(path).insert_header(("authorization", "Bearer 0123456789abcdef"));
        assert_eq!(desk.ask(open).await.0, 200, "{path}");
    }
    assert_eq!(desk.ask(get("/")).await.0, 200);
}

#[actix_web::test]
async fn a_body_over_the_limit_is_refused() {
    let desk = desk(false).await;
    let large = TestRequest::post()
        .uri("/setMaxSessions")
        .insert_header(("host", "localhost"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload("x".repeat(limits::BODY_BYTES + 1));
    assert_eq!(desk.ask(large).await.0, 413);
}

#[actix_web::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let desk = desk(false).await;
    let (status, page) = desk.ask(get("/")).await;
    assert_eq!(status, 200);
    for outside in ["http://", "https://", "//cdn", "@import", "innerHTML"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[actix_web::test]
async fn workers_are_listed() {
    let desk = desk(false).await;
    let expected = r#"[{"name":"cpu-1","device":"cpu","state":"busy","pid":7,"sessions":1,"restarts":2,"memory_bytes":3}]"#;
    desk.expect(get("/api/v1/workers"), 200, expected).await;
    desk.expect(get("/api/v1/sessions"), 200, "[]").await;
}

#[actix_web::test]
async fn a_bound_server_answers_on_its_socket() {
    let desk = desk(false).await;
    let options = MetricsOptions {
        node_id: String::new(),
        node_type: NodeType::Orchestrator,
        version: String::new(),
        runtime: String::new(),
        per_stream: false,
        client_ip: false,
    };
    let state = OperatorState {
        metrics: Arc::new(Metrics::new(&options).expect("table")),
        node: desk.node.clone() as Arc<dyn NodeView>,
        levels: None,
        monitor: false,
    };
    let bind = OperatorBind {
        listen: Listen::Tcp(([127, 0, 0, 1], 0).into()),
        token: None,
        allowed_hosts: Vec::new(),
    };
    let OperatorServer { server, addresses } = server(state, bind).expect("bound");
    let handle = server.handle();
    let serving = actix_rt::spawn(server);
    let address = addresses[0];
    let answer = actix_rt::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.write_all(
            b"GET /IsOrchestrator HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    });
    let answer = answer.await.expect("joined").expect("answered");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\ntrue"),
        "{answer}"
    );
    handle.stop(true).await;
    serving.await.expect("joined").expect("ended well");
}
