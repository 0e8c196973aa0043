//! The keys that access tokens are signed with: Ed25519, made when they are needed, replaced as they get old.
//!
//! They stand in the database, encrypted, so that every node signs with the same one and a token of one node is good on all. A key
//! that was replaced is known for as long as tokens may bear it. Two nodes that make one at the same time have two good ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use mainstay_engine::error::Error;
use mainstay_engine::hook::Row;
use mainstay_engine::sealed::Sealer;
use mainstay_lang::value::{Timestamp, Value};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value as Json, json};

use crate::desk::{Desk, later, time};
use crate::token::hash_of;

/// How long a key signs.
const SIGNS: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long it is known after that: longer than any token is good for.
const KNOWN_AFTER: Duration = Duration::from_secs(2 * 24 * 3600);
/// The database is asked for a key that is not known no more often than this.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// A key that tokens are verified with, and perhaps signed.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    public: String,
    begins: Timestamp,
    ends: Timestamp,
    pub(crate) decoding: DecodingKey,
    pub(crate) encoding: EncodingKey,
}

/// The keys that are known to this node.
pub(crate) struct Keys {
    sealer: Sealer,
    known: RwLock<HashMap<String, Arc<SigningKey>>>,
    asked: Mutex<Option<Instant>>,
}

impl Keys {
    pub(crate) fn new(secret: &[u8]) -> Keys {
        Keys {
            sealer: Sealer::new(secret, "signing keys"),
            known: RwLock::default(),
            asked: Mutex::new(None),
        }
    }

    /// The key to sign with; made where there is none that is young enough.
    pub(crate) async fn current(&self, desk: &Desk) -> Result<Arc<SigningKey>, Error> {
        if let Some(key) = self.young(desk.now()) {
            return Ok(key);
        }
        self.load(desk).await?;
        if let Some(key) = self.young(desk.now()) {
            return Ok(key);
        }
        self.make(desk).await?;
        self.load(desk).await?;
        self.young(desk.now()).ok_or_else(|| Error::internal("a signing key that was made is not there"))
    }

    /// The key of a name, if it is one of ours.
    pub(crate) async fn find(&self, desk: &Desk, id: &str) -> Result<Option<Arc<SigningKey>>, Error> {
        if let Some(key) = self.known.read().get(id) {
            return Ok(Some(key.clone()));
        }
        let may_ask = {
            let mut asked = self.asked.lock();
            let may = asked.is_none_or(|at| at.elapsed() > ASK_EVERY);
            if may {
                *asked = Some(Instant::now());
            }
            may
        };
        if may_ask {
            self.load(desk).await?;
        }
        Ok(self.known.read().get(id).cloned())
    }

    /// The public keys, as others read them (RFC 7517, RFC 8037).
    pub(crate) async fn published(&self, desk: &Desk) -> Result<Json, Error> {
        self.current(desk).await?;
        let known = self.known.read();
        let mut keys: Vec<&Arc<SigningKey>> = known.values().filter(|key| key.ends > desk.now()).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.begins));
        let shown = keys.iter().map(|key| {
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.id, "x": key.public})
        });
        Ok(json!({"keys": shown.collect::<Vec<Json>>()}))
    }

    fn young(&self, now: Timestamp) -> Option<Arc<SigningKey>> {
        let known = self.known.read();
        let signs = known.values().filter(|key| key.begins <= now && later(key.begins, SIGNS) > now);
        signs.max_by_key(|key| (key.begins, key.id.clone())).cloned()
    }

    async fn load(&self, desk: &Desk) -> Result<(), Error> {
        let rows = desk.rows("SigningKey", "ends > $now", &[("now", Value::Timestamp(desk.now()))]).await?;
        let mut keys = HashMap::new();
        for row in &rows {
            match self.read(row) {
                Ok(key) => drop(keys.insert(key.id.clone(), Arc::new(key))),
                // Under another secret its tokens are no longer ours.
                Err(words) => tracing::warn!(key = %row.key(), words, "a signing key is left out"),
            }
        }
        *self.known.write() = keys;
        Ok(())
    }

    fn read(&self, row: &Row) -> Result<SigningKey, String> {
        let text = |column: &str| row.text(column).ok_or_else(|| format!("it has no {column}"));
        let Value::Text(id) = row.key() else { return Err("its name is no text".to_owned()) };
        let private = self.sealer.open(text("private")?, id).map_err(|error| error.to_string())?;
        let public = text("public")?.to_owned();
        let decoding = DecodingKey::from_ed_components(&public).map_err(|error| error.to_string())?;
        let (Some(begins), Some(ends)) = (time(row, "begins"), time(row, "ends")) else {
            return Err("it has no times".to_owned());
        };
        let encoding = EncodingKey::from_ed_der(&private);
        Ok(SigningKey { id: id.clone(), public, begins, ends, decoding, encoding })
    }

    async fn make(&self, desk: &Desk) -> Result<(), Error> {
        let broken = |_| Error::internal("a signing key could not be made");
        let random = aws_lc_rs::rand::SystemRandom::new();
        let private = Ed25519KeyPair::generate_pkcs8(&random).map_err(broken)?;
        let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).map_err(Error::internal)?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let id = hash_of(&public);
        let sealed = self.sealer.seal(private.as_ref(), &id).map_err(Error::internal)?;
        let row = json!({
            "create": true,
            "id": id,
            "public": public,
            "private": sealed,
            "begins": desk.now().to_string(),
            "ends": later(later(desk.now(), SIGNS), KNOWN_AFTER).to_string(),
        });
        desk.ask(vec![json!({"SigningKey": row})]).await.map(drop)
    }
}
