//! What the node adds to a runner's answer: the same runner is asked directly and through the node, in turn. It answers at once, so
//! that nothing else is in the figures.

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::ai::Pipeline;
use reqwest::RequestBuilder;
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::client::{Asker, question_of, start};
use crate::media;
use crate::node::Home;
use crate::support::percentile;

const REQUESTS: usize = 1000;
const MODEL: &str = "bench";

/// Times of one kind of request, ms.
#[derive(Debug, Serialize)]
pub struct Overhead {
    pub requests: usize,
    pub runner_p50_ms: f64,
    pub runner_p99_ms: f64,
    pub node_p50_ms: f64,
    pub node_p99_ms: f64,
}

impl Overhead {
    fn of(runner: &[f64], node: &[f64]) -> Self {
        Self {
            requests: node.len(),
            runner_p50_ms: percentile(runner, 0.5),
            runner_p99_ms: percentile(runner, 0.99),
            node_p50_ms: percentile(node, 0.5),
            node_p99_ms: percentile(node, 0.99),
        }
    }

    /// What the node adds at this percentile, ms.
    pub fn added(&self, share: f64) -> f64 {
        if share > 0.5 {
            self.node_p99_ms - self.runner_p99_ms
        } else {
            self.node_p50_ms - self.runner_p50_ms
        }
    }

    pub fn row(&self, what: &str) -> String {
        format!(
            "| {what} | {:.2} | {:.2} | {:.2} | {:.2} |\n",
            self.runner_p50_ms, self.runner_p99_ms, self.node_p50_ms, self.node_p99_ms
        )
    }
}

/// A short text, and a picture of a megabyte.
pub async fn measure() -> [Overhead; 2] {
    let runner = runner().await;
    let entry = |pipeline: &str| json!({"pipeline": pipeline, "model_id": MODEL, "warm": true, "url": runner, "capacity": 4});
    let home = Home::with_tls();
    let models = json!([entry("llm"), entry("text-to-image")]);
    let (_node, asker) = start(&home, &models).await;
    let mut question = question_of("Hello", 3, false);
    question["model"] = json!(MODEL);
    let prompt = json!({"model_id": MODEL, "prompt": "a dog"});
    [
        both(&asker, Pipeline::Llm, &runner, &question).await,
        both(&asker, Pipeline::TextToImage, &runner, &prompt).await,
    ]
}

async fn both(
    asker: &Asker,
    pipeline: Pipeline,
    runner: &str,
    body: &serde_json::Value,
) -> Overhead {
    let (mut bare, mut through) = (Vec::new(), Vec::new());
    let client = reqwest::Client::new();
    for _ in 0..REQUESTS {
        let direct = client.post(format!("{runner}{}", pipeline.path()));
        bare.push(time(direct.json(body)).await);
        // Discovery is a request of its own, and not in the figure.
        let request = asker.request(pipeline, MODEL).await;
        through.push(time(request.json(body)).await);
    }
    Overhead::of(&bare, &through)
}

async fn time(request: RequestBuilder) -> f64 {
    let begun = Instant::now();
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("the whole answer");
    begun.elapsed().as_secs_f64() * 1000.0
}

/// A runner that answers at once; its base URL.
async fn runner() -> String {
    let text = json!({
        "id": "1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
    });
    let picture = STANDARD.encode(media::noise(1_000_000));
    let picture = json!({
        "images": [{"url": format!("data:image/png;base64,{picture}"), "seed": 1, "nsfw": false}],
    });
    let answer = |value: serde_json::Value| {
        let text = value.to_string();
        move || {
            let text = text.clone();
            async move { ([(header::CONTENT_TYPE, "application/json")], text) }
        }
    };
    let router = Router::new()
        .route("/health", get(answer(json!({"status": "OK"}))))
        .route(
            "/version",
            get(answer(
                json!({"pipeline": "", "model_id": MODEL, "version": "1"}),
            )),
        )
        .route("/llm", post(answer(text)))
        .route("/text-to-image", post(answer(picture)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    format!("http://{address}")
}
