//! The other HTTP routes.

use actors::segment_store::Object;
use axum::body::Body;
use http::{HeaderValue, Method, Request, StatusCode};
use proptest::prelude::*;
use tower::ServiceExt;

use super::super::front::Services;
use super::super::peer::Peer;
use super::super::{PublicDoor, PublicLimits, Transport};
use super::house::{House, client, context, run};

#[test]
fn renditions_are_served_whole_with_the_headers_that_browsers_need() {
    run(|| async {
        let house = House::open();
        house.context.store.open("s");
        let object = Object {
            bytes: b"rendition"[..].into(),
            mime: "video/mp2t",
        };
        house
            .context
            .store
            .put("s", "50% a/b?", "7.ts", object)
            .expect("stored");
        let url = house.url("/stream/s/50%25%20a%2Fb%3F/7.ts");
        for method in [Method::GET, Method::HEAD] {
            let answer = client()
                .request(method.clone(), &url)
                .send()
                .await
                .expect("answer");
            assert_eq!(answer.status(), StatusCode::OK);
            for (name, value) in [
                ("content-length", "9"),
                ("content-type", "video/mp2t"),
                ("access-control-allow-origin", "*"),
                ("access-control-expose-headers", "Content-Length"),
                ("cache-control", "max-age=5"),
            ] {
                assert_eq!(answer.headers()[name], value, "{method}");
            }
            let body = answer.bytes().await.expect("body");
            assert_eq!(body.len(), if method == Method::GET { 9 } else { 0 });
        }
        let answer = client().post(&url).send().await.expect("answer");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    });
}

#[test]
fn what_is_not_there_is_404_with_its_text() {
    run(|| async {
        let house = House::open();
        house.context.store.open("s");
        let empty = Object {
            bytes: b""[..].into(),
            mime: "video/mp4",
        };
        house
            .context
            .store
            .put("s", "p", "0.mp4", empty)
            .expect("stored");
        for (path, text) in [
            ("/stream/s/p/1.ts", "ErrNotFound\n"),
            ("/stream/s/p/0.mp4", "ErrNotFound\n"),
            ("/stream/s/p", "ErrNotFound\n"),
            ("/stream/s/p/0.mp4/x", "ErrNotFound\n"),
            ("/stream/%ff/p/0.mp4", "ErrNotFound\n"),
            ("/stream/", "404 page not found\n"),
            ("/", "404 page not found\n"),
            ("/status", "404 page not found\n"),
            ("/transcodeResults", "404 page not found\n"),
            ("/segment/", "404 page not found\n"),
        ] {
            let answer = client().get(house.url(path)).send().await.expect("answer");
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(answer.text().await.expect("body"), text, "{path}");
        }
    });
}

#[test]
fn health_is_200_and_empty_whatever_the_method() {
    run(|| async {
        let house = House::open();
        for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
            let answer = client()
                .request(method, house.url("/healthz"))
                .send()
                .await
                .expect("answer");
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers().get("content-type"), None);
            assert_eq!(answer.bytes().await.expect("body").len(), 0);
        }
    });
}

#[test]
fn no_session_has_a_fixed_price_to_refresh() {
    run(|| async {
        let house = House::open();
        let sender = format!("0x{}", "1".repeat(40));
        for (body, status, message) in [
            ("{".to_owned(), 400, ""),
            ("{\"manifest_id\":\"m\"}".to_owned(), 400, "invalid sender"),
            (
                format!("{{\"sender\":\"{sender}\",\"manifest_id\":\" \"}}"),
                400,
                "missing manifest_id",
            ),
            (
                format!("{{\"sender\":\"{sender}\",\"manifest_id\":\"m\"}}"),
                409,
                "fixed price not found for session",
            ),
            ("x".repeat(1 << 20), 400, "body too large or too slow"),
        ] {
            let answer = client()
                .post(house.url("/refresh-payment"))
                .body(body)
                .send()
                .await
                .expect("answer");
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(answer.headers()["content-type"], "application/json");
            let text = answer.text().await.expect("body");
            let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert!(
                json["error"]["message"]
                    .as_str()
                    .expect("text")
                    .contains(message),
                "{json}"
            );
        }
        let answer = client()
            .get(house.url("/refresh-payment"))
            .send()
            .await
            .expect("answer");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    });
}

#[test]
fn http2_with_prior_knowledge_works_in_plain_text() {
    run(|| async {
        let house = House::open();
        let client = reqwest::Client::builder()
            .no_proxy()
            .http2_prior_knowledge()
            .build()
            .expect("client");
        let answer = client
            .get(house.url("/healthz"))
            .send()
            .await
            .expect("answer");
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert_eq!(answer.status(), StatusCode::OK);
    });
}

fn any_header() -> impl Strategy<Value = HeaderValue> {
    let base64 = prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into_bytes()
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..80), base64]
        .prop_filter_map("no header value", |bytes| {
            HeaderValue::from_bytes(&bytes).ok()
        })
}

proptest! {
    #[test]
    fn any_request_is_answered(
        payment in any_header(), segment in any_header(), kind in any_header(), path in "/[a-z%/.0-9]{0,20}",
        route in 0..5usize, body: Vec<u8>,
    ) {
        let (context, _) = context(PublicLimits::default(), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let status = runtime.block_on(async {
            let door = PublicDoor::new(context, Transport::Plain).expect("client").door;
            let path = ["/segment", "/payment", "/refresh-payment", &format!("/stream{path}"), &path][route].to_owned();
            let mut request = Request::builder()
                .method(Method::POST)
                .uri(path)
                .header("livepeer-payment", payment)
                .header("livepeer-segment", segment)
                .header("content-type", kind)
                .body(Body::from(body))
                .expect("request");
            request.extensions_mut().insert(Peer { address: [127, 0, 0, 1].into() });
            let Ok(answer) = Services::new(&door).http.oneshot(request).await;
            answer.status()
        });
        prop_assert!(status.is_client_error() || status == StatusCode::OK, "{status}");
    }
}
