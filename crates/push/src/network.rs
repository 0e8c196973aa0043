//! Which addresses a message may go to. A subscription is somebody's word: without this the server would ask its own neighbours for
//! whoever registers their addresses.
//!
//! Names are looked up here and what they lead to is looked at before anything is connected to, so that a name that changes its mind gains
//! nothing. Redirects are not followed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url};

/// How long a push service may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where messages may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To public addresses over TLS.
    Public,
    /// Anywhere, while an app is being built.
    Anywhere,
}

impl Reach {
    /// Why a message may not go to an address.
    pub(crate) fn check(self, endpoint: &str) -> Result<Url, &'static str> {
        let url = Url::parse(endpoint).map_err(|_| "is no address of the web")?;
        let is_plain = url.scheme() == "http" && self == Reach::Anywhere;
        if url.scheme() != "https" && !is_plain {
            return Err("must begin with https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a password");
        }
        let host = url.host_str().ok_or("has no host")?;
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(address) if !self.allows(address) => Err("leads to no public address"),
            Err(_) if self == Reach::Public && !host.contains('.') => Err("leads to no public address"),
            _ => Ok(url),
        }
    }

    fn allows(self, address: IpAddr) -> bool {
        self == Reach::Anywhere || is_public(address)
    }

    /// A client that goes nowhere else.
    pub(crate) fn client(self) -> Result<Client, String> {
        Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(self))
            .build()
            .map_err(|error| format!("no client for push services: {error}"))
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.filter(|address| reach.allows(address.ip())).collect();
            if found.is_empty() {
                return Err(io::Error::other("its name leads to no public address").into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public Internet (IANA's registries of special addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    // 2000::/3 is all that is given out. What carries an address of the older kind may carry a private one.
    let is_global = first & 0xe000 == 0x2000;
    let is_special = (first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000)
        || (first == 0x2620 && second == 0x004f && third == 0x8000);
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::{Reach, is_public};

    #[test]
    fn only_public_addresses_are_reached() {
        for (address, expect) in [
            ("8.8.8.8", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::7f00:1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("ff02::1", false),
            ("2002:7f00:1::", false),
            ("2001:db8::1", false),
            ("2001::1", false),
            ("2606:4700:4700::1111", true),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expect, "{address}");
        }
    }

    #[test]
    fn an_endpoint_is_a_public_address_over_tls() {
        let check = |endpoint: &str, public: bool, anywhere: bool| {
            assert_eq!(Reach::Public.check(endpoint).is_ok(), public, "{endpoint}");
            assert_eq!(Reach::Anywhere.check(endpoint).is_ok(), anywhere, "{endpoint}");
        };
        check("https://updates.push.services.mozilla.com/wpush/v2/gAAA", true, true);
        check("http://push.example.com/x", false, true);
        check("https://127.0.0.1/x", false, true);
        check("https://2130706433/x", false, true);
        check("https://[::1]/x", false, true);
        check("https://localhost/x", false, true);
        check("https://metadata/x", false, true);
        check("https://ann:secret@push.example.com/x", false, false);
        check("ftp://push.example.com/x", false, false);
        check("no address", false, false);
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_not_connected_to() {
        let client = Reach::Public.client().unwrap();
        let error = client.post("https://localhost.localdomain./x").send().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = client.post(format!("http://localhost:{port}/x")).send().await.unwrap_err();
        assert!(format!("{error:?}").contains("no public address"), "{error:?}");
    }
}
