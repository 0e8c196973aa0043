//! `mainstay check` and the reading of an app's schema that every other command starts with.

use std::sync::Arc;

use anyhow::{Result, bail};
use mainstay_lang::analyse::{Analysis, analyse};
use mainstay_lang::diagnostic::{Severity, list, render};
use mainstay_lang::schema::Schema;
use serde_json::json;

use crate::app;
use crate::cli::App;
use crate::output::Output;
use crate::settings::check_flags;

/// Prints every problem; fails when one is an error.
pub(crate) fn run(output: Output, app: &App) -> Result<()> {
    check_flags(&app.folder, &app.settings)?;
    let folder = &app.folder;
    let sources = app::sources(app)?;
    let Analysis { schema, mut diagnostics } = analyse(&sources);
    if let Some(schema) = &schema {
        diagnostics.extend(mainstay_live::advise(schema));
        diagnostics.sort_by_key(|found| found.span);
    }
    if !diagnostics.is_empty() {
        output.say(render(&sources, &diagnostics, output.color()));
    }
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    if output.json {
        output.line(
            &json!({"errors": errors, "warnings": warnings, "diagnostics": list(&sources, &diagnostics)})
                .to_string(),
        )?;
    }
    match schema {
        Some(schema) if errors == 0 => {
            let own = schema.tables.iter().filter(|table| !table.platform).count();
            output.say(format!("{}: {own} tables, {warnings} warnings", folder.display()));
            Ok(())
        }
        _ => bail!("{}: {errors} errors, {warnings} warnings", folder.display()),
    }
}

/// The same of an app whose database Mainstay made: for what changes or copies databases as a whole, or needs the tables that are
/// in no other.
pub(crate) fn own_schema(output: Output, app: &App) -> Result<Arc<Schema>> {
    let schema = schema(output, app)?;
    refuse_of_others(app, &schema)?;
    Ok(schema)
}

/// Refuses an app on a database that others made, for what goes on where an app has errors or is not there at all.
pub(crate) fn is_not_of_others(app: &App) -> Result<()> {
    match app::sources(app).ok().and_then(|sources| analyse(&sources).schema) {
        Some(schema) => refuse_of_others(app, &schema),
        None => Ok(()),
    }
}

fn refuse_of_others(app: &App, schema: &Schema) -> Result<()> {
    if schema.existing {
        bail!(
            "{}: its database was made by others (`app {} existing`): Mainstay can do this in a database of its own alone",
            app.folder.display(),
            schema.app
        );
    }
    Ok(())
}

/// The schema of an app that has no errors; warnings are `check`'s to show.
pub(crate) fn schema(output: Output, app: &App) -> Result<Arc<Schema>> {
    let sources = app::sources(app)?;
    let Analysis { schema, mut diagnostics } = analyse(&sources);
    diagnostics.retain(|found| found.severity == Severity::Error);
    match schema {
        Some(schema) if diagnostics.is_empty() => Ok(Arc::new(schema)),
        _ => {
            output.say(render(&sources, &diagnostics, output.color()));
            bail!("{}: {} errors", app.folder.display(), diagnostics.len())
        }
    }
}
