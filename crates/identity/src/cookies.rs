//! Sessions of browsers: tokens in cookies that scripts cannot read, and one that they can.
//!
//! The readable one is tied to the session by a signature, so that one that another site has planted proves nothing.

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_lang::value::{Timestamp, Value};

/// The cookies of the access token, of the refresh token, and of the proof that a page is ours.
pub(crate) const ACCESS: &str = "access";
pub(crate) const REFRESH: &str = "refresh";
pub(crate) const CSRF: &str = "csrf";

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
    let secure = if secure { "; Secure" } else { "" };
    let cookie = |name: &str, value: &str, path: &str, flags: &str, age: i64| {
        let text = format!("{name}={value}; Path={path}; Max-Age={age}; SameSite=Lax{flags}{secure}");
        HeaderValue::from_str(&text).ok()
    };
    let csrf = csrf(key, tokens.session);
    let access_age = age(tokens.access_ends);
    let refresh_age = age(tokens.refresh_ends);
    [
        cookie(ACCESS, tokens.access, "/", "; HttpOnly", access_age),
        cookie(REFRESH, tokens.refresh, "/auth", "; HttpOnly", refresh_age),
        cookie(CSRF, &csrf, "/", "", refresh_age),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The headers that end them.
pub(crate) fn clear(secure: bool) -> Vec<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let gone = |name: &str, path: &str| {
        HeaderValue::from_str(&format!("{name}=; Path={path}; Max-Age=0; SameSite=Lax; HttpOnly{secure}"))
            .ok()
    };
    [gone(ACCESS, "/"), gone(REFRESH, "/auth"), gone(CSRF, "/")].into_iter().flatten().collect()
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
