//! Signing in by a provider: somebody else says who a person is.
//!
//! What the kinds of providers have in common. Each kind (OpenID Connect, SAML) finds out in its own way whom a provider vouches for and
//! hands that over as [`Vouched`]; one piece of code decides whose session it becomes ([`decide`]), does it ([`arrive`]), and keeps what
//! a sign-in that was started has to come back with ([`started`]). How a provider is spoken to only its kind knows; with which limits,
//! [`outbound`] does.

mod arrival;
mod arrive;
mod decide;
pub(crate) mod links;
pub(crate) mod options;
pub(crate) mod outbound;
pub(crate) mod started;

use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Value;
use metrics::counter;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::desk::{Desk, key};
use crate::identity::Identity;
use crate::options::IdentityOptions;
use options::ProviderOptions;

/// Whom a provider vouches for. Whoever makes one has made sure that the provider has said it, to this app, just now, for this browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Vouched {
    /// The provider's name in the settings.
    pub(crate) provider: String,
    /// What the provider calls them: never given to somebody else there.
    pub(crate) subject: String,
    pub(crate) email: Option<Address>,
    /// What others call them.
    pub(crate) name: Option<String>,
    /// All that it tells; what of it is kept the settings say.
    pub(crate) attributes: Map<String, Json>,
    /// When it wants the session to end at the latest.
    pub(crate) session_ends: Option<i64>,
}

/// An address as a provider tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Address {
    /// The provider says that mail there reaches them.
    Verified(String),
    /// Anybody can have written that.
    Claimed(String),
}

/// Counts what became of somebody who came by a provider: `done`, or the key of what refused them.
pub(crate) fn count(provider: &str, refused: Option<&Error>) {
    let outcome = refused.map_or("done", |error| error.key.text());
    counter!("mainstay_provider_sign_ins_total", "provider" => provider.to_owned(), "outcome" => outcome)
        .increment(1);
}

impl Vouched {
    /// The same, with its address as addresses are kept; one that could be none is left out.
    fn with_plain_address(&self) -> Vouched {
        // ASCII alone is made lower-case, as the column does: of letters that others fold into one, an address could be another one.
        let plain = |email: &str| {
            let email = email.trim().to_ascii_lowercase();
            let is_one = email
                .split_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
            let is_plain =
                email.len() <= 320 && !email.contains(|c: char| c.is_whitespace() || c.is_control());
            (is_one && is_plain).then_some(email)
        };
        let email = match &self.email {
            Some(Address::Verified(email)) => plain(email).map(Address::Verified),
            Some(Address::Claimed(email)) => plain(email).map(Address::Claimed),
            None => None,
        };
        Vouched { email, ..self.clone() }
    }
}

/// Characters of what a provider calls somebody, at most: what its column holds.
const SUBJECT_CHARS_MAX: usize = 255;

/// A provider as it is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provider<'a> {
    pub(crate) name: &'a str,
    pub(crate) options: &'a ProviderOptions,
}

impl Provider<'_> {
    pub(crate) fn label(&self) -> &str {
        self.options.label.as_deref().unwrap_or(self.name)
    }
}

impl IdentityOptions {
    /// Every provider: kind, name, and what all of them have.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (&'static str, &str, &ProviderOptions)> {
        let oidc = self.oidc.iter().map(|(name, oidc)| ("oidc", name.as_str(), &oidc.provider));
        oidc.chain(self.saml.iter().map(|(name, saml)| ("saml", name.as_str(), &saml.provider)))
    }
}

impl Identity {
    /// The provider of a name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn provider(&self, name: &str) -> Result<Provider<'_>, Error> {
        let mut providers = self.options.providers();
        let found = providers.find(|(_, known, _)| *known == name);
        let (_, name, options) =
            found.ok_or_else(|| Error::new(Key::RouteUnknown, "There is no such provider."))?;
        Ok(Provider { name, options })
    }

    /// The tenant that a provider vouches for, which is the one that a request is for if it names one.
    ///
    /// # Errors
    /// [`Key::TenantRefused`] when the request is for another one.
    pub(crate) async fn provider_tenant(
        &self,
        desk: &Desk,
        provider: Provider<'_>,
        named: Option<Uuid>,
    ) -> Result<Option<Uuid>, Error> {
        let Some(own) = &provider.options.tenant else { return Ok(named) };
        let values = [("slug", Value::Text(own.clone())), ("id", key(&Json::String(own.clone())))];
        let row = desk.row("Tenant", "slug == $slug or id == $id", &values).await?;
        let refused = || Error::new(Key::TenantRefused, "This provider is for another tenant.");
        let Some(Value::Uuid(own)) = row.as_ref().map(mainstay_engine::hook::Row::key) else {
            tracing::warn!(provider = provider.name, tenant = own, "the tenant of a provider is not there");
            return Err(refused());
        };
        match named {
            Some(named) if named != *own => Err(refused()),
            _ => Ok(Some(*own)),
        }
    }
}
