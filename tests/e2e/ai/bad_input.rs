//! What strangers send instead of requests: each gets a clear error, its place is given back, and others are undisturbed.

use protocol::ai::Pipeline;
use reqwest::Response;
use serde_json::{Value, json};

use super::client::{Asker, LLM, UPSCALER, native, question_of, start};
use crate::node::Home;

async fn told(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("text"))
}

/// A JSON body for the language model, as it is.
async fn raw(asker: &Asker, body: impl Into<reqwest::Body>) -> (u16, String) {
    let request = asker.request(Pipeline::Llm, LLM).await;
    let request = request
        .header("content-type", "application/json")
        .body(body);
    told(request.send().await.expect("an answer")).await
}

/// A PNG of 1 × 1 whose header claims another size.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(1, 1)
        .write_to(&mut png, image::ImageFormat::Png)
        .expect("written");
    let mut bytes = png.into_inner();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_request_gets_a_clear_error_and_its_place_back() {
    let home = Home::with_tls();
    let (node, asker) = start(&home, &native(1)).await;
    language(&asker).await;
    pictures(&asker).await;
    doors(&asker).await;
    // All places are free, and both models answer.
    assert_eq!(asker.free(Pipeline::Llm, LLM).await, Some(1));
    assert_eq!(asker.free(Pipeline::Upscale, UPSCALER).await, Some(1));
    assert!(!asker.says("Hello", 3).await.is_empty());
    asker.upscaled().await;
    assert_eq!(node.metric("orchestrion_ai_reserved", &[]).await, 0.0);
    let refused = node.metric("orchestrion_ai_refused_total", &[]).await;
    assert!(refused >= 10.0, "{refused} are counted");
}

async fn language(asker: &Asker) {
    let with = |name: &str, value: Value| {
        let mut question = question_of("Hello", 3, false);
        question[name] = value;
        question.to_string()
    };
    let without = |name: &str| {
        let mut question = question_of("Hello", 3, false);
        question.as_object_mut().expect("object").remove(name);
        question.to_string()
    };
    let long = "x".repeat(10 << 20);
    let cases = [
        (without("max_tokens"), 400, "MaxTokens not specified"),
        (with("max_tokens", json!(-1)), 400, "max_tokens is -1"),
        (with("max_tokens", json!(1u64 << 40)), 400, "must be 1 to"),
        (without("model"), 400, "model is missing"),
        (with("messages", json!("hi")), 400, "messages"),
        (
            with("messages", json!([])),
            500,
            "LLM container returned 400: messages is missing or empty",
        ),
        (
            with("temperature", json!(-1.0)),
            500,
            "LLM container returned 400: temperature",
        ),
        ("{".to_owned(), 400, "invalid JSON"),
        (String::new(), 400, "empty"),
        (
            with("messages", json!([{"role": "user", "content": long}])),
            413,
            "larger than",
        ),
        (
            with(
                "messages",
                json!([{"role": "user", "content": "word ".repeat(9000)}]),
            ),
            500,
            "LLM container returned 400: the messages have",
        ),
        (
            with("model", json!("unknown")),
            403,
            "incompatible capabilities",
        ),
    ];
    for (body, status, text) in cases {
        let (got, said) = raw(asker, body).await;
        assert!(
            got == status && said.contains(text),
            "{got} {said} instead of {status} {text}"
        );
    }
}

async fn pictures(asker: &Asker) {
    let cases = [
        (claiming(0, 0), 400, "image: unknown format"),
        (claiming(100_000, 100_000), 400, "pixels in all"),
        (
            claiming(5000, 5000),
            500,
            "upscale container returned 400: the image cannot be decoded",
        ),
        (b"no picture".to_vec(), 400, "image: unknown format"),
        (Vec::new(), 400, "image is missing or empty"),
    ];
    for (picture, status, text) in cases {
        let (got, said) = told(asker.upscale(picture).await).await;
        assert!(
            got == status && said.contains(text),
            "{got} {said} instead of {status} {text}"
        );
    }
    // a part without end
    let request = asker.request(Pipeline::Upscale, UPSCALER).await;
    let body =
        "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"f\"\r\n\r\nendless";
    let request = request
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body);
    let (status, said) = told(request.send().await.expect("an answer")).await;
    assert!(
        status == 400 && said.contains("cannot be read"),
        "{status} {said}"
    );
}

async fn doors(asker: &Asker) {
    let url = asker.gateway.url("/llm");
    let (status, _) = told(asker.gateway.h2.get(&url).send().await.expect("answer")).await;
    assert_eq!(status, 405);
    let (status, said) = told(asker.gateway.h2.post(&url).send().await.expect("answer")).await;
    assert_eq!(
        (status, said.as_str()),
        (403, "missing auth token\n"),
        "before the body is read"
    );
    // A capability that is not served at all.
    let request = asker.request(Pipeline::TextToImage, "m").await;
    let (status, said) = told(
        request
            .json(&json!({"prompt": "x", "model_id": "m"}))
            .send()
            .await
            .expect("answer"),
    )
    .await;
    assert_eq!(
        (status, said.as_str()),
        (403, "incompatible capabilities\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_model_refuses_at_once_and_a_client_that_leaves_frees_its_place() {
    let home = Home::with_tls();
    let (node, asker) = start(&home, &native(1)).await;
    // An answer that takes as long as its client stays.
    let mut held = asker
        .chat(question_of("Write a long story about a dog.", 2000, true))
        .await;
    assert_eq!(held.status(), 200);
    let first = held.chunk().await.expect("stream").expect("a part");
    assert!(first.starts_with(b"data: {"));
    assert_eq!(asker.free(Pipeline::Llm, LLM).await, Some(0));
    let (status, said) = told(asker.chat(question_of("Hello", 3, false)).await).await;
    assert_eq!((status, said.as_str()), (503, "insufficient capacity\n"));
    drop(held);
    node.until("a free place", async || {
        asker
            .free(Pipeline::Llm, LLM)
            .await
            .filter(|free| *free == 1)
    })
    .await;
    assert!(!asker.says("Hello", 3).await.is_empty());
}
