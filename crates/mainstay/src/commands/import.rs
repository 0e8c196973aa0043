//! `mainstay import`: a file's rows become create parts of one operation, so that rules of writing, counters, checks and
//! the change log are the engine's own. All rows go in one transaction, or, with `--skip-bad`, in small ones.

mod operation;
mod read;
mod run;
mod target;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use mainstay_engine::part::Idempotency;
use serde_json::json;

use self::target::Target;
use crate::cli::App;
use crate::output::Output;
use crate::runtime::Runtime;

pub(crate) use self::run::Problem;

/// How rows are put in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mode<'m> {
    /// Rows whose id is there are changed.
    pub(crate) upsert: bool,
    /// Rows that cannot be imported are left out.
    pub(crate) skip_bad: bool,
    /// The import's own name: under it the rows are put in once, whoever else imports them at the same time.
    pub(crate) once: Option<&'m Idempotency>,
}

/// Imports a file and says what was done; fails, having changed nothing, when a row is bad and may not be skipped.
pub(crate) fn run(output: Output, app: &App, target: &str, file: &Path, mode: Mode<'_>) -> Result<()> {
    let runtime = Runtime::open(output, app)?;
    let bar = progress(output);
    let report = into(&runtime, target, file, mode, &bar);
    bar.finish_and_clear();
    let report = report?;
    for problem in &report.problems {
        output.say(format!("{}:{problem}", file.display()));
    }
    if output.json {
        output.line(&json!({"imported": report.imported, "skipped": report.problems.len(), "problems": report.problems}).to_string())?;
    }
    if report.imported == 0 && !report.problems.is_empty() && !mode.skip_bad {
        bail!("{} bad rows; nothing was imported (--skip-bad leaves them out)", report.problems.len());
    }
    output.say(format!("{target}: {} rows imported, {} skipped", report.imported, report.problems.len()));
    Ok(())
}

/// What an import did.
pub(crate) struct Report {
    pub(crate) imported: usize,
    pub(crate) problems: Vec<Problem>,
}

/// Imports a file without a word, for seeds too.
pub(crate) fn into(
    runtime: &Runtime,
    target: &str,
    file: &Path,
    mode: Mode<'_>,
    bar: &ProgressBar,
) -> Result<Report> {
    let target = Target::find(runtime.engine.schema(), target)?;
    bar.set_message("reading");
    let content = read::content(file, bar)?;
    if let Some(head) = &content.head {
        target.check_head(runtime.engine.schema(), head).with_context(|| format!("{}:1", file.display()))?;
    }
    run::import(runtime, &target, content.rows, mode, bar)
}

fn progress(output: Output) -> ProgressBar {
    if output.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:9} {wide_bar} {percent:>3}% {elapsed}")
        .expect("the template is a constant and well-formed");
    ProgressBar::new(0).with_style(style)
}
