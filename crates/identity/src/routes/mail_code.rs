//! Codes by mail, asked for and shown: with a ticket, to sign in; without, as somebody who has signed in.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use mainstay_engine::error::{Error, Key};
use mainstay_http::Refusal;
use serde_json::json;

use super::second::wrong;
use super::showing::Showing;
use super::{Answered, Open, SignedIn, done, fields};
use crate::attempts::Counted;
use crate::desk::{Desk, wire};
use crate::factor::{counted, may_get_codes};
use crate::identity::Identity;
use crate::letters::Letter;

/// Refuses where an app has none, and after a link in mail, which has shown the same already.
async fn is_offered(identity: &Identity, desk: &Desk, showing: &Showing) -> Result<(), Error> {
    let is_due = identity.options.mail_code && showing.method() != "magic";
    match is_due && may_get_codes(desk, showing.user()).await? {
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
    let showing = Showing::find(&desk, ticket, by).await?;
    is_offered(&identity, &desk, &showing).await?;
    let user = showing.user();
    let counted = Counted::new(&format!("code {user}"), open.address().as_deref());
    counted.check(&desk).await?;
    counted.fail(&desk).await?;
    let letter = Letter::Code { user: wire(user), request: showing.request() };
    desk.ask_and_enqueue(Vec::new(), vec![letter.job()]).await?;
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
    let showing = Showing::find(&desk, ticket, by).await?;
    is_offered(&identity, &desk, &showing).await?;
    let place = showing.place(&open);
    // Failures are counted with those of the other second factors.
    let counted = counted(showing.user(), &place);
    counted.check(&desk).await?;
    let asked = (showing.user(), showing.request());
    let Some(using) = identity.mail_code_using(&desk, (asked.0, &asked.1), &code).await? else {
        counted.fail(&desk).await?;
        return Err(wrong().into());
    };
    showing.shown(&identity, (&desk, &open, &place), (vec![using], Vec::new())).await
}
