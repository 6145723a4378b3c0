//! Renditions go to a store outside the node: the gateway's own, by the form that it signed, or the operator's.
//!
//! A stranger's store is spoken to like a stranger's segment URL: at permitted addresses only, without redirects. All files of a
//! segment go at once, and every one has to be there in time, or the segment has failed.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use config::ObjectStore;
use futures::future::try_join_all;
use http::StatusCode;
use protocol::storage::ExternalStore;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, redirect};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tokio::sync::Semaphore;
use url::Url;

use super::fetch::{CheckedResolver, FetchError, FetchPolicy, check};

/// Time for a file, as in the reference.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes on their way to stores at once, in KiB; who comes beyond them waits, on its own time.
const BUDGET_KIB: usize = 512 << 10;
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
    #[error("could not upload segment: the store took longer than {0:?}")]
    Late(Duration),
}

impl UploadError {
    /// What the gateway is told: nothing about addresses, and not a word that a server inside a network may have said.
    pub fn wire_text(&self) -> String {
        match self {
            Self::Refused { status, .. } => {
                format!("could not upload segment: the store answered {status}")
            }
            Self::Late(_) => self.to_string(),
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

/// Brings files to stores.
pub(super) struct Uploader {
    strangers: Client,
    own: Client,
    policy: Arc<ArcSwap<FetchPolicy>>,
    budget: Semaphore,
    patience: Duration,
}

impl Uploader {
    /// Goes to strangers where `policy` lets it, and to the operator's own store wherever that is.
    pub fn new(policy: Arc<ArcSwap<FetchPolicy>>) -> Result<Self, UploadError> {
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
            budget: Semaphore::new(BUDGET_KIB),
            patience: PATIENCE,
        })
    }

    /// Brings all `files` to their destination; their URLs, in their order.
    pub async fn all(
        &self,
        destination: &Destination,
        files: Vec<File>,
    ) -> Result<Vec<String>, UploadError> {
        let kib = files.iter().map(|file| file.bytes.len()).sum::<usize>() >> 10;
        let kib = u32::try_from(kib.clamp(1, BUDGET_KIB)).unwrap_or(u32::MAX);
        let uploads = async {
            let _held = self.budget.acquire_many(kib).await;
            try_join_all(files.into_iter().map(|file| self.one(destination, file))).await
        };
        let late = |_| UploadError::Late(self.patience);
        tokio::time::timeout(self.patience, uploads)
            .await
            .map_err(late)?
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
        let response = request.send().await.map_err(UploadError::Transfer)?;
        // A store that has it says nothing; the reference takes every word for a refusal, too.
        stored(response, true).await?;
        Ok(store.url(&file.name))
    }
}

/// Whether the store has it. Of an answer no more than its first words is read.
async fn stored(mut response: Response, silently: bool) -> Result<(), UploadError> {
    let status = response.status();
    let mut said = Vec::new();
    while said.len() < REFUSAL_BYTES
        && let Some(chunk) = response.chunk().await.map_err(UploadError::Transfer)?
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
        let mut request = client.put(action.sign(PATIENCE)).body(file.bytes);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(UploadError::Transfer)?;
        stored(response, false).await?;
        Ok(self.bucket.object_url(&path).into())
    }
}
