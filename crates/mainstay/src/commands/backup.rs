//! `mainstay backup`: everything that the database holds as one file, from one snapshot, beside a running server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use mainstay_lang::analyse::analyse;
use mainstay_lang::schema::Schema;
use mainstay_lang::source::{SourceFile, Sources};
use mainstay_lang::value::Timestamp;
use mainstay_store::StoreOptions;
use mainstay_store::copy::{
    Access, ArchiveFile, ArchiveHead, Copied, CopyError, Source, Step, archive_write, check_source,
};
use serde_json::json;

use crate::app;
use crate::cli::App;
use crate::commands::check;
use crate::copying::{Progress, tables};
use crate::output::Output;
use crate::runtime::{load_settings, now, store_options, tokio_runtime};

/// The ending of a backup that is named by the program.
pub(crate) const ENDING: &str = "backup";

/// An app as it is to be backed up.
pub(crate) struct Subject {
    pub(crate) schema: std::sync::Arc<Schema>,
    pub(crate) sources: Sources,
    pub(crate) options: StoreOptions,
}

/// What a backup came to.
pub(crate) struct Written {
    pub(crate) copied: Vec<Copied>,
    pub(crate) last_change: i64,
    pub(crate) bytes: u64,
}

/// Writes a backup.
pub(crate) fn run(output: Output, app: &App, file: &Path) -> Result<()> {
    let loaded = load_settings(output, app)?;
    let schema = check::own_schema(output, app)?;
    let options = store_options(&app.folder, &loaded.config, false)?;
    let subject = Subject { schema, sources: app::sources(app)?, options };
    let made = now();
    let file = if file.is_dir() { file.join(name(&subject.schema.app, made)) } else { file.to_owned() };
    let progress = Progress::new(output);
    let written = tokio_runtime()?.block_on(write(&subject, made, &file, &mut |step| progress.step(step)))?;
    let sum = progress.end(&written.copied);
    output.say(format!(
        "backed up {} tables: {}, as of change {}\n{} bytes in {}",
        written.copied.len(),
        sum.words(),
        written.last_change,
        written.bytes,
        file.display()
    ));
    if output.json {
        let document = json!({
            "file": file.display().to_string(), "bytes": written.bytes, "last_change": written.last_change,
            "rows": sum.rows, "seconds": sum.seconds, "tables": tables(&written.copied),
        });
        output.line(&document.to_string())?;
    }
    Ok(())
}

/// `shop-20260131T100000Z.backup`: names sort as the times do.
pub(crate) fn name(app: &str, made: Timestamp) -> PathBuf {
    let text = made.to_string();
    let time: String = text.chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{app}-{time}Z.{ENDING}").into()
}

/// Writes everything into a file.
pub(crate) async fn write(
    subject: &Subject,
    made: Timestamp,
    file: &Path,
    watch: &mut (dyn FnMut(Step<'_>) + Send),
) -> Result<Written> {
    let mut source = Source::open(&subject.options, Access::Shared).await?;
    let undeclared = check_source(&mut source, &subject.schema).await?;
    if !undeclared.is_empty() {
        // Who only made a table of his own beside the app's would otherwise be left without backups.
        tracing::warn!(
            places = undeclared.join(", "),
            "not in the backup, because the app does not declare it"
        );
    }
    let uses = &subject.schema.uses;
    let counts = |file: &&SourceFile| {
        file.capability.is_none_or(|capability| uses.iter().any(|used| used == capability))
    };
    let files = subject.sources.files().iter().filter(counts).map(|file| ArchiveFile {
        name: file.name.clone(),
        text: file.text.clone(),
        platform: file.platform,
    });
    let version = env!("CARGO_PKG_VERSION");
    let head = ArchiveHead::new(version, &subject.schema.app, made.to_string(), files.collect());
    let copied = archive_write(&source, &subject.schema, head, file, watch).await?;
    let bytes = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    Ok(Written { copied, last_change: source.last_change(), bytes })
}

/// The schema that a backup's rows are of.
pub(crate) fn schema_of(head: &ArchiveHead) -> Result<Schema> {
    let mut sources = Sources::default();
    for file in &head.sources {
        if file.platform {
            sources.add_platform(file.name.clone(), file.text.clone());
        } else {
            sources.add(file.name.clone(), file.text.clone());
        }
    }
    let analysis = analyse(&sources);
    analysis.schema.ok_or_else(|| {
        let words: Vec<_> = analysis.diagnostics.iter().map(|found| found.message.clone()).collect();
        anyhow!(
            "this version cannot read the schema of the backup, which version {} wrote: {}",
            head.version,
            words.join("; ")
        )
    })
}

/// Why a copy failed, with the file that it was about.
pub(crate) fn about(file: &Path, error: CopyError) -> anyhow::Error {
    match error {
        error @ (CopyError::Archive { .. } | CopyError::File { .. }) => anyhow!("{error}"),
        error => anyhow!("{}: {error}", file.display()),
    }
}
