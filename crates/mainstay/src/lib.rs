//! Mainstay for apps with Rust code of their own: [`App`] opens a folder of `.stay` files, adds plugins, hooks, routes and rules, and
//! is then the same command line as the `mainstay` binary.
//!
//! Exit statuses: 0: done. 1: refused or failed, said on standard error. 2: wrong usage, said by the parser or by the command.

mod app;
mod backups;
mod cli;
mod commands;
mod copying;
mod facade;
mod logging;
mod migrations;
mod output;
mod plugins;
pub mod prelude;
mod reload;
mod runtime;
mod seed;
mod settings;
pub mod test;
mod workers;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

pub use axum;
pub use facade::{App, OpenError};
pub use mainstay_engine as engine;
pub use mainstay_flags as flags;
pub use mainstay_http as http;
pub use mainstay_jobs as jobs;
pub use mainstay_lang as lang;
pub use mainstay_macros::schema;
pub use mainstay_mail as mail;
pub use mainstay_push as push;
pub use mainstay_security as security;
pub use serde;
pub use serde_json;

use crate::cli::{Cli, Command};
use crate::output::{Output, Usage};

/// The `mainstay` binary: parses the command line, runs one command, turns its end into an exit status.
pub fn command_line() -> ExitCode {
    command_line_with(std::env::args_os().collect(), &mainstay_engine::plugin::Plugins::default())
}

fn command_line_with(args: Vec<OsString>, plugins: &mainstay_engine::plugin::Plugins) -> ExitCode {
    let mut cli = Cli::parse_from(args);
    if let Some(app) = cli.command.app_mut() {
        app.plugins = plugins.clone();
    }
    let output = Output { json: cli.json };
    match run(output, cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.say(format!("error: {error:#}"));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

/// Runs a command that a plugin has added.
fn plugin_command(
    folder: &std::path::Path,
    plugins: &mainstay_engine::plugin::Plugins,
    name: &str,
    args: Vec<String>,
) -> ExitCode {
    let output = Output { json: false };
    let app = cli::App { folder: folder.to_owned(), settings: Default::default(), plugins: plugins.clone() };
    match commands::plugin::run(output, &app, name, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.say(format!("error: {error:#}"));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn run(output: Output, command: Command) -> anyhow::Result<()> {
    match command {
        Command::New { name, rust, mainstay } => {
            let kind = if rust { commands::new::Kind::Rust(mainstay) } else { commands::new::Kind::Folder };
            commands::new::run(output, &name, &kind)
        }
        Command::Check { app } => commands::check::run(output, &app),
        Command::Fmt { app, check } => commands::fmt::run(output, &app, check),
        Command::Serve { app } => commands::serve::run(output, &app),
        Command::Flags { app, mut words, tenant } => {
            words.extend(output.json.then(|| "--json".to_owned()));
            words.extend(tenant.into_iter().flat_map(|tenant| ["--tenant".to_owned(), tenant]));
            commands::plugin::run(output, &app, "flags", words)
        }
        Command::Work { app } => commands::work::run(output, &app),
        Command::Jobs { command } => commands::jobs::run(output, command),
        Command::Migrate { command } => commands::migrate::run(output, &command),
        Command::Query { app, document, caller, explain } => {
            commands::query::run(output, &app, &document, &caller, explain)
        }
        Command::Why { app, document, caller } => commands::why::run(output, &app, &document, &caller),
        Command::Import { app, table, file, upsert, skip_bad } => commands::import::run(
            output,
            &app,
            &table,
            &file,
            commands::import::Mode { upsert, skip_bad, once: None },
        ),
        Command::Export { app, table, file } => commands::export::run(output, &app, &table, &file),
        Command::Move { app, from, to, while_serving, leave_undeclared } => {
            let mode = commands::move_::Mode { while_serving, leave_undeclared };
            commands::move_::run(output, &app, &from, &to, mode)
        }
        Command::Backup { app, file } => commands::backup::run(output, &app, &file),
        Command::Restore { app, file, replace, check, sources } => {
            let mode = commands::restore::Mode { replace, check, sources };
            commands::restore::run(output, &app, &file, &mode)
        }
        Command::Pull { url, folder } => commands::pull::run(output, &url, folder.as_deref()),
        Command::Triggers { command } => commands::triggers::run(output, &command),
        Command::User { command } => commands::user::run(output, command),
        Command::Settings { app } => commands::settings::run(output, &app),
        Command::Doctor { app, strict } => commands::doctor::run(output, &app, strict),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "mainstay", &mut std::io::stdout());
            Ok(())
        }
    }
}
