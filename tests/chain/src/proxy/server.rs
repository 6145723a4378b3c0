//! The listener of the proxy: connections, batches, and faults that are not answers.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::{Fault, State};

type Body = BoxBody<Bytes, io::Error>;

/// Listens on a port of its own. Connections end with the task.
pub(super) async fn start(state: Arc<State>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let server = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((connection, _)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            let state = Arc::clone(&state);
            connections.spawn(async move {
                let service = service_fn(move |request| serve(Arc::clone(&state), request));
                // An error here is a connection that was dropped, by either side.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            });
        }
    });
    (port, server)
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let body = request.into_body().collect().await;
    let body = body.map_err(io::Error::other)?.to_bytes();
    let asked: Value = serde_json::from_slice(&body).map_err(io::Error::other)?;
    let (calls, batch) = match asked {
        Value::Array(calls) => (calls, true),
        call => (vec![call], false),
    };
    let faults = state.note(&calls);
    for fault in &faults {
        match fault {
            Some(Fault::Drop) => return Err(dropped()),
            Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
            Some(Fault::Status(status)) => return Ok(refused(*status)),
            Some(Fault::Garbage) => return Ok(whole(b"<html>bad gateway</html>".to_vec())),
            _ => {}
        }
    }
    let mut answers = Vec::with_capacity(calls.len());
    for (call, fault) in calls.into_iter().zip(&faults) {
        answers.push(answer(&state, call, fault.as_ref()).await);
    }
    let text = if batch {
        Value::Array(answers).to_string()
    } else {
        answers.swap_remove(0).to_string()
    };
    if faults.contains(&Some(Fault::LoseAnswer)) {
        return Err(dropped());
    }
    if faults.contains(&Some(Fault::Eof)) {
        return Ok(broken_off(text));
    }
    Ok(whole(text.into_bytes()))
}

async fn answer(state: &State, mut call: Value, fault: Option<&Fault>) -> Value {
    let method = call["method"].as_str().unwrap_or_default().to_owned();
    let result = match fault {
        Some(Fault::Error(code, message)) => Err(json!({ "code": code, "message": message })),
        Some(Fault::Answer(value)) => Ok(value.clone()),
        _ => state.answer(&method, call["params"].take()).await,
    };
    let id = call["id"].take();
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    }
}

impl State {
    /// Counts the calls of one request and says what is to happen to each.
    fn note(&self, calls: &[Value]) -> Vec<Option<Fault>> {
        let mut counts = self.counts.lock();
        let mut switches = self.switches.lock();
        counts.requests += 1;
        let methods = calls
            .iter()
            .map(|call| call["method"].as_str().unwrap_or_default());
        methods
            .map(|method| {
                *counts.methods.entry(method.to_owned()).or_default() += 1;
                switches.plan.take(method)
            })
            .collect()
    }
}

fn dropped() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

fn whole(body: Vec<u8>) -> Response<Body> {
    let full = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {});
    let mut response = Response::new(full.boxed());
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn refused(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("HTTP status");
    let text = status.canonical_reason().unwrap_or("refused");
    let mut response = whole(text.as_bytes().to_vec());
    *response.status_mut() = status;
    response
}

/// Announces the whole text and sends half of it.
fn broken_off(text: String) -> Response<Body> {
    let length = text.len();
    let half = Bytes::from(text).slice(..length / 2);
    let frames =
        stream::iter([Ok(Frame::data(half))]).chain(stream::once(async { Err(dropped()) }));
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    response
}
