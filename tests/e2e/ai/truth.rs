//! Answers are those of the models: tokens beside an independent engine, pixels beside the network's own sample.

use protocol::ai::Pipeline;
use protocol::capabilities::{Capabilities, Capability};
use serde_json::Value;

use super::client::{Asker, LLM, UPSCALER, native, question_of, sample, start, streamed};
use crate::node::Home;

/// Largest lead of the second-best token by which rounding may decide otherwise.
const TIE: f64 = 0.25;

/// What numpy computes from the same file in 64-bit floats; the script beside it made it.
const REFERENCE: &str = include_str!("../../../pipelines/native/tests/reference/llama_greedy.json");

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_models_own() {
    let home = Home::with_tls();
    let (node, asker) = start(&home, &native(2)).await;
    tokens(&asker).await;
    pixels(&asker).await;
    discovery(&asker).await;
    let done = node
        .metric("livepeer_ai_models_requested", &[("model_name", LLM)])
        .await;
    assert!(done >= 2.0, "{done}");
}

async fn tokens(asker: &Asker) {
    let reference: Vec<Value> = serde_json::from_str(REFERENCE).expect("JSON");
    for one in &reference {
        let question = one["question"].as_str().expect("question");
        let texts: Vec<&str> = list(&one["texts"])
            .map(|text| text.as_str().expect("text"))
            .collect();
        let ends = texts.iter().position(|text| text.contains("<|im_end|>"));
        let expected = texts.get(..ends.unwrap_or(64)).expect("64 tokens").concat();
        let answer = asker.chat(question_of(question, 64, true)).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let body = answer.text().await.expect("stream");
        let (said, _, finish) = streamed(&body);
        assert!(!body.contains("[DONE]"), "gateways know no such part");
        assert_eq!(
            asker.says(question, 64).await,
            said,
            "streamed and whole are one answer"
        );
        if said == expected {
            assert_eq!(finish, if ends.is_some() { "stop" } else { "length" });
            continue;
        }
        let mut same = String::new();
        let at = texts.iter().position(|text| {
            same.push_str(text);
            !said.starts_with(&same)
        });
        let at = at.expect("a first difference");
        let margin = list(&one["margins"])
            .nth(at)
            .and_then(Value::as_f64)
            .expect("margin");
        println!(
            "{question:?}: other than 64-bit floats at token {at}, where their two best differ by {margin}"
        );
        assert!(
            margin < TIE,
            "token {at} is no tie: {margin}\n{said}\n{expected}"
        );
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

async fn pixels(asker: &Asker) {
    let ours = asker.upscaled().await;
    let theirs = image::load_from_memory(&sample("twice.png"))
        .expect("sample")
        .into_rgb8();
    assert_eq!(ours.dimensions(), theirs.dimensions());
    let differences = ours
        .as_raw()
        .iter()
        .zip(theirs.as_raw())
        .map(|(a, b)| a.abs_diff(*b));
    assert!(
        differences.max() <= Some(1),
        "within 1 of 255 in every channel"
    );
}

/// A gateway that looks for AI finds everything that it demands; one that looks for video finds what was tested.
async fn discovery(asker: &Asker) {
    let info = asker.discover(Pipeline::Upscale, UPSCALER).await;
    let offered = Capabilities::from_pb(info.capabilities);
    assert!(offered.set.contains(Capability::H264));
    let video = Capabilities::demand([Capability::H264].into_iter().collect());
    let info = asker.ask(&video).await;
    let offered = Capabilities::from_pb(info.capabilities);
    assert!(!offered.set.contains(Capability::H264));
    let info = asker.ask(&Capabilities::default()).await;
    assert_eq!(info.hardware.len(), 2);
}
