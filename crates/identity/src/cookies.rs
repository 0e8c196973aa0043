//! Sessions of browsers: tokens in cookies that scripts cannot read, and one that they can.
//!
//! The readable one is tied to the session by a signature, so that one that another site has planted proves nothing.

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_lang::value::{Timestamp, Value};

use crate::identity::Identity;

/// A cookie of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cookie {
    /// The access token.
    Access,
    /// The refresh token.
    Refresh,
    /// The proof that a page is ours.
    Csrf,
    /// A browser that has started a sign-in by a provider.
    Started,
}

impl Cookie {
    /// Its name. Over TLS it begins with `__Host-`: no page of a neighbour's below the same domain, and nobody who is on the way to one
    /// without TLS, can plant one that we would read. Browsers take no such cookie without TLS, where there is the plain name.
    pub(crate) fn name(self, is_over_tls: bool) -> &'static str {
        match (self, is_over_tls) {
            (Cookie::Access, true) => "__Host-access",
            (Cookie::Access, false) => "access",
            (Cookie::Refresh, true) => "__Host-refresh",
            (Cookie::Refresh, false) => "refresh",
            (Cookie::Csrf, true) => "__Host-csrf",
            (Cookie::Csrf, false) => "csrf",
            (Cookie::Started, true) => "__Host-started",
            (Cookie::Started, false) => "started",
        }
    }

    /// Where it is sent to. What begins with `__Host-` has to be for the whole host.
    fn path(self, is_over_tls: bool) -> &'static str {
        match (self, is_over_tls) {
            (Cookie::Refresh, false) => "/auth",
            _ => "/",
        }
    }
}

impl Identity {
    /// The value of a cookie of ours.
    pub(crate) fn cookie<'h>(&self, headers: &'h HeaderMap, cookie: Cookie) -> Option<&'h str> {
        read(headers, cookie.name(self.options.secure_cookies))
    }
}

/// Where a page proves that it can read its cookie.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// The value of a cookie.
pub(crate) fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// What a page of a session proves itself with.
pub(crate) fn csrf(key: &hmac::Key, session: &Value) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(key, session.to_string().as_bytes()))
}

/// Whether it is that of a session, in a time that tells nothing.
pub(crate) fn is_csrf(key: &hmac::Key, session: &Value, said: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(said)
        .is_ok_and(|said| hmac::verify(key, session.to_string().as_bytes(), &said).is_ok())
}

/// Tokens that go into cookies.
pub(crate) struct Tokens<'a> {
    pub(crate) access: &'a str,
    pub(crate) access_ends: Timestamp,
    pub(crate) refresh: &'a str,
    pub(crate) refresh_ends: Timestamp,
    pub(crate) session: &'a Value,
}

/// The headers that set the cookies of a session.
pub(crate) fn set(key: &hmac::Key, secure: bool, now: Timestamp, tokens: &Tokens<'_>) -> Vec<HeaderValue> {
    let age = |ends: Timestamp| ((ends.0 - now.0) / 1_000_000).max(0);
    let only = if secure { "; Secure" } else { "" };
    let cookie = |cookie: Cookie, value: &str, flags: &str, age: i64| {
        let (name, path) = (cookie.name(secure), cookie.path(secure));
        let text = format!("{name}={value}; Path={path}; Max-Age={age}; SameSite=Lax{flags}{only}");
        HeaderValue::from_str(&text).ok()
    };
    let csrf = csrf(key, tokens.session);
    let access_age = age(tokens.access_ends);
    let refresh_age = age(tokens.refresh_ends);
    [
        cookie(Cookie::Access, tokens.access, "; HttpOnly", access_age),
        cookie(Cookie::Refresh, tokens.refresh, "; HttpOnly", refresh_age),
        cookie(Cookie::Csrf, &csrf, "", refresh_age),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The headers that end them.
pub(crate) fn clear(secure: bool) -> Vec<HeaderValue> {
    let only = if secure { "; Secure" } else { "" };
    let gone = |cookie: Cookie| {
        let (name, path) = (cookie.name(secure), cookie.path(secure));
        HeaderValue::from_str(&format!("{name}=; Path={path}; Max-Age=0; SameSite=Lax; HttpOnly{only}")).ok()
    };
    [Cookie::Access, Cookie::Refresh, Cookie::Csrf].into_iter().filter_map(gone).collect()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use axum::http::{HeaderMap, HeaderValue, header};
    use mainstay_lang::value::Value;

    use super::{csrf, is_csrf, read};

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("theme=dark; access=a.b.c"));
        headers.append(header::COOKIE, HeaderValue::from_static("csrf=x"));
        assert_eq!(read(&headers, "access"), Some("a.b.c"));
        assert_eq!(read(&headers, "csrf"), Some("x"));
        assert_eq!(read(&headers, "cess"), None);
    }

    #[test]
    fn a_proof_is_good_for_its_session_alone() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let session = Value::Text("one".to_owned());
        let proof = csrf(&key, &session);
        assert!(is_csrf(&key, &session, &proof));
        assert!(!is_csrf(&key, &Value::Text("two".to_owned()), &proof));
        assert!(!is_csrf(&key, &session, "planted"));
        assert!(!is_csrf(&key, &session, ""));
    }
}
