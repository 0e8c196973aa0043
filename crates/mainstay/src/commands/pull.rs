//! `mainstay pull`: a database that others made becomes an app.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use mainstay_engine::pull;
use mainstay_lang::analyse::analyse;
use mainstay_lang::diagnostic::render;
use mainstay_lang::naming::to_snake_case;
use mainstay_lang::source::Sources;
use mainstay_store::{DatabaseUrl, Store, StoreOptions};
use serde_json::json;

use crate::output::{Output, Usage};
use crate::runtime::tokio_runtime;

/// Reads the database and writes the app's files, or its one `.stay` file to standard output.
pub(crate) fn run(output: Output, url: &str, folder: Option<&Path>) -> Result<()> {
    let parsed: DatabaseUrl = url.parse().map_err(|error| Usage(format!("{error}")))?;
    let app = name(&parsed, folder);
    let file = folder.map(|folder| folder.join(format!("{app}.stay")));
    if let Some(file) = file.as_ref().filter(|file| file.exists()) {
        bail!(
            "{}: is there already; nothing was changed. Pull into another folder and compare",
            file.display()
        );
    }
    let options = StoreOptions { existing: true, ..StoreOptions::new(parsed.clone()) };
    let pulled = tokio_runtime()?.block_on(async {
        let store = Store::open(&options).map_err(|error| anyhow!("{error}"))?;
        let pulled = pull::pull(&store, &app).await;
        store.close().await;
        pulled.map_err(|error| anyhow!("{error}"))
    })?;
    let Some(pulled) = pulled else {
        bail!(
            "Mainstay made this database: serve it with the .stay files of its app; a backup of it holds them too"
        );
    };
    let text = mainstay_lang::format::format(&pulled.text)
        .map_err(|problems| anyhow!("what was pulled cannot be read: {problems:?}\n{}", pulled.text))?;
    let mut sources = Sources::default();
    sources.add(format!("{app}.stay"), text.clone());
    let analysis = analyse(&sources);
    if analysis.schema.is_none() {
        bail!("what was pulled is no app:\n{}", render(&sources, &analysis.diagnostics, false));
    }
    for note in &pulled.notes {
        output.say(format!("- {note}"));
    }
    output.say(format!(
        "{} tables and {} many-to-many relations; {} notes{}",
        pulled.tables,
        pulled.links,
        pulled.notes.len(),
        if pulled.notes.is_empty() { "" } else { ", which stand in the file too" }
    ));
    match (folder, &file) {
        (Some(folder), Some(file)) => {
            write(folder, file, &text, &parsed, url)?;
            output.say(format!("wrote {0}\n\n  mainstay serve {1}\n", file.display(), folder.display()));
        }
        _ if !output.json => output.line(text.trim_end())?,
        _ => {}
    }
    if output.json {
        let document = json!({
            "app": app, "file": file, "tables": pulled.tables, "links": pulled.links, "notes": pulled.notes,
            "text": if file.is_none() { Some(&text) } else { None },
        });
        output.line(&document.to_string())?;
    }
    Ok(())
}

fn write(folder: &Path, file: &Path, text: &str, parsed: &DatabaseUrl, url: &str) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    let settings = folder.join("mainstay.toml");
    if settings.exists() {
        return Ok(());
    }
    let url = match parsed {
        DatabaseUrl::Sqlite(path) => Some(format!("sqlite:{}", absolute(path)?.display())),
        // A password does not belong into a file that is committed.
        DatabaseUrl::Postgres(_) => (!has_password(url)).then(|| url.to_owned()),
    };
    let text = match url {
        Some(url) => format!("[database]\nurl = {}\n", toml_text(&url)),
        None => {
            "# The database's URL has a password: give it as MAINSTAY_DATABASE or --database.\n".to_owned()
        }
    };
    std::fs::write(&settings, text).with_context(|| format!("writing {}", settings.display()))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("finding {}", path.display()))
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `scheme://user:password@…`, or `password=` among the parameters.
fn has_password(url: &str) -> bool {
    let authority = url.split("://").nth(1).unwrap_or_default();
    let user = authority.split('/').next().and_then(|authority| authority.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':')) || url.contains("password=")
}

/// The app's name: the folder's, else the database's.
fn name(url: &DatabaseUrl, folder: Option<&Path>) -> String {
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let of_url = || match url {
        DatabaseUrl::Sqlite(path) => stem(path),
        DatabaseUrl::Postgres(url) => {
            url.to_string().split('?').next().and_then(|url| url.rsplit('/').next()).map(str::to_owned)
        }
    };
    let name = folder.and_then(stem).or_else(of_url).unwrap_or_default();
    let name = to_snake_case(&name);
    let is_name =
        mainstay_lang::naming::is_snake_case(&name) && !mainstay_lang::reserved::is_expression_word(&name);
    if is_name { name } else { "app".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::has_password;

    #[test]
    fn passwords_are_seen() {
        for (url, expect) in [
            ("postgres://ann:x@db/shop", true),
            ("postgres://ann@db/shop", false),
            ("postgres://db:5432/shop", false),
            ("postgres://ann@db/shop?password=x", true),
        ] {
            assert_eq!(has_password(url), expect, "{url}");
        }
    }
}
