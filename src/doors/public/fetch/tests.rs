//! What is fetched and what is not, against a server of our own.

use std::collections::HashMap;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use config::AllowedSegmentHost;
use tokio::net::TcpListener;

use super::*;

fn fetcher(allowed: &[&str]) -> Fetcher {
    let allowed = allowed
        .iter()
        .map(|name| AllowedSegmentHost::Name((*name).to_owned()))
        .collect();
    let policy = Arc::new(ArcSwap::from_pointee(FetchPolicy::new(allowed)));
    Fetcher::new(policy, &PublicLimits::default()).expect("client")
}

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<Vec<u8>, FetchError> {
    let mut chunks = Box::pin(fetcher.open(url, 3).await?);
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

/// A server on loopback; `/r<n>` redirects n times, `/to?<url>` to a URL.
async fn server() -> u16 {
    async fn answer(request: Request) -> Response {
        let uri = request.uri();
        let pages: HashMap<&str, &str> = [("/r0", "media"), ("/media", "media")].into();
        match (uri.path(), uri.query()) {
            ("/to", Some(target)) => Redirect::temporary(target).into_response(),
            ("/empty", _) => StatusCode::NO_CONTENT.into_response(),
            (path, _) if pages.contains_key(path) => pages[path].into_response(),
            (path, _) => match path.strip_prefix("/r").and_then(|n| n.parse::<u32>().ok()) {
                Some(n) => Redirect::temporary(&format!("/r{}", n - 1)).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    port
}

#[tokio::test]
async fn addresses_of_this_machine_and_its_network_are_never_dialled() {
    let port = server().await;
    let fetcher = fetcher(&[]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "127.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "0",
        "169.254.169.254",
        "169.254.43518",
        "localhost",
        "１２７.0.0.1",
    ] {
        let outcome = fetch(&fetcher, &format!("http://{host}:{port}/media")).await;
        let forbidden = match &outcome {
            Err(FetchError::Forbidden { .. }) => true,
            // from inside the resolver
            Err(error) => format!("{error:?}").contains("Forbidden"),
            Ok(_) => false,
        };
        assert!(forbidden, "{host}: {outcome:?}");
    }
}

#[tokio::test]
async fn other_schemes_are_not_fetched() {
    for url in [
        "file:///etc/passwd",
        "ftp://1.1.1.1/a",
        "gopher://1.1.1.1/",
        "data:,x",
        "/media",
        "",
        "http://",
        "\u{0}",
    ] {
        let outcome = fetch(&fetcher(&[]), url).await;
        assert!(
            matches!(outcome, Err(FetchError::Url(_))),
            "{url}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_listed_host_is_fetched_by_name_and_only_with_status_200() {
    let port = server().await;
    let fetcher = fetcher(&["localhost"]);
    let base = format!("http://localhost:{port}");
    assert_eq!(
        fetch(&fetcher, &format!("{base}/media"))
            .await
            .expect("fetched"),
        b"media"
    );
    for (path, status) in [("/nowhere", 404), ("/empty", 204)] {
        let outcome = fetch(&fetcher, &format!("{base}{path}")).await;
        assert!(
            matches!(outcome, Err(FetchError::Status(code)) if code == status),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn redirects_are_followed_three_times_and_checked_each_time() {
    let port = server().await;
    let fetcher = fetcher(&["localhost"]);
    let base = format!("http://localhost:{port}");
    assert_eq!(
        fetch(&fetcher, &format!("{base}/r3")).await.expect("three"),
        b"media"
    );
    assert!(matches!(
        fetch(&fetcher, &format!("{base}/r4")).await,
        Err(FetchError::Redirects(3))
    ));
    let outcome = fetch(
        &fetcher,
        &format!("{base}/to?http://127.0.0.1:{port}/media"),
    )
    .await;
    assert!(
        matches!(outcome, Err(FetchError::Forbidden { .. })),
        "{outcome:?}"
    );
    let outcome = fetch(&fetcher, &format!("{base}/to?file:///etc/passwd")).await;
    assert!(matches!(outcome, Err(FetchError::Url(_))), "{outcome:?}");
}
