//! `mainstay move`: everything that a database holds, into another one of whichever kind.
//!
//! The way off one machine, and back. The source is read in one snapshot and stays as it is; the target is empty, or was left
//! unfinished by the same move.

use anyhow::{Result, anyhow, bail};
use mainstay_lang::schema::Schema;
use mainstay_store::copy::{Access, CopyError, Destination, Filling, Source, check_source, transfer};
use mainstay_store::{DatabaseUrl, StoreOptions};
use serde_json::json;

use crate::cli::App;
use crate::commands::check;
use crate::copying::{Progress, tables};
use crate::output::{Output, Usage};
use crate::runtime::{load_settings, tokio_runtime};
use crate::settings::Config;

/// What a move does about what would stay behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// The source may be written to meanwhile.
    pub(crate) while_serving: bool,
    /// What the app does not declare is no reason to stop.
    pub(crate) leave_undeclared: bool,
}

/// Moves the app's database.
pub(crate) fn run(output: Output, app: &App, from: &str, to: &str, mode: Mode) -> Result<()> {
    let loaded = load_settings(output, app)?;
    if loaded.database_is_flag() {
        return Err(Usage("--database says nothing here: --from and --to do".to_owned()).into());
    }
    let (from, to) = (url("--from", from)?, url("--to", to)?);
    if is_same(&from, &to) {
        return Err(Usage("--from and --to are the same database".to_owned()).into());
    }
    let schema = check::own_schema(output, app)?;
    tokio_runtime()?.block_on(move_all(output, &loaded.config, &schema, from, to, mode))
}

fn url(flag: &str, text: &str) -> Result<DatabaseUrl> {
    // The words never repeat what may be a password.
    text.parse().map_err(|error| Usage(format!("{flag}: {error}")).into())
}

fn is_same(from: &DatabaseUrl, to: &DatabaseUrl) -> bool {
    match (from, to) {
        (DatabaseUrl::Sqlite(from), DatabaseUrl::Sqlite(to)) => {
            let one = |path: &std::path::Path| {
                path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
            };
            one(from) == one(to)
        }
        (from, to) => from == to,
    }
}

async fn move_all(
    output: Output,
    config: &Config,
    schema: &Schema,
    from: DatabaseUrl,
    to: DatabaseUrl,
    mode: Mode,
) -> Result<()> {
    let (source_name, target_name) = (from.to_string(), to.to_string());
    let options = |url| {
        let mut options = StoreOptions::new(url);
        options.postgres.connect_timeout = config.connect_timeout;
        options
    };
    let access = if mode.while_serving { Access::Shared } else { Access::Alone };
    let at_source = |error: CopyError| anyhow!("{source_name}: {error}");
    let mut source = Source::open(&options(from), access).await.map_err(at_source)?;
    let undeclared = check_source(&mut source, schema).await.map_err(at_source)?;
    if !undeclared.is_empty() && !mode.leave_undeclared {
        bail!("{source_name}: {}", CopyError::Undeclared(undeclared));
    }
    for place in &undeclared {
        output.say(format!("warning: {place} is not declared and stays behind"));
    }
    let at_target = |error: CopyError| anyhow!("{target_name}: {error}");
    let destination = Destination::open(&options(to)).await.map_err(at_target)?;
    let progress = Progress::new(output);
    let filling =
        Filling { schema, source_name: &source_name, replace: false, while_serving: mode.while_serving };
    let copied = transfer(&source, destination, filling, &mut |step| progress.step(step)).await;
    let last_change = source.last_change();
    let copied = copied.map_err(|error| anyhow!("from {source_name} to {target_name}: {error}"))?;
    let sum = progress.end(&copied);
    output.say(format!(
        "moved and compared {} tables: {}, as of change {last_change}\nfrom {source_name}\nto   {target_name}",
        copied.len(),
        sum.words()
    ));
    if output.json {
        let document = json!({
            "from": source_name, "to": target_name, "last_change": last_change, "rows": sum.rows,
            "seconds": sum.seconds, "tables": tables(&copied), "left_behind": undeclared,
        });
        output.line(&document.to_string())?;
    }
    Ok(())
}
