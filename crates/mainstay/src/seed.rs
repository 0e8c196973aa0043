//! The app's `seed/` folder, run once, in name order, into a new development database.
//!
//! A `.json` file is a query document, run past the rules; `Track.csv`, `02_Album.ndjson` and `03_Playlist.tracks.csv` hold
//! the rows of the table, or the links of the relation, that they are named after. Each file is one transaction under a key
//! of its own: servers that start together on one database all come by, and each file is loaded by whoever comes first, the
//! others waiting for it. Nor is a file loaded again when the server that began was stopped between two of them. The
//! database remembers that it was seeded.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use indicatif::ProgressBar;
use mainstay_engine::document;
use mainstay_engine::part::{Idempotency, Operation};
use sha2::{Digest as _, Sha256};

use crate::cli::App;
use crate::commands::import::{self, Mode};
use crate::commands::query::refusal;
use crate::output::Output;
use crate::runtime::Runtime;

/// Loads the seed files and remembers it; fails with the file and line that cannot be loaded. Only for a database that
/// waits for it.
pub(crate) fn run(output: Output, app: &App) -> Result<()> {
    let folder = app.folder.join("seed");
    // The server's limits guard it against its clients; the author's own files are loaded without them.
    let runtime = Runtime::open(output, app)?;
    if !folder.is_dir() {
        return runtime.block_on(runtime.engine.seed_finish()).map_err(|error| refusal(&error));
    }
    let start = Instant::now();
    let files = files(&folder)?;
    let mut rows = 0;
    for file in &files {
        let loaded = load(&runtime, file).with_context(|| {
            format!("seeding stopped at {}; mend it, delete the data folder and start again", file.display())
        });
        rows += loaded?;
    }
    runtime.block_on(runtime.engine.seed_finish()).map_err(|error| refusal(&error))?;
    output.say(format!(
        "seeded {rows} rows from {} files in {:.1} s",
        files.len(),
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_file() && !is_hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The key under which a file is loaded.
fn once(file: &Path) -> Result<Idempotency> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let name = file.file_name().unwrap_or_default();
    let hash = Sha256::digest(name.as_encoded_bytes());
    let key = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Idempotency {
        key,
        target: format!("seed {}", name.display()),
        body_hash: Sha256::digest(&text).into(),
    })
}

fn load(runtime: &Runtime, file: &Path) -> Result<usize> {
    let once = once(file)?;
    if file.extension().is_some_and(|extension| extension == "json") {
        return load_document(runtime, file, once);
    }
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let target = stem.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '-');
    let mode = Mode { once: Some(&once), ..Mode::default() };
    let report = import::into(runtime, target, file, mode, &ProgressBar::hidden())?;
    if let Some(problem) = report.problems.first() {
        bail!("line {problem} ({} bad rows in all)", report.problems.len());
    }
    Ok(report.imported)
}

fn load_document(runtime: &Runtime, file: &Path, once: Idempotency) -> Result<usize> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let documents = document::parse(&text).map_err(|error| refusal(&error))?;
    let operation = Operation { documents, idempotency: Some(once), ..Operation::default() };
    let response = runtime
        .block_on(runtime.engine.execute(&runtime.admin(), &operation))
        .map_err(|error| refusal(&error))?;
    let rows: u64 =
        response.documents.iter().flat_map(|document| &document.entries).map(|entry| entry.row_count).sum();
    usize::try_from(rows).map_err(|_| anyhow!("more rows than memory holds"))
}
