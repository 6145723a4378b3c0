//! Which addresses a stranger may point us to: public ones, and what the operator lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::AllowedSegmentHost;

/// Where segment URLs may point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchPolicy {
    allowed: Vec<AllowedSegmentHost>,
}

impl FetchPolicy {
    /// Public addresses, and `allowed` besides.
    pub fn new(allowed: Vec<AllowedSegmentHost>) -> Self {
        Self { allowed }
    }

    /// Whether a connection to `address` may be made for a URL that names `host`, `None` if it names the address itself.
    pub fn permits(&self, host: Option<&str>, address: IpAddr) -> bool {
        let host = host.map(|host| host.trim_end_matches('.').to_ascii_lowercase());
        is_public(address)
            || self.allowed.iter().any(|allowed| match allowed {
                AllowedSegmentHost::Name(name) => match &host {
                    Some(host) => host == name,
                    None => name.parse() == Ok(address),
                },
                AllowedSegmentHost::Range(range) => range.contains(address),
            })
    }
}

/// Whether an address is reached over the public internet (IANA special-purpose registries, RFC 6890 and later).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // 0/8 this network, 10/8, 100.64/10 carriers, 127/8, 169.254/16 link and metadata, 172.16/12, 192.0.0/24 protocols,
    // 192.0.2/24 documentation, 192.88.99/24 6to4 relays, 192.168/16, 198.18/15 benchmarks, 198.51.100/24 and 203.0.113/24
    // documentation, 224/4 multicast, 240/4 reserved and broadcast
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224.., ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is handed out; within it 2001::/23 (protocols, Teredo), 2001:db8::/32 and 3fff::/20 (documentation) and
    // 2002::/16 (6to4, which hides an IPv4 address) are not. NAT64 (64:ff9b::) lies outside.
    match address.segments() {
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use config::Cidr;
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(
                !FetchPolicy::default().permits(Some("h"), ip(text)),
                "{text}"
            );
        }
    }

    #[test]
    fn public_addresses_are_permitted() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
        ] {
            assert!(FetchPolicy::default().permits(None, ip(text)), "{text}");
        }
    }

    #[test]
    fn what_the_operator_lists_is_permitted_and_nothing_beside_it() {
        let policy = FetchPolicy::new(vec![
            AllowedSegmentHost::Name("store.lan".into()),
            AllowedSegmentHost::Range(Cidr::parse("10.9.0.0/16").expect("range")),
        ]);
        assert!(policy.permits(Some("Store.LAN."), ip("192.168.1.9")));
        assert!(!policy.permits(Some("other.lan"), ip("192.168.1.9")));
        assert!(!policy.permits(None, ip("192.168.1.9")));
        assert!(policy.permits(None, ip("10.9.3.4")));
        assert!(policy.permits(Some("x"), ip("::ffff:10.9.3.4")));
        assert!(!policy.permits(None, ip("10.8.3.4")));
    }

    proptest! {
        #[test]
        fn mapping_into_ipv6_never_opens_an_address(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(is_public(v4.into()), is_public(v4.to_ipv6_mapped().into()));
        }
    }
}
