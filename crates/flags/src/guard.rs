//! Rows are held to their declarations when they are written, by whichever way: a name that is declared, a value of its type.

use std::time::{Duration, Instant};

use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::{Deleted, HookCtx, Processing, Row, Updated};
use mainstay_lang::value::Value;

use crate::held::{Flags, tenant_key};

/// How long a commit may take behind the last moment of its request.
const COMMIT: Duration = Duration::from_secs(5);
/// How long a request of this process is waited for at most; a longer one is seen when the next change is.
const REQUEST_MAX: Duration = Duration::from_secs(120);

/// A row is about to be written.
pub(crate) async fn processing(ctx: &HookCtx, change: &mut Processing) -> Result<(), Error> {
    let flags = ctx.kept::<Flags>()?;
    let at = |column: &str| format!("{}/{column}", ctx.path());
    let name = change.row.text("name").unwrap_or_default().to_owned();
    let declared = flags.declarations().named(&name, &at("name"))?;
    let value = declared
        .read(&change.row.value("value")?.to_json())
        .map_err(|words| Error::at(Key::Invalid, at("value"), "type", words))?;
    // In the spelling of its type, so that a value is the same however it was written.
    let json: serde_json::Value = serde_json::from_str(&value.to_json()).map_err(Error::internal)?;
    change.row.set("value", json)?;
    if change.old.is_none() {
        let scope = match change.row.value("for_tenant")? {
            Value::Null => String::new(),
            tenant => tenant_key(tenant).unwrap_or_default(),
        };
        change.row.set("scope", scope)?;
    }
    Ok(())
}

pub(crate) async fn created(ctx: &HookCtx, _: &mut Row) -> Result<(), Error> {
    touch(ctx)
}

pub(crate) async fn updated(ctx: &HookCtx, _: &Updated) -> Result<(), Error> {
    touch(ctx)
}

pub(crate) async fn deleted(ctx: &HookCtx, _: &Deleted) -> Result<(), Error> {
    touch(ctx)
}

fn touch(ctx: &HookCtx) -> Result<(), Error> {
    let until = ctx.request().deadline.min(Instant::now() + REQUEST_MAX);
    ctx.kept::<Flags>()?.touch(until + COMMIT);
    Ok(())
}
