//! Mail to people about their accounts, written by a job.
//!
//! A request that could tell whether there is an account does not look: it enqueues a letter for an address, always, and answers. Whether
//! anybody has that address the job finds out, which nobody can see. Tokens are made there, too, and travel in the mail's job encrypted, so
//! that a copy of the database signs nobody in.

use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::error::Error;
use mainstay_engine::hook::Row;
use mainstay_jobs::{Definition, JobError, NewJob, Running};
use mainstay_lang::value::Value;
use mainstay_mail::Mail;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::desk::{Desk, key};
use crate::identity::Identity;
use crate::mail_code::new_code;
use crate::notice::Notice;
use crate::once::Once;
use crate::token::new_token;

/// The job that writes letters.
const LETTER_JOB: &str = "identity.letter";

/// A letter that is to be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Letter {
    /// Somebody wants an account. The hash of the password is encrypted.
    Register { email: String, name: String, hash: String },
    /// Somebody wants a new password.
    Forgot { email: String },
    /// Somebody wants to sign in by mail.
    Magic { email: String },
    /// Somebody wants another address, which this goes to.
    Change { user: Json, email: String },
    /// Somebody has shown one factor, and wants a code as the second.
    Code { user: Json, request: String },
    /// Something has changed of what lets somebody in; to their own address unless another is said.
    Notice { notice: Notice, user: Json, to: Option<String>, detail: Json },
    /// Somebody is asked to join a tenant.
    Invitation { email: String, tenant: Json, by: Option<Json> },
}

impl Letter {
    pub(crate) fn job(&self) -> NewJob {
        NewJob::new(LETTER_JOB, self)
    }
}

/// The job.
pub(crate) fn definition(identity: Arc<Identity>) -> Definition {
    let handler = move |job: Running, letter: Letter| write(identity.clone(), job, letter);
    Definition::new(LETTER_JOB, handler).queue("mail").timeout(Duration::from_secs(30)).attempts(8)
}

/// What a letter comes to: what is written, and the mail.
type Written = (Vec<Json>, Option<Mail>);

async fn write(identity: Arc<Identity>, job: Running, letter: Letter) -> Result<(), JobError> {
    let written = async {
        let desk = Desk::new(job.engine(), &job.ctx(), &identity.lookups);
        let (documents, mail) = identity.letter(&desk, letter).await?;
        // The mail waits in the same transaction that keeps its token and ends this job.
        let operation = crate::desk::operation(&Json::Array(documents))?;
        job.complete_and_enqueue(&job.ctx(), &operation, mail.iter().map(Mail::job).collect()).await
    };
    written.await.map(drop).map_err(|error: Error| JobError::Retry(error.to_string()))
}

impl Identity {
    async fn letter(&self, desk: &Desk, letter: Letter) -> Result<Written, Error> {
        match letter {
            Letter::Register { email, name, hash } => self.registration(desk, &email, &name, &hash).await,
            Letter::Forgot { email } => {
                let Some(user) = user_of(desk, &email).await? else { return Ok(nothing()) };
                self.with_link(desk, Once::Reset, &user, "identity-reset")
            }
            Letter::Magic { email } => {
                let Some(user) = user_of(desk, &email).await? else { return Ok(nothing()) };
                self.with_link(desk, Once::Magic, &user, "identity-magic")
            }
            Letter::Change { user, email } => {
                let Some(user) = user_by(desk, &user).await? else { return Ok(nothing()) };
                let token = new_token()?;
                let kept = Once::Change.keep(desk, &token, Some(user.key()), Some(&email), Json::Null);
                let mail = self.mail(
                    "identity-change",
                    &email,
                    json!({"name": user.text("name")}),
                    &token,
                    "change",
                )?;
                Ok((vec![kept], Some(mail)))
            }
            Letter::Code { user, request } => {
                let Some(user) = user_by(desk, &user).await? else { return Ok(nothing()) };
                let code = new_code()?;
                let (email, name) = (user.text("email").unwrap_or_default(), user.text("name"));
                let mail = Mail::new("identity-code", email, json!({"name": name}))
                    .sealed(&self.mail_sealer, &json!({"code": code}))
                    .map_err(Error::internal)?;
                Ok((self.mail_code_keep(desk, (user.key(), &request), &code), Some(mail)))
            }
            Letter::Notice { notice, user, to, mut detail } => {
                let Some(user) = user_by(desk, &user).await? else { return Ok(nothing()) };
                let to = to.as_deref().or_else(|| user.text("email")).unwrap_or_default();
                // Whom a provider knows by no address, or who has not said who they are, has one where there can be no mail.
                if to.ends_with(".invalid") {
                    return Ok(nothing());
                }
                if let Some(provider) = detail["provider"].as_str() {
                    detail["provider"] = json!(self.label(provider));
                }
                // The name in a mail is that of its reader.
                detail["of"] = detail["name"].take();
                Ok((Vec::new(), Some(self.notice(notice.template(), &user, to, detail))))
            }
            Letter::Invitation { email, tenant, by } => self.invitation(desk, &email, &tenant, by).await,
        }
    }

    /// An account is made when its link is used: with the password of whoever has asked for that link, never with that of somebody
    /// who was earlier with an address that is not theirs.
    async fn registration(&self, desk: &Desk, email: &str, name: &str, hash: &str) -> Result<Written, Error> {
        if let Some(user) = user_of(desk, email).await? {
            return Ok((Vec::new(), Some(self.notice("identity-exists", &user, email, json!({})))));
        }
        let token = new_token()?;
        let kept = Once::Verify.keep(desk, &token, None, Some(email), json!({"name": name, "hash": hash}));
        let mail = self.mail("identity-verify", email, json!({"name": name}), &token, "verify")?;
        Ok((vec![kept], Some(mail)))
    }

    async fn invitation(
        &self,
        desk: &Desk,
        email: &str,
        tenant: &Json,
        by: Option<Json>,
    ) -> Result<Written, Error> {
        let values = [("id", key(tenant))];
        let Some(row) = desk.row("Tenant", "id == $id", &values).await? else { return Ok(nothing()) };
        let token = new_token()?;
        let user = user_of(desk, email).await?;
        let data = json!({"tenant": tenant, "by": by});
        let kept = Once::Invitation.keep(desk, &token, user.as_ref().map(Row::key), Some(email), data);
        let shown = json!({"tenant": row.text("name")});
        let mail = self.mail("identity-invitation", email, shown, &token, "invitation")?;
        Ok((vec![kept], Some(mail)))
    }

    fn with_link(&self, desk: &Desk, once: Once, user: &Row, template: &str) -> Result<Written, Error> {
        let email = user.text("email").unwrap_or_default();
        let token = new_token()?;
        let kept = once.keep(desk, &token, Some(user.key()), Some(email), Json::Null);
        let mail = self.mail(template, email, json!({"name": user.text("name")}), &token, once.text())?;
        Ok((vec![kept], Some(mail)))
    }

    /// A mail with a link that nobody but its reader may see.
    fn mail(&self, template: &str, email: &str, data: Json, token: &str, page: &str) -> Result<Mail, Error> {
        let link = format!("{}/auth/pages/{page}?token={token}", self.options.url);
        Mail::new(template, email, data)
            .sealed(&self.mail_sealer, &json!({"link": link, "token": token}))
            .map_err(Error::internal)
    }

    fn notice(&self, template: &str, user: &Row, to: &str, mut data: Json) -> Mail {
        data["name"] = json!(user.text("name"));
        data["url"] = json!(self.options.url);
        Mail::new(template, to, data)
    }
}

fn nothing() -> Written {
    (Vec::new(), None)
}

/// The user with an address, if there is one who may get mail.
pub(crate) async fn user_of(desk: &Desk, email: &str) -> Result<Option<Row>, Error> {
    let values = [("email", Value::Text(email.trim().to_lowercase()))];
    desk.row("User", "email == $email and blocked == null and not anonymous", &values).await
}

async fn user_by(desk: &Desk, id: &Json) -> Result<Option<Row>, Error> {
    desk.row("User", "id == $id", &[("id", key(id))]).await
}
