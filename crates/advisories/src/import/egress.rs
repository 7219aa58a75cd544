//! Which addresses a download may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Denies loopback, link-local, private and other special addresses unless the host is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    allowed_hosts: Vec<String>,
    anywhere: bool,
}

impl EgressPolicy {
    /// Public addresses only.
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Any address: for operators who name their own mirrors.
    pub fn anywhere() -> Self {
        Self { anywhere: true, ..Self::default() }
    }

    /// Public addresses, and whatever these host names or addresses stand for.
    pub fn with_hosts(hosts: impl IntoIterator<Item = String>) -> Self {
        let allowed_hosts = hosts.into_iter().map(|h| h.to_ascii_lowercase()).collect();
        Self { allowed_hosts, anywhere: false }
    }

    /// Whether `host`, which resolves to `address`, may be reached.
    pub fn permits(&self, host: &str, address: IpAddr) -> bool {
        let host = host.trim_matches(['[', ']']);
        self.anywhere
            || self.allowed_hosts.iter().any(|h| h.eq_ignore_ascii_case(host))
            || is_public(address)
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(a: Ipv4Addr) -> bool {
    let o = a.octets();
    !(a.is_loopback()
        || a.is_private()
        || a.is_link_local()
        || a.is_broadcast()
        || a.is_documentation()
        || a.is_multicast()
        || o[0] == 0
        || o[0] >= 240
        || (o[0] == 100 && o[1] & 0xc0 == 64)
        || (o[0] == 192 && o[1] == 0 && o[2] == 0)
        || (o[0] == 198 && o[1] & 0xfe == 18))
}

fn is_public_v6(a: Ipv6Addr) -> bool {
    let s = a.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        // Addresses that carry another: mapped, compatible, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] if high != 0 || s[5] == 0xffff => {
            is_public_v4(embedded(high, low))
        }
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(embedded(high, low)),
        [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        _ => {
            !(a.is_loopback()
                || a.is_unspecified()
                || a.is_multicast()
                || s[0] & 0xfe00 == 0xfc00
                || s[0] & 0xffc0 == 0xfe80
                || s[0] & 0xffc0 == 0xfec0
                || (s[0] == 0x2001 && s[1] == 0xdb8)
                || (s[0] == 0x64 && s[1] == 0xff9b))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses() {
        let policy = EgressPolicy::public_only();
        for good in ["8.8.8.8", "2600:1901::1", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
            assert!(policy.permits("x", good.parse().unwrap()), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!policy.permits("x", bad.parse().unwrap()), "{bad}");
            assert!(EgressPolicy::anywhere().permits("x", bad.parse().unwrap()), "{bad}");
        }
        let listed = EgressPolicy::with_hosts(["Mirror.example".to_owned()]);
        assert!(listed.permits("mirror.example", "10.0.0.1".parse().unwrap()));
        assert!(!listed.permits("other.example", "10.0.0.1".parse().unwrap()));
    }
}
