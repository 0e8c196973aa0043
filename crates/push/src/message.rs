//! A message that is to be sent, as the arguments of its job.

use std::time::Duration;

use mainstay_jobs::NewJob;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::encrypt::TEXT_BYTES_MAX;
use crate::plugin::PUSH_JOB;

/// Bytes of a message as JSON at most: what every push service takes.
pub const MESSAGE_BYTES_MAX: usize = TEXT_BYTES_MAX;

/// How long a message is kept for a device that cannot be reached, unless it says so.
const TTL: Duration = Duration::from_secs(24 * 3600);
/// Characters of a topic (RFC 8030 §5.4).
const TOPIC_CHARS_MAX: usize = 32;

/// Whether a phone is woken for a message (RFC 8030 §5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// On power and Wi-Fi: an advertisement.
    VeryLow,
    /// On either: news of a topic.
    Low,
    /// Neither: a message from somebody.
    #[default]
    Normal,
    /// At once: a call, an alarm.
    High,
}

impl Urgency {
    /// Its name on the wire.
    pub fn text(self) -> &'static str {
        match self {
            Urgency::VeryLow => "very-low",
            Urgency::Low => "low",
            Urgency::Normal => "normal",
            Urgency::High => "high",
        }
    }
}

/// A message to all devices of somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// The key of a user.
    to: Json,
    pub(crate) title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) data: Json,
    ttl_s: u64,
    #[serde(default)]
    pub(crate) urgency: Urgency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<String>,
}

/// Why a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// It is longer than push services take.
    #[error("a message has at most {MESSAGE_BYTES_MAX} bytes as JSON, and this one has {0}")]
    TooLong(usize),
    /// A topic that is none.
    #[error("a topic has at most 32 letters, digits, - and _, unlike {0:?}")]
    Topic(String),
}

impl Push {
    /// A message with a title to somebody, by the key of the user as JSON has it.
    pub fn new(to: impl Into<Json>, title: impl Into<String>) -> Push {
        Push {
            to: to.into(),
            title: title.into(),
            body: None,
            data: Json::Null,
            ttl_s: TTL.as_secs(),
            urgency: Urgency::default(),
            topic: None,
        }
    }

    /// With a text below the title.
    #[must_use]
    pub fn body(self, body: impl Into<String>) -> Push {
        Push { body: Some(body.into()), ..self }
    }

    /// With whatever the app understands.
    #[must_use]
    pub fn data(self, data: Json) -> Push {
        Push { data, ..self }
    }

    /// Worth something for so long; a day unless said.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Push {
        Push { ttl_s: ttl.as_secs(), ..self }
    }

    /// More or less urgent than others.
    #[must_use]
    pub fn urgency(self, urgency: Urgency) -> Push {
        Push { urgency, ..self }
    }

    /// In the place of others of this topic that have not arrived yet.
    #[must_use]
    pub fn topic(self, topic: impl Into<String>) -> Push {
        Push { topic: Some(topic.into()), ..self }
    }

    /// The job that sends it.
    ///
    /// # Errors
    /// When no push service would take it.
    pub fn job(&self) -> Result<NewJob, PushError> {
        self.check()?;
        Ok(NewJob::new(PUSH_JOB, self))
    }

    pub(crate) fn check(&self) -> Result<(), PushError> {
        let bytes = self.text().len();
        if bytes > MESSAGE_BYTES_MAX {
            return Err(PushError::TooLong(bytes));
        }
        let is_topic = |topic: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=TOPIC_CHARS_MAX).contains(&topic.len()) && topic.bytes().all(is_plain)
        };
        match &self.topic {
            Some(topic) if !is_topic(topic) => Err(PushError::Topic(topic.clone())),
            _ => Ok(()),
        }
    }

    pub(crate) fn receiver(&self) -> &Json {
        &self.to
    }

    /// The same to somebody else.
    #[must_use]
    pub fn to(self, to: impl Into<Json>) -> Push {
        Push { to: to.into(), ..self }
    }

    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_secs(self.ttl_s)
    }

    /// What a browser's service worker is given.
    pub(crate) fn text(&self) -> String {
        shown(&self.title, self.body.as_deref(), &self.data)
    }
}

/// What a browser's service worker is given.
pub(crate) fn shown(title: &str, body: Option<&str>, data: &Json) -> String {
    json!({"title": title, "body": body, "data": data}).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MESSAGE_BYTES_MAX, Push, PushError};

    #[test]
    fn what_no_push_service_takes_is_refused_before_it_waits() {
        let push = Push::new("ann", "x");
        let room = MESSAGE_BYTES_MAX - push.text().len();
        let longest = Push::new("ann", format!("x{}", "y".repeat(room)));
        assert!(longest.job().is_ok());
        let longer = Push::new("ann", format!("x{}", "y".repeat(room + 1)));
        assert_eq!(longer.job().unwrap_err(), PushError::TooLong(MESSAGE_BYTES_MAX + 1));
        assert!(push.clone().topic("room-1_a").data(json!([1])).job().is_ok());
        for topic in ["", "two words", &"x".repeat(33)] {
            assert!(push.clone().topic(topic).job().is_err(), "{topic}");
        }
    }
}
