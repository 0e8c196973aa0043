//! The settings files of an app, flattened to dotted names.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use toml::Value;

use super::table::{NAMED, SETTINGS};
use super::{named, unread};

/// Dotted names with their texts and places; later files win.
pub(super) fn read(
    app: &Path,
    environment: &str,
    warnings: &mut Vec<String>,
) -> Result<HashMap<String, (String, String)>> {
    let mut values = HashMap::new();
    let names = [
        "mainstay.toml".to_owned(),
        format!("mainstay.{environment}.toml"),
        "mainstay.local.toml".to_owned(),
    ];
    for name in names {
        let path = app.join(&name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        // The parser's own message shows the line and points at the column.
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => bail!("{}: {error}", path.display()),
        };
        let mut flat = Vec::new();
        flatten("", &Value::Table(table), &mut flat);
        for (key, value) in flat {
            if SETTINGS.iter().any(|setting| setting.name == key) || named::of_file(&key) {
                values.insert(key, (value, name.clone()));
            } else {
                let known = SETTINGS.iter().map(|setting| setting.name);
                let known = known.chain(NAMED.iter().map(|setting| setting.name));
                let nearest = mainstay_lang::suggest::nearest(&key, known);
                warnings.push(unread(&name, &key, nearest));
            }
        }
    }
    Ok(values)
}

/// A list becomes one text with commas, as the environment and flags write it.
fn flatten(prefix: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, into);
            }
        }
        Value::Array(items) => {
            into.push((prefix.to_owned(), items.iter().map(scalar).collect::<Vec<_>>().join(",")));
        }
        other => into.push((prefix.to_owned(), scalar(other))),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
