//! The settings of what stands between an app and the network: limits, headers, certificates.

use std::time::Duration;

use mainstay_http::Network;

use super::super::parse::{duration, is_origin, list, size};
use super::super::setting::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "http.header_timeout",
        flag: "http-header-timeout",
        placeholder: "DURATION",
        default: "30s",
        help: "How long a client may take over a request's headers or over agreeing on TLS, and a connection may stand idle.",
        secret: false,
        apply: |config, text| {
            config.header_timeout = duration(text)?.max(Duration::from_millis(1));
            Ok(())
        },
    },
    Setting {
        name: "http.max_connections",
        flag: "http-max-connections",
        placeholder: "N",
        default: "16384",
        help: "Connections held at a time; further ones wait in the system's backlog.",
        secret: false,
        apply: |config, text| {
            config.max_connections = size(text)?.max(1);
            Ok(())
        },
    },
    Setting {
        name: "http.max_connections_per_client",
        flag: "http-max-connections-per-client",
        placeholder: "N",
        default: "1024",
        help: "Of them from one address, or one /64 of IPv6; further ones are closed. 0: any number. Networks of http.rate_free and http.trusted_proxies have any number.",
        secret: false,
        apply: |config, text| {
            config.max_connections_per_client = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "http.rate_limits",
        flag: "http-rate-limits",
        placeholder: "LIMIT,…",
        default: "address 300/1m /auth/*",
        help: "How often a client may ask: by address or user, how many in how long, how many at once, of which method and routes, such as user 600/1m burst 50 POST /api/*. Beyond that: 429. Empty: any number.",
        secret: false,
        apply: |config, text| {
            let limits = list(text).iter().map(|limit| limit.parse()).collect::<Result<Vec<_>, _>>();
            config.security.rates =
                limits.map_err(|error: mainstay_security::RateError| error.to_string())?;
            Ok(())
        },
    },
    Setting {
        name: "http.rate_free",
        flag: "http-rate-free",
        placeholder: "NETWORK,…",
        default: "127.0.0.0/8,::1",
        help: "Networks whose requests are not counted by their address: those of one's own machines.",
        secret: false,
        apply: |config, text| {
            config.security.free = networks(text)?;
            Ok(())
        },
    },
    Setting {
        name: "http.frames",
        flag: "http-frames",
        placeholder: "deny|same|any",
        default: "deny",
        help: "Which sites may show pages in a frame: none, the same one, any. The policy of pages says it too.",
        secret: false,
        apply: |config, text| {
            config.security.headers.frames = match text {
                "deny" => "DENY".to_owned(),
                "same" => "SAMEORIGIN".to_owned(),
                "any" => String::new(),
                _ => return Err("deny, same or any".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        name: "http.page_policy",
        flag: "http-page-policy",
        placeholder: "TEXT",
        default: "object-src 'none'; base-uri 'self'; frame-ancestors 'none'",
        help: "Content-Security-Policy of pages that say none, such as those in public/. Empty: none.",
        secret: false,
        apply: |config, text| {
            config.security.headers.page_policy = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "http.permissions_policy",
        flag: "http-permissions-policy",
        placeholder: "TEXT",
        default: "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        help: "Permissions-Policy of pages: what of the device they may not use. Empty: none.",
        secret: false,
        apply: |config, text| {
            config.security.headers.permissions = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "http.referrer_policy",
        flag: "http-referrer-policy",
        placeholder: "TEXT",
        default: "no-referrer",
        help: "Referrer-Policy: what other sites are told of where somebody comes from. Empty: none.",
        secret: false,
        apply: |config, text| {
            config.security.headers.referrer = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "http.opener_policy",
        flag: "http-opener-policy",
        placeholder: "TEXT",
        default: "same-origin",
        help: "Cross-Origin-Opener-Policy of pages. Empty: none.",
        secret: false,
        apply: |config, text| {
            config.security.headers.opener = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "http.resource_policy",
        flag: "http-resource-policy",
        placeholder: "TEXT",
        default: "",
        help: "Cross-Origin-Resource-Policy: whose pages may embed what is answered. Unless said same-origin, or cross-origin where http.cors_origins names somebody.",
        secret: false,
        apply: |config, text| {
            config.resource_policy = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "http.hsts",
        flag: "http-hsts",
        placeholder: "DURATION",
        default: "365d",
        help: "For how long browsers come by TLS alone once they have come by it (Strict-Transport-Security). 0s: nothing is said of it.",
        secret: false,
        apply: |config, text| {
            config.security.headers.hsts = duration(text)?;
            Ok(())
        },
    },
    Setting {
        name: "http.tls.cert",
        flag: "tls-cert",
        placeholder: "FILE",
        default: "",
        help: "The server's certificate and those above it (PEM): then TLS is spoken at http.listen. Read again when it changes.",
        secret: false,
        apply: |config, text| {
            config.tls_cert = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "http.tls.key",
        flag: "tls-key",
        placeholder: "FILE",
        default: "",
        help: "The certificate's private key (PEM).",
        secret: false,
        apply: |config, text| {
            config.tls_key = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "http.acme.domains",
        flag: "acme-domains",
        placeholder: "NAME,…",
        default: "",
        help: "Names that a certificate is had for by itself, from http.acme.directory: then TLS is spoken at http.listen. The app says use security.",
        secret: false,
        apply: |config, text| {
            config.acme.domains = list(text).iter().map(|name| name.to_ascii_lowercase()).collect();
            match config.acme.domains.iter().find(|name| !is_name(name)) {
                Some(name) => Err(format!("names such as app.example.com, not {name:?}")),
                None => Ok(()),
            }
        },
    },
    Setting {
        name: "http.acme.contact",
        flag: "acme-contact",
        placeholder: "ADDRESS",
        default: "",
        help: "Whom the authority writes to when something is wrong with the certificate.",
        secret: false,
        apply: |config, text| {
            config.acme.contact = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "http.acme.directory",
        flag: "acme-directory",
        placeholder: "URL",
        default: "https://acme-v02.api.letsencrypt.org/directory",
        help: "The authority (RFC 8555). To try things out: https://acme-staging-v02.api.letsencrypt.org/directory.",
        secret: false,
        apply: |config, text| {
            if !text.starts_with("https://") {
                return Err("a URL that begins with https://".to_owned());
            }
            config.acme.directory = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "http.acme.authority",
        flag: "acme-authority",
        placeholder: "FILE",
        default: "",
        help: "A certificate (PEM) that the authority's own server is trusted by, when the system does not know it.",
        secret: false,
        apply: |config, text| {
            config.acme.authority = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "http.redirect",
        flag: "http-redirect",
        placeholder: "ADDRESS:PORT",
        default: "",
        help: "Where those who come without TLS are led to it, such as 0.0.0.0:80.",
        secret: false,
        apply: |config, text| {
            config.redirect =
                Some(text.parse().map_err(|_| "an address with a port: 0.0.0.0:80".to_owned())?);
            Ok(())
        },
    },
];

fn networks(text: &str) -> Result<Vec<Network>, String> {
    let networks = list(text).iter().map(|network| network.parse()).collect::<Result<Vec<_>, _>>();
    networks.map_err(|error: mainstay_http::NetworkError| error.to_string())
}

fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    text.contains('.') && text.bytes().all(is_plain) && is_origin(&format!("https://{text}"))
}
