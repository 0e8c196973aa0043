//! One data set for every server: made by Mainstay's own import, then copied.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Rows of the flat tables, as PocketBase's own benchmarks use.
const ROWS: usize = 2_000;

/// The app, loaded.
#[derive(Clone)]
pub(crate) struct Data {
    /// The `mainstay` binary.
    pub(crate) binary: PathBuf,
    /// The app's folder with its data.
    pub(crate) app: PathBuf,
    /// The URL of its database, where that is not in the folder.
    pub(crate) database: Option<String>,
    /// The user who owns the tasks.
    pub(crate) user: String,
    /// The user's access token.
    pub(crate) token: String,
    /// What signs tokens.
    pub(crate) secret: String,
}

/// The server that `BENCH_BINARY` names, or one built now.
pub(crate) fn binary() -> Result<PathBuf> {
    match std::env::var_os("BENCH_BINARY") {
        Some(path) => Ok(PathBuf::from(path)),
        None => build(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?),
    }
}

/// Makes the app in `folder` and fills it: its own embedded database, or that of a URL.
pub(crate) fn prepare(folder: &Path, database: Option<&str>) -> Result<Data> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let binary = binary()?;
    let app = folder.join("app");
    fs::create_dir_all(&app)?;
    fs::copy(root.join("bench/app/bench.stay"), app.join("bench.stay"))?;
    let secret = "9fXQ2c7mTz4LrVbN8sKpWd3hYj6GtEaU".to_owned();

    let run = |words: &[&str]| -> Result<String> {
        let mut command = Command::new(&binary);
        command.args(words).env("MAINSTAY_AUTH_SECRET", &secret);
        if let Some(database) = database {
            command.env("MAINSTAY_DATABASE", database);
        }
        let output = command.output()?;
        if !output.status.success() {
            bail!("mainstay {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let folder_text = app.display().to_string();
    let user = run(&["user", "create", &folder_text, "--email", "bench@example.com", "--name", "Bench"])?;
    let token = run(&["user", "token", &folder_text, &user, "--ttl", "7d"])?;

    let music = root.join("examples/chinook/seed");
    let columns: &[(&str, &str, &[&str])] = &[
        ("Artist", "03_Artist.csv", &["id", "name"]),
        ("Album", "04_Album.csv", &["id", "artist", "title"]),
        ("Track", "05_Track.csv", &["id", "album", "milliseconds", "name", "unit_price", "genre"]),
    ];
    for (table, file, keep) in columns {
        let path = folder.join(format!("{table}.csv"));
        fs::write(&path, columns_kept(&music.join(file), keep)?)?;
        run(&["import", &folder_text, table, &path.display().to_string()])?;
    }
    let (items, tasks) = (folder.join("Item.ndjson"), folder.join("Task.ndjson"));
    let (mut item_lines, mut task_lines) = (fs::File::create(&items)?, fs::File::create(&tasks)?);
    for number in 0..ROWS {
        writeln!(item_lines, r#"{{"title":"Item number {number}","rank":{number}}}"#)?;
        writeln!(task_lines, r#"{{"title":"Task number {number}","rank":{number},"owner":"{user}"}}"#)?;
    }
    run(&["import", &folder_text, "Item", &items.display().to_string()])?;
    run(&["import", &folder_text, "Task", &tasks.display().to_string()])?;

    let database = database.map(str::to_owned);
    Ok(Data { binary, app, database, user, token, secret })
}

/// The server in release mode.
fn build(root: &Path) -> Result<PathBuf> {
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--package", "mainstay"])
        .current_dir(root)
        .status()
        .context("building mainstay")?;
    if !built.success() {
        bail!("mainstay does not build");
    }
    Ok(root.join("target/release/mainstay"))
}

/// A csv file with some of its columns.
fn columns_kept(path: &Path, keep: &[&str]) -> Result<String> {
    let text = fs::read_to_string(path)?;
    let head = fields(text.lines().next().context("a head line")?);
    let mut lines = String::new();
    for line in text.lines() {
        let kept = head.iter().zip(fields(line)).filter(|(name, _)| keep.contains(&name.as_str()));
        let kept: Vec<String> =
            kept.map(|(_, value)| format!("\"{}\"", value.replace('"', "\"\""))).collect();
        lines.push_str(&kept.join(","));
        lines.push('\n');
    }
    Ok(lines)
}

/// The fields of one csv line; quotes are doubled inside quotes, and no field of these files has a line end.
pub(crate) fn fields(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                found.last_mut().expect("never empty").push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            other => found.last_mut().expect("never empty").push(other),
        }
    }
    found
}
