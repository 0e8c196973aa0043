//! What a provider says of itself (OpenID Connect Discovery 1.0), and the keys that it signs with: asked for, and kept for a while.
//!
//! Both are asked for when they are needed, by one at a time. While a provider is away, what was known of it is good for longer. Keys change: one
//! that is not known is asked for, but not again and again, for anybody can name one.

use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use mainstay_engine::error::Error;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::Mutex;

use crate::provider::options::is_provider_url;
use crate::provider::outbound::{Outbound, answer, away};

/// For so long what is known is not asked for again.
const FRESH: Duration = Duration::from_secs(3600);

/// A key that is not known is asked for no more often than this.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What a provider says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) userinfo_endpoint: Option<String>,
    pub(super) end_session_endpoint: Option<String>,
    jwks_uri: String,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// What is known of a provider.
pub(crate) struct Known {
    name: String,
    issuer: String,
    metadata: Mutex<Option<(Instant, Arc<Metadata>)>>,
    keys: Mutex<Option<Keys>>,
}

/// The keys of a provider.
struct Keys {
    read: Instant,
    /// When it was asked for one that was not among them.
    missed: Option<Instant>,
    keys: Vec<Jwk>,
}

impl Metadata {
    /// Whether the app's secret has to stand in the body of a request: only where the provider says so.
    pub(super) fn takes_secrets_in_bodies_alone(&self) -> bool {
        let takes =
            |method: &str| self.token_endpoint_auth_methods_supported.iter().any(|known| known == method);
        takes("client_secret_post") && !takes("client_secret_basic")
    }

    fn check(&self, issuer: &str) -> Result<(), String> {
        if self.issuer != issuer {
            return Err(format!("it calls itself {:?}, and `issuer` is {issuer:?}", self.issuer));
        }
        let optional = self.userinfo_endpoint.iter().chain(&self.end_session_endpoint);
        let mut all =
            [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri].into_iter().chain(optional);
        match all.find(|url| !is_provider_url(url) || is_downgrade(issuer, url)) {
            Some(url) => Err(format!("{url:?} is no https:// address")),
            None => Ok(()),
        }
    }
}

/// Whether a provider that is asked by TLS sends on to where there is none.
fn is_downgrade(issuer: &str, url: &str) -> bool {
    issuer.starts_with("https:") && !url.starts_with("https:")
}

impl Known {
    pub(super) fn new(name: &str, issuer: &str) -> Known {
        Known {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            metadata: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    pub(super) async fn metadata(&self, outbound: &Outbound) -> Result<Arc<Metadata>, Error> {
        let mut held = self.metadata.lock().await;
        if let Some((at, metadata)) = &*held
            && at.elapsed() < FRESH
        {
            return Ok(metadata.clone());
        }
        match self.metadata_ask(outbound).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *held = Some((Instant::now(), metadata.clone()));
                Ok(metadata)
            }
            Err(error) => match &mut *held {
                // Asked for again with the next request but one of a while, not with every one.
                Some((at, metadata)) => {
                    *at = Instant::now().checked_sub(FRESH - ASK_EVERY).unwrap_or(*at);
                    Ok(metadata.clone())
                }
                None => Err(error),
            },
        }
    }

    async fn metadata_ask(&self, outbound: &Outbound) -> Result<Metadata, Error> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let metadata: Metadata = self.ask(outbound, &url).await?;
        metadata.check(&self.issuer).map_err(|why| away(&self.name, why))?;
        Ok(metadata)
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, outbound: &Outbound, url: &str) -> Result<T, Error> {
        let answer = answer(&self.name, outbound.get(url)?).await?;
        if !answer.status.is_success() {
            return Err(away(&self.name, format!("{url} answers {}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| away(&self.name, format!("{url}: {error}")))
    }

    /// The keys among the provider's that fit; where there is none, it is asked once more.
    pub(super) async fn keys(
        &self,
        outbound: &Outbound,
        fits: impl Fn(&Jwk) -> bool,
    ) -> Result<Vec<Jwk>, Error> {
        let mut held = self.keys.lock().await;
        let mut missed = None;
        if let Some(known) = &*held {
            let fitting = fitting(&known.keys, &fits);
            let is_missing = fitting.is_empty();
            let is_good = match is_missing {
                true => known.missed.is_some_and(|at| at.elapsed() < ASK_EVERY),
                false => known.read.elapsed() < FRESH,
            };
            if is_good {
                return Ok(fitting);
            }
            missed = is_missing.then(Instant::now);
        }
        let metadata = self.metadata(outbound).await?;
        match self.ask::<JwkSet>(outbound, &metadata.jwks_uri).await {
            Ok(set) => {
                let found = fitting(&set.keys, &fits);
                *held = Some(Keys { read: Instant::now(), missed, keys: set.keys });
                Ok(found)
            }
            Err(error) => match held.as_ref().map(|known| fitting(&known.keys, &fits)) {
                Some(fitting) if !fitting.is_empty() => Ok(fitting),
                _ => Err(error),
            },
        }
    }
}

fn fitting(keys: &[Jwk], fits: &impl Fn(&Jwk) -> bool) -> Vec<Jwk> {
    keys.iter().filter(|key| fits(key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::Metadata;

    fn check(change: impl FnOnce(&mut Json)) -> Result<(), String> {
        let mut said = json!({
            "issuer": "https://id.example.com",
            "authorization_endpoint": "https://id.example.com/authorize",
            "token_endpoint": "https://id.example.com/token",
            "jwks_uri": "https://keys.example.com/jwks",
        });
        change(&mut said);
        serde_json::from_value::<Metadata>(said).unwrap().check("https://id.example.com")
    }

    #[test]
    fn a_provider_calls_itself_as_the_settings_do_and_leads_nowhere_near() {
        assert_eq!(check(|_| {}), Ok(()));
        assert!(check(|said| said["issuer"] = json!("https://id.example.com/")).is_err());
        assert!(check(|said| said["issuer"] = json!("https://evil.test")).is_err());
        assert!(check(|said| said["token_endpoint"] = json!("http://id.example.com/token")).is_err());
        assert!(check(|said| said["jwks_uri"] = json!("http://127.0.0.1/jwks")).is_err());
        assert!(check(|said| said["userinfo_endpoint"] = json!("file:///etc/passwd")).is_err());
    }
}
