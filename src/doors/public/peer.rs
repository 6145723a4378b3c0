//! Who is at the other end of a request.

use std::net::{IpAddr, Ipv6Addr};

use config::Cidr;
use http::HeaderMap;

/// The caller, as far as the network tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its address.
    pub address: IpAddr,
}

impl Peer {
    /// The peer of a connection; behind a trusted proxy the last address in `X-Forwarded-For` that is not itself one.
    pub fn of(connection: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
        let mut address = connection.to_canonical();
        if !is_trusted(address) {
            return Self { address };
        }
        let values = headers.get_all("x-forwarded-for").iter().rev();
        for text in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.rsplit(','))
        {
            let Ok(forwarded) = text.trim().parse::<IpAddr>() else {
                break;
            };
            address = forwarded.to_canonical();
            if !is_trusted(address) {
                break;
            }
        }
        Self { address }
    }
}

/// What is counted as one address: the network of 64 bits in IPv6, since a caller has all of it.
pub(super) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(connection: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<Cidr> = ["10.0.0.0/8", "::1"]
            .iter()
            .filter_map(|text| Cidr::parse(text))
            .collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().expect("header"));
        }
        let connection = connection.parse().expect("address");
        Peer::of(connection, &headers, &trusted).address.to_string()
    }

    #[test]
    fn only_trusted_proxies_may_name_another_address() {
        assert_eq!(peer("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(peer("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(peer("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(peer("::1", &[]), "::1");
    }

    #[test]
    fn what_a_client_wrote_itself_is_not_believed() {
        assert_eq!(
            peer("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(
            peer("10.0.0.1", &["1.1.1.1", "198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(peer("10.0.0.1", &["1.1.1.1, nonsense"]), "10.0.0.1");
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let key = |text: &str| counted_as(text.parse().expect("address"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn any_header_is_read(value in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                headers.append("x-forwarded-for", value);
            }
            let all = [Cidr::parse("0.0.0.0/0").expect("range")];
            Peer::of(IpAddr::from([10, 0, 0, 1]), &headers, &all);
        }
    }
}
