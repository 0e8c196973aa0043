//! The key by which push services know this app (VAPID, RFC 8292): made when there is none, the same on every node for as long as devices
//! are to be reached, because a browser's subscription is good for the key that it was made with alone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use mainstay_engine::Engine;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::sealed::Sealer;
use mainstay_lang::value::{Timestamp, Value};
use reqwest::Url;
use serde_json::json;

use crate::device::{admin, ask, look_up};

/// The row of the key.
const ID: &str = "vapid";
/// How long a signature is good for: a day at most.
const LASTS: Duration = Duration::from_secs(12 * 3600);

/// Signs requests to push services.
pub(crate) struct Vapid {
    sealer: Sealer,
    /// Whom push services write to: `mailto:…` or `https://…`.
    contact: String,
    key: OnceLock<VapidKey>,
}

struct VapidKey {
    public: String,
    private: EncodingKey,
}

impl Vapid {
    pub(crate) fn new(secret: &[u8], contact: String) -> Vapid {
        Vapid { sealer: Sealer::new(secret, "push key"), contact, key: OnceLock::new() }
    }

    /// Reads the key, or makes it.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn begin(&self, engine: &Arc<Engine>) -> Result<(), Error> {
        if self.read(engine).await? {
            return Ok(());
        }
        match self.make(engine).await {
            Ok(()) => {}
            // Another node was as early: theirs stands.
            Err(error) if error.key == Key::Unique => {}
            Err(error) => return Err(error),
        }
        self.read(engine).await.map(drop)
    }

    /// Whether there is one. One that cannot be opened is there: another one would reach no device.
    async fn read(&self, engine: &Arc<Engine>) -> Result<bool, Error> {
        let values = [("id", Value::Text(ID.to_owned()))];
        let Some(row) = look_up(engine, "PushKey", "id == $id", &values).await?.into_iter().next() else {
            return Ok(false);
        };
        let sealed = row.text("private").unwrap_or_default();
        match self.sealer.open(sealed, ID) {
            Ok(private) => {
                let public = row.text("public").unwrap_or_default().to_owned();
                // Read twice, it is the same.
                self.key.set(VapidKey { public, private: EncodingKey::from_ec_der(&private) }).ok();
            }
            Err(error) => {
                tracing::error!(%error, "the key for push services cannot be opened: nothing is pushed")
            }
        }
        Ok(true)
    }

    async fn make(&self, engine: &Arc<Engine>) -> Result<(), Error> {
        let broken = |_| Error::internal("a key for push services could not be made");
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let private = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).map_err(broken)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref()).map_err(Error::internal)?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let sealed = self.sealer.seal(private.as_ref(), ID).map_err(Error::internal)?;
        let row = json!({"create": true, "id": ID, "public": public, "private": sealed});
        ask(engine, &admin(), json!({"PushKey": row})).await.map(drop)
    }

    fn key(&self) -> Result<&VapidKey, Error> {
        self.key.get().ok_or_else(|| {
            Error::internal("the key for push services was encrypted under another auth.secret than this one")
        })
    }

    /// The key as a browser takes it: `applicationServerKey`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn public(&self) -> Result<&str, Error> {
        Ok(&self.key()?.public)
    }

    /// The header `Authorization` of a request.
    ///
    /// # Errors
    /// When the key cannot be opened.
    pub(crate) fn authorization(&self, endpoint: &Url, now: Timestamp) -> Result<String, Error> {
        let key = self.key()?;
        let claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now.0 / 1_000_000 + LASTS.as_secs() as i64,
            "sub": self.contact,
        });
        let token = encode(&Header::new(Algorithm::ES256), &claims, &key.private).map_err(Error::internal)?;
        Ok(format!("vapid t={token}, k={}", key.public))
    }
}
