//! A browser that a provider's own page sends back by a form: it comes without our cookies, and a second time with them.
//!
//! Browsers send a cookie of ours along when somebody follows a link to us, and not when a page of another site sends a form. So what
//! such a form says is looked at when it comes; whom it vouches for is kept, encrypted, under a token of its own, and the browser is sent to us
//! once more by an address. Only then it shows that the sign-in was started in it, and the sign-in is used up.

use axum::http::HeaderMap;
use mainstay_engine::error::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::Vouched;
use super::started::{Started, unknown};
use crate::desk::Desk;
use crate::identity::Identity;
use crate::once::{Once, used, using};
use crate::token::new_token;

/// Who is on the way.
#[derive(Serialize, Deserialize)]
struct Arrival {
    /// The token of the sign-in that was started.
    state: String,
    vouched: Vouched,
}

impl Identity {
    /// What was kept for a token that has come back, whichever browser has brought it. It is not used up by that.
    ///
    /// # Errors
    /// [`Key::AuthProvider`](mainstay_engine::error::Key::AuthProvider) when it is none, was used, is too old, or is another provider's.
    pub(crate) async fn sign_in_known(
        &self,
        desk: &Desk,
        (provider, state): (&str, &str),
    ) -> Result<Started, Error> {
        let row = Once::Started.find(desk, state).await.map_err(unknown)?;
        let started: Started = self.opened_once(state, &row.get("data")?)?;
        if started.provider == provider { Ok(started) } else { Err(unknown("")) }
    }

    /// Keeps whom a provider vouches for until the browser comes by itself, with what else is written in the same transaction; the token
    /// for its address.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) async fn arrival_keep(
        &self,
        desk: &Desk,
        (state, vouched): (&str, Vouched),
        mut along: Vec<Json>,
    ) -> Result<String, Error> {
        let token = new_token()?;
        let data = self.sealed_once(&token, &Arrival { state: state.to_owned(), vouched })?;
        along.push(Once::Arrival.keep(desk, &token, None, None, data));
        desk.ask(along).await?;
        Ok(token)
    }

    /// The sign-in that has come to its end, in the browser that has started it; both are used up.
    ///
    /// # Errors
    /// [`Key::AuthProvider`](mainstay_engine::error::Key::AuthProvider) when it is none, was used, is too old, or has come by another browser.
    pub(crate) async fn arrival_back(
        &self,
        desk: &Desk,
        headers: &HeaderMap,
        (provider, token): (&str, &str),
    ) -> Result<(Started, Vouched), Error> {
        let row = Once::Arrival.find(desk, token).await.map_err(unknown)?;
        let Arrival { state, vouched } = self.opened_once(token, &row.get("data")?)?;
        let started = self.sign_in_back(desk, headers, (provider, &state)).await?;
        desk.ask(vec![using(desk, &row)]).await.map_err(used).map_err(unknown)?;
        Ok((started, vouched))
    }
}
