//! Connections to an orchestrator, made as gateways make them: TLS without verification, a new connection for each RPC,
//! HTTP/2 for segments where it is offered, HTTP/1.1 without ALPN for downloads, plain text for `http://`.

use std::time::Duration;

use reqwest::Client;
use tonic::transport::Channel;

use crate::dial::{self, DialError, Dialer};
use crate::doors::rpc::orchestrator_client::OrchestratorClient;

/// Time for TCP and TLS before a segment or a download.
const HTTP_CONNECT: Duration = Duration::from_secs(2);
/// How long an idle HTTP connection is kept.
const HTTP_IDLE: Duration = Duration::from_secs(60);

/// Makes connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Transport {
    /// Posts segments.
    pub segments: Client,
    /// Fetches renditions.
    pub downloads: Client,
    dialer: Dialer,
}

impl Transport {
    /// # Errors
    /// [`DialError::Setup`] when no client can be made of the TLS settings.
    pub fn new() -> Result<Self, DialError> {
        let client = |alpn: &[&[u8]]| {
            Client::builder()
                .tls_backend_preconfigured(dial::tls(alpn)?)
                .connect_timeout(HTTP_CONNECT)
                .pool_idle_timeout(HTTP_IDLE)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .map_err(|error| DialError::Setup(error.to_string()))
        };
        Ok(Self {
            segments: client(&[b"h2", b"http/1.1"])?,
            downloads: client(&[])?,
            dialer: Dialer::new()?,
        })
    }

    /// A client on a connection of its own, which closes with it.
    ///
    /// # Errors
    /// [`DialError`] when the address is none or nobody answers there.
    pub async fn rpc(&self, service: &str) -> Result<OrchestratorClient<Channel>, DialError> {
        Ok(OrchestratorClient::new(self.dialer.connect(service).await?))
    }
}
