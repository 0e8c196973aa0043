//! Whoever brings messages to the devices of a platform: the web is here, others are an app's own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::message::Urgency;

/// What a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// A browser.
    Web,
    /// Apple's.
    Ios,
    /// Google's.
    Android,
    /// Another one.
    Other,
}

impl Platform {
    /// All of them.
    pub const ALL: [Platform; 4] = [Platform::Web, Platform::Ios, Platform::Android, Platform::Other];

    /// Its name, as the column `platform` has it.
    pub fn text(self) -> &'static str {
        match self {
            Platform::Web => "web",
            Platform::Ios => "ios",
            Platform::Android => "android",
            Platform::Other => "other",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A message on its way to one device.
#[derive(Clone, Debug)]
pub struct Message<'m> {
    /// Where the device is reached, as it was registered: a token; of a browser, its subscription as JSON.
    pub target: &'m str,
    /// What is shown in bold.
    pub title: &'m str,
    /// What is shown below.
    pub body: Option<&'m str>,
    /// Whatever the app understands.
    pub data: &'m Json,
    /// How long it is worth something from now on.
    pub ttl: Duration,
    /// Whether a phone is woken for it.
    pub urgency: Urgency,
    /// Of those with the same one only the last is kept where the device cannot be reached.
    pub topic: Option<&'m str>,
}

/// Why a message did not reach its device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The device is gone: it is forgotten.
    #[error("the device is gone")]
    Gone,
    /// Not before this has passed.
    #[error("not before {} s", .0.as_secs())]
    Later(Duration),
    /// It may go better another time.
    #[error("{0}")]
    Retry(String),
    /// It never will, with this message.
    #[error("{0}")]
    Refused(String),
}

/// What becomes of a message.
pub type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>;

/// Brings messages to the devices of a platform.
pub trait Sender: Send + Sync + 'static {
    /// Brings one message to one device. It may be called again for the same message when nobody knows whether it arrived.
    fn send<'a>(&'a self, message: Message<'a>) -> Sent<'a>;
}
