//! `mainstay push APP list|send`: beside a server that may run, whose worker sends.

use std::fmt::Write as _;

use mainstay_engine::error::{Error, Key};
use mainstay_engine::plugin::CommandCall;
use mainstay_jobs::Jobs;
use serde_json::{Value as Json, json};

use crate::device::ask;
use crate::message::Push;

const USAGE: &str =
    "mainstay push APP list USER | send USER TITLE [TEXT], where USER is an address of mail or a key";

pub(crate) async fn run(call: CommandCall) -> Result<String, Error> {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list", user] => list(&call, user).await,
        ["send", user, title] => send(&call, user, Push::new(Json::Null, *title)).await,
        ["send", user, title, text] => send(&call, user, Push::new(Json::Null, *title).body(*text)).await,
        _ => Err(Error::new(Key::Request, USAGE)),
    }
}

/// The key of a user by an address or that key.
async fn user(call: &CommandCall, named: &str) -> Result<Json, Error> {
    let column = if named.contains('@') { "email" } else { "id" };
    let answer = ask(&call.engine, &call.ctx, json!({"User": {column: named, "get": ["id"]}})).await?;
    match answer["User"].get(0) {
        Some(user) => Ok(user["id"].clone()),
        None => Err(Error::new(Key::NotFound, format!("there is no user {named}"))),
    }
}

async fn list(call: &CommandCall, named: &str) -> Result<String, Error> {
    let owner = user(call, named).await?;
    let get = ["platform", "name", "seen", "delivered"];
    let part = json!({"owner": owner, "get": get, "order": ["-seen"], "limit": 1000});
    let answer = ask(&call.engine, &call.ctx, json!({"Device": part})).await?;
    let mut out = String::new();
    for device in answer["Device"].as_array().into_iter().flatten() {
        let text = |name: &str| device[name].as_str().unwrap_or("-");
        let [id, platform, name, seen, delivered] = ["id", "platform", "name", "seen", "delivered"].map(text);
        writeln!(out, "{id}  {platform:7}  seen {seen}  reached {delivered}  {name}")
            .map_err(Error::internal)?;
    }
    match out.is_empty() {
        true => Ok(format!("{named} has no devices")),
        false => Ok(out.trim_end().to_owned()),
    }
}

async fn send(call: &CommandCall, named: &str, push: Push) -> Result<String, Error> {
    let push = push.to(user(call, named).await?);
    let job = push.job().map_err(|error| Error::new(Key::Invalid, error.to_string()))?;
    let id = Jobs::of_app(call.engine.clone()).enqueue(job.asked_by(&call.ctx)).await?;
    Ok(format!("enqueued {id}"))
}
