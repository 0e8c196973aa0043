//! `mainstay migrate status`: where the database stands among the files, and the files beside the declared schema.

use anyhow::{Result, anyhow};
use mainstay_engine::migrate::{self, FileState, Standing};
use mainstay_sql::migration::file::File;
use mainstay_sql::migration::{Hints, Obstacle, Way, plan};
use serde_json::json;

use super::plan::recorded;
use crate::cli::App;
use crate::commands::check;
use crate::migrations;
use crate::output::Output;
use crate::runtime::{load_settings, open_store, tokio_runtime};

/// Prints a line for each file, then what differs.
pub(crate) fn run(output: Output, app: &App) -> Result<()> {
    let loaded = load_settings(output, app)?;
    let schema = check::own_schema(output, app)?;
    let tokio = tokio_runtime()?;
    tokio.block_on(async {
        let store = open_store(app, &loaded.config, false)?;
        let migrations = migrations::read(&app.folder, store.dialect())?;
        let known = migrate::look(&store).await;
        store.close().await;
        let known = known.map_err(|error| anyhow!("{error}"))?;
        let files = &migrations.files;
        let standing = migrate::standing(&known, files).map_err(|error| anyhow!("{error}"))?;
        let from = recorded(&migrations)?;
        let unplanned: Vec<String> =
            match plan(&schema, migrations.dialect, &from, &Hints::default(), Way::Online) {
                Ok(plan) => plan.changes.into_iter().map(|change| change.words).collect(),
                Err(obstacles) => obstacles.iter().map(Obstacle::to_string).collect(),
            };
        let mut lines: Vec<String> =
            files.iter().zip(&standing.files).map(|(file, state)| line(file, state)).collect();
        if known.is_empty() {
            lines.push("the database is empty".to_owned());
        } else if known.ledger.is_empty() {
            lines.push(without_ledger(&standing, files));
        }
        lines.extend(standing.missing.iter().map(|file| format!("{file}: applied, and its file is gone")));
        lines.extend(standing.drift.iter().map(|drift| format!("differs: {drift}")));
        lines.extend(standing.besides.iter().map(|of| format!("beside: {} has a {}", of.table, of.what)));
        lines.extend(unplanned.iter().map(|words| format!("not planned yet: {words}")));
        let states: Vec<_> =
            files.iter().zip(&standing.files).map(|(file, state)| document(file, state)).collect();
        let document = json!({
            "database": migrations.kind,
            "files": states,
            "missing": standing.missing,
            "drift": standing.drift.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "unplanned": unplanned,
        });
        if lines.is_empty() {
            lines.push("no migrations, and nothing to plan".to_owned());
        }
        output.result(&lines.join("\n"), &document)
    })
}

fn without_ledger(standing: &Standing, files: &[File]) -> String {
    match standing.is_like {
        Some(count) => format!(
            "the database was made without migrations and is as {} leaves it: `mainstay migrate apply` takes those up to it as done",
            files[count - 1].title()
        ),
        None => "the database was made without migrations".to_owned(),
    }
}

fn line(file: &File, state: &FileState) -> String {
    let words = match state {
        FileState::Pending => {
            let destructive = file.steps.iter().filter(|step| step.is_destructive).count();
            let lost = if destructive > 0 { format!(", {destructive} destructive") } else { String::new() };
            format!("pending: {} steps{lost}", file.steps.len())
        }
        FileState::Half { done } => format!("applied in part: {done} of {} steps", file.steps.len()),
        FileState::Applied { at, taken, edited } => {
            let how = if *taken { "taken as done" } else { "applied" };
            let edited = if *edited { ", edited since" } else { "" };
            format!("{how} {at}{edited}")
        }
    };
    format!("{}: {words}", file.title())
}

fn document(file: &File, state: &FileState) -> serde_json::Value {
    let file_steps = file.steps.len();
    match state {
        FileState::Pending => json!({"file": file.title(), "state": "pending", "steps": file_steps}),
        FileState::Half { done } => {
            json!({"file": file.title(), "state": "half", "done": done, "steps": file_steps})
        }
        FileState::Applied { at, taken, edited } => {
            json!({"file": file.title(), "state": "applied", "at": at, "taken": taken, "edited": edited, "steps": file_steps})
        }
    }
}
