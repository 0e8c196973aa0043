//! Mail as a capability: its table, its job, and how it is set.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use mainstay_engine::plugin::{Plugin, Setup};
use mainstay_http::SetupHttp as _;
use mainstay_jobs::{Definition, JobSetup as _, Running};

use crate::allow::Allowed;
use crate::message::Mail;
use crate::send::send;
use crate::template::Templates;
use crate::transport::Way;
use crate::{bounce, inbox};

/// The table of the capability.
pub const MAIL_TABLE: &str = include_str!("mail.stay");

/// The name of the job that sends a mail.
pub const MAIL_JOB: &str = "mail.send";

/// How long one attempt to send a mail may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// Where to.
    pub way: Way,
    /// Who mail comes from.
    pub from: Mailbox,
    /// Who may be written to.
    pub allowed: Allowed,
    /// What mail is made of.
    pub templates: Templates,
    /// How often a mail is tried.
    pub attempts_max: u32,
    /// What a mail service says to be believed that a mail has come back; `None`: nobody is.
    pub bounce_secret: Option<String>,
}

impl MailOptions {
    /// Mail that is captured.
    pub fn captured(from: Mailbox, folder: impl Into<PathBuf>) -> MailOptions {
        let templates = Templates::new(folder);
        MailOptions {
            way: Way::Capture,
            from,
            allowed: Allowed::Only(Vec::new()),
            templates,
            attempts_max: 12,
            bounce_secret: None,
        }
    }
}

/// The capability.
#[derive(Clone, Debug)]
pub struct MailPlugin {
    options: Arc<MailOptions>,
}

impl MailPlugin {
    /// Mail that is sent so.
    pub fn new(options: MailOptions) -> MailPlugin {
        MailPlugin { options: Arc::new(options) }
    }

    /// The job that sends mail.
    pub fn definition(&self) -> Definition {
        let options = self.options.clone();
        let handler = move |job: Running, mail: Mail| send(options.clone(), job, mail);
        Definition::new(MAIL_JOB, handler).queue("mail").timeout(TIMEOUT).attempts(self.options.attempts_max)
    }
}

impl Plugin for MailPlugin {
    fn name(&self) -> &str {
        "mail"
    }

    fn schema(&self) -> &str {
        MAIL_TABLE
    }

    fn build(&self, setup: &mut Setup<'_>) {
        setup.job(self.definition());
        // Where mail leaves, it is nobody's to be looked at.
        if matches!(self.options.way, Way::Capture) {
            setup.route_table(inbox::table(), ());
        }
        if let Some(secret) = &self.options.bounce_secret {
            setup.route_table(bounce::table(), secret.clone());
        }
    }
}
