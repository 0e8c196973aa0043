//! The files that a macro names, understood.

use std::path::{Path, PathBuf};

use mainstay_lang::analyse::analyse;
use mainstay_lang::diagnostic::{Severity, render};
use mainstay_lang::schema::Schema;
use mainstay_lang::source::Sources;
use proc_macro::{TokenStream, TokenTree};

/// The platform's own tables, which an app's files may name.
const USERS: &str = include_str!("../../engine/src/prelude/users.stay");

/// A schema with the files that it was read from.
pub(crate) struct Found {
    pub(crate) schema: Schema,
    pub(crate) files: Vec<PathBuf>,
}

/// The texts between the macro's brackets.
pub(crate) fn paths(input: TokenStream) -> Result<Vec<String>, String> {
    const EXPECTED: &str = "schema! takes paths as texts, such as schema!(\"app.stay\")";
    let mut paths = Vec::new();
    for tree in input {
        match tree {
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let path = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or(EXPECTED)?;
                paths.push(path.to_owned());
            }
            TokenTree::Punct(punct) if punct.as_char() == ',' => {}
            _ => return Err(EXPECTED.to_owned()),
        }
    }
    if paths.is_empty() { Err(EXPECTED.to_owned()) } else { Ok(paths) }
}

/// Reads and understands them.
pub(crate) fn schema(paths: &[String]) -> Result<Found, String> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut sources = Sources::default();
    sources.add_platform("<users>", USERS);
    let mut files = Vec::new();
    for path in paths {
        collect(&root.join(path), &mut files)?;
    }
    files.sort();
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        // Whole paths: an editor or terminal that shows the error can open them.
        sources.add(file.display().to_string(), text);
    }
    let analysis = analyse(&sources);
    let mut problems = analysis.diagnostics;
    problems.retain(|problem| problem.severity == Severity::Error);
    match analysis.schema {
        Some(schema) if problems.is_empty() => Ok(Found { schema, files }),
        _ => Err(format!("the schema has errors\n\n{}", render(&sources, &problems, false))),
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_source = path.extension().is_some_and(|extension| extension == "stay");
        // The data folder and hidden folders hold no source, nor does what is built.
        if is_source || path.is_dir() && !name.starts_with('.') && name != "data" && name != "target" {
            collect(&path, files)?;
        }
    }
    Ok(())
}
