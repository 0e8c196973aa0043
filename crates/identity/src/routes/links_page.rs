//! The page on which somebody sees, makes and ends the links of their account: plain forms, as the other pages.
//!
//! Whoever links an account by mistake gives it away, so a link begins with a form of this page and of this session, which proves that
//! by a hidden field; a request that a foreign page brings about has neither.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use mainstay_engine::error::{Error, Key};
use mainstay_http::Refusal;
use minijinja::context;
use serde_json::Value as Json;
use uuid::Uuid;

use super::pages::{is_own_page, pairs, value};
use super::providers::redirect;
use super::{Answered, SignedIn};
use crate::cookies::{self, Cookie};
use crate::desk::{Desk, wire};
use crate::identity::Identity;
use crate::provider::started::Way;

/// Where the page is.
const PATH: &str = "/auth/pages/links";

/// A form has no more.
const FORM_BYTES_MAX: usize = 16 << 10;

pub(super) async fn show(State(identity): State<Arc<Identity>>, by: Result<SignedIn, Refusal>) -> Answered {
    // Whoever has not signed in does so first.
    let Ok(by) = by else { return Ok(redirect("/auth/pages/login")?) };
    let desk = identity.desk(&by.request);
    Ok(identity.links_page(&desk, &by, None).await?)
}

pub(super) async fn send(State(identity): State<Arc<Identity>>, request: Request) -> Answered {
    let (mut parts, body) = request.into_parts();
    is_own_page(&parts.headers)?;
    let body = to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| Error::new(Key::BodyTooLarge, ""))?;
    let given = pairs(std::str::from_utf8(&body).unwrap_or_default());
    // A form cannot send a header: the field stands for it.
    let proof = HeaderValue::from_str(value(&given, "csrf")).map_err(|_| Error::new(Key::AuthCsrf, ""))?;
    parts.headers.insert(cookies::CSRF_HEADER, proof);
    let by = SignedIn::from_request_parts(&mut parts, &identity).await?;
    let desk = identity.desk(&by.request);
    match identity.links_change(&desk, &by, &parts.headers, &given).await {
        Ok(response) => Ok(response),
        Err(error) if error.key == Key::Internal => Err(Refusal(error)),
        Err(error) => {
            let mut response = identity.links_page(&desk, &by, Some(&error)).await?;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(response)
        }
    }
}

impl Identity {
    /// Does what a form of the page asks for: ends a link, or begins one.
    async fn links_change(
        &self,
        desk: &Desk,
        by: &SignedIn,
        headers: &HeaderMap,
        given: &[(String, String)],
    ) -> Result<Response, Error> {
        let session = by.recent_session(self, desk).await?;
        if let Ok(id) = Uuid::try_parse(value(given, "unlink")) {
            self.provider_unlink(desk, (&by.user, id), &by.place()).await?;
            return redirect(PATH);
        }
        let name = value(given, "link");
        let way = Way::Link { user: wire(&by.user), session: wire(session.key()) };
        let (url, cookie) = self.oidc_begin(desk, headers, (name, PATH.to_owned(), way)).await?;
        // A form may not lead elsewhere, and a page may: so it is a page that goes on.
        let shown = context! {
            app => desk.engine.schema().app.as_str(),
            title => "Link an account",
            go => context! { url, label => self.label(name) },
        };
        let mut response = self.rendered("links.html", shown, None)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(response)
    }

    async fn links_page(
        &self,
        desk: &Desk,
        by: &SignedIn,
        problem: Option<&Error>,
    ) -> Result<Response, Error> {
        let own = self.provider_links(desk, &by.user).await?;
        let within = self.named_tenant(desk, &by.headers).await?;
        let is_linked = |name: &Json| own.iter().any(|link| link["provider"] == *name);
        let mut others = self.providers_shown(desk, within).await?;
        others.retain(|provider| !is_linked(&provider["name"]));
        let words = problem.map(|error| match error.detail.as_str() {
            "" => error.key.title(),
            words => words,
        });
        let shown = context! {
            app => desk.engine.schema().app.as_str(),
            title => "Linked accounts",
            csrf => self.cookie(&by.headers, Cookie::Csrf).unwrap_or_default(),
            own => minijinja::value::Serde(&own),
            others => minijinja::value::Serde(&others),
            problem => words,
            problem_key => problem.map(|error| error.key.text()),
        };
        self.rendered("links.html", shown, None)
    }
}
