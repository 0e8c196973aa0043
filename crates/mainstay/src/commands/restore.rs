//! `mainstay restore`: a database filled from a backup, whichever kind of database either is of.
//!
//! The rows come back under the schema that they were written under. Where the app has moved on since, the database is then an
//! older one of the app's, to be brought in step as always.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use mainstay_sql::copy;
use mainstay_sql::model::Model;
use mainstay_store::copy::{Archive, ArchiveHead, Destination, Filling, Source, transfer};
use serde_json::{Value, json};

use super::backup::{about, schema_of};
use crate::cli::App;
use crate::commands::check;
use crate::copying::{Progress, tables};
use crate::output::Output;
use crate::runtime::{load_settings, store_options, tokio_runtime};

/// What is done with a backup.
#[derive(Clone, Debug)]
pub(crate) struct Mode {
    /// The database's tables are dropped first.
    pub(crate) replace: bool,
    /// The file is only read.
    pub(crate) check: bool,
    /// Where the app's files are written.
    pub(crate) sources: Option<PathBuf>,
}

/// Reads a backup and fills the app's database from it.
pub(crate) fn run(output: Output, app: &App, file: &Path, mode: &Mode) -> Result<()> {
    let loaded = load_settings(output, app)?;
    let progress = Progress::new(output);
    let archive = Archive::open(file, &mut |done, all| progress.bytes(done, all))?;
    let head = archive.head().clone();
    if let Some(folder) = &mode.sources {
        write_sources(&head, folder)?;
        output.say(format!("{}: the app's files as they were on {}", folder.display(), head.made));
    }
    if mode.check || mode.sources.is_some() {
        let copied = archive.tables();
        let sum = progress.end(&copied);
        output.say(format!(
            "{}: {} of {}, whole: {} tables, {} rows, as of change {}",
            file.display(),
            head.app,
            head.made,
            copied.len(),
            sum.rows,
            head.last_change
        ));
        return document(output, file, &head, json!({"rows": sum.rows, "tables": tables(&copied)}));
    }
    check::is_not_of_others(app)?;
    let schema = schema_of(&head)?;
    let options = store_options(&app.folder, &loaded.config, false)?;
    let source = Source::archive(archive.source(&copy::tables(&schema))?);
    // A file that is named anew is the same backup still.
    let source_name = format!("the backup of {} of {}", head.app, head.made);
    let filling =
        Filling { schema: &schema, source_name: &source_name, replace: mode.replace, while_serving: true };
    let target = options.url.to_string();
    let copied = tokio_runtime()?.block_on(async {
        let destination = Destination::open(&options).await?;
        transfer(&source, destination, filling, &mut |step| progress.step(step)).await
    });
    let copied = copied.map_err(|error| match error {
        error @ mainstay_store::copy::CopyError::NotEmpty { .. } => {
            anyhow!("{target}: {error} (--replace drops all of it first)")
        }
        error => about(file, error).context(target.clone()),
    })?;
    let sum = progress.end(&copied);
    output.say(format!(
        "restored and compared {} tables: {}, of {} as of change {}\nto {target}",
        copied.len(),
        sum.words(),
        head.made,
        head.last_change
    ));
    let now = check::own_schema(output, app)?;
    let dialect = options.url.dialect();
    if Model::of(&now, dialect) != Model::of(&schema, dialect) {
        output.say("the app's tables have changed since: the database is to be brought in step with it");
    }
    let members = json!({"rows": sum.rows, "seconds": sum.seconds, "to": target, "tables": tables(&copied)});
    document(output, file, &head, members)
}

fn document(output: Output, file: &Path, head: &ArchiveHead, mut members: Value) -> Result<()> {
    if !output.json {
        return Ok(());
    }
    members["file"] = json!(file.display().to_string());
    members["app"] = json!(head.app);
    members["made"] = json!(head.made);
    members["database"] = json!(head.database);
    members["version"] = json!(head.version);
    members["last_change"] = json!(head.last_change);
    output.line(&members.to_string())
}

/// Writes the author's files into a folder that is not there yet.
fn write_sources(head: &ArchiveHead, folder: &Path) -> Result<()> {
    if folder.exists() {
        bail!("{} is there already; name a new folder", folder.display());
    }
    for file in head.sources.iter().filter(|file| !file.platform) {
        let name = Path::new(&file.name);
        // A file says where it is to stand: nowhere else than below the folder.
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            bail!("the backup names a file outside of its app: {}", file.name);
        }
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        std::fs::write(&path, &file.text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
