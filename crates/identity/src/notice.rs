//! What its owner is told of an account: whatever has changed of what lets them in, and what looks as if somebody else had come.
//!
//! One table: each of them is a line for whoever has to look into what has happened, and a mail to the owner, made together, so that
//! neither is forgotten. How the mail is written `letters` knows. Mail is told to the address that counted until now: whoever takes an
//! account over by another address is told of by the old one.

use mainstay_engine::error::Error;
use mainstay_engine::hook::{HookCtx, Updated};
use mainstay_jobs::{HookJobs as _, NewJob};
use mainstay_lang::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::desk::{event, wire};
use crate::letters::Letter;

/// What somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    PasswordChanged,
    PasswordReset,
    EmailChanged,
    PasskeyAdded,
    PasskeyRemoved,
    /// A key that counts back.
    PasskeyCopied,
    TotpEnabled,
    TotpDisabled,
    /// A code by the clock that was right, and used before.
    TotpReused,
    RecoveryCodesMade,
    RecoveryCodeUsed,
    ProviderLinked,
    ProviderUnlinked,
    KeyMade,
    SessionReused,
    /// A sign-in from what has not been seen with the account.
    NewDevice,
}

impl Notice {
    /// How it is called in `SecurityEvent`, and the template of its mail.
    fn named(self) -> (&'static str, &'static str) {
        match self {
            Notice::PasswordChanged => ("password.changed", "identity-changed"),
            Notice::PasswordReset => ("password.reset", "identity-changed"),
            Notice::EmailChanged => ("email.changed", "identity-email-changed"),
            Notice::PasskeyAdded => ("passkey.added", "identity-passkey-added"),
            Notice::PasskeyRemoved => ("passkey.removed", "identity-passkey-removed"),
            Notice::PasskeyCopied => ("passkey.counter", "identity-passkey-copied"),
            Notice::TotpEnabled => ("totp.enabled", "identity-totp-enabled"),
            Notice::TotpDisabled => ("totp.disabled", "identity-totp-disabled"),
            Notice::TotpReused => ("totp.reused", "identity-totp-reused"),
            Notice::RecoveryCodesMade => ("totp.recovery_codes", "identity-recovery-codes"),
            Notice::RecoveryCodeUsed => ("totp.recovery_code", "identity-recovery-used"),
            Notice::ProviderLinked => ("provider.linked", "identity-linked"),
            Notice::ProviderUnlinked => ("provider.unlinked", "identity-unlinked"),
            Notice::KeyMade => ("key.made", "identity-key-made"),
            Notice::SessionReused => ("session.reused", "identity-reused"),
            Notice::NewDevice => ("session.new_device", "identity-new-device"),
        }
    }

    pub(crate) fn template(self) -> &'static str {
        self.named().1
    }

    /// The line, which goes with what has happened into one transaction, and the job that tells the user. Both have the details; in
    /// the mail they are values of its template.
    pub(crate) fn told(self, user: &Value, address: Option<&str>, detail: Json) -> (Json, NewJob) {
        let line = event(self.named().0, Some(user), address, detail.clone());
        (line, self.letter(user, None, detail))
    }

    fn letter(self, user: &Value, to: Option<String>, detail: Json) -> NewJob {
        Letter::Notice { notice: self, user: wire(user), to, detail }.job()
    }
}

/// Tells the address that somebody had, whoever has changed it and by whatever way: whoever can, can ask for a new password there.
pub(crate) async fn address_changed(ctx: &HookCtx, it: &Updated) -> Result<(), Error> {
    for row in it.rows.iter().filter(|row| row.changed("email")) {
        let (old, new) = (row.old.text("email").unwrap_or_default(), row.new.text("email"));
        let (user, detail) = (row.new.key(), json!({"email": new}));
        // Who has used a link brings the line along, which says from where. Nobody else may create one.
        let mut entries = ctx.documents().iter().flat_map(|of| &of.entries);
        let is_noted =
            entries.any(|entry| entry.table == "SecurityEvent" && entry.parts.iter().any(|part| part.create));
        if !is_noted {
            let mut line = event(Notice::EmailChanged.named().0, Some(user), None, detail.clone());
            let actor = ctx.caller().user.as_ref().filter(|actor| *actor != user);
            line["SecurityEvent"]["actor"] = actor.map_or(Json::Null, wire);
            ctx.admin().query(line).await?;
        }
        ctx.enqueue(Notice::EmailChanged.letter(user, Some(old.to_owned()), detail)).await?;
    }
    Ok(())
}
