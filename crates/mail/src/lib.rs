#![doc = include_str!("../README.md")]

mod allow;
mod bounce;
mod inbox;
mod message;
mod plugin;
mod send;
mod template;
mod transport;

pub use allow::Allowed;
pub use bounce::mail_bounced;
pub use inbox::{inbox_list, inbox_show};
pub use message::{Attachment, Mail, MailSealer};
pub use plugin::{MAIL_JOB, MAIL_TABLE, MailOptions, MailPlugin};
pub use template::{BroughtTemplates, Rendered, TemplateError, Templates};
pub use transport::{Smtp, SmtpError, Tls, Way};
