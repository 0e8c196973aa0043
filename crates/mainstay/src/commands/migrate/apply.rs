//! `mainstay migrate apply`: the files that are not applied yet, to the database.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use mainstay_engine::migrate::{self, ApplyOptions, MigrateError};
use serde_json::json;

use crate::cli::{App, ApplyArgs};
use crate::commands::check;
use crate::logging;
use crate::migrations;
use crate::output::{Output, Usage};
use crate::runtime::{load_settings, open_store, tokio_runtime};
use crate::settings::parse;

/// Applies them, and says each step.
pub(crate) fn run(output: Output, app: &App, args: &ApplyArgs) -> Result<()> {
    let loaded = load_settings(output, app)?;
    let config = loaded.config;
    let patience: Duration = parse::duration(&args.patience)
        .map_err(|expected| Usage(format!("--patience: expected {expected}, not {:?}", args.patience)))?;
    let (_level, _traces) = logging::start(&config, &app.folder)?;
    check::is_not_of_others(app)?;
    let tokio = tokio_runtime()?;
    tokio.block_on(async {
        let store = open_store(app, &config, false)?;
        let migrations = migrations::read(&app.folder, store.dialect())?;
        if migrations.files.is_empty() {
            bail!(
                "{} has no migrations: run `mainstay migrate plan {}` first",
                migrations.folder.display(),
                app.folder.display()
            );
        }
        let development = config.is_development();
        let options = ApplyOptions {
            may_destroy: args.allow_destructive || development,
            may_drift: args.despite_drift || development,
            may_take: development,
            dry_run: args.dry_run,
            patience,
        };
        let say = |step: &str| output.say(format!("  {step}"));
        let done = migrate::apply(&store, &migrations.files, &options, &say).await;
        store.close().await;
        let applied = done.map_err(|error| explain(error, app))?;
        applied.remarks.iter().for_each(|remark| output.say(format!("warning: {remark}")));
        for file in &applied.taken {
            output.say(format!("{file}: the database is as this leaves it already; taken as done"));
        }
        let would = if args.dry_run { "would be " } else { "" };
        let steps: usize = applied.run.iter().map(|(_, steps)| steps).sum();
        let words = match applied.run.len() {
            0 => "nothing to do".to_owned(),
            1 => format!("1 migration {would}applied, {steps} steps"),
            count => format!("{count} migrations {would}applied, {steps} steps"),
        };
        let run: Vec<_> = applied.run.iter().map(|(file, steps)| json!({"file": file, "steps": steps})).collect();
        let document = json!({"dry_run": args.dry_run, "taken": applied.taken, "applied": run, "remarks": applied.remarks});
        output.result(&words, &document)
    })
}

fn explain(error: MigrateError, app: &App) -> anyhow::Error {
    let app = app.folder.display();
    match error {
        MigrateError::Missing(_) => {
            anyhow!("{error}: is {app} of another version than the one that applied them?")
        }
        error => anyhow!("{error}"),
    }
}
