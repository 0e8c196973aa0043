//! Codes that are shown: with a ticket, to sign in; without, as somebody who has signed in, for what asks for a moment not long ago.
//!
//! What kind of code it is its own file knows ([`super::second`], [`super::mail_code`]): it makes the documents that use it up, and this
//! does the rest with them, in the same transaction.

use std::sync::Arc;

use mainstay_engine::hook::Row;
use mainstay_http::Refusal;
use mainstay_jobs::NewJob;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use super::second::{code_used, too_late};
use super::{Answered, Open, SignedIn, nothing_more};
use crate::desk::{Desk, wire};
use crate::factor::Pending;
use crate::identity::Identity;
use crate::session::Place;

/// What uses a code up, and the jobs that follow from that.
pub(super) type Using = (Vec<Json>, Vec<NewJob>);

/// For what a code is shown.
pub(super) enum Showing {
    SignIn(Pending),
    Session(Box<SignedIn>, Row),
}

impl Showing {
    /// By the ticket that somebody has brought, or else by their session.
    pub(super) async fn find(
        desk: &Desk,
        ticket: Option<String>,
        by: Result<SignedIn, Refusal>,
    ) -> Result<Showing, Refusal> {
        if let Some(ticket) = ticket {
            return Ok(Showing::SignIn(Pending::find(desk, &ticket).await?));
        }
        let by = by?;
        let session = by.session_row(desk).await?;
        Ok(Showing::Session(Box::new(by), session))
    }

    pub(super) fn user(&self) -> &Value {
        match self {
            Showing::SignIn(pending) => &pending.user,
            Showing::Session(by, _) => &by.user,
        }
    }

    /// By what they came before.
    pub(super) fn method(&self) -> &str {
        match self {
            Showing::SignIn(pending) => &pending.method,
            Showing::Session(_, session) => session.text("method").unwrap_or_default(),
        }
    }

    /// What tells this sign-in, or this session, from any other.
    pub(super) fn request(&self) -> String {
        match self {
            Showing::SignIn(pending) => pending.request(),
            Showing::Session(_, session) => session.key().to_string(),
        }
    }

    pub(super) fn place(&self, open: &Open) -> Place {
        match self {
            Showing::SignIn(pending) => open.place(pending.device.clone()),
            Showing::Session(by, _) => by.place(),
        }
    }

    /// Signs in, or notes that it was shown just now.
    pub(super) async fn shown(
        &self,
        identity: &Arc<Identity>,
        (desk, open, place): (&Desk, &Open, &Place),
        (mut along, jobs): Using,
    ) -> Answered {
        match self {
            Showing::SignIn(pending) => {
                let tokens = identity.second_shown(desk, (pending, place), along, jobs).await;
                identity.welcome(open, &tokens.map_err(too_late)?).await
            }
            Showing::Session(_, session) => {
                let now = desk.now().to_string();
                let set = json!({"confirmed": now, "confirmed_twice": now});
                along.push(json!({"Session": {"id": wire(session.key()), "set": set}}));
                desk.ask_and_enqueue(along, jobs).await.map_err(code_used)?;
                Ok(nothing_more())
            }
        }
    }
}
