//! Networks as CIDR text, with Falco's limits on prefix lengths.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    bits: u128,
    mask: u128,
    is_v4: bool,
}

impl Network {
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text
            .split_once('/')
            .ok_or_else(|| format!("unrecognized IP network {text}: write it as ADDRESS/LENGTH"))?;
        let address: IpAddr =
            address.parse().ok().ok_or_else(|| format!("unrecognized IP network {text}"))?;
        let is_v4 = address.is_ipv4();
        let (least, most) = if is_v4 { (0, 32) } else { (1, 128) };
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let length = digits.then(|| prefix.parse::<u32>().ok()).flatten();
        let length = length.filter(|length| (least..=most).contains(length)).ok_or_else(|| {
            format!("invalid netmask {prefix}: {least} to {most} is possible here")
        })?;
        let mask = u128::MAX.checked_shl(most - length).unwrap_or(0);
        Ok(Self { bits: bits(address) & mask, mask, is_v4 })
    }

    /// The network of one address.
    pub fn of(address: IpAddr) -> Self {
        Self { bits: bits(address), mask: u128::MAX, is_v4: address.is_ipv4() }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_v4 && (bits(address) & self.mask) == self.bits
    }

    /// Whether the other is a part of this one, or the whole.
    pub fn has(&self, other: &Self) -> bool {
        self.is_v4 == other.is_v4
            && self.mask & other.mask == self.mask
            && other.bits & self.mask == self.bits
    }

    /// 4 or 6, the address in network byte order from the first byte on, and how many of its bits count.
    pub fn plain(&self) -> (u8, [u8; 16], u32) {
        let length = self.mask.leading_ones();
        if self.is_v4 {
            // Of the mask's 128 bits, an IPv4 address has the lower 32.
            let bits = length.saturating_sub(96);
            return (4, (self.bits << 96).to_be_bytes(), bits);
        }
        (6, self.bits.to_be_bytes(), length)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_v4 {
            let bits = u32::try_from(self.bits).unwrap_or(0);
            return write!(
                out,
                "{}/{}",
                Ipv4Addr::from_bits(bits),
                32 - self.mask.trailing_zeros()
            );
        }
        write!(out, "{}/{}", Ipv6Addr::from_bits(self.bits), 128 - self.mask.trailing_zeros())
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_its_addresses() {
        let cases = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("142.0.0.0/0", "1.2.3.4", true),
            ("1.2.3.4/32", "1.2.3.4", true),
            ("1.2.3.4/32", "1.2.3.5", false),
            ("10.0.0.0/8", "::1", false),
            ("2000::/3", "2001:4860:4860::8888", true),
            ("2000::/3", "::1", false),
        ];
        for (network, address, expected) in cases {
            let network = Network::parse(network).unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                expected,
                "{network:?} {address}"
            );
        }
    }

    #[test]
    fn networks_lie_in_each_other() {
        let network = |text| Network::parse(text).unwrap();
        for (outer, inner, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("0.0.0.0/0", "10.0.0.0/8", true),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("2000::/3", "10.0.0.0/8", false),
            ("2000::/3", "2001:db8::/32", true),
        ] {
            assert_eq!(network(outer).has(&network(inner)), expected, "{outer} {inner}");
        }
        let mut address = [0; 16];
        address[..2].copy_from_slice(&[10, 1]);
        assert_eq!(network("10.1.0.0/16").plain(), (4, address, 16));
        assert_eq!(network("0.0.0.0/0").plain(), (4, [0; 16], 0));
        assert_eq!(network("2000::/3").plain().2, 3);
        assert_eq!(Network::of([10, 0, 0, 1].into()).plain().2, 32);
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in
            ["10.0.0.1", "10.0.0.0/33", "10.0.0.0/-1", "::/0", "x/8", "10.0.0.0/", "1.2.3/8"]
        {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
