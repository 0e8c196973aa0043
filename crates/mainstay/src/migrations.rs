//! An app's folder of migrations: `migrations/sqlite` and `migrations/postgres`, read and written.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use mainstay_sql::migration::file::File;
use mainstay_sql::{Dialect, POSTGRES, SQLITE};

/// The kinds of databases, as their folders are called.
const KINDS: [&dyn Dialect; 2] = [SQLITE, POSTGRES];

/// A kind of database, and the migrations for it.
#[derive(Debug)]
pub(crate) struct Migrations {
    /// `sqlite` or `postgres`.
    pub(crate) kind: &'static str,
    pub(crate) dialect: &'static dyn Dialect,
    /// Where its files are, or would be.
    pub(crate) folder: PathBuf,
    /// Its files in their order.
    pub(crate) files: Vec<File>,
}

/// Whether an app has migrations for a kind of database.
pub(crate) fn exist(app: &Path, dialect: &dyn Dialect) -> bool {
    has_files(&folder(app, dialect.kind()))
}

fn folder(app: &Path, kind: &str) -> PathBuf {
    app.join("migrations").join(kind)
}

fn has_files(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| is_sql(&entry.path()))
}

fn is_sql(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sql")
}

/// The migrations of an app for a kind of database.
pub(crate) fn read(app: &Path, dialect: &'static dyn Dialect) -> Result<Migrations> {
    let kind = dialect.kind();
    let folder = folder(app, kind);
    let mut paths = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                paths.push(entry.with_context(|| format!("reading {}", folder.display()))?.path());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    }
    paths.retain(|path| is_sql(path));
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.push(File::parse(&name, &text).map_err(|error| anyhow!("{}: {error}", folder.display()))?);
    }
    files.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    Ok(Migrations { kind, dialect, folder, files })
}

/// The kinds of databases that an app plans for: the one that it runs on, and those that it has a folder for.
pub(crate) fn kinds(app: &Path, own: &dyn Dialect, more: Option<&str>) -> Vec<&'static dyn Dialect> {
    let is_wanted = |dialect: &&dyn Dialect| {
        let kind = dialect.kind();
        kind == own.kind() || more == Some(kind) || folder(app, kind).is_dir()
    };
    KINDS.into_iter().filter(is_wanted).collect()
}

/// Writes a file; one that is there is never written over.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing {}", path.display()))
}
