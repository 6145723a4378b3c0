use std::convert::Infallible;

use futures::stream;

use super::*;

const HEAD: &str = "multipart/form-data; boundary=b";

fn headers(kind: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers
}

async fn posted(pipeline: Pipeline, body: Vec<u8>) -> Result<Request, Unreadable> {
    let chunks: Vec<_> = body
        .chunks(1000)
        .map(|chunk| Ok::<_, Infallible>(Bytes::copy_from_slice(chunk)))
        .collect();
    read(pipeline, &headers(HEAD), stream::iter(chunks)).await
}

fn part(name: &str, content: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n{content}\r\n"
    )
}

#[tokio::test]
async fn a_form_is_read_with_its_first_file_and_known_fields() {
    let body = [
        part("image", "picture"),
        part("image", "second"),
        part("seed", "7"),
        part("nobody", "knows"),
        "--b--\r\n".into(),
    ];
    let request = posted(Pipeline::Upscale, body.concat().into_bytes()).await;
    let request = request.expect("good form");
    assert_eq!(request.file.expect("file").bytes, "picture");
    assert_eq!(request.ask.int("seed"), Some(7));
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_text() {
    let cases = [
        (Pipeline::Llm, b"{".to_vec(), 400, "invalid JSON"),
        (Pipeline::Llm, Vec::new(), 400, "empty"),
        (Pipeline::Llm, vec![b' '; JSON_MOST + 1], 413, "larger"),
        (Pipeline::Upscale, b"--b".to_vec(), 400, "cannot be read"),
        (
            Pipeline::Upscale,
            part("image", "endless").into_bytes(),
            400,
            "cannot be read",
        ),
        (
            Pipeline::Upscale,
            [part("seed", "7"), "--b--\r\n".into()]
                .concat()
                .into_bytes(),
            400,
            "image is missing",
        ),
        (
            Pipeline::AudioToText,
            [part("audio", ""), "--b--\r\n".into()]
                .concat()
                .into_bytes(),
            400,
            "audio is missing",
        ),
        (
            Pipeline::Upscale,
            [
                part("image", &"x".repeat(FILE_MOST + 1)),
                "--b--\r\n".into(),
            ]
            .concat()
            .into_bytes(),
            413,
            "larger",
        ),
    ];
    for (pipeline, body, status, text) in cases {
        let refused = posted(pipeline, body).await.expect_err(text);
        assert_eq!(refused.status.as_u16(), status, "{refused}");
        assert!(refused.text.contains(text), "{refused} lacks {text}");
    }
    let plain = stream::iter([Ok::<_, Infallible>(Bytes::new())]);
    let refused = read(Pipeline::Upscale, &headers("text/plain"), plain).await;
    assert!(refused.is_err_and(|refused| refused.text.contains("multipart")));
}
