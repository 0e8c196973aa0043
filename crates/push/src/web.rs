//! Web push (RFC 8030): a message to a browser by way of the push service that its subscription names.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, URL_SAFE_NO_PAD};
use mainstay_engine::Clock;
use mainstay_engine::error::Error;
use reqwest::{Client, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::encrypt::{AUTH_BYTES, encrypt, is_public_key};
use crate::message::shown;
use crate::network::Reach;
use crate::sender::{Message, SendError, Sender, Sent};
use crate::vapid::Vapid;

/// Longer addresses are none.
const ENDPOINT_BYTES_MAX: usize = 2048;
/// How long to wait when a push service asks for a pause and does not say how long.
const PAUSE: Duration = Duration::from_secs(60);
/// Words of a push service that are repeated.
const WORDS_MAX: usize = 200;

/// Some browsers write `=` at the end, and others don't.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A browser's subscription, as its `toJSON` says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) endpoint: String,
    pub(crate) keys: SubscriptionKeys,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionKeys {
    pub(crate) p256dh: String,
    pub(crate) auth: String,
}

impl Subscription {
    /// Where it is wrong, and how.
    pub(crate) fn check(&self, reach: Reach) -> Result<(), (&'static str, &'static str)> {
        if self.endpoint.len() > ENDPOINT_BYTES_MAX {
            return Err(("endpoint", "must have at most 2048 bytes"));
        }
        reach.check(&self.endpoint).map_err(|words| ("endpoint", words))?;
        if !BASE64.decode(&self.keys.p256dh).is_ok_and(|key| is_public_key(&key)) {
            return Err(("keys/p256dh", "must be a point of P-256 in base64url, as a browser gives it"));
        }
        if !BASE64.decode(&self.keys.auth).is_ok_and(|auth| auth.len() == AUTH_BYTES) {
            return Err(("keys/auth", "must be 16 bytes in base64url, as a browser gives them"));
        }
        Ok(())
    }

    /// The same however a browser wrote it.
    pub(crate) fn plain(mut self) -> Subscription {
        for key in [&mut self.keys.p256dh, &mut self.keys.auth] {
            if let Ok(bytes) = BASE64.decode(&*key) {
                *key = URL_SAFE_NO_PAD.encode(bytes);
            }
        }
        self
    }
}

/// Sends to browsers.
pub(crate) struct WebPush {
    reach: Reach,
    vapid: Arc<Vapid>,
    clock: Clock,
    /// Made with the first message: reading the system's certificates takes a while.
    client: OnceLock<Client>,
}

impl WebPush {
    pub(crate) fn new(reach: Reach, vapid: Arc<Vapid>, clock: Clock) -> WebPush {
        WebPush { reach, vapid, clock, client: OnceLock::new() }
    }

    fn client(&self) -> Result<&Client, SendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.reach.client().map_err(SendError::Retry)?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn send_to(&self, message: Message<'_>) -> Result<(), SendError> {
        let refused = |words: String| SendError::Refused(words);
        let subscription: Subscription = serde_json::from_str(message.target)
            .map_err(|error| refused(format!("its subscription cannot be read: {error}")))?;
        // It may have been registered where more was allowed.
        let url = self.reach.check(&subscription.endpoint);
        let url = url.map_err(|words| refused(format!("its endpoint {words}")))?;
        let bytes = |text: &str| BASE64.decode(text).unwrap_or_default();
        let (public, auth) = (bytes(&subscription.keys.p256dh), bytes(&subscription.keys.auth));
        let text = shown(message.title, message.body, message.data);
        let body = encrypt(text.as_bytes(), &public, &auth).map_err(|error| refused(error.to_string()))?;
        let broken = |error: Error| SendError::Retry(error.internal.unwrap_or(error.detail));
        let authorization = self.vapid.authorization(&url, self.clock.now()).map_err(broken)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut request = self
            .client()?
            .post(url)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_ENCODING, "aes128gcm")
            .header("ttl", message.ttl.as_secs())
            .header("urgency", message.urgency.text())
            .body(body);
        if let Some(topic) = message.topic {
            request = request.header("topic", topic);
        }
        // Without its address, which is a secret of the device's.
        let answer =
            request.send().await.map_err(|error| SendError::Retry(words_of(&error.without_url())))?;
        let status = answer.status();
        let pause = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = pause.map(|text| text.trim().parse().map_or(PAUSE, Duration::from_secs));
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(SendError::Gone),
            StatusCode::TOO_MANY_REQUESTS => Err(SendError::Later(pause.unwrap_or(PAUSE))),
            status if status.is_server_error() => match pause {
                Some(pause) => Err(SendError::Later(pause)),
                None => Err(SendError::Retry(format!("{host} answered {status}"))),
            },
            status => {
                let words: String = answer.text().await.unwrap_or_default().chars().take(WORDS_MAX).collect();
                Err(refused(format!("{host} answered {status}: {}", words.trim())))
            }
        }
    }
}

fn words_of(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

impl Sender for WebPush {
    fn send<'a>(&'a self, message: Message<'a>) -> Sent<'a> {
        Box::pin(self.send_to(message))
    }
}
