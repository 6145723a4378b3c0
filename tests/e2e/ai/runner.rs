//! `orchestrion runner` as a runner that others run: the node asks it by its URL, and gives the same answers as by itself.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::client::{LLM, UPSCALER, models_dir, native, start};
use crate::gateway::builder;
use crate::node::{Home, PATIENCE, free_port, program};

const TOKEN: &str = "a-token-of-the-tests";

/// A runner as a process of its own.
pub struct RunnerProcess {
    pub url: String,
    child: Child,
}

impl RunnerProcess {
    /// Starts one and returns when it is healthy.
    pub async fn start(pipeline: &str, model: &str) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let child = program(&["runner", "-pipeline", pipeline, "-model", model])
            .args([
                "-listen",
                &listen,
                "-token",
                TOKEN,
                "-threads",
                "1",
                "-modelsDir",
            ])
            .arg(models_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start a runner");
        let runner = Self {
            url: format!("http://{listen}"),
            child,
        };
        let client = builder().build().expect("client");
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let asked = client.get(format!("{}/health", runner.url)).send().await;
            if let Ok(answer) = asked
                && answer.json::<Value>().await.expect("JSON")["status"] == "OK"
            {
                return runner;
            }
            assert!(
                std::time::Instant::now() < until,
                "the runner is not healthy"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

impl Drop for RunnerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_answers_the_same_natively_and_behind_a_url() {
    let question = "List the months of the year.";
    let (own, text, picture) = {
        let home = Home::with_tls();
        let (node, asker) = start(&home, &native(1)).await;
        (node, asker.says(question, 40).await, asker.upscaled().await)
    };
    drop(own);
    let llm = RunnerProcess::start("llm", LLM).await;
    let upscaler = RunnerProcess::start("upscale", UPSCALER).await;
    let home = Home::with_tls();
    let models = json!([
        {"pipeline": "llm", "model_id": LLM, "warm": true, "url": llm.url, "token": TOKEN},
        {"pipeline": "upscale", "model_id": UPSCALER, "warm": true, "url": upscaler.url, "token": TOKEN},
    ]);
    let (_node, asker) = start(&home, &models).await;
    assert_eq!(asker.says(question, 40).await, text);
    assert!(asker.upscaled().await == picture, "every pixel");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_answers_as_containers_do() {
    let runner = RunnerProcess::start("llm", LLM).await;
    let client = builder().build().expect("client");
    let url = format!("{}/llm", runner.url);
    let ask = |fields: Value| client.post(&url).bearer_auth(TOKEN).json(&fields);
    let said = |answer: reqwest::Response| async move {
        let status = answer.status().as_u16();
        (
            status,
            answer.json::<Value>().await.expect("JSON")["detail"]["msg"].clone(),
        )
    };
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let answer = client
        .post(&url)
        .json(&json!({}))
        .send()
        .await
        .expect("answer");
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    assert_eq!(said(answer).await, (401, json!("Invalid bearer token.")));
    let other = ask(json!({"messages": messages, "model": "other"}))
        .send()
        .await;
    let (status, text) = said(other.expect("answer")).await;
    assert_eq!(
        (status, text),
        (
            400,
            json!(format!(
                "pipeline configured with {LLM} but called with other"
            ))
        )
    );
    let (status, _) = said(ask(json!({"messages": []})).send().await.expect("answer")).await;
    assert_eq!(status, 400);
    let stream =
        ask(json!({"messages": messages, "max_tokens": 3, "temperature": 0, "stream": true}));
    let body = stream
        .send()
        .await
        .expect("answer")
        .text()
        .await
        .expect("stream");
    assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    let version = client
        .get(format!("{}/version", runner.url))
        .send()
        .await
        .expect("answer");
    assert_eq!(
        version.json::<Value>().await.expect("JSON")["model_id"],
        LLM
    );
}
