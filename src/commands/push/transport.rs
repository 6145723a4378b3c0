//! Connections to an orchestrator, made as gateways make them: TLS without verification, a new connection for each RPC,
//! HTTP/2 for segments where it is offered, HTTP/1.1 without ALPN for downloads, plain text for `http://`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use reqwest::Client;
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::doors::public::rpc::orchestrator_client::OrchestratorClient;

/// Time for TCP and TLS before an RPC.
const RPC_CONNECT: Duration = Duration::from_secs(3);
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
    rpc_tls: Arc<ClientConfig>,
}

impl Transport {
    /// # Errors
    /// [`TransportError::Setup`] when no client can be made of the TLS settings.
    pub fn new() -> Result<Self, TransportError> {
        let client = |alpn: &[&[u8]]| {
            Client::builder()
                .tls_backend_preconfigured(tls(alpn)?)
                .connect_timeout(HTTP_CONNECT)
                .pool_idle_timeout(HTTP_IDLE)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .map_err(|error| TransportError::Setup(error.to_string()))
        };
        Ok(Self {
            segments: client(&[b"h2", b"http/1.1"])?,
            downloads: client(&[])?,
            rpc_tls: Arc::new(tls(&[b"h2"])?),
        })
    }

    /// A client on a connection of its own, which closes with it.
    ///
    /// # Errors
    /// [`TransportError`] when the address is none or nobody answers there.
    pub async fn rpc(&self, service: &str) -> Result<OrchestratorClient<Channel>, TransportError> {
        let origin: Uri = service
            .parse()
            .map_err(|_| TransportError::Address(service.to_owned()))?;
        let (Some(host), Some(scheme)) = (origin.host(), origin.scheme_str()) else {
            return Err(TransportError::Address(service.to_owned()));
        };
        let secure = scheme == "https";
        let port = origin.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let tls = secure.then(|| Arc::clone(&self.rpc_tls));
        // The connector below does what the scheme of the origin asks, so the endpoint itself must not ask for TLS.
        let endpoint = Endpoint::from_static("http://orchestrator")
            .origin(origin)
            .connect_timeout(RPC_CONNECT);
        let connector = tower::service_fn(move |_: Uri| dial(host.clone(), port, tls.clone()));
        let channel = tokio::time::timeout(RPC_CONNECT, endpoint.connect_with_connector(connector))
            .await
            .map_err(|_| TransportError::Connect {
                service: service.to_owned(),
                reason: "timed out".to_owned(),
            })?
            .map_err(|error| TransportError::Connect {
                service: service.to_owned(),
                reason: causes(&error),
            })?;
        Ok(OrchestratorClient::new(channel))
    }
}

/// A byte stream to a peer, encrypted or not.
trait Link: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

async fn dial(
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<TokioIo<Box<dyn Link>>> {
    let socket = TcpStream::connect((host.as_str(), port)).await?;
    socket.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(TokioIo::new(Box::new(socket)));
    };
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, socket).await?;
    Ok(TokioIo::new(Box::new(stream)))
}

/// An error with all its causes in one line; the outermost alone says "transport error".
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let line = inner.to_string();
        if !text.ends_with(&line) {
            text = format!("{text}: {line}");
        }
        cause = inner.source();
    }
    text
}

fn tls(alpn: &[&[u8]]) -> Result<ClientConfig, TransportError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
    let mut config = client_config(provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn client_config(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TransportError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Setup(error.to_string()))
}

/// Takes every certificate, as every peer of this protocol does: nodes sign their own.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The TLS library refused its settings.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
    /// Not of the form `https://host:port`.
    #[error("{0:?} is no address of an orchestrator; write https://host:port")]
    Address(String),
    /// Nobody answers, or not in the protocol.
    #[error("cannot connect to {service}: {reason}")]
    Connect {
        /// Address tried.
        service: String,
        /// What went wrong.
        reason: String,
    },
}
