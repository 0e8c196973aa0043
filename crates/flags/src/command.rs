//! `mainstay flags APP list|set|unset`: beside a server that may run, which hears of it within a second.

use std::fmt::Write as _;

use mainstay_engine::ctx::Ctx;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Operation;
use mainstay_engine::plugin::CommandCall;
use mainstay_engine::{Engine, document};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::declared::Declared;
use crate::held::{Flags, Source};

const USAGE: &str = "mainstay flags APP list | set NAME VALUE [--tenant ID] | unset NAME [--tenant ID]";

pub(crate) async fn run(call: CommandCall) -> Result<String, Error> {
    let flags = Flags::of(call.engine.parts())?.clone();
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let (words, tenant) = match words.as_slice() {
        [words @ .., "--tenant", tenant] => (words, Some(tenant_id(tenant)?)),
        words => (words, None),
    };
    match (words, &tenant) {
        ([] | ["list"], None) => list(&flags),
        (["list", "--json"], None) => Ok(list_json(&flags)?.to_string()),
        (["set", name, value], tenant) => {
            let of = known(&flags, name)?;
            let value = of.parse(value).map_err(|words| Error::new(Key::Invalid, words))?;
            set(&call.engine, &call.ctx, of, *tenant, &value).await?;
            Ok(format!("{name} = {}{}", value.to_json(), for_whom(*tenant)))
        }
        (["unset", name], tenant) => {
            // One that is not declared any more is taken out as well.
            let count =
                write(&call.engine, &call.ctx, selected(name, *tenant, json!({"delete": true}))).await?;
            let done = if count == 0 { "had no value of its own" } else { "is what it was before" };
            Ok(format!("{name}{} {done}", for_whom(*tenant)))
        }
        _ => Err(Error::new(Key::Request, USAGE)),
    }
}

fn tenant_id(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text)
        .map_err(|_| Error::new(Key::Invalid, format!("{text:?} is no id of a tenant, a uuid")))
}

fn known<'f>(flags: &'f Flags, name: &str) -> Result<&'f Declared, Error> {
    let declared = flags.declarations();
    declared.get(name).ok_or_else(|| Error::new(Key::NameUnknown, declared.unknown(name, |_| true)))
}

fn for_whom(tenant: Option<Uuid>) -> String {
    tenant.map(|tenant| format!(" for {tenant}")).unwrap_or_default()
}

fn selected(name: &str, tenant: Option<Uuid>, mut part: Json) -> Json {
    part["name"] = name.into();
    part["scope"] = tenant.map(|tenant| tenant.to_string()).unwrap_or_default().into();
    part
}

/// Changes the row, or makes one.
async fn set(
    engine: &Engine,
    ctx: &Ctx,
    of: &Declared,
    tenant: Option<Uuid>,
    value: &Value,
) -> Result<(), Error> {
    let value: Json = serde_json::from_str(&value.to_json()).map_err(Error::internal)?;
    let change = selected(&of.name, tenant, json!({"set": {"value": value}}));
    if write(engine, ctx, change.clone()).await? > 0 {
        return Ok(());
    }
    let new = json!({"create": true, "name": of.name, "for_tenant": tenant, "value": value});
    match write(engine, ctx, new).await {
        // Somebody has made it in between.
        Err(error) if error.key == Key::Unique => write(engine, ctx, change).await.map(drop),
        done => done.map(drop),
    }
}

async fn write(engine: &Engine, ctx: &Ctx, part: Json) -> Result<u64, Error> {
    let documents = document::parse(json!({"FlagValue": part}).to_string().as_bytes())?;
    let response = engine.execute(ctx, &Operation { documents, ..Operation::default() }).await?;
    Ok(response.documents.iter().flat_map(|document| &document.entries).map(|entry| entry.row_count).sum())
}

fn list(flags: &Flags) -> Result<String, Error> {
    let mut out = String::new();
    let wide = flags.declared().map(|of| of.name.len()).max().unwrap_or(0);
    let mut line = |words: String| writeln!(out, "{}", words.trim_end()).map_err(Error::internal);
    for of in flags.declared() {
        let found = flags.found(of, None);
        let changed = if found.source == Source::Declared { "declared" } else { "changed" };
        let value = found.value.to_json();
        line(format!("{:wide$}  {:7}  {changed:8}  {value}  {}", of.name, of.kind(), of.description))?;
        for (tenant, value) in flags.of_tenants(of) {
            line(format!("{:wide$}  for {tenant}  {}", "", value.to_json()))?;
        }
    }
    for stray in flags.strays() {
        let tenant = stray.tenant.map(|tenant| format!(" for {tenant}")).unwrap_or_default();
        line(format!("{}{tenant}: not served: {}", stray.name, stray.why))?;
    }
    Ok(out.trim_end().to_owned())
}

fn list_json(flags: &Flags) -> Result<Json, Error> {
    let json = |value: &Value| serde_json::from_str::<Json>(&value.to_json()).map_err(Error::internal);
    let mut all = Vec::new();
    for of in flags.declared() {
        let tenants: Result<serde_json::Map<String, Json>, Error> =
            flags.of_tenants(of).iter().map(|(tenant, value)| Ok((tenant.clone(), json(value)?))).collect();
        all.push(json!({
            "name": of.name,
            "kind": of.kind(),
            "type": of.ty.to_string(),
            "declared": json(&of.default)?,
            "value": json(&flags.found(of, None).value)?,
            "tenants": tenants?,
            "description": of.description,
        }));
    }
    let strays: Vec<Json> = flags
        .strays()
        .into_iter()
        .map(|stray| json!({"name": stray.name, "tenant": stray.tenant, "why": stray.why}))
        .collect();
    Ok(json!({"declared": all, "not_served": strays}))
}
