//! Passwords that are forgotten, set anew, or changed.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::account::letter_for;
use super::{Answered, Open, SignedIn, fields, nothing_more};
use crate::attempts::Counted;
use crate::desk::{later, time, wire};
use crate::identity::Identity;
use crate::letters::Letter;
use crate::notice::Notice;
use crate::once::{Once, not_valid, used, using};
use crate::password::Tested;
use crate::session::{NewSession, ending};

pub(super) async fn forgot(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["email"])?;
    let email = read.text("email");
    read.done()?;
    letter_for(&identity, &open, &email, |email| Letter::Forgot { email }).await
}

pub(super) async fn reset(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["token", "password"])?;
    let (token, password) = (read.text("token"), read.text("password"));
    read.done()?;
    let desk = identity.desk(&open.request);
    let row = Once::Reset.find(&desk, &token).await?;
    let owner = row.value("owner")?.clone();
    let email = row.text("email").unwrap_or_default().to_owned();
    identity.password_accept(&password, &[&email], "/password").await?;
    let now = desk.now();
    let last = identity.options.password.remembered;
    let mut documents = identity.password_setting(&desk, &owner, &password, last).await?;
    documents.insert(0, using(&desk, &row));
    let (line, letter) = Notice::PasswordReset.told(&owner, open.address().as_deref(), json!({}));
    documents.extend([
        // Whoever has the mail has the address.
        json!({"User": {"id": wire(&owner), "set": {"email_verified": now.to_string()}}}),
        ending(&json!({"owner": wire(&owner)}), now, "password"),
        Counted::new(&email, None).forget(),
        line,
    ]);
    desk.ask_and_enqueue(documents, vec![letter]).await.map_err(used)?;
    Ok(nothing_more())
}

/// Chooses another password in the place of one that is too old, and signs in.
pub(super) async fn renew(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["ticket", "password"])?;
    let (ticket, password) = (read.text("ticket"), read.text("password"));
    read.done()?;
    let desk = identity.desk(&open.request);
    let row = Once::Renew.find(&desk, &ticket).await?;
    let (owner, data): (Value, Json) = (row.value("owner")?.clone(), row.get("data")?);
    let user = desk.row("User", "id == $id and blocked == null", &[("id", owner.clone())]).await?;
    let user = user.ok_or_else(not_valid)?;
    let email = user.text("email").unwrap_or_default();
    identity.password_accept(&password, &[email], "/password").await?;
    // The old one would be as old.
    let last = identity.options.password.remembered.max(1);
    let mut documents = identity.password_setting(&desk, &owner, &password, last).await?;
    documents.insert(0, using(&desk, &row));
    documents.push(ending(&json!({"owner": wire(&owner)}), desk.now(), "password"));
    let (line, letter) = Notice::PasswordChanged.told(&owner, open.address().as_deref(), json!({}));
    documents.push(line);
    desk.ask_and_enqueue(documents, vec![letter]).await.map_err(used)?;
    let place = open.place(data["device"].as_str().map(str::to_owned));
    let new = NewSession {
        user: &owner,
        method: "password",
        is_twofold: data["twofold"] == true,
        within: data["within"].as_str().and_then(|id| Uuid::try_parse(id).ok()),
        actor: None,
        place: &place,
    };
    let tokens = identity.session_begin(&desk, new, Vec::new()).await?;
    identity.answer(&open.request, &tokens, open.wants_cookies).await
}

/// Shows the password once more, for what asks for a moment not long ago.
pub(super) async fn confirm(State(identity): State<Arc<Identity>>, by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["password"])?;
    let password = read.text("password");
    read.done()?;
    let desk = identity.desk(&by.request);
    let session = by.session_row(&desk).await?;
    // Whoever acts for somebody does not know their password, and is not to learn here whether they have guessed it.
    if session.text("method") == Some("impersonation") {
        return Err(identity.recent_wanted(&desk, &by.user).await?.into());
    }
    let user = desk.row("User", "id == $id", &[("id", by.user.clone())]).await?;
    let email = user.as_ref().and_then(|user| user.text("email")).unwrap_or_default();
    let known = desk.row("PasswordLogin", "owner == $owner", &[("owner", by.user.clone())]).await?;
    let counted = Counted::new(email, by.place().address.as_deref());
    counted.check(&desk).await?;
    let hash = known.as_ref().and_then(|known| known.text("hash"));
    if identity.hasher.place()?.test(&password, hash, desk.deadline()).await? == Tested::Wrong {
        counted.fail(&desk).await?;
        return Err(Error::at(Key::AuthLogin, "/password", "password", "is not the password").into());
    }
    let set = json!({"confirmed": desk.now().to_string()});
    desk.ask(vec![counted.forget(), json!({"Session": {"id": wire(session.key()), "set": set}})]).await?;
    Ok(nothing_more())
}

pub(super) async fn change(State(identity): State<Arc<Identity>>, by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["old", "password"])?;
    let (old, password) = (read.text_or_none("old"), read.text("password"));
    read.done()?;
    let desk = identity.desk(&by.request);
    let session = by.session_row(&desk).await?;
    let user = desk.row("User", "id == $id", &[("id", by.user.clone())]).await?;
    let email = user.as_ref().and_then(|user| user.text("email")).unwrap_or_default().to_owned();
    let known = desk.row("PasswordLogin", "owner == $owner", &[("owner", by.user.clone())]).await?;
    let place = by.place();
    match (&old, &known) {
        (Some(old), Some(known)) => {
            let counted = Counted::new(&email, place.address.as_deref());
            counted.check(&desk).await?;
            let tested = identity.hasher.place()?.test(old, known.text("hash"), desk.deadline()).await?;
            if tested == Tested::Wrong {
                counted.fail(&desk).await?;
                return Err(Error::at(Key::AuthLogin, "/old", "password", "is not the password").into());
            }
        }
        // Without the old one a second factor has to have been shown a moment ago; the first password of an account asks for a
        // sign-in a moment ago.
        (None, Some(_)) => {
            let until = time(&session, "confirmed_twice").map(|at| later(at, identity.options.recent));
            if until.is_none_or(|until| until <= desk.now()) {
                let words = "Send the old password, or show a second factor first.";
                return Err(Error::at(Key::AuthRecent, "/old", "required", words).into());
            }
        }
        (_, None) => drop(by.recent_session(&identity, &desk).await?),
    }
    identity.password_accept(&password, &[&email], "/password").await?;
    let now = desk.now();
    let others = json!({"owner": wire(&by.user), "id": {"not": wire(session.key())}});
    let last = identity.options.password.remembered;
    let mut documents = identity.password_setting(&desk, &by.user, &password, last).await?;
    documents.push(ending(&others, now, "password"));
    let (line, letter) = Notice::PasswordChanged.told(&by.user, place.address.as_deref(), json!({}));
    documents.push(line);
    desk.ask_and_enqueue(documents, vec![letter]).await?;
    Ok(nothing_more())
}
