//! A mail that is to be sent, as the arguments of its job.

use std::sync::Arc;

use mainstay_engine::sealed::{SealedError, Sealer};
use mainstay_jobs::NewJob;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::plugin::MAIL_JOB;

/// What opens sealed mail, kept among the app's parts.
pub struct MailSealer(pub Arc<Sealer>);

/// A mail that is to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// The name of its template: `welcome` for `mail/welcome.html` and `mail/welcome.txt`.
    pub template: String,
    /// Who it goes to: `ann@example.com` or `Ann <ann@example.com>`.
    pub to: Vec<String>,
    /// Who answers go to, if not to the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// What the template shows.
    #[serde(default)]
    pub data: Json,
    /// Files that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// More of it, encrypted while the mail waits: see [`Mail::sealed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<String>,
    /// Made once, so that each attempt to send it bears the same one.
    pub(crate) key: Uuid,
}

/// A file that goes with a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its bytes, in base64.
    pub(crate) content: String,
}

impl Attachment {
    /// A file of some bytes.
    pub fn new(name: impl Into<String>, content_type: impl Into<String>, bytes: &[u8]) -> Attachment {
        use base64::Engine as _;
        let content = base64::engine::general_purpose::STANDARD.encode(bytes);
        Attachment { name: name.into(), content_type: content_type.into(), content }
    }
}

impl Mail {
    /// A mail of a template to somebody.
    pub fn new(template: impl Into<String>, to: impl Into<String>, data: Json) -> Mail {
        Mail {
            template: template.into(),
            to: vec![to.into()],
            reply_to: None,
            data,
            attachments: Vec::new(),
            sealed: None,
            key: Uuid::now_v7(),
        }
    }

    /// Also to somebody else.
    #[must_use]
    pub fn to(mut self, to: impl Into<String>) -> Mail {
        self.to.push(to.into());
        self
    }

    /// With a file.
    #[must_use]
    pub fn attach(mut self, attachment: Attachment) -> Mail {
        self.attachments.push(attachment);
        self
    }

    /// With answers to somebody else than the sender.
    #[must_use]
    pub fn reply_to(self, reply_to: impl Into<String>) -> Mail {
        Mail { reply_to: Some(reply_to.into()), ..self }
    }

    /// With values that its reader alone may see, such as a link to sign in by: the job that waits has them encrypted. Whoever has the
    /// sealer keeps it where the app is set up, as a [`MailSealer`].
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn sealed(mut self, sealer: &Sealer, data: &Json) -> Result<Mail, SealedError> {
        self.sealed = Some(sealer.seal(data.to_string().as_bytes(), &self.key.to_string())?);
        Ok(self)
    }

    /// What the template shows, with what was sealed.
    pub(crate) fn shown(&self, sealer: Option<&MailSealer>) -> Result<Json, String> {
        let mut data = self.data.clone();
        let Some(sealed) = &self.sealed else { return Ok(data) };
        let sealer = sealer.ok_or("it has sealed values, and nobody who can open them")?;
        let opened = sealer.0.open(sealed, &self.key.to_string()).map_err(|error| error.to_string())?;
        let opened: Json = serde_json::from_slice(&opened).map_err(|error| error.to_string())?;
        if let (Json::Object(data), Json::Object(opened)) = (&mut data, opened) {
            data.extend(opened);
        }
        Ok(data)
    }

    /// The job that sends it.
    pub fn job(&self) -> NewJob {
        NewJob::new(MAIL_JOB, self)
    }
}
