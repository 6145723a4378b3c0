//! AI workers on other machines: our own registers with our own orchestrator, answers as a native model does, and is not missed
//! for long when it dies.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use protocol::ai::Pipeline;
use serde_json::{Value, json};

use super::client::{
    Asker, LLM, UPSCALER, kills, models_dir, native, print_absences, question_of, start, streamed,
};
use crate::node::{Home, Node};

const SECRET: &str = "a-secret-of-the-tests";

/// An orchestrator without models of its own.
async fn orchestrator(home: &Home) -> (Node, Asker) {
    let options = [
        "-orchestrator",
        "-orchSecret",
        SECRET,
        "-failureRatePerMinute",
        "1000000",
    ];
    let node = home.start(&options).await;
    let asker = Asker::of(&node);
    (node, asker)
}

/// A worker with `models` for it.
async fn worker(home: &Home, orchestrator: &Node, models: &Value, secret: &str) -> Node {
    let file = home.directory().join("models.json");
    std::fs::write(&file, models.to_string()).expect("written");
    let address = orchestrator.public.trim_start_matches("https://");
    let options = [
        "-aiWorker",
        "-orchAddr",
        address,
        "-orchSecret",
        secret,
        "-aiModels",
        &file.to_string_lossy(),
        "-aiModelsDir",
        &models_dir().to_string_lossy(),
    ]
    .map(str::to_owned);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    home.start(&options).await
}

async fn served(node: &Node, asker: &Asker, places: u32) {
    node.until("the worker's models", async || {
        let llm = asker.free(Pipeline::Llm, LLM).await;
        let upscaler = asker.free(Pipeline::Upscale, UPSCALER).await;
        (llm == Some(places) && upscaler == Some(places.min(1))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_answers_as_a_native_model_does_and_its_capacity_does_not_drift() {
    let question = "List the months of the year.";
    let (text, picture) = {
        let home = Home::with_tls();
        let (_node, asker) = start(&home, &native(1)).await;
        (asker.says(question, 40).await, asker.upscaled().await)
    };
    let (home, worker_home) = (Home::with_tls(), Home::with_tls());
    let (node, asker) = orchestrator(&home).await;
    let mut worker = worker(&worker_home, &node, &native(1), SECRET).await;
    served(&node, &asker, 1).await;
    for _ in 0..3 {
        assert_eq!(asker.says(question, 40).await, text);
    }
    let answer = asker.chat(question_of(question, 40, true)).await;
    let (said, parts, _) = streamed(&answer.text().await.expect("stream"));
    assert!(said == text && parts > 10, "{parts} parts of {said}");
    assert!(asker.upscaled().await == picture, "every pixel");
    served(&node, &asker, 1).await;
    let bad = asker
        .chat(json!({"model": LLM, "messages": [], "max_tokens": 3}))
        .await;
    assert_eq!(bad.status(), 500);
    let said = bad.text().await.expect("text");
    assert!(
        said.starts_with("LLM container returned 400: messages"),
        "{said}"
    );
    served(&node, &asker, 1).await;
    assert!(worker.stop().await.success());
    node.until("no models", async || {
        asker.free(Pipeline::Llm, LLM).await.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_leaves_no_place_taken_and_its_request_goes_to_another() {
    let homes = [Home::with_tls(), Home::with_tls(), Home::with_tls()];
    let (node, asker) = orchestrator(&homes[0]).await;
    let llm = json!([native(1)[0]]);
    let mut first = worker(&homes[1], &node, &llm, SECRET).await;
    let places = async |wanted: Option<u32>| {
        node.until("places", async || {
            (asker.free(Pipeline::Llm, LLM).await == wanted).then_some(())
        })
        .await;
    };
    places(Some(1)).await;
    let _second = worker(&homes[2], &node, &llm, SECRET).await;
    places(Some(2)).await;
    let mut away = Vec::new();
    for number in 1..=kills(2) {
        // Both are at work; one of them dies.
        let held = asker.long().await;
        let waiting = tokio::spawn({
            let asker = asker.clone();
            async move { asker.says("List the months of the year.", 300).await }
        });
        places(Some(0)).await;
        kill(first.pid(), Signal::SIGKILL).expect("killed");
        let killed = Instant::now();
        drop(held);
        // Whichever it was, the whole answer comes: from the other worker, if need be.
        assert!(waiting.await.expect("answered").contains("December"));
        places(Some(1)).await;
        away.push(killed.elapsed());
        if number < kills(2) {
            first = worker(&homes[1], &node, &llm, SECRET).await;
            places(Some(2)).await;
        }
    }
    print_absences("a worker on another machine", away);
    assert_eq!(node.metric("orchestrion_ai_reserved", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_the_end_of_a_worker_and_no_result_comes_in_with_it() {
    let (home, worker_home) = (Home::with_tls(), Home::with_tls());
    let (node, asker) = orchestrator(&home).await;
    let post = |secret: &'static str, task: &'static str| {
        let request = asker.gateway.h2.post(asker.gateway.url("/aiResults"));
        request
            .header("authorization", "Livepeer-AI-Worker-1.0")
            .header("credentials", secret)
            .header("taskid", task)
            .header("content-type", "livepeer/ai-worker-error")
            .body("x")
            .send()
    };
    for (secret, task, status) in [("wrong", "1", 401), (SECRET, "x", 400), (SECRET, "77", 200)] {
        assert_eq!(post(secret, task).await.expect("answer").status(), status);
    }
    let file = worker_home.directory().join("models.json");
    std::fs::write(&file, json!([native(1)[1]]).to_string()).expect("written");
    let mut child = worker_home
        .command(&[
            "-aiWorker",
            "-orchAddr",
            node.public.trim_start_matches("https://"),
            "-orchSecret",
            "wrong",
            "-aiModels",
            &file.to_string_lossy(),
            "-aiModelsDir",
            &models_dir().to_string_lossy(),
        ])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let ended = node.until("the end of the worker", async || {
        child.try_wait().expect("wait")
    });
    assert_eq!(ended.await.code(), Some(1));
}
