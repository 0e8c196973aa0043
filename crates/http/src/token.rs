//! Signed bearer tokens: issued by the command line, verified with each request.
//!
//! A token names a user or the administrator and nothing else: what the user may do is looked up with each request,
//! so that a grant that was withdrawn is gone at once. HS256 with the app's own secret; the issuer is the app's name,
//! so that a token of one app is nothing to another that happens to share the secret.
//!
//! A token that was found good is remembered until it ends: checking a signature costs more than reading a row.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use mainstay_live::SealKey;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Clocks of nodes may differ by so many seconds.
const LEEWAY_S: u64 = 5;

/// The key that tokens are signed with; never shown.
#[derive(Clone)]
pub struct TokenSecret(Vec<u8>);

/// The secret cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the token secret has {bytes} bytes; it needs at least {}", TokenSecret::BYTES_MIN)]
pub struct TokenSecretError {
    /// How many it has.
    pub bytes: usize,
}

impl TokenSecret {
    /// A shorter key would be weaker than the signature made with it (RFC 7518 §3.2).
    pub const BYTES_MIN: usize = 32;

    /// Takes a key of at least [`Self::BYTES_MIN`] random bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<TokenSecret, TokenSecretError> {
        let bytes = bytes.into();
        if bytes.len() < Self::BYTES_MIN {
            return Err(TokenSecretError { bytes: bytes.len() });
        }
        Ok(TokenSecret(bytes))
    }

    /// The key that places in the change log are sealed with.
    pub(crate) fn seal_key(&self) -> SealKey {
        SealKey::derive(&self.0)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The user with this key, as text.
    User(String),
    /// One who passes every rule.
    Admin,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    admin: bool,
    iat: u64,
    exp: u64,
    jti: String,
}

/// A token of the named app for a subject, good for `ttl` from now.
pub fn issue_token(secret: &TokenSecret, app: &str, subject: &Subject, ttl: Duration) -> String {
    let now = seconds_now();
    let (sub, admin) = match subject {
        Subject::User(key) => (Some(key.clone()), false),
        Subject::Admin => (None, true),
    };
    let claims = Claims {
        iss: app.to_owned(),
        sub,
        admin,
        iat: now,
        exp: now.saturating_add(ttl.as_secs()),
        jti: Uuid::now_v7().to_string(),
    };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&secret.0))
        .expect("these claims are plain JSON and HS256 takes any key")
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Tokens remembered at a time.
const KNOWN_MAX: usize = 10_000;

/// Verifies tokens of one app.
pub(crate) struct TokenVerifier {
    /// What each of ours begins with: to look into one of another kind would cost more than all else of a short request.
    head: String,
    key: DecodingKey,
    validation: Validation,
    known: Cache<Box<str>, Known>,
}

/// A token that was found good.
#[derive(Clone)]
struct Known {
    subject: Subject,
    /// Seconds since 1970, the leeway included.
    ends: u64,
}

impl TokenVerifier {
    pub(crate) fn new(secret: &TokenSecret, app: &str) -> TokenVerifier {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_S;
        validation.set_issuer(&[app]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        let first = issue_token(secret, app, &Subject::Admin, Duration::ZERO);
        let head = first.split('.').next().unwrap_or_default().to_owned();
        let key = DecodingKey::from_secret(&secret.0);
        TokenVerifier { head, key, validation, known: Cache::new(KNOWN_MAX) }
    }

    /// Whom the token speaks for, and until when in seconds since 1970; `None`: it is not ours, was changed, or is too old.
    pub(crate) fn verify(&self, token: &str) -> Option<(Subject, u64)> {
        if !token.starts_with(&self.head) {
            return None;
        }
        if let Some(known) = self.known.get(token)
            && seconds_now() < known.ends
        {
            return Some((known.subject, known.ends));
        }
        let claims = decode::<Claims>(token, &self.key, &self.validation).ok()?.claims;
        let subject = match (claims.sub, claims.admin) {
            (Some(key), false) => Subject::User(key),
            (None, true) => Subject::Admin,
            _ => return None,
        };
        let ends = claims.exp.saturating_add(LEEWAY_S);
        self.known.insert(token.into(), Known { subject: subject.clone(), ends });
        Some((subject, ends))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Known, LEEWAY_S, Subject, TokenSecret, TokenVerifier, issue_token, seconds_now};

    const HOUR: Duration = Duration::from_secs(3600);

    fn secret(fill: u8) -> TokenSecret {
        TokenSecret::new([fill; 32]).unwrap()
    }

    #[test]
    fn a_token_comes_back_as_its_subject() {
        for subject in [Subject::Admin, Subject::User("018f".to_owned())] {
            let token = issue_token(&secret(1), "festival", &subject, HOUR);
            let verified = TokenVerifier::new(&secret(1), "festival").verify(&token);
            let (found, ends) = verified.unwrap();
            assert_eq!(found, subject);
            assert!(ends > seconds_now() + 3500 && ends <= seconds_now() + 3600 + LEEWAY_S, "{ends}");
        }
    }

    #[test]
    fn a_token_of_another_app_secret_or_time_is_nothing() {
        let token = issue_token(&secret(1), "festival", &Subject::Admin, HOUR);
        assert_eq!(TokenVerifier::new(&secret(2), "festival").verify(&token), None);
        assert_eq!(TokenVerifier::new(&secret(1), "chinook").verify(&token), None);
        assert_eq!(TokenVerifier::new(&secret(1), "festival").verify(&token[..token.len() - 2]), None);
        assert_eq!(TokenVerifier::new(&secret(1), "festival").verify("x.y.z"), None);
    }

    #[test]
    fn a_token_that_was_good_is_nothing_once_it_ends() {
        let verifier = TokenVerifier::new(&secret(1), "festival");
        let token = issue_token(&secret(1), "festival", &Subject::Admin, HOUR);
        assert!(verifier.verify(&token).is_some());
        let ended = Known { subject: Subject::Admin, ends: seconds_now() };
        let old = issue_token(&secret(2), "festival", &Subject::Admin, HOUR);
        verifier.known.insert(old.as_str().into(), ended);
        assert_eq!(verifier.verify(&old), None, "remembered beyond its end");
        assert!(verifier.verify(&token).is_some());
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(TokenSecret::new([0; 31]).is_err());
    }
}
