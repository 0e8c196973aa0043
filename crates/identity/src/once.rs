//! What is sent or given to somebody to come back with once: links in mail, tickets between two factors, codes.
//!
//! Kept by a hash, for a while, for one purpose. Using one is part of the transaction that does what it is for: of two who come with
//! the same at once, one is refused and changes nothing.

use std::time::Duration;

use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Value as Json, json};

use crate::desk::{Desk, is_race, later, time, wire};
use crate::token::{TOKEN_CHARS, hash_of};

/// What a token is for: a value of the column `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Once {
    Verify,
    Reset,
    Magic,
    Change,
    Second,
    Invitation,
    /// A sign-in by a provider.
    Started,
    /// What a provider has said, for a program.
    Vouched,
    /// What a provider has said, until the browser comes by itself.
    Arrival,
    /// Another password in the place of one that is too old.
    Renew,
    /// A challenge to a passkey, kept once it was answered.
    Passkey,
}

impl Once {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Once::Verify => "verify",
            Once::Reset => "reset",
            Once::Magic => "magic",
            Once::Change => "change",
            Once::Second => "second",
            Once::Invitation => "invitation",
            Once::Started => "started",
            Once::Vouched => "vouched",
            Once::Arrival => "arrival",
            Once::Passkey => "passkey",
            Once::Renew => "renew",
        }
    }

    fn lasts(self) -> Duration {
        const MINUTE: Duration = Duration::from_secs(60);
        match self {
            Once::Verify | Once::Change => MINUTE * 60 * 24,
            Once::Reset => MINUTE * 60,
            Once::Renew | Once::Magic => MINUTE * 10,
            Once::Started => MINUTE * 15,
            Once::Second | Once::Passkey | Once::Vouched | Once::Arrival => MINUTE * 5,
            Once::Invitation => MINUTE * 60 * 24 * 7,
        }
    }

    /// The document that keeps a new token.
    pub(crate) fn keep(
        self,
        desk: &Desk,
        token: &str,
        owner: Option<&Value>,
        email: Option<&str>,
        data: Json,
    ) -> Json {
        json!({"OneTimeToken": {
            "create": true,
            "id": hash_of(token),
            "kind": self.text(),
            "owner": owner.map(wire),
            "email": email,
            "data": data,
            "expires": later(desk.now(), self.lasts()).to_string(),
        }})
    }

    /// The document that keeps a token as one that was used: of two, the second cannot be made.
    pub(crate) fn used_up(self, desk: &Desk, token: &str, expires: Timestamp) -> Json {
        json!({"OneTimeToken": {
            "create": true,
            "id": hash_of(token),
            "kind": self.text(),
            "expires": expires.to_string(),
            "used": desk.now().to_string(),
        }})
    }

    /// A token that somebody has come with.
    ///
    /// # Errors
    /// [`Key::AuthToken`] when it is none for this, was used, or is too old.
    pub(crate) async fn find(self, desk: &Desk, token: &str) -> Result<Row, Error> {
        if token.len() != TOKEN_CHARS {
            return Err(not_valid());
        }
        let values = [("id", Value::Text(hash_of(token)))];
        let row = desk.row("OneTimeToken", "id == $id and used == null", &values).await?;
        row.filter(|row| row.text("kind") == Some(self.text()))
            .filter(|row| time(row, "expires").is_some_and(|expires| expires > desk.now()))
            .ok_or_else(not_valid)
    }
}

/// The document by which a token is used up; it goes before those that do what it is for.
pub(crate) fn using(desk: &Desk, row: &Row) -> Json {
    let version = row.value("updated").map(wire).unwrap_or_default();
    let set = json!({"used": desk.now().to_string()});
    json!({"OneTimeToken": {"id": wire(row.key()), "if_updated": version, "set": set}})
}

/// What it means when the transaction of a token fails: of two, the other one was first.
pub(crate) fn used(error: Error) -> Error {
    if is_race(&error) { not_valid() } else { error }
}

pub(crate) fn not_valid() -> Error {
    Error::new(
        Key::AuthToken,
        "This link or code was used, is too old, or was never valid: ask for a new one.",
    )
}
