//! A command that a plugin has added to an app's command line.

use std::time::Instant;

use anyhow::{Result, anyhow};
use mainstay_engine::plugin::{Command, CommandCall};
use mainstay_lang::suggest::nearest;

use super::query::refusal;
use crate::cli::App;
use crate::output::{Output, Usage};
use crate::runtime::Runtime;

/// Runs it, and prints what it answers.
pub(crate) fn run(output: Output, app: &App, name: &str, args: Vec<String>) -> Result<()> {
    let runtime = Runtime::open(output, app)?;
    let commands = runtime.engine.parts().get::<Vec<Command>>().map_or(&[][..], Vec::as_slice);
    let Some(command) = commands.iter().find(|command| command.name == name) else {
        let names = commands.iter().map(|command| command.name.as_str());
        let hint = nearest(name, names).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
        return Err(Usage(format!("there is no command `{name}`{hint}")).into());
    };
    let started = Instant::now();
    let call = CommandCall { engine: runtime.engine.clone(), ctx: runtime.admin(), args };
    let answer = runtime.block_on(command.run(call)).map_err(|error| anyhow!(refusal(&error)))?;
    tracing::debug!(command = name, ms = started.elapsed().as_millis(), "a command of a plugin");
    if answer.is_empty() { Ok(()) } else { output.line(&answer) }
}
