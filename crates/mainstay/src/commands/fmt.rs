//! `mainstay fmt`: one canonical layout.

use anyhow::{Context, Result, bail};
use mainstay_lang::diagnostic::render;
use mainstay_lang::format::format;
use mainstay_lang::source::Sources;
use serde_json::json;

use crate::app;
use crate::cli::App;
use crate::output::Output;
use crate::settings::check_flags;

/// Rewrites the files that are laid out otherwise, or only names them. A file that cannot be parsed stops all: nothing
/// is written.
pub(crate) fn run(output: Output, app: &App, check: bool) -> Result<()> {
    check_flags(&app.folder, &app.settings)?;
    let folder = &app.folder;
    let mut changed = Vec::new();
    let mut broken = 0;
    for (path, text) in app::stay_files(folder)? {
        match format(&text) {
            Ok(laid_out) if laid_out == text => {}
            Ok(laid_out) => changed.push((path, laid_out)),
            Err(diagnostics) => {
                let mut sources = Sources::default();
                sources.add(path.display().to_string(), text);
                output.say(render(&sources, &diagnostics, output.color()));
                broken += 1;
            }
        }
    }
    if broken > 0 {
        bail!("{broken} files cannot be parsed; nothing was changed");
    }
    for (path, laid_out) in &changed {
        if !check {
            std::fs::write(path, laid_out).with_context(|| format!("writing {}", path.display()))?;
        }
        output.say(path.display().to_string());
    }
    if output.json {
        let paths: Vec<_> = changed.iter().map(|(path, _)| path).collect();
        output.line(&json!({"changed": paths}).to_string())?;
    }
    if check && !changed.is_empty() {
        bail!("{} files are not laid out canonically: mainstay fmt {}", changed.len(), folder.display());
    }
    Ok(())
}
