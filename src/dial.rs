//! Connections to other nodes, made as all peers of this protocol make them: TLS whose certificate nobody vouches for, or plain
//! text for `http://`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::util::BoxService;

/// Time for TCP and TLS before an RPC.
const CONNECT: Duration = Duration::from_secs(3);
/// How often a kept connection is proved to be alive, and how long the proof may take.
const PING: Duration = Duration::from_secs(20);

/// Makes connections for RPCs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dialer {
    tls: Arc<ClientConfig>,
}

/// Where a node listens.
struct Place {
    origin: Uri,
    host: String,
    port: u16,
    secure: bool,
}

impl Dialer {
    /// # Errors
    /// [`DialError::Setup`] when no client can be made of the TLS settings.
    pub fn new() -> Result<Self, DialError> {
        Ok(Self {
            tls: Arc::new(tls(&[b"h2"])?),
        })
    }

    /// Connects to `service`, e.g. `https://host:port`.
    ///
    /// # Errors
    /// [`DialError`] when the address is none or nobody answers there.
    pub async fn connect(&self, service: &str) -> Result<Channel, DialError> {
        let place = Place::parse(service)?;
        let endpoint = place.endpoint();
        let connecting = endpoint.connect_with_connector(connector(&self.tls, place));
        let failed = |reason| DialError::Connect {
            service: service.to_owned(),
            reason,
        };
        tokio::time::timeout(CONNECT, connecting)
            .await
            .map_err(|_| failed("timed out".to_owned()))?
            .map_err(|error| failed(causes(&error)))
    }

    /// A channel to `service` that connects when it is used, again after each break, and finds out when the other end is gone.
    ///
    /// # Errors
    /// [`DialError::Address`].
    pub fn keep(&self, service: &str) -> Result<Channel, DialError> {
        let place = Place::parse(service)?;
        let endpoint = place
            .endpoint()
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .keep_alive_while_idle(true);
        Ok(endpoint.connect_with_connector_lazy(connector(&self.tls, place)))
    }
}

/// Opens the byte streams of a channel.
fn connector(
    tls: &Arc<ClientConfig>,
    place: Place,
) -> BoxService<Uri, TokioIo<Box<dyn Link>>, io::Error> {
    let tls = place.secure.then(|| Arc::clone(tls));
    let open = move |_: Uri| open(place.host.clone(), place.port, tls.clone());
    BoxService::new(tower::service_fn(open))
}

impl Place {
    fn parse(service: &str) -> Result<Self, DialError> {
        let wrong = || DialError::Address(service.to_owned());
        let origin: Uri = service.parse().map_err(|_| wrong())?;
        let (Some(host), Some(scheme)) = (origin.host(), origin.scheme_str()) else {
            return Err(wrong());
        };
        let secure = scheme == "https";
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Self {
            host,
            port: origin.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            secure,
            origin,
        })
    }

    /// The connector does what the scheme of the origin asks, so the endpoint itself must not ask for TLS.
    fn endpoint(&self) -> Endpoint {
        Endpoint::from_static("http://node")
            .origin(self.origin.clone())
            .connect_timeout(CONNECT)
    }
}

/// A byte stream to a peer, encrypted or not.
trait Link: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

async fn open(
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

/// Settings that take every certificate; `alpn` are the protocols offered.
///
/// # Errors
/// [`DialError::Setup`].
pub fn tls(alpn: &[&[u8]]) -> Result<ClientConfig, DialError> {
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
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, DialError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| DialError::Setup(error.to_string()))
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
pub enum DialError {
    /// The TLS library refused its settings.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
    /// Not of the form `https://host:port`.
    #[error("{0:?} is no address of a node; write https://host:port")]
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
