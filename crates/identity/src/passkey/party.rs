//! For which host a key is, and from which pages it may be asked for.
//!
//! A key belongs to one host (its *relying party id*), and a browser shows it to the pages of that host and of those below it alone. Ours
//! is that of `http.url`; a tenant that is reached by a host of its own has keys for that one, unless it lies below ours. Any other
//! page is refused before anything is asked.

use axum::http::{HeaderMap, header};
use mainstay_engine::error::{Error, Key};
use serde::{Deserialize, Serialize};

use crate::desk::Desk;
use crate::identity::Identity;

/// The host that keys are for, and the origin of the page that asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Party {
    pub(crate) id: String,
    pub(crate) origin: String,
}

/// An origin in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin<'o> {
    scheme: &'o str,
    /// Host and port.
    authority: &'o str,
    host: &'o str,
}

impl<'o> Origin<'o> {
    fn read(text: &'o str) -> Option<Origin<'o>> {
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.split('/').next().unwrap_or(rest);
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let host =
            authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(authority, |(host, _)| host);
        (!host.is_empty()).then_some(Origin { scheme, authority, host })
    }

    fn port(&self) -> &'o str {
        &self.authority[self.host.len()..]
    }

    fn text(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// No browser has keys for a number; this machine has a name.
    fn is_this_machine(&self) -> bool {
        matches!(self.host, "127.0.0.1" | "[::1]" | "localhost")
    }
}

/// The host that keys are for on a page of ours; none: it is not one by `http.url` alone.
fn own_party(url: &str, page: Option<&str>) -> Option<Party> {
    let own = Origin::read(url)?;
    let page = match page {
        Some(page) => Origin::read(page)?,
        None => own,
    };
    if own.is_this_machine() && page.is_this_machine() {
        let is_same = (own.scheme, own.port()) == (page.scheme, page.port());
        let origin = format!("{}://localhost{}", page.scheme, page.port());
        return is_same.then(|| Party { id: "localhost".to_owned(), origin });
    }
    (own == page).then(|| Party { id: own.host.to_owned(), origin: own.text() })
}

/// The host that keys are for on a tenant's page.
fn tenant_party(url: &str, page: Origin<'_>) -> Party {
    let own = Origin::read(url).map(|own| own.host).unwrap_or_default();
    let is_below = page.host.strip_suffix(own).is_some_and(|rest| rest.ends_with('.')) && own.contains('.');
    let id = if is_below { own } else { page.host };
    Party { id: id.to_owned(), origin: page.text() }
}

impl Identity {
    /// The host that keys are for where a request comes from.
    ///
    /// # Errors
    /// [`Key::AuthPasskey`] when that is no page of this app.
    pub(crate) async fn party(&self, desk: &Desk, headers: &HeaderMap) -> Result<Party, Error> {
        let page = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
        if let Some(party) = own_party(&self.options.url, page) {
            return Ok(party);
        }
        let of_tenant = page.and_then(Origin::read);
        if let Some(page) = of_tenant {
            for place in [page.authority, &*page.text()] {
                if self.tenant_at(desk, place).await?.is_some() {
                    return Ok(tenant_party(&self.options.url, page));
                }
            }
        }
        let words =
            "Passkeys are asked for by pages of this app alone: at `http.url`, or at a host of a tenant.";
        Err(Error::new(Key::AuthPasskey, words))
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, own_party, tenant_party};

    #[test]
    fn keys_are_for_the_host_of_the_app_and_asked_for_by_its_pages() {
        let check = |url: &str, page: Option<&str>, expect: Option<(&str, &str)>| {
            let party = own_party(url, page);
            let found = party.as_ref().map(|party| (party.id.as_str(), party.origin.as_str()));
            assert_eq!(found, expect, "{url} {page:?}");
        };
        let own = Some(("shop.example", "https://shop.example"));
        check("https://shop.example", None, own);
        check("https://shop.example/app", None, own);
        check("https://shop.example", Some("https://shop.example"), own);
        check("https://shop.example", Some("http://shop.example"), None);
        check("https://shop.example", Some("https://shop.example:444"), None);
        check("https://shop.example", Some("https://shop.example.evil.example"), None);
        check("https://shop.example", Some("https://evilshop.example"), None);
        check("https://shop.example", Some("null"), None);
        let local = Some(("localhost", "http://localhost:4040"));
        check("http://127.0.0.1:4040", None, local);
        check("http://127.0.0.1:4040", Some("http://localhost:4040"), local);
        check("http://127.0.0.1:4040", Some("http://localhost:4041"), None);
        check("https://shop.example", Some("http://localhost:4040"), None);
    }

    #[test]
    fn a_tenant_below_the_app_has_its_keys_and_another_has_its_own() {
        let check = |page: &str, id: &str| {
            let party = tenant_party("https://shop.example", Origin::read(page).unwrap());
            assert_eq!((party.id.as_str(), party.origin.as_str()), (id, page));
        };
        check("https://red.shop.example", "shop.example");
        check("https://redshop.example", "redshop.example");
        check("https://red.example:8443", "red.example");
    }
}
