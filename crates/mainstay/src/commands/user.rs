//! `mainstay user`: people, their permissions, their tokens.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mainstay_engine::ctx::Claims;
use mainstay_engine::part::{Document, Entry, Field, Get, Operation, Part, Raw};
use mainstay_http::{Subject, TokenSecret, issue_token};
use mainstay_lang::value::Value;
use serde_json::json;

use super::query::{refusal, user_key};
use crate::cli::UserCommand;
use crate::output::{Output, Usage};
use crate::runtime::Runtime;
use crate::settings::{self, parse::duration};

/// How long somebody who has registered may be on the way.
const REGISTERED_WITHIN: Duration = Duration::from_secs(3);

/// Runs one of the family.
pub(crate) fn run(output: Output, command: UserCommand) -> Result<()> {
    match command {
        UserCommand::Create { app, email, name } => {
            let runtime = Runtime::open(output, &app)?;
            if runtime.engine.schema().user_table().is_none() {
                bail!("the app has no users");
            }
            if runtime.engine.schema().existing {
                bail!(
                    "users of a database that others made are rows of its own table User: `mainstay query` or `import` makes them"
                );
            }
            let row =
                create(&runtime, "User", &[("email", Raw::of_text(&email)), ("name", Raw::of_text(&name))])?;
            let id = row["id"].as_str().map_or_else(|| row["id"].to_string(), str::to_owned);
            output.result(&id, &json!({"id": id}))
        }
        UserCommand::Grant { app, user, permissions } => {
            let runtime = Runtime::open(output, &app)?;
            let key = raw(&user_key(&runtime, &user)?);
            for permission in &permissions {
                create(
                    &runtime,
                    "Grant",
                    &[("user", key.clone()), ("permission", Raw::of_text(permission))],
                )?;
            }
            output.say(format!("{user}: granted {}", permissions.join(", ")));
            if output.json {
                output.line(&json!({"id": user, "granted": permissions}).to_string())
            } else {
                Ok(())
            }
        }
        UserCommand::Verify { app, email } => {
            let runtime = Runtime::open(output, &app)?;
            if !runtime.engine.schema().uses.iter().any(|used| used == "identity") {
                bail!("the app does not `use identity`");
            }
            let secret = settings::auth_secret(&runtime.config, &app.folder)?;
            verify(&runtime, secret.as_bytes(), &email)?;
            output.say(format!("{email}: verified"));
            if output.json { output.line(&json!({"verified": email}).to_string()) } else { Ok(()) }
        }
        UserCommand::Token { app, user, admin: _, ttl } => {
            let ttl = duration(&ttl)
                .map_err(|expected| Usage(format!("--ttl: expected {expected}, not {ttl:?}")))?;
            let runtime = Runtime::open(output, &app)?;
            // The parser asks for a user or --admin.
            let subject = match &user {
                Some(user) => Subject::User(user_text(&runtime, user)?),
                None => Subject::Admin,
            };
            token(output, &runtime, &app.folder, &subject, ttl)
        }
    }
}

/// Who has just registered is written down by a job of the server, a moment later.
fn verify(runtime: &Runtime, secret: &[u8], email: &str) -> Result<()> {
    let until = Instant::now() + REGISTERED_WITHIN;
    loop {
        let found = mainstay_identity::address_verify(&runtime.engine, secret, email);
        if runtime.block_on(found).map_err(|error| refusal(&error))? {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("{email}: nobody has this address, and nobody has registered with it");
        }
        runtime.block_on(tokio::time::sleep(Duration::from_millis(50)));
    }
}

/// The key of a user who is there; a token for somebody else would only fail later, and elsewhere.
fn user_text(runtime: &Runtime, user: &str) -> Result<String> {
    let key = user_key(runtime, user)?;
    let found = runtime
        .block_on(runtime.engine.caller(&Claims::user(key.clone())))
        .map_err(|error| refusal(&error))?;
    if found.is_none() {
        bail!("{user}: no such user");
    }
    Ok(raw(&key).get().trim_matches('"').to_owned())
}

fn token(output: Output, runtime: &Runtime, folder: &Path, subject: &Subject, ttl: Duration) -> Result<()> {
    let secret = TokenSecret::new(settings::auth_secret(&runtime.config, folder)?)?;
    let access = issue_token(&secret, &runtime.engine.schema().app, subject, ttl);
    output.result(&access, &json!({"access": access}))
}

/// Makes one row past the rules and returns what its answer shows.
fn create(runtime: &Runtime, table: &str, fields: &[(&str, Raw)]) -> Result<serde_json::Value> {
    let fields = fields.iter().map(|(name, raw)| ((*name).to_owned(), Field::Scalar(raw.clone()))).collect();
    let get = Some(vec![Get::Member("id".to_owned(), Vec::new())]);
    let part = Part {
        path: format!("/{table}"),
        fields,
        create: true,
        keywords: vec!["create"],
        get,
        ..Part::default()
    };
    let entry = Entry { table: table.to_owned(), parts: vec![part] };
    let operation = Operation { documents: vec![Document { entries: vec![entry] }], ..Operation::default() };
    let response = runtime
        .block_on(runtime.engine.execute(&runtime.admin(), &operation))
        .map_err(|error| refusal(&error))?;
    let mut rows = response.documents.iter().flat_map(|document| &document.entries).map(|entry| &entry.rows);
    serde_json::from_str(rows.next().context("the engine gave no answer to a create")?)
        .context("reading the answer")
}

fn raw(key: &Value) -> Raw {
    let mut json = Vec::new();
    key.write_json(&mut json);
    Raw::new(String::from_utf8_lossy(&json).into_owned())
}
