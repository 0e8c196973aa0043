//! Sign-ins by providers that speak SAML, on the wire: metadata, where one begins, and where its answer comes.
//!
//! An answer by HTTP-POST comes from a page of the provider's, so that no cookie of ours is with it. It is looked at right there; whom it
//! vouches for is kept, and the browser is sent on to a request of its own, which has the cookie and shows that the sign-in was started in
//! this browser. What travels as `RelayState` is the token of that sign-in, never an address.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_engine::error::{Error, Key};
use mainstay_http::Refusal;

use super::providers::{asked, landed, lost, redirect};
use super::{Answered, Open, SignedIn, pages, private};
use crate::desk::is_race;
use crate::identity::Identity;
use crate::provider::started::{Started, Way};
use crate::saml::{ARTIFACT, POST, ServiceProvider, escape};
use crate::saml::{
    Answer, Asked, AuthnRequest, Believed, Refused, Request, SamlAnswer, SamlProvider, SamlRequest,
};
use crate::token::new_token;

/// The one line of a page that sends its own form.
const SCRIPT: &str = "document.forms[0].submit()";

fn of<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What the app tells of itself.
pub(super) async fn metadata(
    State(identity): State<Arc<Identity>>,
    open: Open,
    Path(name): Path<String>,
) -> Answered {
    let provider = identity.saml_provider(&name)?;
    let desk = identity.desk(&open.request);
    let credential = identity.saml_credential(&desk, provider).await?;
    let (entity, consumer) = identity.saml_names(provider);
    let own = ServiceProvider {
        entity: &entity,
        consumer: &consumer,
        name_format: &provider.options.name_format,
        takes_artifacts: provider.options.answer == SamlAnswer::Artifact,
        credential: &credential,
    };
    let written = own.write(&format!("_{}", new_token()?)).map_err(Error::internal)?;
    let kind = HeaderValue::from_static("application/samlmetadata+xml");
    Ok(([(header::CONTENT_TYPE, kind)], written).into_response())
}

/// Sends a browser to the provider. `&anew`: somebody who is signed in there has to sign in again.
pub(super) async fn start(
    State(identity): State<Arc<Identity>>,
    open: Open,
    Path(name): Path<String>,
    uri: Uri,
) -> Answered {
    let query = uri.query().unwrap_or_default();
    let saml = identity.saml_provider(&name)?;
    let (back, way) = asked(query)?;
    let is_for_people = way == Way::Cookies;
    let anew = match of(&pages::pairs(query), "anew") {
        Some(_) => Asked::Anew,
        None => Asked::AsItIs,
    };
    match begun(&identity, &open, (saml, anew), (back, way)).await {
        Err(error) if is_for_people => lost(&identity, &open, error).await,
        done => done.map_err(Refusal),
    }
}

async fn begun(
    identity: &Identity,
    open: &Open,
    (saml, anew): (SamlProvider<'_>, Asked),
    (back, way): (String, Way),
) -> Result<Response, Error> {
    let desk = identity.desk(&open.request);
    let named = identity.named_tenant(&desk, &open.headers).await?;
    let within = identity.provider_tenant(&desk, identity.provider(saml.name)?, named).await?;
    let idp = identity.saml_metadata(&desk, saml).await?;
    let credential = identity.saml_credential(&desk, saml).await?;
    let id = format!("_{}", new_token()?);
    let request = Request { id, anew_after: (anew == Asked::Anew).then_some(desk.now().0) };
    let own = serde_json::to_value(&request).map_err(Error::internal)?;
    let ticket = identity.sign_in_start(&desk, &open.headers, (saml.name, back, way), (within, own)).await?;
    let (entity, consumer) = identity.saml_names(saml);
    let wants_form = saml.options.request == SamlRequest::Post;
    // A provider that takes requests in one way alone gets them in that way.
    let (destination, as_form) = match (&idp.redirect, &idp.post, wants_form) {
        (_, Some(post), true) | (None, Some(post), false) => (post, true),
        (Some(redirect), _, _) => (redirect, false),
        (None, None, _) => return Err(Error::internal("a provider without an address")),
    };
    let message = AuthnRequest {
        id: &request.id,
        at: desk.now(),
        issuer: &entity,
        destination,
        consumer: &consumer,
        binding: if saml.options.answer == SamlAnswer::Artifact { ARTIFACT } else { POST },
        name_format: &saml.options.name_format,
        contexts: &saml.options.contexts,
        comparison: saml.options.comparison(),
        asked: anew,
    };
    let mut response = match as_form {
        true => form(destination, &message.post(&credential).map_err(Error::internal)?, &ticket.state)?,
        false => redirect(&message.redirect(&ticket.state, &credential).map_err(Error::internal)?)?,
    };
    response.headers_mut().append(header::SET_COOKIE, ticket.cookie);
    Ok(response)
}

/// A page whose form is sent at once, or by its button where scripts are off.
fn form(action: &str, request: &str, relay: &str) -> Result<Response, Error> {
    // Without `form-action`: providers send the browser on to wherever somebody signs in, and browsers look at that, too.
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = STANDARD.encode(digest(&SHA256, SCRIPT.as_bytes()));
        format!("default-src 'none'; script-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'")
    });
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sign in</title></head><body>\
         <form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"SAMLRequest\" value=\"{}\">\
         <input type=\"hidden\" name=\"RelayState\" value=\"{}\"><button>Go on</button></form>\
         <script>{SCRIPT}</script></body></html>",
        escape(action),
        escape(request),
        escape(relay),
    );
    let mut response = private(Html(html).into_response());
    let policy = HeaderValue::from_str(&POLICY).map_err(Error::internal)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// An answer of the provider's, in a form.
pub(super) async fn posted(
    State(identity): State<Arc<Identity>>,
    open: Open,
    Path(name): Path<String>,
    body: Bytes,
) -> Answered {
    let given = pages::pairs(std::str::from_utf8(&body).unwrap_or_default());
    answered(&identity, open, &name, &given).await
}

/// An artifact of the provider's, in the address; or the browser, which was sent here with what it is vouched for by.
pub(super) async fn came(
    State(identity): State<Arc<Identity>>,
    open: Open,
    by: Result<SignedIn, Refusal>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answered {
    let given = pages::pairs(uri.query().unwrap_or_default());
    let Some(arrival) = of(&given, "arrival") else { return answered(&identity, open, &name, &given).await };
    let saml = identity.saml_provider(&name)?;
    let desk = identity.desk(&open.request);
    match identity.arrival_back(&desk, &open.headers, (saml.name, arrival)).await {
        Ok((started, vouched)) => landed(&identity, open, by, (started, Ok(vouched))).await,
        Err(error) => lost(&identity, &open, error).await,
    }
}

async fn answered(identity: &Arc<Identity>, open: Open, name: &str, given: &[(String, String)]) -> Answered {
    let saml = identity.saml_provider(name)?;
    let answer = match (of(given, "SAMLResponse"), of(given, "SAMLart")) {
        (Some(response), None) => {
            let text: String = response.split_ascii_whitespace().collect();
            let decoded =
                STANDARD.decode(text).map_err(|_| identity.saml_refused(saml, &Refused::NotAResponse));
            decoded.map(Answer::Response)
        }
        (None, Some(artifact)) => Ok(Answer::Artifact(artifact.to_owned())),
        _ => Err(identity.saml_refused(saml, &Refused::NotAResponse)),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return lost(identity, &open, error).await,
    };
    let desk = identity.desk(&open.request);
    let state = of(given, "RelayState").unwrap_or_default();
    let started = match identity.sign_in_known(&desk, (saml.name, state)).await {
        Ok(started) => started,
        Err(error) if error.key == Key::AuthProvider && saml.options.unsolicited => {
            return unsolicited(identity, open, saml, &answer).await;
        }
        Err(error) => return lost(identity, &open, error).await,
    };
    match believed(identity, &open, saml, (&started, state), &answer).await {
        Ok(arrival) => Ok(redirect(&format!("/auth/saml/{}/acs?arrival={arrival}", saml.name))?),
        // A program that waits for its browser is told, too.
        Err(error) => {
            let nobody = Err(Error::new(Key::Credentials, "").into());
            landed(identity, open, nobody, (started, Err(error))).await
        }
    }
}

/// Looks at an answer, and keeps whom it vouches for.
async fn believed(
    identity: &Identity,
    open: &Open,
    saml: SamlProvider<'_>,
    (started, state): (&Started, &str),
    answer: &Answer,
) -> Result<String, Error> {
    let desk = identity.desk(&open.request);
    let request: Request = serde_json::from_value(started.own.clone()).map_err(Error::internal)?;
    let Believed { vouched, document } =
        identity.saml_believed(&desk, saml, (Some(&request), answer)).await?;
    let kept = identity.arrival_keep(&desk, (state, vouched), vec![document]).await;
    kept.map_err(|error| replayed(identity, saml, error))
}

/// Signs somebody in whom the provider has sent by itself.
async fn unsolicited(
    identity: &Arc<Identity>,
    open: Open,
    saml: SamlProvider<'_>,
    answer: &Answer,
) -> Answered {
    let desk = identity.desk(&open.request);
    let signed_in = async {
        let Believed { vouched, document } = identity.saml_believed(&desk, saml, (None, answer)).await?;
        let named = identity.named_tenant(&desk, &open.headers).await?;
        let place = open.place(None);
        let tokens = identity.provider_sign_in(&desk, &vouched, (named, &place), vec![document]).await;
        tokens.map_err(|error| replayed(identity, saml, error))
    };
    match signed_in.await {
        Ok(tokens) => {
            let answered = identity.answer(&open.request, &tokens, true).await?;
            Ok(pages::with_cookies(redirect("/")?, &answered))
        }
        Err(error) => lost(identity, &open, error).await,
    }
}

/// Of two who come with one assertion, one is refused.
fn replayed(identity: &Identity, saml: SamlProvider<'_>, error: Error) -> Error {
    let is_assertion = error.errors.iter().any(|field| field.path.contains("SamlAssertion"));
    if is_race(&error) && is_assertion { identity.saml_refused(saml, &Refused::Replayed) } else { error }
}
