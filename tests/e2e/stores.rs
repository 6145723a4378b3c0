//! Renditions in stores outside the node, on a real server that speaks S3 and checks every signature: the gateway's by the form that
//! it signed, the operator's by its key. And stores that refuse, dawdle, talk, break off, or are not to be spoken to.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::{SignedDuration, Timestamp};
use protocol::pb;
use protocol::result::Answer;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::gateway::{Gateway, Stream, finish, small};
use super::media;
use super::neighbour::Neighbour;
use super::node::{Node, scratch};

const KEY: &str = "AKEY";
const SECRET: &str = "a/secret=of+the tests";
const REGION: &str = "us-east-1";
const BUCKET: &str = "films";

/// An S3 server with one bucket, whose files lie in a directory.
struct Server {
    address: String,
    directory: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let directory = scratch();
        std::fs::create_dir(directory.path().join(BUCKET)).expect("the bucket");
        let files = s3s_fs::FileSystem::new(directory.path()).expect("a store");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let serving = builder.serve_connection(TokioIo::new(socket), service.clone());
                tokio::spawn(serving.into_owned());
            }
        });
        Self { address, directory }
    }

    fn bucket(&self) -> String {
        format!("http://{}/{BUCKET}", self.address)
    }

    fn file(&self, url: &str) -> Vec<u8> {
        let path = url.strip_prefix(&self.bucket()).expect("in the bucket");
        let path: PathBuf = self
            .directory
            .path()
            .join(BUCKET)
            .join(path.trim_start_matches('/'));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Leave to write below `key`, signed with `secret`, as gateways give it.
    fn form(&self, key: &str, secret: &str) -> pb::OsInfo {
        let now = Timestamp::now();
        let (date, time) = (now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ"));
        let (date, time) = (date.to_string(), time.to_string());
        let credential = format!("{KEY}/{date}/{REGION}/s3/aws4_request");
        let expiration = (now + SignedDuration::from_hours(1)).strftime("%Y-%m-%dT%H:%M:%S.000Z");
        let policy = json!({
            "expiration": expiration.to_string(),
            "conditions": [
                {"bucket": BUCKET},
                {"acl": "public-read"},
                ["starts-with", "$Content-Type", ""],
                ["starts-with", "$key", key],
                {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
                {"x-amz-credential": credential},
                {"x-amz-date": time},
            ],
        });
        let policy = STANDARD.encode(policy.to_string());
        let signing = [&date, REGION, "s3", "aws4_request"]
            .into_iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
                mac(&key, part)
            });
        let signature = mac(&signing, &policy);
        let hex = |byte: &u8| format!("{byte:02x}");
        info(pb::S3osInfo {
            host: self.bucket(),
            key: key.to_owned(),
            signature: signature.iter().map(hex).collect(),
            policy,
            credential,
            x_amz_date: time,
        })
    }
}

fn info(s3info: pb::S3osInfo) -> pb::OsInfo {
    pb::OsInfo {
        storage_type: pb::os_info::StorageType::S3.into(),
        s3info: Some(s3info),
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Pushes the tiny clip with leave to write into a store.
async fn push(stream: &Stream, seq: i64, storage: &pb::OsInfo, hash: bool) -> Answer {
    let mut data = stream.seg_data(seq, media::tiny());
    data.storage = vec![storage.clone()];
    data.calc_perceptual_hash = hash;
    let request = stream.request(&stream.gateway.h2, &data);
    let sent = request
        .header("content-type", "video/MP2T")
        .body(media::tiny().bytes.clone())
        .send();
    finish(sent.await.expect("an answer")).await
}

async fn node() -> Node {
    Node::start(&["-segmentUrlAllow", "127.0.0.1"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn renditions_and_hashes_go_where_the_gateways_form_says() {
    let (server, node) = (Server::start().await, node().await);
    let stream = Gateway::of(&node).stream("to-a-store", small()).await;
    let form = server.form("live/one", SECRET);
    for seq in 0..3 {
        let answer = push(&stream, seq, &form, true).await;
        let data = answer.outcome.expect("transcoded");
        let segment = &data.segments[0];
        let url = format!("{}/live/one/small/{seq}.ts", server.bucket());
        assert_eq!(segment.url, url);
        let bytes = server.file(&segment.url);
        assert_eq!((bytes[0], bytes.len() % 188), (0x47, 0), "whole packets");
        assert_eq!(segment.perceptual_hash_url, format!("{url}.phash"));
        assert!(!server.file(&segment.perceptual_hash_url).is_empty());
    }
    // It is the rendition that the gateway would have fetched.
    let fetched = stream.transcode(3, media::tiny()).await.expect("fetched");
    assert_eq!(
        fetched[0].bytes.len(),
        server
            .file(&format!("{}/live/one/small/2.ts", server.bucket()))
            .len()
    );
    assert_eq!(node.metric("livepeer_success_rate", &[]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn renditions_go_to_the_operators_bucket_unless_the_gateway_has_one() {
    let server = Server::start().await;
    let secret = percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC);
    let own = format!(
        "s3+http://{KEY}:{secret}@{}/{BUCKET}/own/part",
        server.address
    );
    let options = ["-objectStore", &own, "-segmentUrlAllow", "127.0.0.1"];
    let node = Node::start(&options).await;
    let stream = Gateway::of(&node).stream("own-store", small()).await;
    let data = stream.push(0, media::tiny()).await.outcome.expect("stored");
    let url = &data.segments[0].url;
    let session = stream.session();
    assert_eq!(
        *url,
        format!("{}/own/part/{session}/small/0.ts", server.bucket())
    );
    assert_eq!(server.file(url)[0], 0x47);
    let form = server.form("theirs", SECRET);
    let data = push(&stream, 1, &form, false).await.outcome;
    let url = &data.expect("stored").segments[0].url;
    assert_eq!(*url, format!("{}/theirs/small/1.ts", server.bucket()));
    assert!(!node.log().contains("a%2Fsecret") && !node.log().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_store_fails_its_own_segments_and_nothing_else() {
    let (server, node) = (Server::start().await, node().await);
    let neighbour = Neighbour::beside(&node).await;
    let stream = Gateway::of(&node).stream("bad-stores", small()).await;
    let good = server.form("live", SECRET);
    let with_host = |host: String| {
        let mut form = good.clone();
        form.s3info.as_mut().expect("a store").host = host;
        form
    };
    let unreachable = "could not upload segment: its store cannot be reached, or must not be";
    let outside = {
        let mut form = server.form("live", SECRET);
        form.s3info.as_mut().expect("a store").key = "other".into();
        form
    };
    let cases = [
        (
            server.form("live", "not the secret"),
            "could not upload segment: the store answered 403 Forbidden",
        ),
        (
            outside,
            "could not upload segment: the store answered 400 Bad Request",
        ),
        (
            with_host(odd(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsorry").await),
            "could not upload segment: the store answered 200 OK",
        ),
        (with_host(odd(b"HTTP/1.1 204 No").await), unreachable),
        (with_host("http://10.1.2.3/films".into()), unreachable),
        (
            with_host("http://169.254.169.254/latest".into()),
            unreachable,
        ),
        (with_host("file:///etc/passwd".into()), unreachable),
        (with_host("films".into()), unreachable),
        (with_host(String::new()), unreachable),
    ];
    for (seq, (form, text)) in (0..).zip(&cases) {
        let answer = push(&stream, seq, form, false).await;
        assert_eq!(answer.outcome.expect_err("no store"), *text, "case {seq}");
    }
    // One that says nothing is given up in time, and the stream goes on.
    let begun = Instant::now();
    let silent = with_host(odd(b"").await);
    let answer = push(&stream, 20, &silent, false).await;
    let text = answer.outcome.expect_err("no answer");
    assert!(text.starts_with("could not upload segment"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(13), "{text}");
    assert!(push(&stream, 21, &good, false).await.outcome.is_ok());
    neighbour.finish().await;
    let uploads = async |outcome: &str| {
        let labels = [("store", "gateway"), ("outcome", outcome)];
        node.metric("orchestrion_uploads_total", &labels).await
    };
    assert_eq!(uploads("stored").await, 1.0);
    assert_eq!(uploads("refused").await, 3.0);
    assert_eq!(uploads("late").await, 1.0);
    assert_eq!(uploads("unreachable").await, cases.len() as f64 - 3.0);
    assert_eq!(node.metric("livepeer_success_rate", &[]).await, 1.0);
    assert_eq!(
        node.metric("livepeer_current_sessions_total", &[]).await,
        2.0
    );
}

/// A server that answers everything with these bytes and closes; one without bytes never answers. Its URL.
async fn odd(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while !answer.is_empty() {
                    let read = socket.read(&mut buffer).await.unwrap_or(0);
                    if read == 0 || buffer[..read].ends_with(b"--\r\n") {
                        let _ = socket.write_all(answer).await;
                        return;
                    }
                }
                std::future::pending::<()>().await;
            });
        }
    });
    format!("http://{address}/films")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_holds_up_its_own_stream_and_no_other_upload() {
    let (server, node) = (Server::start().await, node().await);
    let gateway = Gateway::of(&node);
    let (slow, swift) = (
        gateway.stream("slow", small()).await,
        gateway.stream("swift", small()).await,
    );
    let good = server.form("live", SECRET);
    let mut silent = good.clone();
    silent.s3info.as_mut().expect("a store").host = odd(b"").await;
    let mut waiting = tokio::task::JoinSet::new();
    for seq in 0..8 {
        let (slow, silent) = (slow.clone(), silent.clone());
        waiting.spawn(async move { push(&slow, seq, &silent, false).await.outcome.err() });
    }
    let busy = waiting.join_next().await.expect("one").expect("answered");
    assert_eq!(busy.as_deref(), Some("OrchestratorBusy"));
    for seq in 0..5 {
        let stored = push(&swift, seq, &good, false).await;
        assert!(stored.outcome.is_ok(), "{:?}", stored.outcome.err());
    }
    let texts = waiting.join_all().await;
    let busy = texts
        .iter()
        .filter(|text| text.as_deref() == Some("OrchestratorBusy"));
    // Five of the eight had a place, as long as their gateway waits.
    assert_eq!(busy.count(), 2, "{texts:?}");
    assert!(push(&slow, 9, &good, false).await.outcome.is_ok());
}
