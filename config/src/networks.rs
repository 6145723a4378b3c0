//! Addresses and networks as operators write them, and the question whether an address is public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address range, such as `10.0.0.0/8`; a single address is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Reads `address` or `address/prefix`; `None` if it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().ok()?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        (prefix <= longest).then_some(Self { base, prefix })
    }

    /// Whether `address` lies in the range. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => same_prefix(
                u128::from(base.to_bits()) << 96,
                u128::from(address.to_bits()) << 96,
                self.prefix,
            ),
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                same_prefix(base.to_bits(), address.to_bits(), self.prefix)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix)
    }
}

impl serde::Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn same_prefix(left: u128, right: u128, prefix: u8) -> bool {
    (left ^ right)
        .checked_shr(128 - u32::from(prefix))
        .unwrap_or(0)
        == 0
}

/// What a peer elsewhere can make of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Reachable from elsewhere, as far as the name tells.
    Public,
    /// This machine only.
    Loopback,
    /// A private, link-local, unspecified or otherwise unroutable address or name.
    Private,
}

/// Judges a host name or an address without asking the network.
pub(crate) fn reach(host: &str) -> Reach {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return match address.to_canonical() {
            address if address.is_loopback() => Reach::Loopback,
            IpAddr::V4(address) => v4_reach(address),
            IpAddr::V6(address) => v6_reach(address),
        };
    }
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        Reach::Loopback
    } else if !name.contains('.') || name.ends_with(".local") || name.ends_with(".internal") {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn v4_reach(address: Ipv4Addr) -> Reach {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    let odd = address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation();
    if address.is_private() || address.is_link_local() || shared || odd {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn v6_reach(address: Ipv6Addr) -> Reach {
    let local = address.is_unique_local() || address.is_unicast_link_local();
    if local || address.is_unspecified() || address.is_multicast() {
        Reach::Private
    } else {
        Reach::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_own_addresses_and_no_others() {
        let range = Cidr::parse("10.1.0.0/16").unwrap();
        assert!(range.contains("10.1.255.1".parse().unwrap()));
        assert!(range.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!range.contains("10.2.0.1".parse().unwrap()));
        assert!(!range.contains("::1".parse().unwrap()));
        assert!(
            Cidr::parse("::/0")
                .unwrap()
                .contains("2001:db8::1".parse().unwrap())
        );
        assert!(
            Cidr::parse("127.0.0.1")
                .unwrap()
                .contains("127.0.0.1".parse().unwrap())
        );
        for bad in ["", "10.0.0.0/33", "host/8", "10.0.0.0/", "::/129"] {
            assert!(Cidr::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hosts_that_peers_cannot_reach_are_told_apart() {
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "::ffff:127.0.0.1",
            "a.localhost",
        ] {
            assert_eq!(reach(host), Reach::Loopback, "{host}");
        }
        for host in [
            "10.0.0.1",
            "192.168.1.2",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "[fe80::1]",
            "fd00::1",
            "nas",
            "box.local",
        ] {
            assert_eq!(reach(host), Reach::Private, "{host}");
        }
        for host in ["1.1.1.1", "orch.example.com", "[2606:4700::1111]"] {
            assert_eq!(reach(host), Reach::Public, "{host}");
        }
    }
}
