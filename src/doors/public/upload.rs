//! Renditions go to a store outside the node: the gateway's own, by the form that it signed, or the operator's.
//!
//! A stranger's store is spoken to like a stranger's segment URL: at permitted addresses only, without redirects. All files of a
//! segment go at once, and every one has to be there in time, or the segment has failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actors::transcode_session::QUEUE;
use arc_swap::ArcSwap;
use bytes::Bytes;
use config::ObjectStore;
use futures::future::try_join_all;
use http::StatusCode;
use parking_lot::Mutex;
use protocol::storage::ExternalStore;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, redirect};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use telemetry::Metrics;
use telemetry::metrics::label::{Store, UploadEnd};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use super::fetch::{CheckedResolver, FetchError, FetchPolicy, check};

/// Time for a file, as in the reference.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the signature of an upload is good: clocks differ.
const SIGNED: Duration = Duration::from_secs(900);
/// What of a refusal is read and told.
const REFUSAL_BYTES: usize = 300;

/// Why a rendition is not in its store.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// No client can be made.
    #[error("HTTP client for object stores cannot be made: {0}")]
    Client(#[source] reqwest::Error),
    /// The store's host is no URL, or a forbidden one.
    #[error("could not upload segment: {0}")]
    Host(#[from] FetchError),
    /// The exchange failed.
    #[error("could not upload segment: {0:?}")]
    Transfer(#[source] reqwest::Error),
    /// The store said no.
    #[error("could not upload segment: the store answered {status}: {text}")]
    Refused {
        /// Status.
        status: StatusCode,
        /// Its first words.
        text: String,
    },
    /// The store is too slow.
    #[error("could not upload segment: the store took too long")]
    Late,
}

impl UploadError {
    fn counted_as(&self) -> UploadEnd {
        match self {
            Self::Refused { .. } => UploadEnd::Refused,
            Self::Late => UploadEnd::Late,
            _ => UploadEnd::Unreachable,
        }
    }

    /// What the gateway is told: nothing about addresses, and not a word that a server inside a network may have said.
    pub fn wire_text(&self) -> String {
        match self {
            Self::Refused { status, .. } => {
                format!("could not upload segment: the store answered {status}")
            }
            Self::Late => self.to_string(),
            _ => "could not upload segment: its store cannot be reached, or must not be".to_owned(),
        }
    }
}

/// A file for a store.
#[derive(Debug, Clone)]
pub struct File {
    /// Path below the session: `<profile>/<seq>.ts`.
    pub name: String,
    /// MIME type.
    pub mime: &'static str,
    /// The whole file.
    pub bytes: Bytes,
}

/// Where a segment's renditions go.
#[derive(Debug, Clone)]
pub enum Destination {
    /// The gateway's store.
    Gateway(ExternalStore),
    /// The operator's store, below this session.
    Own(Arc<OwnStore>, String),
}

impl Destination {
    fn label(&self) -> Store {
        match self {
            Self::Gateway(_) => Store::Gateway,
            Self::Own(..) => Store::Own,
        }
    }
}

/// Brings files to stores.
pub(super) struct Uploader {
    strangers: Client,
    own: Client,
    policy: Arc<ArcSwap<FetchPolicy>>,
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    metrics: Arc<Metrics>,
}

/// A segment on its way to a store, from before it is transcoded.
pub(super) struct Upload {
    uploader: Arc<Uploader>,
    to: Destination,
    /// When the gateway stops waiting.
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Uploader {
    /// Goes to strangers where `policy` lets it, and to the operator's own store wherever that is.
    pub fn new(
        policy: Arc<ArcSwap<FetchPolicy>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, UploadError> {
        let client = || {
            Client::builder()
                .no_proxy()
                .redirect(redirect::Policy::none())
                .timeout(PATIENCE)
        };
        let strangers = client().dns_resolver(CheckedResolver(Arc::clone(&policy)));
        Ok(Self {
            strangers: strangers.build().map_err(UploadError::Client)?,
            own: client().build().map_err(UploadError::Client)?,
            policy,
            places: Mutex::default(),
            metrics,
        })
    }

    /// A place for a segment of `session`, for which the gateway waits until `until`. `None` when as many as its queue holds are on
    /// their way: a slow store holds up its own stream, and no more memory than that.
    pub fn place(
        self: &Arc<Self>,
        session: &str,
        to: Destination,
        until: Instant,
    ) -> Option<Upload> {
        let mut places = self.places.lock();
        // Those that nothing is on its way from.
        places.retain(|_, places| Arc::strong_count(places) > 1);
        let of_it = places
            .entry(session.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(QUEUE)));
        let place = Arc::clone(of_it).try_acquire_owned().ok()?;
        Some(Upload {
            uploader: Arc::clone(self),
            to,
            until,
            _place: place,
        })
    }

    async fn one(&self, destination: &Destination, file: File) -> Result<String, UploadError> {
        match destination {
            Destination::Gateway(store) => self.post(store, file).await,
            Destination::Own(store, session) => store.put(&self.own, session, file).await,
        }
    }

    async fn post(&self, store: &ExternalStore, file: File) -> Result<String, UploadError> {
        let url = Url::parse(store.host()).map_err(|_| FetchError::Url(store.host().to_owned()))?;
        check(&self.policy.load(), &url)?;
        let mut form = Form::new();
        for (name, value) in store.fields(&file.name, file.mime) {
            form = form.text(name, value);
        }
        let length = file.bytes.len() as u64;
        let part = Part::stream_with_length(file.bytes, length)
            .file_name(store.file_name(&file.name).to_owned());
        let request = self.strangers.post(url).multipart(form.part("file", part));
        let response = request.send().await.map_err(broken)?;
        // A store that has it says nothing; the reference takes every word for a refusal, too.
        stored(response, true).await?;
        Ok(store.url(&file.name))
    }
}

impl Upload {
    /// Brings all `files` to their destination; their URLs, in their order.
    pub async fn bring(&self, files: Vec<File>) -> Result<Vec<String>, UploadError> {
        let uploader = &self.uploader;
        let uploads = try_join_all(files.into_iter().map(|file| uploader.one(&self.to, file)));
        let until = self.until.min(Instant::now() + PATIENCE);
        let brought = tokio::time::timeout_at(until, uploads)
            .await
            .unwrap_or(Err(UploadError::Late));
        let outcome = match &brought {
            Ok(_) => UploadEnd::Stored,
            Err(error) => error.counted_as(),
        };
        uploader.metrics.video.uploaded(self.to.label(), outcome);
        brought
    }
}

/// URLs of uploads hold signatures.
fn broken(error: reqwest::Error) -> UploadError {
    let error = error.without_url();
    if error.is_timeout() {
        UploadError::Late
    } else {
        UploadError::Transfer(error)
    }
}

/// Whether the store has it. Of an answer no more than its first words is read.
async fn stored(mut response: Response, silently: bool) -> Result<(), UploadError> {
    let status = response.status();
    let mut said = Vec::new();
    while said.len() < REFUSAL_BYTES
        && let Some(chunk) = response.chunk().await.map_err(broken)?
    {
        said.extend_from_slice(&chunk[..chunk.len().min(REFUSAL_BYTES - said.len())]);
    }
    if status.is_success() && (said.is_empty() || !silently) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&said).into_owned();
    Err(UploadError::Refused { status, text })
}

/// The operator's own store (`-objectStore`).
#[derive(Debug)]
pub struct OwnStore {
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
}

impl OwnStore {
    /// The store of the settings.
    ///
    /// # Errors
    /// When bucket and host make no URL.
    pub fn new(store: &ObjectStore) -> Result<Self, rusty_s3::BucketError> {
        let style = if store.path_style {
            UrlStyle::Path
        } else {
            UrlStyle::VirtualHost
        };
        let bucket = Bucket::new(
            store.endpoint.clone(),
            style,
            store.bucket.clone(),
            store.region.clone(),
        )?;
        Ok(Self {
            bucket,
            credentials: Credentials::new(
                store.key.expose().to_owned(),
                store.secret.expose().to_owned(),
            ),
            prefix: store.prefix.clone(),
        })
    }

    async fn put(&self, client: &Client, session: &str, file: File) -> Result<String, UploadError> {
        let parts = [self.prefix.as_str(), session, &file.name];
        let parts = parts.iter().flat_map(|part| part.split('/'));
        let path: Vec<_> = parts
            .filter(|part| !matches!(*part, "" | "." | ".."))
            .collect();
        let path = path.join("/");
        let mut action = self.bucket.put_object(Some(&self.credentials), &path);
        let headers = [("content-type", file.mime), ("x-amz-acl", "public-read")];
        for (name, value) in headers {
            action.headers_mut().insert(name, value);
        }
        let mut request = client.put(action.sign(SIGNED)).body(file.bytes);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(broken)?;
        stored(response, false).await?;
        Ok(self.bucket.object_url(&path).into())
    }
}
