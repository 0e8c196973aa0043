//! Addresses that are known to arrive: by a link that was used, or because whoever runs the server says so.

use std::sync::Arc;

use mainstay_engine::Engine;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_engine::sealed::Sealer;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use crate::desk::{Desk, event, wire};
use crate::identity::MAIL_PURPOSE;
use crate::once::{Once, used, using};

/// The documents by which the token of an address is used: an account is made, is verified, or has another address.
pub(crate) fn verified(
    sealer: &Sealer,
    desk: &Desk,
    row: &Row,
    from: Option<&str>,
) -> Result<Vec<Json>, Error> {
    let now = desk.now().to_string();
    let email = row.text("email").unwrap_or_default();
    let owner = row.value("owner")?;
    if owner.is_null() {
        let data: Json = row.get("data")?;
        let hash = sealer.open(data["hash"].as_str().unwrap_or_default(), email).map_err(Error::internal)?;
        let hash = String::from_utf8(hash).map_err(Error::internal)?;
        let user = json!({"create": true, "email": email, "name": data["name"], "email_verified": now});
        let login = json!({"create": true, "hash": hash, "changed_at": now, "owner": user});
        return Ok(vec![
            using(desk, row),
            json!({"PasswordLogin": login}),
            event("account.made", None, from, json!({"email": email})),
        ]);
    }
    let mut set = json!({"email_verified": now});
    let is_change = row.text("kind") == Some(Once::Change.text());
    if is_change {
        set["email"] = json!(email);
    }
    let kind = if is_change { "email.changed" } else { "email.verified" };
    Ok(vec![
        using(desk, row),
        json!({"User": {"id": wire(owner), "set": set}}),
        event(kind, Some(owner), from, json!({"email": email})),
    ])
}

/// Takes an address as verified, as if the link in its mail had been used: that of a user, or of the last who has asked for an account
/// with it. `false`: neither is there.
///
/// # Errors
/// When the database fails, or the secret is not the server's.
pub async fn address_verify(engine: &Arc<Engine>, secret: &[u8], email: &str) -> Result<bool, Error> {
    let desk = Desk::at(engine, mainstay_jobs::Clock::default().now(), &Arc::default());
    let email = email.trim().to_lowercase();
    let values = [("email", Value::Text(email.clone()))];
    if let Some(user) = desk.row("User", "email == $email", &values).await? {
        let set = json!({"email_verified": desk.now().to_string()});
        desk.ask(vec![
            json!({"User": {"id": wire(user.key()), "set": set}}),
            event("email.verified", Some(user.key()), None, json!({"email": email})),
        ])
        .await?;
        return Ok(true);
    }
    let mut asked =
        desk.rows("OneTimeToken", "email == $email and kind == verify and used == null", &values).await?;
    asked.sort_by_key(|row| row.value("created").map(Value::to_json).unwrap_or_default());
    let Some(last) = asked.pop() else { return Ok(false) };
    let documents = verified(&Sealer::new(secret, MAIL_PURPOSE), &desk, &last, None)?;
    desk.ask(documents).await.map_err(used).map(|_| true).or_else(|error| match error.key {
        Key::AuthToken => Ok(false),
        _ => Err(error),
    })
}
