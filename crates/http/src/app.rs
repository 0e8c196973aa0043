//! What all requests share: the engine, the options, and what is computed once from the schema.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_lang::schema::Schema;
use sha2::{Digest, Sha256};

use crate::admit::Doorkeeper;
use crate::credentials::Credentials;
use crate::headers::AnswerHeaders;
use crate::limits::InFlight;
use crate::mount::Mounts;
use crate::options::Options;
use crate::{docs, openapi};
use mainstay_engine::Engine;
use mainstay_live::Live;
use tokio::sync::{Semaphore, watch};

/// What all requests share.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) options: Options,
    pub(crate) credentials: Credentials,
    pub(crate) in_flight: InFlight,
    pub(crate) openapi: Cached,
    pub(crate) docs: Cached,
    pub(crate) docs_errors: Cached,
    pub(crate) live: Live,
    /// What answers have beside their own headers.
    pub(crate) headers: AnswerHeaders,
    /// Who counts requests.
    pub(crate) doorkeeper: Option<Doorkeeper>,
    /// Routes of plugins.
    pub(crate) mounted: Option<axum::Router>,
    /// Places of those who stay: sockets and streams of events.
    pub(crate) listeners: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

/// Waits for the server to stop.
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Completes when the server stops, at once when it has begun to.
    pub(crate) async fn begun(&mut self) {
        // Without a sender there is no server any more.
        self.0.wait_for(|stopping| *stopping).await.ok();
    }
}

/// A document that stays the same while the server runs.
pub(crate) struct Cached {
    pub(crate) bytes: Bytes,
    pub(crate) etag: String,
    /// The number that is the tag.
    fingerprint: u64,
}

impl Cached {
    fn new(text: String) -> Cached {
        let mut first = [0; 8];
        first.copy_from_slice(&Sha256::digest(&text)[..8]);
        let etag = format!("\"{}\"", hex(&first));
        Cached { bytes: Bytes::from(text), etag, fingerprint: u64::from_be_bytes(first) }
    }
}

impl App {
    pub(crate) fn new(engine: Arc<Engine>, options: Options) -> App {
        let openapi = openapi::document(engine.schema(), engine.parts());
        App {
            credentials: Credentials::new(&options, &engine),
            in_flight: InFlight::new(&options.limits),
            docs: Cached::new(docs::reference(&openapi)),
            docs_errors: Cached::new(docs::errors(&engine.schema().app)),
            openapi: Cached::new(openapi.to_string()),
            headers: engine.parts().get::<AnswerHeaders>().cloned().unwrap_or_default(),
            doorkeeper: engine.parts().get::<Doorkeeper>().cloned(),
            mounted: engine.parts().get::<Mounts>().and_then(Mounts::router),
            live: Live::start(Arc::clone(&engine), options.token_secret.seal_key(), options.live.clone()),
            listeners: Arc::new(Semaphore::new(
                options.limits.connections_max.clamp(1, Semaphore::MAX_PERMITS),
            )),
            stopping: watch::Sender::new(false),
            engine,
            options,
        }
    }

    pub(crate) fn schema(&self) -> &Schema {
        self.engine.schema()
    }

    /// Changes whenever the shape of rows does, so that an entity tag does not outlive a migration.
    pub(crate) fn schema_fingerprint(&self) -> u64 {
        self.openapi.fingerprint
    }

    /// From now on `/health/ready` says no, so that a load balancer looks elsewhere.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// For those who stay: whether it is time to go.
    pub(crate) fn stopping(&self) -> Stopping {
        Stopping(self.stopping.subscribe())
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
