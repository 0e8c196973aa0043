//! Which passwords are taken for whom: none that is guessed first, none that is known to others, none that somebody has had of late; and
//! for how long one is good.
//!
//! All but the first are an app's own to ask for. NIST (SP 800-63B) advises against passwords that end by themselves; where a rule book
//! wants it, whoever signs in with one that is too old gets a ticket that is good for choosing another, and for nothing else.

use std::cmp::Reverse;
use std::time::Duration;

use mainstay_engine::error::{Error, Key, Ticket};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use crate::desk::{Desk, later, time, wire};
use crate::identity::Identity;
use crate::once::Once;
use crate::password::{Tested, password_check};
use crate::session::NewSession;
use crate::token::new_token;

impl Identity {
    /// Whether a password may be taken for somebody.
    ///
    /// # Errors
    /// Why not, at its place in the request.
    pub(crate) async fn password_accept(
        &self,
        password: &str,
        about: &[&str],
        path: &str,
    ) -> Result<(), Error> {
        password_check(&self.options.password, password, about, path)?;
        let Some(breached) = self.breached.clone() else { return Ok(()) };
        let password = password.to_owned();
        let looked = tokio::task::spawn_blocking(move || breached.has(&password)).await;
        match looked.map_err(Error::internal)?.map_err(Error::internal)? {
            true => {
                Err(Error::at(Key::Invalid, path, "breached", "is known to others; choose one of your own"))
            }
            false => Ok(()),
        }
    }

    /// The documents that give a user a password, which is none of the last so many.
    ///
    /// # Errors
    /// When it is one of them.
    pub(crate) async fn password_setting(
        &self,
        desk: &Desk,
        owner: &Value,
        password: &str,
        last: usize,
    ) -> Result<Vec<Json>, Error> {
        let values = [("owner", owner.clone())];
        let known = desk.row("PasswordLogin", "owner == $owner", &values).await?;
        let mut before = desk.rows("PasswordBefore", "owner == $owner", &values).await?;
        before.sort_by_key(|row| Reverse(time(row, "created")));
        for had in known.iter().chain(&before).take(last) {
            if self.hasher.place()?.test(password, had.text("hash"), desk.deadline()).await? != Tested::Wrong
            {
                return Err(Error::at(Key::Invalid, "/password", "reused", "is one that you had before"));
            }
        }
        let hash = self.hasher.place()?.hash(password, desk.deadline()).await?;
        let now = desk.now().to_string();
        let kept = self.options.password.remembered.saturating_sub(1);
        let mut documents: Vec<Json> = before
            .iter()
            .skip(kept.saturating_sub(1))
            .map(|row| json!({"PasswordBefore": {"id": wire(row.key()), "delete": true}}))
            .collect();
        match &known {
            Some(known) => {
                if kept > 0 {
                    let row = json!({"create": true, "owner": wire(owner), "hash": known.text("hash")});
                    documents.push(json!({"PasswordBefore": row}));
                }
                let set = json!({"hash": hash, "changed_at": now});
                documents.push(json!({"PasswordLogin": {"id": wire(known.key()), "set": set}}));
            }
            None => {
                let row = json!({"create": true, "owner": wire(owner), "hash": hash, "changed_at": now});
                documents.push(json!({"PasswordLogin": row}));
            }
        }
        Ok(documents)
    }

    /// Whether somebody's password is older than an app lets one be.
    pub(crate) async fn password_is_old(&self, desk: &Desk, owner: &Value) -> Result<bool, Error> {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let days = self.options.password.days_max;
        if days == 0 {
            return Ok(false);
        }
        let known = desk.row("PasswordLogin", "owner == $owner", &[("owner", owner.clone())]).await?;
        let changed = known.as_ref().and_then(|known| time(known, "changed_at"));
        Ok(changed.is_some_and(|at| later(at, DAY * days) <= desk.now()))
    }

    /// In the place of a session: the ticket with which another password is chosen. What was shown is used up all the same.
    pub(crate) async fn renewal(
        &self,
        desk: &Desk,
        new: &NewSession<'_>,
        mut along: Vec<Json>,
    ) -> Result<Error, Error> {
        let ticket = new_token()?;
        let data = json!({
            "within": new.within.map(|id| id.to_string()),
            "device": new.place.device,
            "twofold": new.is_twofold,
        });
        along.push(Once::Renew.keep(desk, &ticket, Some(new.user), None, data));
        desk.ask(along).await?;
        let words = "This password is too old: choose another one, with this ticket.";
        let ticket = Some(Box::new(Ticket(ticket)));
        Ok(Error { ticket, ..Error::new(Key::AuthPasswordExpired, words) })
    }
}
