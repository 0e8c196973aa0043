//! From which address a request comes: the peer's, or what a proxy that is trusted says of the one before it.
//!
//! `X-Forwarded-For` is read from its end, and only past addresses that are trusted: whatever a client writes there itself stands
//! further in front and is never believed.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{Extensions, HeaderMap, HeaderName};

/// What a proxy says of where a request comes from.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Addresses with a common beginning: `10.0.0.0/8`, `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// Neither an address nor a network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address or network such as 10.0.0.0/8")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| NetworkError)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(bits_max);
        if bits > bits_max { Err(NetworkError) } else { Ok(Network { address, bits }) }
    }
}

impl Network {
    /// Whether every address is one of it, or as good as.
    pub fn is_all(&self) -> bool {
        self.bits < 8
    }

    /// Whether an address is one of it; an IPv4 address in IPv6's form is what it stands for.
    pub fn holds(&self, address: IpAddr) -> bool {
        let differs = |bits_max: u32, own: u128, other: u128| {
            // Shifting by all bits is none of the shifts that there are.
            (own ^ other).checked_shr(bits_max - self.bits).unwrap_or(0) != 0
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                !differs(32, own.to_bits().into(), other.to_bits().into())
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => !differs(128, own.to_bits(), other.to_bits()),
            _ => false,
        }
    }
}

/// The address that a request comes from; `None`: it came over no connection of its own.
pub(crate) fn address(trusted: &[Network], extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let mut address = extensions.get::<Peer>()?.0.ip().to_canonical();
    let said = headers.get_all(FORWARDED_FOR).iter().rev().filter_map(|value| value.to_str().ok());
    for before in said.flat_map(|value| value.rsplit(',')) {
        if !trusted.iter().any(|network| network.holds(address)) {
            break;
        }
        let Ok(before) = before.trim().parse::<IpAddr>() else { break };
        address = before.to_canonical();
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use axum::http::{Extensions, HeaderMap, HeaderValue};

    use super::{Network, Peer, address};

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        let check = |peer: &str, said: &[&str], expect: &str| {
            let trusted: Vec<Network> =
                ["10.0.0.0/8", "::1"].iter().map(|text| text.parse().unwrap()).collect();
            let mut extensions = Extensions::new();
            extensions.insert(Peer(peer.parse().unwrap()));
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
            }
            let found = address(&trusted, &extensions, &headers).map(|address| address.to_string());
            assert_eq!(found.as_deref(), Some(expect), "{peer} {said:?}");
        };
        check("192.0.2.1:1", &[], "192.0.2.1");
        check("192.0.2.1:1", &["198.51.100.7"], "192.0.2.1");
        check("10.1.2.3:1", &["198.51.100.7"], "198.51.100.7");
        check("10.1.2.3:1", &["1.1.1.1, 198.51.100.7"], "198.51.100.7");
        check("10.1.2.3:1", &["1.1.1.1, 198.51.100.7, 10.9.9.9"], "198.51.100.7");
        check("10.1.2.3:1", &["198.51.100.7", "10.9.9.9"], "198.51.100.7");
        check("10.1.2.3:1", &["unknown"], "10.1.2.3");
        check("[::1]:1", &["2001:db8::1"], "2001:db8::1");
        check("[::ffff:10.0.0.1]:1", &["198.51.100.7"], "198.51.100.7");
    }

    #[test]
    fn a_network_is_read_or_refused() {
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "host"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        assert!("0.0.0.0/0".parse::<Network>().is_ok_and(|all| all.holds("192.0.2.1".parse().unwrap())));
    }
}
