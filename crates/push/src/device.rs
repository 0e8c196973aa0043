//! Devices as they are kept: registered, found, forgotten. Where one is reached is encrypted; what it is known again by is a hash.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_engine::part::Operation;
use mainstay_engine::sealed::Sealer;
use mainstay_engine::{Clock, Engine, document, render};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use crate::sender::Platform;

/// How long a look at the tables may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Devices of one user; the one that was not seen for longest goes.
const DEVICES_MAX: usize = 50;

/// A context of the server itself.
pub(crate) fn admin() -> Ctx {
    Ctx {
        caller: Arc::new(Caller::administrator()),
        tenant: None,
        session: None,
        now: Clock::default().now(),
        deadline: Instant::now() + PATIENCE,
        request_id: "push".into(),
        trace: None,
    }
}

/// A document of the query language as an operation.
pub(crate) fn operation(document: &Json) -> Result<Operation, Error> {
    let documents = document::parse(document.to_string().as_bytes())?;
    Ok(Operation { documents, ..Operation::default() })
}

/// Asks under a context.
pub(crate) async fn ask(engine: &Engine, ctx: &Ctx, document: Json) -> Result<Json, Error> {
    let response = engine.execute(ctx, &operation(&document)?).await?;
    serde_json::from_str(&render(&response, document.is_array())).map_err(Error::internal)
}

/// Rows as they are kept, secrets included.
pub(crate) async fn look_up(
    engine: &Engine,
    table: &str,
    filter: &str,
    values: &[(&str, Value)],
) -> Result<Vec<Row>, Error> {
    let lookup = engine.lookup(table, filter)?;
    engine.look_up(&lookup, Instant::now() + PATIENCE, values).await
}

/// A value in its wire form.
pub(crate) fn wire(value: &Value) -> Json {
    serde_json::from_str(&value.to_json()).unwrap_or(Json::Null)
}

/// A device that is to be registered.
pub(crate) struct NewDevice {
    pub(crate) owner: Value,
    pub(crate) platform: Platform,
    pub(crate) target: String,
    pub(crate) name: Option<String>,
    pub(crate) session: Option<Value>,
}

/// What devices are kept with.
pub(crate) struct Devices {
    sealer: Sealer,
}

impl Devices {
    pub(crate) fn new(secret: &[u8]) -> Devices {
        Devices { sealer: Sealer::new(secret, "push devices") }
    }

    /// Where a device is reached; none: it was registered under another secret.
    pub(crate) fn target(&self, device: &Row) -> Option<String> {
        let opened = self.sealer.open(device.text("target")?, device.text("hash")?).ok()?;
        String::from_utf8(opened).ok()
    }

    /// Registers a device, and tells its key and whether it is new. Whoever knows all of where it is reached has the device in his hands:
    /// one that was somebody else's becomes his.
    pub(crate) async fn register(
        &self,
        engine: &Engine,
        ctx: &Ctx,
        new: &NewDevice,
    ) -> Result<(Json, bool), Error> {
        match self.try_register(engine, ctx, new).await {
            // The same device at the same time: by now it is there.
            Err(error) if error.key == Key::Unique => self.try_register(engine, ctx, new).await,
            done => done,
        }
    }

    async fn try_register(&self, engine: &Engine, ctx: &Ctx, new: &NewDevice) -> Result<(Json, bool), Error> {
        let hash =
            URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("{} {}", new.platform, new.target).as_bytes()));
        let admin = Ctx { caller: Arc::new(Caller::administrator()), ..ctx.clone() };
        let known =
            look_up(engine, "Device", "hash == $hash", &[("hash", Value::Text(hash.clone()))]).await?;
        let seen = json!({
            "seen": ctx.now.to_string(),
            "session": new.session.as_ref().map(wire),
            "name": new.name,
        });
        let mut documents = Vec::new();
        if let Some(known) = known.first() {
            if *known.value("owner")? == new.owner {
                let id = wire(known.key());
                ask(engine, &admin, json!({"Device": {"id": id, "set": seen}})).await?;
                return Ok((id, false));
            }
            documents.push(json!({"Device": {"id": wire(known.key()), "delete": true}}));
        }
        let mut own = look_up(engine, "Device", "owner == $owner", &[("owner", new.owner.clone())]).await?;
        if own.len() >= DEVICES_MAX {
            own.sort_by_key(|device| device.value("seen").ok().map(Value::to_json));
            let ids: Vec<Json> = own[..=own.len() - DEVICES_MAX].iter().map(|row| wire(row.key())).collect();
            documents.push(json!({"Device": {"id": ids, "delete": true}}));
        }
        let mut row = seen;
        row["create"] = json!(true);
        row["owner"] = wire(&new.owner);
        row["platform"] = json!(new.platform);
        row["target"] = json!(self.sealer.seal(new.target.as_bytes(), &hash).map_err(Error::internal)?);
        row["hash"] = json!(hash);
        let place = documents.len();
        documents.push(json!({"Device": row}));
        let answer = ask(engine, &admin, Json::Array(documents)).await?;
        Ok((answer[place]["Device"][0]["id"].clone(), true))
    }
}
