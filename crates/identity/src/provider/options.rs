//! How providers are set: what every kind has, and what OpenID Connect asks for.
//!
//! Incomplete settings are told when the app is opened, with the name of what is missing: a provider that nobody can sign in by is
//! found by whoever starts the server, not by whoever stands before it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::options::IdentityOptions;

/// What is set of every kind of provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderOptions {
    /// What its button says; none: its name.
    pub label: Option<String>,
    /// The tenant that it vouches for, by slug or id; none: for the whole app.
    pub tenant: Option<String>,
    /// Whether somebody who is not known gets an account; none: as everywhere in the app.
    pub register: Option<bool>,
    /// Whether somebody gets one whose verified address it does not tell.
    pub without_email: bool,
    /// The domains of which it gives out the addresses itself, in lower case.
    pub link_by_email: Vec<String>,
    /// What is kept of what it tells of somebody.
    pub keep: Vec<String>,
}

/// An OpenID provider.
#[derive(Clone)]
pub struct OidcOptions {
    /// As every provider.
    pub provider: ProviderOptions,
    /// The address by which it calls itself.
    pub issuer: String,
    /// What it calls the app.
    pub client_id: String,
    /// With what the app asks it; none: a public client.
    pub client_secret: Option<String>,
    /// What is asked for.
    pub scopes: Vec<String>,
}

impl Default for OidcOptions {
    fn default() -> OidcOptions {
        OidcOptions {
            provider: ProviderOptions::default(),
            issuer: String::new(),
            client_id: String::new(),
            client_secret: None,
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
        }
    }
}

impl fmt::Debug for OidcOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OidcOptions { provider, issuer, client_id, client_secret: _, scopes } = self;
        f.debug_struct("OidcOptions")
            .field("provider", provider)
            .field("issuer", issuer)
            .field("client_id", client_id)
            .field("scopes", scopes)
            .finish_non_exhaustive()
    }
}

/// Whether a provider may be at an address: what is said there decides who somebody is, so that nobody may listen on the way or
/// speak in between. On this machine there is no way.
pub fn is_provider_url(text: &str) -> bool {
    let Ok(url) = text.parse::<reqwest::Url>() else { return false };
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_here = || {
        url.host_str().is_some_and(|host| {
            let address = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost"
                || address.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
                || address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
        })
    };
    is_plain
        && match url.scheme() {
            "https" => url.has_host(),
            "http" => is_here(),
            _ => false,
        }
}

/// What is wrong with how providers are set.
///
/// # Errors
/// Words that name the setting.
pub(crate) fn check(options: &IdentityOptions) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for (kind, name, _) in options.providers() {
        if !names.insert(name) {
            return Err(format!(
                "identity.{kind}.{name}: another kind of provider has this name; take a different one"
            ));
        }
    }
    for (name, oidc) in &options.oidc {
        if oidc.issuer.is_empty() {
            return Err(format!("identity.oidc.{name}.issuer: set the address of the provider"));
        }
        if !is_provider_url(&oidc.issuer) {
            return Err(format!("identity.oidc.{name}.issuer: {:?} is no https:// address", oidc.issuer));
        }
        if oidc.client_id.is_empty() {
            return Err(format!("identity.oidc.{name}.client_id: set what the provider calls the app"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{OidcOptions, check, is_provider_url};
    use crate::options::IdentityOptions;

    #[test]
    fn a_provider_is_far_away_by_tls_or_near() {
        let check = |url: &str, may: bool| assert_eq!(is_provider_url(url), may, "{url}");
        check("https://id.example.com/realms/shop", true);
        check("http://127.0.0.1:8080", true);
        check("http://[::1]:8080/x", true);
        check("http://localhost/x", true);
        check("http://id.example.com", false);
        check("http://localhost.example.com", false);
        check("http://127.0.0.1.example.com", false);
        check("https://user:word@id.example.com", false);
        check("https://id.example.com/#x", false);
        check("file:///etc/passwd", false);
        check("id.example.com", false);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut options = IdentityOptions::new([7; 32], "http://localhost");
        let mut said = |oidc: OidcOptions| {
            options.oidc.insert("x".to_owned(), oidc);
            check(&options).err().unwrap_or_default()
        };
        assert!(said(OidcOptions::default()).starts_with("identity.oidc.x.issuer: set"));
        let issuer = "https://id.example.com".to_owned();
        assert!(
            said(OidcOptions { issuer: issuer.clone(), ..OidcOptions::default() }).contains("x.client_id")
        );
        let client_id = "shop".to_owned();
        assert_eq!(said(OidcOptions { issuer, client_id, ..OidcOptions::default() }), "");
    }
}
