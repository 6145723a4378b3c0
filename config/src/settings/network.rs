//! Addresses, certificates and who may connect.

use super::{Reader, Roles};
use crate::addresses::{self, HostPort, Listen, PUBLIC_PORT, Scheme, ServiceAddr};
use crate::kind::list_items;
use crate::networks::{Cidr, Reach, reach};
use crate::secret::{Secret, SecretUrl};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// The operator's own certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// The operator port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperatorPort {
    /// Where it listens.
    pub address: HostPort,
    /// Unix socket on which it listens as well.
    pub socket: Option<PathBuf>,
    /// What callers must present. Always there when the address is beyond loopback.
    pub token: Option<Secret>,
}

/// A host or network that segment URLs may name although it is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedSegmentHost {
    /// A name, in small letters.
    Name(String),
    /// An address range.
    Range(Cidr),
}

impl Serialize for AllowedSegmentHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Range(range) => serializer.collect_str(range),
        }
    }
}

/// Addresses and admission.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    /// Name of the network.
    pub name: String,
    /// What gateways are told.
    pub service: ServiceAddr,
    /// The public listener.
    pub listen: Listen,
    /// The operator port.
    pub operator: OperatorPort,
    /// The operator's own certificate; `None` means a self-signed one.
    pub tls: Option<TlsFiles>,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Where segment URLs may point besides public addresses.
    pub segment_url_allow: Vec<AllowedSegmentHost>,
    /// Further instances told to gateways, as https URLs.
    pub nodes: Vec<String>,
    /// Asked for each gateway whether it is admitted and at which price.
    pub auth_webhook: Option<SecretUrl>,
}

pub(super) fn read(reader: &mut Reader<'_>, roles: &Roles) -> Network {
    // Who takes no jobs tells gateways nothing.
    let service = if roles.orchestrator {
        service(reader)
    } else {
        ServiceAddr::None
    };
    let listen = listen(reader, &service);
    let webhook = reader.text("authWebhookUrl");
    Network {
        name: reader.text("network").to_owned(),
        auth_webhook: (!webhook.is_empty()).then(|| SecretUrl::new(webhook)),
        operator: operator(reader),
        tls: tls(reader, &listen),
        trusted_proxies: list_items(reader.text("trustedProxies"))
            .filter_map(Cidr::parse)
            .collect(),
        segment_url_allow: segment_url_allow(reader),
        nodes: nodes(reader),
        service,
        listen,
    }
}

fn local_service(port: Option<u16>) -> ServiceAddr {
    ServiceAddr::Uri {
        scheme: Scheme::Https,
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn service(reader: &mut Reader<'_>) -> ServiceAddr {
    let text = reader.text("serviceAddr").to_owned();
    if text.is_empty() && !reader.values.off_chain() {
        reader.wrong("serviceAddr", "must be given on-chain: the public host:port told to gateways, the same as registered on the chain");
        return local_service(Some(PUBLIC_PORT));
    }
    if text.is_empty() {
        reader.report.warn("no -serviceAddr: gateways are told 127.0.0.1, which only those on this machine can reach");
        return local_service(Some(PUBLIC_PORT));
    }
    let mut address = match addresses::service(&text) {
        Ok(address) => address,
        Err(remedy) => {
            reader.wrong("serviceAddr", remedy);
            return local_service(Some(PUBLIC_PORT));
        }
    };
    if let ServiceAddr::Uri { scheme, host, port } = &mut address {
        match reach(host) {
            _ if host.is_empty() => {
                "127.0.0.1".clone_into(host);
                reader.report.warn(format!("-serviceAddr {text:?} has no host: gateways are told 127.0.0.1, which only those on this machine can reach"));
            }
            Reach::Public => {}
            Reach::Loopback => reader.report.warn(format!(
                "-serviceAddr {text:?}: only gateways on this machine can reach it"
            )),
            Reach::Private => reader.report.warn(format!(
                "-serviceAddr {text:?}: is not a public address; gateways elsewhere cannot reach it"
            )),
        }
        if port.is_none() {
            let dialled = if *scheme == Scheme::Https { 443 } else { 80 };
            reader.report.warn(format!("-serviceAddr {text:?} has no port: gateways will dial {dialled}, this node listens on {PUBLIC_PORT} unless -httpAddr says otherwise"));
        }
    }
    address
}

fn listen(reader: &mut Reader<'_>, service: &ServiceAddr) -> Listen {
    let text = reader.text("httpAddr").to_owned();
    let port = service.listen_port();
    // Without any address only this machine is served: off-chain nobody pays and nobody is asked who they are.
    let host = if text.is_empty() && reader.text("serviceAddr").is_empty() {
        "127.0.0.1"
    } else {
        ""
    };
    let default = Listen {
        scheme: Scheme::Https,
        address: HostPort {
            host: host.to_owned(),
            port,
        },
    };
    let listen = if text.is_empty() {
        Ok(default.clone())
    } else {
        addresses::listen(&text, port)
    };
    let listen = listen.unwrap_or_else(|remedy| {
        reader.wrong("httpAddr", remedy);
        default
    });
    if reach(&listen.address.host) != Reach::Loopback && reader.values.off_chain() {
        reader.report.warn("off-chain, every caller who reaches the public port is served without payment; restrict who can reach it");
    }
    if matches!(
        service,
        ServiceAddr::Uri {
            scheme: Scheme::Http,
            ..
        }
    ) && listen.scheme == Scheme::Https
    {
        reader.report.warn("-serviceAddr says http, but the public port speaks TLS; put http:// before -httpAddr for plain text");
    }
    listen
}

pub(super) fn operator(reader: &mut Reader<'_>) -> OperatorPort {
    let text = reader.text("cliAddr").to_owned();
    let default = HostPort {
        host: "127.0.0.1".to_owned(),
        port: addresses::OPERATOR_PORT,
    };
    let address = if text.is_empty() {
        Ok(default.clone())
    } else {
        addresses::operator(&text)
    };
    let address = address.unwrap_or_else(|remedy| {
        reader.wrong("cliAddr", remedy);
        default
    });
    let token = reader.secret_or_file("cliToken");
    if reach(&address.host) != Reach::Loopback && token.is_none() {
        reader.wrong(
            "cliAddr",
            "is reachable from other machines; set -cliToken as well, or listen on 127.0.0.1",
        );
    }
    OperatorPort {
        address,
        socket: reader.path("cliSocket"),
        token,
    }
}

fn tls(reader: &mut Reader<'_>, listen: &Listen) -> Option<TlsFiles> {
    let certificate = reader.existing_file("tlsCert");
    let key = reader.existing_file("tlsKey");
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            if listen.scheme == Scheme::Http {
                reader.report.warn(
                    "-tlsCert and -tlsKey are not used, because -httpAddr asks for plain text",
                );
            }
            Some(TlsFiles { certificate, key })
        }
        (Some(_), None) => {
            reader.wrong("tlsCert", "needs -tlsKey as well");
            None
        }
        (None, Some(_)) => {
            reader.wrong("tlsKey", "needs -tlsCert as well");
            None
        }
        (None, None) => None,
    }
}

fn segment_url_allow(reader: &mut Reader<'_>) -> Vec<AllowedSegmentHost> {
    let items: Vec<String> = list_items(reader.text("segmentUrlAllow"))
        .map(str::to_ascii_lowercase)
        .collect();
    let mut allowed = Vec::new();
    for item in items {
        if let Some(range) = Cidr::parse(item.trim_start_matches('[').trim_end_matches(']')) {
            allowed.push(AllowedSegmentHost::Range(range));
        } else if item
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        {
            allowed.push(AllowedSegmentHost::Name(item));
        } else {
            reader.wrong("segmentUrlAllow", &format!("{item:?} is neither a host name nor a network; write hosts without scheme or port"));
        }
    }
    allowed
}

fn nodes(reader: &mut Reader<'_>) -> Vec<String> {
    let items: Vec<String> = list_items(reader.text("nodes"))
        .map(str::to_owned)
        .collect();
    let mut nodes = Vec::new();
    for item in items {
        let full = if item.contains("://") {
            item.clone()
        } else {
            format!("https://{item}")
        };
        match url::Url::parse(&full) {
            Ok(url) if url.scheme() == "https" && url.host().is_some() => nodes.push(full),
            _ => reader.wrong(
                "nodes",
                &format!("{item:?} is not an https URL; write https://host:port"),
            ),
        }
    }
    nodes
}
