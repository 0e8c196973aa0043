//! Codes by mail, asked for and shown: with a ticket, to sign in; without, as somebody who has signed in.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use mainstay_engine::error::{Error, Key};
use mainstay_http::Refusal;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use super::second::{code_used, too_late, wrong};
use super::{Answered, Open, SignedIn, done, fields, nothing_more};
use crate::attempts::Counted;
use crate::desk::{Desk, wire};
use crate::factor::{Pending, confirming, counted, may_get_codes};
use crate::identity::Identity;
use crate::letters::Letter;
use crate::session::Place;

/// Refuses where an app has none, and after a link in mail, which has shown the same already.
async fn is_offered(identity: &Identity, desk: &Desk, user: &Value, method: &str) -> Result<(), Error> {
    match identity.options.mail_code && method != "magic" && may_get_codes(desk, user).await? {
        true => Ok(()),
        false => Err(Error::new(Key::Forbidden, "No code is sent by mail here.")),
    }
}

pub(super) async fn request(
    State(identity): State<Arc<Identity>>,
    open: Open,
    by: Result<SignedIn, Refusal>,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["ticket"])?;
    let ticket = read.text_or_none("ticket");
    read.done()?;
    let desk = identity.desk(&open.request);
    let (user, method) = match ticket {
        Some(ticket) => {
            let pending = Pending::find(&desk, &ticket).await?;
            (pending.user, pending.method)
        }
        None => {
            let by = by?;
            let session = by.session_row(&desk).await?;
            (by.user, session.text("method").unwrap_or_default().to_owned())
        }
    };
    is_offered(&identity, &desk, &user, &method).await?;
    let counted = Counted::new(&format!("code {user}"), open.address().as_deref());
    counted.check(&desk).await?;
    counted.fail(&desk).await?;
    desk.ask_and_enqueue(Vec::new(), vec![Letter::Code { user: wire(&user) }.job()]).await?;
    Ok(done(StatusCode::ACCEPTED, json!({"sent": true})))
}

pub(super) async fn verify(
    State(identity): State<Arc<Identity>>,
    open: Open,
    by: Result<SignedIn, Refusal>,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["ticket", "code"])?;
    let (ticket, code) = (read.text_or_none("ticket"), read.text("code"));
    read.done()?;
    let desk = identity.desk(&open.request);
    let Some(ticket) = ticket else {
        let by = by?;
        let session = by.session_row(&desk).await?;
        let method = session.text("method").unwrap_or_default();
        is_offered(&identity, &desk, &by.user, method).await?;
        let used = using(&identity, &desk, (&by.user, &code), &by.place()).await?;
        desk.ask(vec![used, confirming(&desk, &session)]).await.map_err(code_used)?;
        return Ok(nothing_more());
    };
    let pending = Pending::find(&desk, &ticket).await?;
    is_offered(&identity, &desk, &pending.user, &pending.method).await?;
    let place = open.place(pending.device.clone());
    let along = vec![using(&identity, &desk, (&pending.user, &code), &place).await?];
    let tokens = identity.second_shown(&desk, &pending, &place, along).await.map_err(too_late)?;
    identity.welcome(&open, &tokens).await
}

/// The document that uses a code up; failures are counted with those of the other second factors.
async fn using(
    identity: &Identity,
    desk: &Desk,
    (user, code): (&Value, &str),
    place: &Place,
) -> Result<Json, Error> {
    let counted = counted(user, place);
    counted.check(desk).await?;
    match identity.mail_code_using(desk, user, code).await? {
        Some(document) => Ok(document),
        None => {
            counted.fail(desk).await?;
            Err(wrong())
        }
    }
}
