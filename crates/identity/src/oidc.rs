//! OpenID Connect (Core 1.0): signing in by the authorization code, with PKCE (RFC 7636), state and nonce.
//!
//! A browser is sent to the provider with the hash of a secret, a state that is tied to the browser, and a nonce; it comes back with a code;
//! the code is changed, with the secret, for a signed statement of who somebody is. That statement is believed when this provider has
//! signed it, for this app, for this nonce, a moment ago ([`token`]). Answers that name another issuer are refused (RFC 9207), so that no
//! provider's code is ever handed to another one.

mod claims;
mod metadata;
mod token;

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mainstay_engine::error::{Error, Key};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::identity::Identity;
use crate::options::IdentityOptions;
use crate::provider::Vouched;
use crate::provider::options::OidcOptions;
use crate::provider::outbound::{Answer, Outbound, answer, away};
use crate::provider::started::Started;
use crate::token::new_token;
use metadata::Known;

/// The OpenID providers of an app.
pub(crate) struct Oidc {
    outbound: Outbound,
    known: HashMap<String, Known>,
}

/// What a sign-in has to know again when it comes back.
#[derive(Serialize, Deserialize)]
struct Own {
    nonce: String,
    verifier: String,
}

/// What the provider has sent a browser back with.
#[derive(Debug, Default)]
pub(crate) struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// What a code was changed for.
#[derive(Deserialize)]
struct Changed {
    id_token: String,
    access_token: Option<String>,
}

impl Back {
    /// What stands in a query.
    pub(crate) fn read(query: &str) -> Back {
        let mut back = Back::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut back.state,
                "code" => &mut back.code,
                "error" => &mut back.error,
                "iss" => &mut back.iss,
                _ => continue,
            };
            // Of two with one name the first is meant.
            place.get_or_insert_with(|| value.into_owned());
        }
        back
    }

    pub(crate) fn state(&self) -> &str {
        self.state.as_deref().unwrap_or_default()
    }
}

impl Oidc {
    pub(crate) fn new(options: &IdentityOptions, outbound: Outbound) -> Oidc {
        let known = options.oidc.iter().map(|(name, oidc)| (name.clone(), Known::new(name, &oidc.issuer)));
        Oidc { outbound, known: known.collect() }
    }
}

impl Identity {
    fn oidc_of(&self, name: &str) -> Result<(&OidcOptions, &Known), Error> {
        let found = self.options.oidc.get(name).zip(self.oidc.known.get(name));
        found.ok_or_else(|| Error::new(Key::RouteUnknown, "There is no such provider."))
    }

    /// Where the provider sends browsers back to.
    fn oidc_callback(&self, name: &str) -> String {
        format!("{}/auth/oidc/{name}/callback", self.options.url)
    }

    /// What is asked of a browser that is sent to a provider, beside its state: and what has to be known again.
    ///
    /// # Errors
    /// When there is no such provider, or it is not there.
    pub(crate) async fn oidc_start(&self, name: &str) -> Result<(Url, Json), Error> {
        let (options, known) = self.oidc_of(name)?;
        let metadata = known.metadata(&self.oidc.outbound).await?;
        let (nonce, verifier) = (new_token()?, new_token()?);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let mut url: Url = metadata.authorization_endpoint.parse().map_err(|error| away(name, error))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &options.client_id)
            .append_pair("redirect_uri", &self.oidc_callback(name))
            .append_pair("scope", &options.scopes.join(" "))
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok((url, json!(Own { nonce, verifier })))
    }

    /// Whom a provider vouches for that has sent a browser back.
    ///
    /// # Errors
    /// [`Key::AuthProvider`] when it vouches for nobody, [`Key::AuthProviderAway`] when it cannot be asked.
    pub(crate) async fn oidc_back(&self, started: &Started, back: &Back) -> Result<Vouched, Error> {
        let name = started.provider.as_str();
        let (options, known) = self.oidc_of(name)?;
        let metadata = known.metadata(&self.oidc.outbound).await?;
        // Whoever answers for another provider is not heard, not even with a refusal.
        match &back.iss {
            Some(iss) if *iss != options.issuer => {
                return Err(not_vouched("its answer names another provider"));
            }
            None if metadata.authorization_response_iss_parameter_supported => {
                return Err(not_vouched("its answer does not name it"));
            }
            _ => {}
        }
        if let Some(error) = &back.error {
            let said: String =
                error.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(40).collect();
            return Err(not_vouched(&format!("it says `{said}`")));
        }
        let code = back.code.as_deref().ok_or_else(|| not_vouched("it sends no code"))?;
        let own: Own = serde_json::from_value(started.own.clone()).map_err(Error::internal)?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.oidc_callback(name)),
            ("code_verifier", &own.verifier),
        ];
        let request = self.oidc.outbound.post(&metadata.token_endpoint)?;
        let request = authenticated(request, options, metadata.takes_secrets_in_bodies_alone(), &form);
        let changed: Changed = read(name, answer(name, request).await?)?;
        let mut told = token::verified(
            &token::Expected { issuer: &options.issuer, client_id: &options.client_id, nonce: &own.nonce },
            &changed.id_token,
            (known, &self.oidc.outbound),
        )
        .await?;
        if let (true, Some(endpoint), Some(access)) =
            (claims::lack_address(&told, &options.scopes), &metadata.userinfo_endpoint, &changed.access_token)
        {
            let answered = answer(name, self.oidc.outbound.get(endpoint)?.bearer_auth(access)).await?;
            let more: serde_json::Map<String, Json> = read(name, answered)?;
            claims::join(&mut told, more)?;
        }
        Ok(claims::vouched(name, told))
    }

    /// Where a browser goes that wants to be signed out at a provider, too.
    pub(crate) async fn oidc_end(&self, name: &str) -> Option<Url> {
        let (options, known) = self.oidc_of(name).ok()?;
        let metadata = known.metadata(&self.oidc.outbound).await.ok()?;
        let mut url: Url = metadata.end_session_endpoint.as_ref()?.parse().ok()?;
        url.query_pairs_mut()
            .append_pair("client_id", &options.client_id)
            .append_pair("post_logout_redirect_uri", &format!("{}/", self.options.url));
        Some(url)
    }
}

/// A request with which the app shows that it is the one that the provider knows.
fn authenticated(
    request: reqwest::RequestBuilder,
    options: &OidcOptions,
    is_in_body: bool,
    form: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let plain = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let request = match &options.client_secret {
        // RFC 6749 §2.3.1: both are written as a form would before they become a name and a password.
        Some(secret) if !is_in_body => {
            let both = STANDARD.encode(format!("{}:{}", plain(&options.client_id), plain(secret)));
            request.header(reqwest::header::AUTHORIZATION, format!("Basic {both}"))
        }
        Some(secret) => {
            body.append_pair("client_id", &options.client_id).append_pair("client_secret", secret);
            request
        }
        None => {
            body.append_pair("client_id", &options.client_id);
            request
        }
    };
    request
        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(reqwest::header::ACCEPT, "application/json")
        .body(body.finish())
}

/// The JSON of an answer that is not a refusal.
fn read<T: serde::de::DeserializeOwned>(name: &str, answer: Answer) -> Result<T, Error> {
    if !answer.status.is_success() {
        // `invalid_grant` and the like: the code was used, or is somebody else's.
        let said: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said: String = said["error"].as_str().unwrap_or_default().chars().take(40).collect();
        tracing::info!(provider = name, status = %answer.status, said, "a provider refuses a code");
        return Err(not_vouched("it refuses the code"));
    }
    serde_json::from_slice(&answer.body).map_err(|error| away(name, error))
}

/// A provider does not vouch for anybody.
fn not_vouched(why: &str) -> Error {
    Error::new(Key::AuthProvider, format!("The provider does not vouch for anybody here: {why}."))
}
