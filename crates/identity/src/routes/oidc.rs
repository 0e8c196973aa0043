//! `/auth/oidc/{provider}`: away to an OpenID provider, and back.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use mainstay_engine::error::Error;
use mainstay_http::Refusal;

use super::providers::{self, asked, landed, redirect};
use super::{Answered, Open, SignedIn, pages};
use crate::desk::Desk;
use crate::identity::Identity;
use crate::oidc::Back;
use crate::provider::started::Way;

impl Identity {
    /// Where a browser goes to be vouched for, and the cookie that it keeps meanwhile.
    ///
    /// # Errors
    /// When there is no such provider for the tenant that the request names, or it is not there.
    pub(super) async fn oidc_begin(
        &self,
        desk: &Desk,
        headers: &HeaderMap,
        (name, back, way): (&str, String, Way),
    ) -> Result<(String, axum::http::HeaderValue), Error> {
        let named = self.named_tenant(desk, headers).await?;
        let within = self.provider_tenant(desk, self.provider(name)?, named).await?;
        let (mut url, own) = self.oidc_start(name).await?;
        let ticket = self.sign_in_start(desk, headers, (name, back, way), (within, own)).await?;
        url.query_pairs_mut().append_pair("state", &ticket.state);
        Ok((url.into(), ticket.cookie))
    }
}

pub(super) async fn start(
    State(identity): State<Arc<Identity>>,
    open: Open,
    Path(name): Path<String>,
    uri: Uri,
) -> Answered {
    let (back, way) = asked(uri.query().unwrap_or_default())?;
    let desk = identity.desk(&open.request);
    let is_for_people = way == Way::Cookies;
    let begun = async {
        let (url, cookie) = identity.oidc_begin(&desk, &open.headers, (&name, back, way)).await?;
        let mut response: Response = redirect(&url)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(response)
    };
    match begun.await {
        Err(error) if is_for_people => pages::refused(&identity, &open, "login", (&[], None), error).await,
        done => done.map_err(Refusal),
    }
}

pub(super) async fn callback(
    State(identity): State<Arc<Identity>>,
    open: Open,
    by: Result<SignedIn, Refusal>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answered {
    let back = Back::read(uri.query().unwrap_or_default());
    let desk = identity.desk(&open.request);
    match identity.sign_in_back(&desk, &open.headers, (&name, back.state())).await {
        Ok(started) => {
            let vouched = identity.oidc_back(&started, &back).await;
            landed(&identity, open, by, (started, vouched)).await
        }
        // Who has started it, and how it was to go on, nobody can say.
        Err(error) => providers::lost(&identity, &open, error).await,
    }
}
