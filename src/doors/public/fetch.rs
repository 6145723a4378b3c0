//! Fetches a segment that a gateway named by URL, from nowhere but where the operator lets strangers point us.

mod policy;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::StatusCode;
use http::header::LOCATION;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, redirect};
use url::{Host, Url};

pub use self::policy::FetchPolicy;

use super::limits::PublicLimits;

/// Why a segment could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The client for segment URLs cannot be made.
    #[error("HTTP client for segment URLs cannot be made: {0}")]
    Client(#[source] reqwest::Error),
    /// The text is no URL, or none that is fetched.
    #[error("{0:?} is no http or https URL with a host")]
    Url(String),
    /// The address is not public.
    #[error(
        "{host} is at {address}, which is not public; list it in -segmentUrlAllow if it is meant to be used"
    )]
    Forbidden {
        /// Host in the URL.
        host: String,
        /// Where it is.
        address: String,
    },
    /// Too many redirects.
    #[error("more than {0} redirects")]
    Redirects(usize),
    /// Another status than 200.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The exchange failed.
    #[error("could not fetch: {0:?}")]
    Transfer(#[source] reqwest::Error),
}

/// The client for segment URLs.
pub(super) struct Fetcher {
    client: Client,
    policy: Arc<ArcSwap<FetchPolicy>>,
}

impl Fetcher {
    /// A client that goes where `policy` lets it.
    pub fn new(
        policy: Arc<ArcSwap<FetchPolicy>>,
        limits: &PublicLimits,
    ) -> Result<Self, FetchError> {
        // The client takes the process's provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            // Peers use certificates that nobody signed; what counts is the hash that the gateway signed.
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(CheckedResolver(Arc::clone(&policy)))
            .pool_max_idle_per_host(0)
            .timeout(limits.fetch)
            .build()
            .map_err(FetchError::Client)?;
        Ok(Self { client, policy })
    }

    /// The object at `url`, following up to `redirects`, each of which is checked like the first.
    pub async fn open(
        &self,
        url: &str,
        redirects: usize,
    ) -> Result<impl Stream<Item = Result<Bytes, FetchError>> + Send + use<>, FetchError> {
        let mut url = Url::parse(url).map_err(|_| FetchError::Url(url.to_owned()))?;
        for _ in 0..=redirects {
            check(&self.policy.load(), &url)?;
            let response = self
                .client
                .get(url.clone())
                .send()
                .await
                .map_err(FetchError::Transfer)?;
            match next(&url, &response)? {
                Some(target) => url = target,
                None if response.status() == StatusCode::OK => {
                    return Ok(response
                        .bytes_stream()
                        .map(|bytes| bytes.map_err(FetchError::Transfer)));
                }
                None => return Err(FetchError::Status(response.status())),
            }
        }
        Err(FetchError::Redirects(redirects))
    }
}

/// Judges what can be seen before names are resolved; addresses in a URL are never resolved. Odd ways to write
/// one (`0x7f.1`, `2130706433`) have been read as addresses by the parser.
pub(super) fn check(policy: &FetchPolicy, url: &Url) -> Result<(), FetchError> {
    let bad = || FetchError::Url(url.to_string());
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad());
    }
    let address = match url.host().ok_or_else(bad)? {
        Host::Domain(_) => return Ok(()),
        Host::Ipv4(address) => address.into(),
        Host::Ipv6(address) => address.into(),
    };
    if policy.permits(None, address) {
        Ok(())
    } else {
        Err(FetchError::Forbidden {
            host: address.to_string(),
            address: address.to_string(),
        })
    }
}

fn next(url: &Url, response: &Response) -> Result<Option<Url>, FetchError> {
    if !response.status().is_redirection() {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(location.as_bytes());
    url.join(&text)
        .map(Some)
        .map_err(|_| FetchError::Url(text.into_owned()))
}

/// Resolves names and gives out addresses only if every one is permitted. The connection is made to what it gave out, so a
/// name cannot change its mind in between.
pub(super) struct CheckedResolver(pub(super) Arc<ArcSwap<FetchPolicy>>);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.load_full();
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            if let Some(address) = found
                .iter()
                .find(|address| !policy.permits(Some(host), address.ip()))
            {
                let (host, address) = (host.to_owned(), address.ip().to_string());
                return Err(FetchError::Forbidden { host, address }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
