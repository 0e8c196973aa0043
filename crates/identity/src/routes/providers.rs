//! What sign-ins by any kind of provider have in common on the wire: how one begins, where it lands, codes of programs, and links.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mainstay_engine::error::{Error, Key};
use mainstay_http::Refusal;
use serde_json::json;
use uuid::Uuid;

use super::{Answered, Open, SignedIn, done, fields, nothing_more, pages, private};
use crate::desk::{key, wire};
use crate::fields::Fields;
use crate::identity::Identity;
use crate::once::used;
use crate::provider::started::{Started, Way, back, challenge};
use crate::provider::{Vouched, count};

/// What may move what is somebody's to somebody else.
const MERGE: &str = "identity/users";

/// Sends a browser elsewhere. Nothing of where it was goes along.
pub(super) fn redirect(to: &str) -> Result<Response, Error> {
    let mut response = private(StatusCode::SEE_OTHER.into_response());
    let to = HeaderValue::from_str(to).map_err(Error::internal)?;
    response.headers_mut().insert(header::LOCATION, to);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// How a sign-in goes on that a request for `…/start` begins: `?return=PATH`, and `&cookies` or `&challenge=HASH`.
///
/// # Errors
/// When it says neither, or leads elsewhere.
pub(super) fn asked(query: &str) -> Result<(String, Way), Error> {
    let given = pages::pairs(query);
    let of = |name: &str| given.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let back = back(of("return"))?;
    let way = match of("cookies") {
        Some(_) => Way::Cookies,
        None => Way::Code { challenge: challenge(of("challenge"))? },
    };
    Ok((back, way))
}

/// Where somebody lands with what a provider has said of them, or has not.
pub(super) async fn landed(
    identity: &Arc<Identity>,
    mut open: Open,
    by: Result<SignedIn, Refusal>,
    (started, vouched): (Started, Result<Vouched, Error>),
) -> Answered {
    let desk = identity.desk(&open.request);
    let place = open.place(None);
    if let Err(error) = &vouched {
        count(&started.provider, Some(error));
    }
    match (&started.way, vouched) {
        (Way::Code { challenge }, Ok(vouched)) => {
            let provider = vouched.provider.clone();
            let code = identity.code_make(&desk, &started, challenge, vouched).await?;
            Ok(redirect(&with_query(&started.back, &[("provider", &provider), ("code", &code)]))?)
        }
        (Way::Code { .. }, Err(error)) => {
            tracing::info!(provider = started.provider, %error, "a sign-in by a provider was refused");
            let key = error.key.text();
            Ok(redirect(&with_query(&started.back, &[("provider", &started.provider), ("error", key)]))?)
        }
        (Way::Link { user, session }, Ok(vouched)) => {
            let is_same = by.as_ref().is_ok_and(|by| {
                wire(&by.user) == *user && by.session.as_ref().map(wire).as_ref() == Some(session)
            });
            let linked = match by {
                Ok(by) if is_same => {
                    identity.provider_link(&desk, &vouched, (&by.user, &place), Vec::new()).await
                }
                _ => Err(Error::new(
                    Key::AuthSession,
                    "You have signed out since: sign in, and link once more.",
                )),
            };
            match linked {
                Ok(()) => Ok(redirect(&started.back)?),
                Err(error) => lost(identity, &open, error).await,
            }
        }
        (Way::Cookies, Ok(vouched)) => {
            let named = (started.within, &place);
            match identity.provider_sign_in(&desk, &vouched, named, Vec::new()).await {
                Ok(tokens) => {
                    open.wants_cookies = true;
                    let answered = identity.welcome(&open, &tokens).await?;
                    Ok(pages::with_cookies(redirect(&started.back)?, &answered))
                }
                // A second factor may be all that is missing: then they go on from there.
                Err(error) => {
                    let given = [(pages::RETURN.to_owned(), started.back)];
                    pages::refused(identity, &open, "login", (&given, None), error).await
                }
            }
        }
        (_, Err(error)) => lost(identity, &open, error).await,
    }
}

/// Where somebody lands who was not signed in, or of whom it is not known how their sign-in was to go on: a page says why.
pub(super) async fn lost(identity: &Arc<Identity>, open: &Open, error: Error) -> Answered {
    pages::refused(identity, open, "login", (&[], None), error).await
}

/// A path with further members in its query, before what stands behind `#`.
fn with_query(path: &str, members: &[(&str, &str)]) -> String {
    let (path, place) = path.split_once('#').map_or((path, None), |(path, place)| (path, Some(place)));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
    let mark = if path.contains('?') { '&' } else { '?' };
    let place = place.map(|place| format!("#{place}")).unwrap_or_default();
    format!("{path}{mark}{query}{place}")
}

/// `POST /auth/login {"provider", "code", "verifier"}`: a program signs somebody in with the code that its browser came back with.
pub(super) async fn redeem(
    identity: &Arc<Identity>,
    open: &Open,
    mut read: Fields,
    provider: &str,
) -> Answered {
    let (code, verifier) = (read.text("code"), read.text("verifier"));
    let device = read.text_or_none("device");
    read.done()?;
    let desk = identity.desk(&open.request);
    let (vouched, within, using) = identity.code_redeem(&desk, (provider, &code, &verifier)).await?;
    let place = open.place(device);
    let tokens =
        identity.provider_sign_in(&desk, &vouched, (within, &place), vec![using]).await.map_err(used)?;
    identity.welcome(open, &tokens).await
}

/// Moves what is an anonymous user's to another one's account, for whoever looks after users.
pub(super) async fn merge(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    Path(into): Path<String>,
    body: axum::body::Bytes,
) -> Answered {
    let mut read = fields(&body, &["from"])?;
    let from = read.text("from");
    read.done()?;
    by.permission_check(&identity, MERGE)?;
    let desk = by.recent_desk(&identity).await?;
    let merged = identity.merge(&desk, (&key(&json!(from)), &key(&json!(into))), &by.place()).await?;
    Ok(done(StatusCode::OK, merged.to_json()))
}

pub(super) async fn links(State(identity): State<Arc<Identity>>, by: SignedIn) -> Answered {
    let desk = identity.desk(&by.request);
    let links = identity.provider_links(&desk, &by.user).await?;
    Ok(done(StatusCode::OK, json!({"links": links})))
}

/// `POST /auth/links {"provider", "code", "verifier"}`: a program links the account that it has signed in to.
pub(super) async fn link(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    body: axum::body::Bytes,
) -> Answered {
    let mut read = fields(&body, &["provider", "code", "verifier"])?;
    let (provider, code, verifier) = (read.text("provider"), read.text("code"), read.text("verifier"));
    read.done()?;
    let desk = by.recent_desk(&identity).await?;
    let (vouched, _, using) = identity.code_redeem(&desk, (&provider, &code, &verifier)).await?;
    identity.provider_link(&desk, &vouched, (&by.user, &by.place()), vec![using]).await.map_err(used)?;
    Ok(nothing_more())
}

pub(super) async fn unlink(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Answered {
    let desk = by.recent_desk(&identity).await?;
    let id = Uuid::try_parse(&id).map_err(|_| Error::new(Key::NotFound, ""))?;
    identity.provider_unlink(&desk, (&by.user, id), &by.place()).await?;
    Ok(nothing_more())
}

#[cfg(test)]
mod tests {
    use super::{asked, with_query};
    use crate::provider::started::Way;

    #[test]
    fn members_go_before_the_place_in_the_page() {
        assert_eq!(with_query("/", &[("code", "a b")]), "/?code=a+b");
        assert_eq!(with_query("/x?y=1#z", &[("a", "1"), ("b", "2")]), "/x?y=1&a=1&b=2#z");
    }

    #[test]
    fn a_sign_in_says_how_it_goes_on() {
        assert_eq!(asked("cookies&return=%2Fnotes").unwrap(), ("/notes".to_owned(), Way::Cookies));
        assert!(asked("return=%2Fnotes").is_err(), "neither cookies nor a hash");
        assert!(asked("cookies&return=//evil.test").is_err());
    }
}
