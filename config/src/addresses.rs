//! The three addresses of a node as operators type them: the one told to gateways, the public listener, the operator port.
//! Functions here refuse with what is wanted; judging how far an address reaches is left to the caller.

use serde::{Serialize, Serializer};
use std::fmt;

/// Port of the public listener where none is given.
pub const PUBLIC_PORT: u16 = 8935;
/// Port of the operator port of an orchestrator where none is given.
pub const OPERATOR_PORT: u16 = 7935;

/// Plain text or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// HTTP/1.1 and HTTP/2 without TLS.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Host and port to listen on. An empty host means all interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The public listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listen {
    /// Plain text or TLS.
    pub scheme: Scheme,
    /// Where it listens.
    pub address: HostPort,
}

/// The address told to gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAddr {
    /// None: the node takes no jobs and only tells its other instances.
    None,
    /// A URI without a path.
    Uri {
        /// How gateways shall connect.
        scheme: Scheme,
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port, where one was given; without one gateways dial the scheme's own.
        port: Option<u16>,
    },
}

impl ServiceAddr {
    /// The port on which the listener is expected.
    #[must_use]
    pub fn listen_port(&self) -> u16 {
        match self {
            Self::Uri {
                port: Some(port), ..
            } => *port,
            _ => PUBLIC_PORT,
        }
    }
}

impl fmt::Display for ServiceAddr {
    /// The URI as it is put into the answers to gateways; empty for none.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Uri { scheme, host, port } = self else {
            return Ok(());
        };
        let scheme = scheme.text();
        if host.contains(':') {
            write!(formatter, "{scheme}://[{host}]")?
        } else {
            write!(formatter, "{scheme}://{host}")?
        }
        port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl Serialize for ServiceAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads `-serviceAddr`. The host may come out empty, as in `:8935`.
pub(crate) fn service(text: &str) -> Result<ServiceAddr, &'static str> {
    if text == "none" {
        return Ok(ServiceAddr::None);
    }
    let (scheme, rest) = split_scheme(text, Scheme::Https)?;
    let (host, port) = host_and_port(rest)?;
    if port == Some(0) {
        return Err("the port must not be 0");
    }
    if host.is_empty() && port.is_none() {
        return Err("must be host:port");
    }
    Ok(ServiceAddr::Uri { scheme, host, port })
}

/// Reads `-httpAddr`; a missing port becomes `default_port`.
pub(crate) fn listen(text: &str, default_port: u16) -> Result<Listen, &'static str> {
    let (scheme, rest) = split_scheme(text, Scheme::Https)?;
    let address = listen_address(rest, "", default_port)?;
    Ok(Listen { scheme, address })
}

/// Reads `-cliAddr`; a missing host becomes loopback, a missing port the default.
pub(crate) fn operator(text: &str) -> Result<HostPort, &'static str> {
    if text.contains("://") {
        return Err("must be host:port without a scheme; this port speaks plain HTTP");
    }
    listen_address(text, "127.0.0.1", OPERATOR_PORT)
}

/// Reads `-redeemerAddr`; a missing host becomes loopback, a missing port the default. The service is always reached over TLS.
pub(crate) fn redeemer(text: &str) -> Result<HostPort, &'static str> {
    if text.starts_with("http://") {
        return Err("must be host:port; a redeemer is reached over TLS");
    }
    listen_address(
        split_scheme(text, Scheme::Https)?.1,
        "127.0.0.1",
        PUBLIC_PORT,
    )
}

fn listen_address(
    text: &str,
    default_host: &str,
    default_port: u16,
) -> Result<HostPort, &'static str> {
    let (host, port) = host_and_port(text)?;
    if port.is_none() && host.bytes().all(|byte| byte.is_ascii_digit()) && !host.is_empty() {
        return Err("is only a number; write a colon before a port");
    }
    let host = if host.is_empty() {
        default_host.to_owned()
    } else {
        host
    };
    Ok(HostPort {
        host,
        port: port.unwrap_or(default_port),
    })
}

fn split_scheme(text: &str, default: Scheme) -> Result<(Scheme, &str), &'static str> {
    let (scheme, rest) = match text.split_once("://") {
        None => (default, text),
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(_) => return Err("must begin with http:// or https:// if it names a scheme"),
    };
    Ok((scheme, rest.strip_suffix('/').unwrap_or(rest)))
}

/// Host without brackets and port, each of which may be missing.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), &'static str> {
    if text.contains('@') {
        return Err("must not hold a user or password");
    }
    if text.contains(['/', '?', '#']) {
        return Err("must not have a path or query; write only host and port");
    }
    let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (host, after) = bracketed
            .split_once(']')
            .ok_or("has an opening bracket without a closing one")?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("must hold an IPv6 address between its brackets");
        }
        match after {
            "" => (host, None),
            _ => (
                host,
                Some(
                    after
                        .strip_prefix(':')
                        .ok_or("must have a colon between the bracket and the port")?,
                ),
            ),
        }
    } else if text.matches(':').count() > 1 {
        return Err("has more than one colon; write an IPv6 address in brackets");
    } else {
        text.split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let name_fits =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':');
    if !host.chars().all(name_fits) {
        return Err("holds a letter that no host name has");
    }
    let port = match port {
        None => None,
        Some(port) => Some(
            port.parse::<u16>()
                .map_err(|_| "must end in a port from 0 to 65535")?,
        ),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_service_address_gets_https_unless_it_says_otherwise() {
        let cases = [
            ("example.com:8935", "https://example.com:8935", 8935),
            ("http://example.com:80", "http://example.com:80", 80),
            ("https://example.com/", "https://example.com", 8935),
            ("example.com", "https://example.com", 8935),
            ("[2001:db8::1]:9000", "https://[2001:db8::1]:9000", 9000),
            (":8936", "https://:8936", 8936),
            ("none", "", 8935),
        ];
        for (typed, shown, port) in cases {
            let address = service(typed).unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.listen_port()),
                (shown, port),
                "{typed}"
            );
        }
        for bad in [
            "https://example.com/x",
            "ftp://example.com",
            "u:p@example.com:1",
            "example.com:99999",
            "a:b:c",
            "",
            "ex ample:1",
            "[::1",
            "h:0",
        ] {
            assert!(service(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_listener_is_tls_unless_it_begins_with_http() {
        let cases = [
            (":8936", Scheme::Https, ":8936"),
            ("0.0.0.0", Scheme::Https, "0.0.0.0:9000"),
            ("http://127.0.0.1:8080", Scheme::Http, "127.0.0.1:8080"),
            ("https://h:1/", Scheme::Https, "h:1"),
            ("[::]:8935", Scheme::Https, "[::]:8935"),
            ("http://", Scheme::Http, ":9000"),
        ];
        for (typed, scheme, shown) in cases {
            let listen = listen(typed, 9000).unwrap();
            assert_eq!(
                (listen.scheme, listen.address.to_string().as_str()),
                (scheme, shown),
                "{typed}"
            );
        }
        for bad in ["http://h:1/path", "ws://h:1", "8935", "::1", "h:x"] {
            assert!(super::listen(bad, 9000).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_operator_port_stays_on_loopback_unless_told_otherwise() {
        assert_eq!(operator(":7000").unwrap().to_string(), "127.0.0.1:7000");
        assert_eq!(operator("0.0.0.0").unwrap().to_string(), "0.0.0.0:7935");
        assert!(operator("http://127.0.0.1:7935").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,20}|[\\[\\]:/@a-z0-9.]{0,20}") {
            let _ = (service(&text), listen(&text, 1), operator(&text));
        }

        #[test]
        fn what_is_printed_reads_back_as_the_same(host in "[a-z]{1,8}(\\.[a-z]{1,4})?", port in 1_u16.., plain in any::<bool>()) {
            let scheme = if plain { Scheme::Http } else { Scheme::Https };
            let address = ServiceAddr::Uri { scheme, host, port: Some(port) };
            prop_assert_eq!(service(&address.to_string()), Ok(address));
        }
    }
}
