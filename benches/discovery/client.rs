//! The least client that asks GetOrchestrator: TCP, a full TLS handshake, HTTP/2, one call. As gateways do it, no TLS session is
//! resumed and no certificate is checked.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use protocol::capabilities::{Capabilities, CapabilitySet};
use protocol::discovery::{off_chain_request, signed_request};
use protocol::pb;
use protocol::signature::SecretKey;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What a gateway that takes pushed MPEG-TS demands.
const DEMAND: u64 = 0x400_1003;

/// Makes connections to one node.
#[derive(Clone)]
pub struct Caller {
    address: String,
    connector: TlsConnector,
    question: Bytes,
}

/// An open connection.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Caller {
    /// For the node at `https://host:port`, asked as by a gateway without an account.
    pub fn new(public: &str) -> Self {
        let demand = Capabilities::demand(CapabilitySet::from_words(vec![DEMAND]));
        Self::asking(public, &off_chain_request(&demand))
    }

    /// For the node at `https://host:port`, asked as by the gateway that signed the question.
    pub fn signed(public: &str, key: &SecretKey) -> Self {
        let demand = Capabilities::demand(CapabilitySet::from_words(vec![DEMAND]));
        Self::asking(public, &signed_request(key, &demand))
    }

    fn asking(public: &str, question: &pb::OrchestratorRequest) -> Self {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        let message = question.encode_to_vec();
        let length = u32::try_from(message.len()).expect("length");
        let question = [&[0][..], &length.to_be_bytes(), &message].concat();
        Self {
            address: public.trim_start_matches("https://").to_owned(),
            connector: TlsConnector::from(Arc::new(config)),
            question: question.into(),
        }
    }

    /// A new connection.
    pub async fn connect(&self) -> Connection {
        let socket = TcpStream::connect(&self.address).await.expect("connect");
        socket.set_nodelay(true).expect("no delay");
        let name = ServerName::try_from("localhost").expect("name");
        let stream = self
            .connector
            .connect(name, socket)
            .await
            .expect("TLS handshake");
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        Connection(sender)
    }

    /// Asks on an open connection.
    pub async fn ask(&self, connection: &mut Connection) -> pb::OrchestratorInfo {
        let uri = format!("https://{}/net.Orchestrator/GetOrchestrator", self.address);
        let request = Request::post(uri)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(self.question.clone()))
            .expect("request");
        let answer = connection.0.send_request(request).await.expect("answer");
        let body = answer.into_body().collect().await.expect("body").to_bytes();
        let message = body.get(5..).expect("an answer, not a refusal");
        pb::OrchestratorInfo::decode(message).expect("OrchestratorInfo")
    }
}

/// Takes every certificate: nodes sign their own. Signatures of the handshake are verified, as any client must.
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
