//! The ways into an account: which there are, so that the last one is not taken away.

use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use crate::desk::{Desk, wire};
use crate::passkey::passkeys_of;

/// The ways by which somebody gets in.
pub(crate) struct Ways {
    user: Row,
    count: usize,
}

impl Ways {
    /// Those of a user: a password, an address at which a link arrives, passkeys and links with providers.
    ///
    /// # Errors
    /// [`Key::NotFound`] when there is no such user.
    pub(crate) async fn of(desk: &Desk, user: &Value) -> Result<Ways, Error> {
        let row = desk.row("User", "id == $id", &[("id", user.clone())]).await?;
        let row = row.ok_or_else(|| Error::new(Key::NotFound, ""))?;
        let owner = [("owner", user.clone())];
        let has_mail = row.value("email_verified").is_ok_and(|at| !at.is_null());
        let count = usize::from(has_mail)
            + desk.rows("PasswordLogin", "owner == $owner", &owner).await?.len()
            + desk.rows("ExternalLogin", "owner == $owner", &owner).await?.len()
            + passkeys_of(desk, user, None).await?.len();
        Ok(Ways { user: row, count })
    }

    /// The document with which one of them is taken away: of two who do so at once, one is told to look again.
    ///
    /// # Errors
    /// [`Key::AuthLastWay`] when there is no other.
    pub(crate) fn hold(&self, desk: &Desk) -> Result<Json, Error> {
        if self.count < 2 {
            let words =
                "This is the last way to sign in: set a password, verify an address or add a passkey first.";
            return Err(Error::new(Key::AuthLastWay, words));
        }
        Ok(json!({"User": {
            "id": wire(self.user.key()),
            "if_updated": wire(self.user.value("updated")?),
            "set": {"way_ended": desk.now().to_string()},
        }}))
    }
}
