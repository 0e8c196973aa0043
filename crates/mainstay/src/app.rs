//! An app's folder: its files as one schema.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mainstay_lang::source::Sources;

use crate::cli::App;
use crate::plugins;

/// Every `.stay` file below the folder, in name order, with names relative to it.
pub(crate) fn stay_files(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    if !folder.is_dir() {
        bail!(
            "{}: no such folder; an app is a folder with .stay files (mainstay new {0} makes one)",
            folder.display()
        );
    }
    let mut files = Vec::new();
    collect(folder, folder, &mut files)?;
    if files.is_empty() {
        bail!("{}: no .stay file in it; is it an app?", folder.display());
    }
    files.sort();
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, String)>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // The data folder and hidden folders hold no source.
        if path.is_dir() && !name.starts_with('.') && !(folder == root && name == "data") {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "stay") {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            files.push((path, text));
        }
    }
    Ok(())
}

/// The app's sources with what the platform and its plugins add.
pub(crate) fn sources(app: &App) -> Result<Sources> {
    let folder = &app.folder;
    let files = stay_files(folder)?;
    let mut sources = plugins::sources(app, &files)?;
    for (path, text) in files {
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        sources.add(name, text);
    }
    Ok(sources)
}
