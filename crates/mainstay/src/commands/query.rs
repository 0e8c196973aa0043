//! `mainstay query`: one document from the shell, as anybody.

use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::error::Error;
use mainstay_engine::part::Operation;
use mainstay_engine::{document, render};
use mainstay_lang::value::Value;

use crate::cli::{App, CallerArgs};
use crate::output::{Output, Usage};
use crate::runtime::{Runtime, context};

/// Runs the document and prints its answer; a refusal is printed as the server would answer it, and fails.
pub(crate) fn run(
    output: Output,
    app: &App,
    document: &str,
    caller: &CallerArgs,
    explain: bool,
) -> Result<()> {
    let runtime = Runtime::open(output, app)?;
    let ctx = caller_context(&runtime, caller)?;
    let (operation, was_array) = operation(document)?;
    let operation = Operation { explain, ..operation };
    let response =
        runtime.block_on(runtime.engine.execute(&ctx, &operation)).map_err(|error| refusal(&error))?;
    if let Some(explain) = &response.explain {
        output.say(explain);
    }
    output.line(&render(&response, was_array))
}

/// The document of an argument, or of standard input for `-`, and whether it is an array of documents.
pub(super) fn operation(argument: &str) -> Result<(Operation, bool)> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
    }
    let documents = document::parse(text.as_bytes()).map_err(|error| refusal(&error))?;
    Ok((Operation { documents, ..Operation::default() }, text.trim_start().starts_with('[')))
}

/// The context of `--as`, `--admin` or neither.
pub(super) fn caller_context(runtime: &Runtime, caller: &CallerArgs) -> Result<Ctx> {
    let caller = match &caller.user {
        Some(user) => runtime
            .block_on(runtime.engine.caller(&Claims::user(user_key(runtime, user)?)))
            .map_err(|error| refusal(&error))?
            .with_context(|| format!("{user}: no such user"))?,
        None if caller.admin => Arc::new(Caller::administrator()),
        None => Arc::new(Caller::anonymous()),
    };
    Ok(context(caller))
}

/// A user's key from the text of an argument.
pub(super) fn user_key(runtime: &Runtime, text: &str) -> Result<Value> {
    let schema = runtime.engine.schema();
    let Some(users) = schema.user_table() else { bail!("the app has no users") };
    Value::parse_text(text, schema.key_type(users.id))
        .map_err(|error| Usage(format!("the user's id {error}, not {text:?}")).into())
}

/// An engine's error in words for the shell, each offending value on a line of its own.
pub(crate) fn refusal(error: &Error) -> anyhow::Error {
    let mut words = error.to_string();
    for field in &error.errors {
        words.push_str(&format!("\n  {} {}: {}", field.path, field.key, field.message));
    }
    for warning in &error.warnings {
        words.push_str(&format!("\n  {} {} ({})", warning.path, warning.message, warning.id));
    }
    anyhow!(words)
}
