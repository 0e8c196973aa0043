//! Second factors: who has which, and the ticket that stands between the first factor and the second.
//!
//! Whoever has one is asked for one after a password, a link or whatever else has shown a single factor. A ticket remembers which that
//! was, so that nobody shows the same twice: a passkey after a passkey, a code by mail after a link in mail. What is weaker than a
//! factor that somebody has is not offered beside it.

use mainstay_engine::error::{Error, Key, Ticket};
use mainstay_engine::factors::Factors;
use mainstay_engine::hook::Row;
use mainstay_jobs::NewJob;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::attempts::Counted;
use crate::desk::Desk;
use crate::identity::Identity;
use crate::once::{Once, using};
use crate::passkey::passkeys_of;
use crate::session::{NewSession, Place, Tokens, Via};
use crate::token::new_token;

/// How many have a factor is asked for once, so a code is counted like a password.
pub(crate) fn counted(user: &Value, place: &Place) -> Counted {
    Counted::new(&format!("second {user}"), place.address.as_deref())
}

/// What somebody is asked for who has shown one factor.
pub(crate) struct Wanted {
    ticket: String,
    factors: Factors,
}

impl From<Wanted> for Error {
    fn from(wanted: Wanted) -> Error {
        let words = "Show a second factor, with this ticket.";
        let ticket = Some(Box::new(Ticket(wanted.ticket)));
        Error { ticket, factors: wanted.factors, ..Error::new(Key::AuthSecondFactor, words) }
    }
}

/// Somebody who has shown one factor and comes with the second.
pub(crate) struct Pending {
    row: Row,
    pub(crate) user: Value,
    /// By what they came: a value of the column `method` of sessions.
    pub(crate) method: String,
    within: Option<Uuid>,
    pub(crate) device: Option<String>,
    via: Option<Via>,
}

impl Pending {
    /// The sign-in that it is the ticket of.
    pub(crate) fn request(&self) -> String {
        self.row.key().to_string()
    }

    /// Whom a ticket is for.
    ///
    /// # Errors
    /// [`Key::AuthToken`] when it was used, is too old, or is none.
    pub(crate) async fn find(desk: &Desk, ticket: &str) -> Result<Pending, Error> {
        let row = Once::Second.find(desk, ticket).await?;
        let data: Json = row.get("data")?;
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        Ok(Pending {
            user: row.value("owner")?.clone(),
            method: text("method").unwrap_or_else(|| "password".to_owned()),
            within: data["within"].as_str().and_then(|id| Uuid::try_parse(id).ok()),
            device: text("device"),
            via: serde_json::from_value(data["via"].clone()).ok(),
            row,
        })
    }
}

impl Identity {
    /// Where somebody has a second factor: the ticket with which it is shown after another, by which they came.
    pub(crate) async fn second_factor(
        &self,
        desk: &Desk,
        new: &NewSession<'_>,
    ) -> Result<Option<Wanted>, Error> {
        let factors = self.second_factors(desk, new.method, new.user).await?;
        if factors.is_empty() {
            return Ok(None);
        }
        let ticket = new_token()?;
        let within = new.within.map(|id| id.to_string());
        let place = new.place;
        let data = json!({"method": new.method, "within": within, "device": place.device, "via": place.via});
        desk.ask(vec![Once::Second.keep(desk, &ticket, Some(new.user), None, data)]).await?;
        Ok(Some(Wanted { ticket, factors }))
    }

    /// What would do as a second factor.
    async fn second_factors(&self, desk: &Desk, method: &str, user: &Value) -> Result<Factors, Error> {
        let own = self.own_factors(desk, user).await?;
        let mut factors = Factors::NONE;
        for one in [Factors::TOTP, Factors::PASSKEY] {
            if own.has(one) && !(one == Factors::PASSKEY && method == "passkey") {
                factors = factors | one;
            }
        }
        if !factors.is_empty() && recovery_codes_left(desk, user).await? {
            factors = factors | Factors::RECOVERY;
        }
        // Whoever has come by mail has shown with that what a code by mail would show.
        if factors.is_empty()
            && self.options.mail_code
            && method != "magic"
            && may_get_codes(desk, user).await?
        {
            factors = Factors::MAIL;
        }
        Ok(factors)
    }

    /// What somebody has to show that it is still they.
    pub(crate) async fn own_factors(&self, desk: &Desk, user: &Value) -> Result<Factors, Error> {
        let owner = [("owner", user.clone())];
        let mut factors = Factors::NONE;
        if desk.row("PasswordLogin", "owner == $owner", &owner).await?.is_some() {
            factors = factors | Factors::PASSWORD;
        }
        if totp_of(desk, user).await?.is_some() {
            factors = factors | Factors::TOTP;
        }
        if !passkeys_of(desk, user, None).await?.is_empty() {
            factors = factors | Factors::PASSKEY;
        }
        if self.options.mail_code && may_get_codes(desk, user).await? {
            factors = factors | Factors::MAIL;
        }
        Ok(factors)
    }

    /// Begins the session of somebody who has shown the second factor, too; `along` is what uses it up, `jobs` what follows from that.
    pub(crate) async fn second_shown(
        &self,
        desk: &Desk,
        (pending, place): (&Pending, &Place),
        mut along: Vec<Json>,
        jobs: Vec<NewJob>,
    ) -> Result<Tokens, Error> {
        along.insert(0, using(desk, &pending.row));
        let place = &Place { via: pending.via.clone(), ..place.clone() };
        let new = NewSession {
            user: &pending.user,
            method: &pending.method,
            is_twofold: true,
            within: pending.within,
            actor: None,
            place,
        };
        self.session_begin_and_enqueue(desk, new, along, jobs).await
    }

    /// Why somebody is refused who has shown a factor too long ago, with what would do.
    pub(crate) async fn recent_wanted(&self, desk: &Desk, user: &Value) -> Result<Error, Error> {
        let words = "Show once more who you are: this asks for somebody who has just done so.";
        let factors = self.own_factors(desk, user).await?;
        Ok(Error { factors, ..Error::new(Key::AuthRecent, words) })
    }
}

/// The authenticator of a user that makes codes, if there is one that counts.
pub(crate) async fn totp_of(desk: &Desk, user: &Value) -> Result<Option<Row>, Error> {
    desk.row("TotpLogin", "owner == $owner and confirmed != null", &[("owner", user.clone())]).await
}

/// Whether codes are sent to somebody by mail: to an address that is known to arrive, of one who has no second factor of their own.
pub(crate) async fn may_get_codes(desk: &Desk, user: &Value) -> Result<bool, Error> {
    let filter = "id == $id and email_verified != null and not anonymous and blocked == null";
    let arrives = desk.row("User", filter, &[("id", user.clone())]).await?.is_some();
    Ok(arrives && totp_of(desk, user).await?.is_none() && passkeys_of(desk, user, None).await?.is_empty())
}

/// Whether somebody has a recovery code that was not used.
pub(crate) async fn recovery_codes_left(desk: &Desk, user: &Value) -> Result<bool, Error> {
    let left =
        desk.row("RecoveryCode", "owner == $owner and used == null", &[("owner", user.clone())]).await?;
    Ok(left.is_some())
}
