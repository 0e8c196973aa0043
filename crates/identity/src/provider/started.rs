//! A sign-in that was started and has to come back: once, soon, in the browser that started it.
//!
//! What has to be known again is kept in the database, encrypted, under the hash of the token that travels by way of the provider. A
//! cookie ties it to the browser: whoever makes somebody else's browser come back with a token of their own is refused. Where to go
//! afterwards is a path of this app and nothing else. A program has no cookies, and another window of the machine may see where its
//! browser is sent: it gets a code that is good only together with the secret that it started with (RFC 7636 does the same).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_engine::error::{Error, Key};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::Vouched;
use crate::cookies::Cookie;
use crate::desk::Desk;
use crate::identity::Identity;
use crate::once::{Once, used, using};
use crate::token::{TOKEN_CHARS, hash_of, new_token};

/// How long a browser may stay at the provider, in seconds: as long as [`Once::Started`] lasts.
const SECONDS: u32 = 15 * 60;

/// A longer address to go to afterwards is none of ours.
const BACK_BYTES_MAX: usize = 2000;

/// What has to be known again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) provider: String,
    /// Where to go afterwards: a path of this app.
    pub(crate) back: String,
    pub(crate) way: Way,
    /// The tenant that the request named.
    pub(crate) within: Option<Uuid>,
    /// What the kind of provider has to know again, secrets among it.
    pub(crate) own: Json,
    /// The hash of the browser's cookie.
    browser: String,
}

/// How it goes on afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// The browser is signed in, by cookies.
    Cookies,
    /// The browser's user, who has signed in by this session, gets a link.
    Link { user: Json, session: Json },
    /// A program gets a code, which it redeems with the text that this is the hash of.
    Code { challenge: String },
}

/// What travels by way of the provider, and the cookie for the browser.
pub(crate) struct Ticket {
    pub(crate) state: String,
    pub(crate) cookie: HeaderValue,
}

/// What a program redeems.
#[derive(Serialize, Deserialize)]
struct Code {
    challenge: String,
    within: Option<Uuid>,
    vouched: Vouched,
}

/// A path of this app to go to, from a text that anybody may have written.
///
/// # Errors
/// When it leads elsewhere.
pub(crate) fn back(text: Option<&str>) -> Result<String, Error> {
    let text = text.unwrap_or("/");
    let is_path = text.starts_with('/') && !text.starts_with("//") && text.len() <= BACK_BYTES_MAX;
    // Browsers read `\` as `/`, and leave out what cannot be printed.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    match is_path && is_plain {
        true => Ok(text.to_owned()),
        false => {
            Err(Error::at(Key::Invalid, "/return", "match", "must be a path of this app, such as /notes"))
        }
    }
}

/// What a program has said about the text that it will redeem its code with.
///
/// # Errors
/// When it can be no hash.
pub(crate) fn challenge(text: Option<&str>) -> Result<String, Error> {
    let is_hash = |text: &&str| {
        text.len() == TOKEN_CHARS && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
    };
    text.filter(is_hash).map(str::to_owned).ok_or_else(|| {
        let words = "must be the SHA-256 of a random text, in base64url; or ask with `?cookies`";
        Error::at(Key::Invalid, "/challenge", "required", words)
    })
}

impl Identity {
    /// Keeps what has to be known again.
    pub(crate) async fn sign_in_start(
        &self,
        desk: &Desk,
        headers: &HeaderMap,
        (provider, back, way): (&str, String, Way),
        (within, own): (Option<Uuid>, Json),
    ) -> Result<Ticket, Error> {
        // A browser keeps its cookie, so that two of its windows do not get in each other's way.
        let browser = match self.cookie(headers, Cookie::Started).filter(|known| known.len() == TOKEN_CHARS) {
            Some(known) => known.to_owned(),
            None => new_token()?,
        };
        let state = new_token()?;
        let started =
            Started { provider: provider.to_owned(), back, way, within, own, browser: hash_of(&browser) };
        let data = self.sealed_once(&state, &started)?;
        desk.ask(vec![Once::Started.keep(desk, &state, None, None, data)]).await?;
        let secure = if self.options.secure_cookies { "; Secure" } else { "" };
        let name = Cookie::Started.name(self.options.secure_cookies);
        let cookie = format!("{name}={browser}; Path=/; Max-Age={SECONDS}; HttpOnly; SameSite=Lax{secure}");
        let cookie = HeaderValue::from_str(&cookie).map_err(Error::internal)?;
        Ok(Ticket { state, cookie })
    }

    /// What was kept for a token that has come back, which is used up by that.
    ///
    /// # Errors
    /// [`Key::AuthProvider`] when it is none, was used, is too old, is another provider's, or has come by another browser.
    pub(crate) async fn sign_in_back(
        &self,
        desk: &Desk,
        headers: &HeaderMap,
        (provider, state): (&str, &str),
    ) -> Result<Started, Error> {
        let row = Once::Started.find(desk, state).await.map_err(unknown)?;
        let started: Started = self.opened_once(state, &row.get("data")?)?;
        let browser = self.cookie(headers, Cookie::Started).map(hash_of).unwrap_or_default();
        let is_same = verify_slices_are_equal(browser.as_bytes(), started.browser.as_bytes()).is_ok();
        // Whoever has caught the token elsewhere does not use it up.
        if started.provider != provider || !is_same {
            return Err(unknown(""));
        }
        desk.ask(vec![using(desk, &row)]).await.map_err(used).map_err(unknown)?;
        Ok(started)
    }

    /// A code for a program, that is good for whom a provider has vouched for.
    pub(crate) async fn code_make(
        &self,
        desk: &Desk,
        started: &Started,
        challenge: &str,
        vouched: Vouched,
    ) -> Result<String, Error> {
        let code = new_token()?;
        let kept = Code { challenge: challenge.to_owned(), within: started.within, vouched };
        let data = self.sealed_once(&code, &kept)?;
        desk.ask(vec![Once::Vouched.keep(desk, &code, None, None, data)]).await?;
        Ok(code)
    }

    /// Whom a provider has vouched for, by a code and the text that its program has started with; and the tenant that it is for. The
    /// document that uses it up goes with what it is for.
    ///
    /// # Errors
    /// [`Key::AuthToken`] when it is none, was used, is too old, or belongs to another program or provider.
    pub(crate) async fn code_redeem(
        &self,
        desk: &Desk,
        (provider, code, verifier): (&str, &str, &str),
    ) -> Result<(Vouched, Option<Uuid>, Json), Error> {
        let row = Once::Vouched.find(desk, code).await?;
        let kept: Code = self.opened_once(code, &row.get("data")?)?;
        let shown = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let is_same = verify_slices_are_equal(shown.as_bytes(), kept.challenge.as_bytes()).is_ok();
        match is_same && kept.vouched.provider == provider {
            true => Ok((kept.vouched, kept.within, using(desk, &row))),
            false => {
                Err(Error::new(Key::AuthToken, "This code is for another provider, or another program."))
            }
        }
    }

    pub(super) fn sealed_once(&self, token: &str, kept: &impl Serialize) -> Result<Json, Error> {
        let text = serde_json::to_vec(kept).map_err(Error::internal)?;
        let sealed = self.provider_sealer.seal(&text, &hash_of(token)).map_err(Error::internal)?;
        Ok(json!({"sealed": sealed}))
    }

    pub(super) fn opened_once<T: DeserializeOwned>(&self, token: &str, data: &Json) -> Result<T, Error> {
        let sealed = data["sealed"].as_str().unwrap_or_default();
        let text = self.provider_sealer.open(sealed, &hash_of(token)).map_err(Error::internal)?;
        serde_json::from_slice(&text).map_err(Error::internal)
    }
}

/// Whatever the reason: somebody begins anew.
pub(super) fn unknown<E>(_: E) -> Error {
    let words =
        "This sign-in was not started here in this browser, was used, or has taken too long: begin again.";
    Error::new(Key::AuthProvider, words)
}

#[cfg(test)]
mod tests {
    use super::{back, challenge};

    #[test]
    fn nobody_is_sent_elsewhere() {
        for path in ["/", "/notes", "/notes?open=1#top", "/a//b"] {
            assert_eq!(back(Some(path)).unwrap(), path);
        }
        assert_eq!(back(None).unwrap(), "/");
        let long = format!("/{}", "a".repeat(3000));
        let elsewhere = [
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "evil.test",
            "",
            "javascript:alert(1)",
            "/\t/evil.test",
            "/\n/evil.test",
            " /x",
            "\\\\evil.test",
            "/x\r\nset-cookie: a=b",
            "/\u{2028}",
            &long,
        ];
        for text in elsewhere {
            assert!(back(Some(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_program_shows_a_hash() {
        assert!(challenge(Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")).is_ok());
        for text in [None, Some(""), Some("short"), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")] {
            assert!(challenge(text).is_err(), "{text:?}");
        }
    }
}
