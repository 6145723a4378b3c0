//! A gateway that asks for AI, and the nodes that it asks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::ai::Pipeline;
use protocol::capabilities::{Capabilities, Capability, ModelConstraint};
use protocol::discovery::off_chain_request;
use protocol::pb;
use protocol::segment::SegmentCredentials;
use protocol::signature::keccak256;
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::gateway::{Gateway, segment_header};
use crate::node::{Home, Node};

/// The language model of the tests.
pub const LLM: &str = "smollm2-135m";
/// The upscaler of the tests.
pub const UPSCALER: &str = "esrgan-slim-x2";

/// Where the weights are.
pub fn models_dir() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/models");
    assert!(
        directory.join(".complete").is_file(),
        "the weights are missing: `./setup.sh models` fetches them"
    );
    directory
}

/// A sample picture: `small.png`, or what the network makes of it, `twice.png`.
pub fn sample(name: &str) -> Vec<u8> {
    std::fs::read(models_dir().join("samples").join(name)).expect("a sample")
}

/// How often a test kills what it kills; `ORCHESTRION_KILLS` asks for more.
pub fn kills(few: usize) -> usize {
    let asked = std::env::var("ORCHESTRION_KILLS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// How long nobody could be served after each kill.
pub fn print_absences(what: &str, mut away: Vec<Duration>) {
    away.sort();
    println!(
        "{} kills of {what}: served again after {:?} (median), {:?} at most",
        away.len(),
        away[away.len() / 2],
        away[away.len() - 1]
    );
}

/// Reads a streamed answer to whatever end it comes to; nobody waits for ever.
pub async fn drained(mut held: Response) {
    let end = async { while let Ok(Some(_)) = held.chunk().await {} };
    tokio::time::timeout(Duration::from_secs(10), end)
        .await
        .expect("the stream ends");
}

/// Both models, natively.
pub fn native(capacity: usize) -> Value {
    json!([
        {"pipeline": "llm", "model_id": LLM, "warm": true, "runner": "native", "capacity": capacity},
        {"pipeline": "upscale", "model_id": UPSCALER, "warm": true, "runner": "native"},
    ])
}

/// Options of an AI node at `home` that serves `models`.
pub fn options(home: &Home, models: &Value) -> Vec<String> {
    let file = home.directory().join("models.json");
    std::fs::write(&file, models.to_string()).expect("written");
    [
        "-orchestrator",
        "-aiWorker",
        "-failureRatePerMinute",
        "1000000",
        "-aiModels",
        &file.to_string_lossy(),
        "-aiModelsDir",
        &models_dir().to_string_lossy(),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A node that serves `models`; returns when all of them are in discovery.
pub async fn start(home: &Home, models: &Value) -> (Node, Asker) {
    let options = options(home, models);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let node = home.start(&options).await;
    let asker = Asker::of(&node);
    for model in models.as_array().expect("a list") {
        let text = |name: &str| model[name].as_str().expect("text").to_owned();
        let pipeline = Pipeline::from_name(&text("pipeline")).expect("known");
        node.until("a model in discovery", async || {
            let free = asker.free(pipeline, &text("model_id")).await;
            free.filter(|free| *free > 0)
        })
        .await;
    }
    (node, asker)
}

/// Asks one node.
#[derive(Clone)]
pub struct Asker {
    pub gateway: Gateway,
}

impl Asker {
    pub fn of(node: &Node) -> Self {
        Self {
            gateway: Gateway::of(node),
        }
    }

    /// What a gateway demands that looks for a model.
    pub fn demand(pipeline: Pipeline, model: &str) -> Capabilities {
        let wanted = Capability::VIDEO_DEFAULT.iter().copied();
        let set = wanted.chain([pipeline.capability()]).collect();
        let mut demand = Capabilities::of(set, "");
        let models = [(model.to_owned(), ModelConstraint::default())].into();
        demand.models.insert(pipeline.capability().number(), models);
        demand
    }

    /// Discovery for a model.
    pub async fn discover(&self, pipeline: Pipeline, model: &str) -> pb::OrchestratorInfo {
        self.ask(&Self::demand(pipeline, model)).await
    }

    /// Discovery.
    pub async fn ask(&self, demand: &Capabilities) -> pb::OrchestratorInfo {
        let request = off_chain_request(demand);
        let asked = self.gateway.rpc("GetOrchestrator", &request);
        asked.await.expect("discovery")
    }

    /// Free places of a model, if it is found and everything that a gateway demands beside it is offered.
    pub async fn free(&self, pipeline: Pipeline, model: &str) -> Option<u32> {
        let info = self.discover(pipeline, model).await;
        let offered = Capabilities::from_pb(info.capabilities);
        let demand = Self::demand(pipeline, model);
        demand.satisfied_by(&offered).ok()?;
        let number = pipeline.capability().number();
        Some(offered.models.get(&number)?.get(model)?.capacity)
    }

    /// A request with the headers of a gateway, without a body.
    pub async fn request(&self, pipeline: Pipeline, model: &str) -> RequestBuilder {
        let info = self.discover(pipeline, model).await;
        let data = SegmentCredentials {
            manifest_id: pipeline.manifest(model).into_bytes(),
            seq: 0,
            hash: keccak256(b""),
            profiles: vec![],
            duration_ms: 0,
            capabilities: Self::demand(pipeline, model),
            auth_token: info.auth_token,
            clip: None,
            storage: None,
            calc_perceptual_hash: false,
            force_reinit: false,
            sig: Vec::new(),
        }
        .to_pb();
        self.gateway
            .h2
            .post(self.gateway.url(pipeline.path()))
            .header("livepeer-segment", segment_header(&data))
            .header("livepeer-payment", "")
            .header("authorization", "Livepeer-AI-Worker-1.0")
    }

    /// Asks the language model.
    pub async fn chat(&self, fields: Value) -> Response {
        let model = fields["model"].as_str().unwrap_or(LLM).to_owned();
        let request = self.request(Pipeline::Llm, &model).await;
        request.json(&fields).send().await.expect("an answer")
    }

    /// An answer of the language model that goes on for long.
    pub async fn long(&self) -> Response {
        let story = question_of("Write a long story about a dog.", 2000, true);
        let mut held = self.chat(story).await;
        held.chunk().await.expect("stream").expect("a part");
        held
    }

    /// The whole text of an answer of the language model.
    pub async fn says(&self, question: &str, tokens: usize) -> String {
        let answer = self.chat(question_of(question, tokens, false)).await;
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert_eq!(status, 200, "{text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let said = value["choices"][0]["message"]["content"].as_str();
        said.expect("an answer").to_owned()
    }

    /// Sends a picture to the upscaler.
    pub async fn upscale(&self, picture: Vec<u8>) -> Response {
        let request = self.request(Pipeline::Upscale, UPSCALER).await;
        let image = Part::bytes(picture).file_name("small.png");
        let form = Form::new()
            .part("image", image)
            .text("prompt", "x")
            .text("model_id", UPSCALER);
        request.multipart(form).send().await.expect("an answer")
    }

    /// The pixels of a picture twice as large, fetched as gateways do.
    pub async fn upscaled(&self) -> image::RgbImage {
        let answer = self.upscale(sample("small.png")).await;
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert_eq!(status, 200, "{text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let url = value["images"][0]["url"].as_str().expect("a link");
        let fetched = self.gateway.h1.get(url).send().await.expect("fetched");
        assert_eq!(fetched.headers()["content-type"], "image/png");
        let bytes = fetched.bytes().await.expect("bytes");
        image::load_from_memory(&bytes)
            .expect("a picture")
            .into_rgb8()
    }
}

/// A question to the language model, whose answer is always the same.
pub fn question_of(question: &str, tokens: usize, stream: bool) -> Value {
    json!({
        "model": LLM,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": stream,
    })
}

/// The text of a streamed answer, its parts, and the reason of its end.
pub fn streamed(body: &str) -> (String, usize, String) {
    let parts: Vec<Value> = body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|part| serde_json::from_str(part).expect("JSON in every part"))
        .collect();
    let text = parts
        .iter()
        .map(|part| {
            part["choices"][0]["delta"]["content"]
                .as_str()
                .expect("content")
        })
        .collect();
    let last = parts.last().expect("parts");
    let finish = last["choices"][0]["finish_reason"]
        .as_str()
        .expect("reason");
    (text, parts.len(), finish.to_owned())
}
