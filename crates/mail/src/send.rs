//! The job that sends a mail, and the row that tells of it.
//!
//! A captured mail ends its job in the transaction of its row: it is there once. One that is sent has left before its row is written, so
//! that it may leave twice, under the same message id. One that was refused for good, or too often, has a row that says why.

use std::sync::Arc;

use base64::Engine as _;
use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Attachment as LettreAttachment, Mailbox, MultiPart, SinglePart};
use mainstay_engine::document;
use mainstay_engine::error::Error;
use mainstay_engine::part::Operation;
use mainstay_jobs::{JobError, Running};
use serde_json::{Value as Json, json};

use crate::message::{Mail, MailSealer};
use crate::plugin::MailOptions;
use crate::template::{BroughtTemplates, Rendered};
use crate::transport::{SmtpError, Way};

/// Sends one mail.
pub(crate) async fn send(options: Arc<MailOptions>, job: Running, mail: Mail) -> Result<(), JobError> {
    let message_id = format!("<{}@{}>", mail.key, options.from.email.domain());
    let parts = job.engine().parts();
    let templates = options.templates.with(parts.get::<BroughtTemplates>());
    let rendered = mail
        .shown(parts.get::<MailSealer>())
        .and_then(|data| templates.render(&mail.template, &data).map_err(|error| error.to_string()));
    let rendered = match rendered {
        Ok(rendered) => rendered,
        Err(words) => return Err(failed(&job, &mail, &message_id, "", words).await),
    };
    let (allowed, suppressed) = match recipients(&options, &mail) {
        Ok(recipients) => recipients,
        Err(words) => return Err(failed(&job, &mail, &message_id, &rendered.subject, words).await),
    };
    let whole = |to: &[Mailbox]| message(&options, &mail, &rendered, &message_id, to);
    let row = |state: &str| {
        json!({
            "message_id": message_id,
            "template": mail.template,
            "recipient": mail.to.join(", "),
            "subject": rendered.subject,
            "state": state,
        })
    };
    match &options.way {
        Way::Capture => {
            let everybody = [allowed, suppressed].concat();
            let source = match whole(&everybody) {
                Ok(message) => String::from_utf8_lossy(&message.formatted()).into_owned(),
                Err(words) => return Err(failed(&job, &mail, &message_id, &rendered.subject, words).await),
            };
            let mut row = row("captured");
            row["html"] = json!(rendered.html);
            row["body"] = json!(rendered.text);
            row["source"] = json!(source);
            complete(&job, row).await
        }
        Way::Smtp(_) if allowed.is_empty() => {
            let mut row = row("suppressed");
            row["problem"] = json!("none of its addresses is in mail.allow, and this is not production");
            complete(&job, row).await
        }
        Way::Smtp(smtp) => {
            let message = match whole(&allowed) {
                Ok(message) => message,
                Err(words) => return Err(failed(&job, &mail, &message_id, &rendered.subject, words).await),
            };
            match smtp.send(message).await {
                Ok(()) => {
                    let mut row = row("sent");
                    if !suppressed.is_empty() {
                        let names: Vec<String> = suppressed.iter().map(ToString::to_string).collect();
                        row["problem"] =
                            json!(format!("not sent to {}: not in mail.allow", names.join(", ")));
                    }
                    complete(&job, row).await
                }
                Err(SmtpError::Permanent(words)) => {
                    Err(failed(&job, &mail, &message_id, &rendered.subject, words).await)
                }
                Err(SmtpError::Transient(words)) if job.job().attempt >= job.job().attempts_max => {
                    Err(failed(&job, &mail, &message_id, &rendered.subject, words).await)
                }
                Err(SmtpError::Transient(words)) => Err(JobError::Retry(words)),
            }
        }
    }
}

/// Those that may be written to, and those that may not.
fn recipients(options: &MailOptions, mail: &Mail) -> Result<(Vec<Mailbox>, Vec<Mailbox>), String> {
    let mut all: Vec<Mailbox> = Vec::with_capacity(mail.to.len());
    for to in &mail.to {
        all.push(to.parse::<Mailbox>().map_err(|error| format!("{to:?} is no address: {error}"))?);
    }
    Ok(all.into_iter().partition(|mailbox| options.allowed.allows(&mailbox.email)))
}

fn message(
    options: &MailOptions,
    mail: &Mail,
    rendered: &Rendered,
    message_id: &str,
    to: &[Mailbox],
) -> Result<Message, String> {
    let mut builder = Message::builder()
        .from(options.from.clone())
        .subject(&rendered.subject)
        .message_id(Some(message_id.to_owned()));
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    if let Some(reply_to) = &mail.reply_to {
        let wrong = |error: lettre::address::AddressError| {
            format!("{reply_to:?} is no address to answer to: {error}")
        };
        builder = builder.reply_to(reply_to.parse::<Mailbox>().map_err(wrong)?);
    }
    let shown = MultiPart::alternative_plain_html(rendered.text.clone(), rendered.html.clone());
    let whole = if mail.attachments.is_empty() {
        shown
    } else {
        let mut mixed = MultiPart::mixed().multipart(shown);
        for attachment in &mail.attachments {
            mixed = mixed.singlepart(attached(attachment)?);
        }
        mixed
    };
    builder.multipart(whole).map_err(|error| error.to_string())
}

fn attached(attachment: &crate::message::Attachment) -> Result<SinglePart, String> {
    let name = &attachment.name;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(&attachment.content)
        .map_err(|error| format!("the attachment {name:?} is not base64: {error}"))?;
    let content_type: ContentType = attachment
        .content_type
        .parse()
        .map_err(|error| format!("the attachment {name:?} is of no media type: {error}"))?;
    Ok(LettreAttachment::new(name.clone()).body(bytes, content_type))
}

pub(crate) fn operation(document: &Json) -> Result<Operation, Error> {
    let documents = document::parse(document.to_string().as_bytes())?;
    Ok(Operation { documents, ..Operation::default() })
}

/// Writes the row of a mail: a new one, or that of an attempt before, as when a mail that had failed was retried by hand.
async fn write(job: &Running, mut row: Json) -> Result<Operation, Error> {
    let id = row["message_id"].clone();
    let found = job.query(json!({"Mail": {"message_id": id, "get": ["id"]}})).await?;
    if found["Mail"].as_array().is_none_or(Vec::is_empty) {
        row["create"] = json!(true);
        return operation(&json!({"Mail": row}));
    }
    let mut set = json!({"problem": null});
    for name in ["subject", "state", "problem", "html", "body", "source"] {
        if let Some(value) = row.get_mut(name) {
            set[name] = value.take();
        }
    }
    operation(&json!({"Mail": {"message_id": id, "set": set}}))
}

/// Ends the job with its row.
async fn complete(job: &Running, row: Json) -> Result<(), JobError> {
    let done = async { job.complete_with(&job.ctx(), &write(job, row).await?).await };
    done.await.map(drop).map_err(|error| JobError::Retry(error.to_string()))
}

/// Writes the row of a mail that will not be sent, and what its job comes to.
async fn failed(job: &Running, mail: &Mail, message_id: &str, subject: &str, words: String) -> JobError {
    let row = json!({
        "message_id": message_id,
        "template": mail.template,
        "recipient": mail.to.join(", "),
        "subject": subject,
        "state": "failed",
        "problem": words,
    });
    let written = async { job.engine().execute(&job.ctx(), &write(job, row).await?).await };
    if let Err(error) = written.await {
        tracing::warn!(%error, "the row of a mail that failed could not be written");
    }
    JobError::Discard(words)
}
