//! A web server on this machine that gateways could name in a segment URL; it counts who comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// See the module. Ends with the runtime of its test.
pub struct Outside {
    /// Where it listens.
    pub port: u16,
    visits: Arc<AtomicUsize>,
}

impl Outside {
    /// Serves `object` at `/object`, redirects `/to/X` to `X`, is silent at `/silence`, and has nothing else.
    pub async fn serving(object: Bytes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let visits = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&visits);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(connection, object.clone()));
            }
        });
        Self { port, visits }
    }

    /// URL of a path, by the address of this machine.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Connections so far.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

async fn answer(mut connection: TcpStream, object: Bytes) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = connection.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, extra, body) = match path {
        "/object" => ("200 OK", String::new(), object),
        "/silence" => return std::future::pending().await,
        _ => match path.strip_prefix("/to/") {
            Some(target) => ("302 Found", format!("Location: {target}\r\n"), Bytes::new()),
            None => ("404 Not Found", String::new(), Bytes::new()),
        },
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{extra}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A visitor that leaves early is what some tests want.
    let _ = connection.write_all(head.as_bytes()).await;
    let _ = connection.write_all(&body).await;
}
