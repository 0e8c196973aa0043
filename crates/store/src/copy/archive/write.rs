//! Writing a file out of a snapshot.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_lang::schema::Schema;
use mainstay_sql::copy;
use parking_lot::Mutex;

use super::block::{self, Chain};
use super::{ArchiveHead, ArchiveTable, FIRST_LINE, Manifest, ManifestTable};
use crate::StoreError;
use crate::copy::{Checksum, Copied, CopyError, Source, Step};

/// A file that is being written.
struct Writing {
    out: BufWriter<File>,
    chain: Chain,
}

impl Writing {
    fn block(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        block::write(&mut self.out, &mut self.chain, kind, payload)
    }
}

/// Writes everything that a source holds into a file, which has its name once it is whole and on the disk. A file of that
/// name is replaced then. The source has been checked against the schema.
///
/// # Errors
/// When the source cannot be read or the file not be written; nothing is left of it then.
pub async fn write(
    source: &Source,
    schema: &Schema,
    head: ArchiveHead,
    path: &Path,
    watch: &mut (dyn FnMut(Step<'_>) + Send),
) -> Result<Vec<Copied>, CopyError> {
    let unfinished = unfinished(path);
    let written = write_unfinished(source, schema, head, &unfinished, watch).await;
    let failed = |error| CopyError::File { path: path.to_owned(), error };
    match written {
        Ok(copied) => {
            fs::rename(&unfinished, path).map_err(failed)?;
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                // The name is kept by the folder.
                File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
            }
            Ok(copied)
        }
        Err(error) => {
            if let Err(left) = fs::remove_file(&unfinished)
                && left.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %unfinished.display(), error = %left, "an unfinished backup could not be removed");
            }
            Err(error)
        }
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

async fn write_unfinished(
    source: &Source,
    schema: &Schema,
    mut head: ArchiveHead,
    path: &Path,
    watch: &mut (dyn FnMut(Step<'_>) + Send),
) -> Result<Vec<Copied>, CopyError> {
    let failed = |error| CopyError::File { path: path.to_owned(), error };
    let tables = copy::tables(schema);
    head.tables = tables.iter().map(ArchiveTable::of).collect();
    source.kind().clone_into(&mut head.database);
    head.last_change = source.last_change();
    let mut out = BufWriter::new(create(path).map_err(failed)?);
    out.write_all(FIRST_LINE).map_err(failed)?;
    let mut writing = Writing { out, chain: Chain::default() };
    writing.block(block::HEAD, &json(&head)?).map_err(failed)?;
    let writing = Arc::new(Mutex::new(writing));
    let mut copied = Vec::new();
    for table in &tables {
        let at = |error| CopyError::Table { table: table.name.clone(), error };
        watch(Step::Table(&table.name, source.count(table).await.map_err(at)?));
        writing.lock().block(block::TABLE, table.name.as_bytes()).map_err(failed)?;
        let mut batches = source.stream(table);
        let (mut rows, mut checksum) = (0, Checksum::default());
        while let Some(batch) = batches.recv().await {
            let batch = batch.map_err(at)?;
            rows += batch.rows;
            checksum.add(batch.checksum);
            let count = batch.rows;
            let writing = writing.clone();
            let work = move || writing.lock().block(block::ROWS, &batch.tuples);
            let done = tokio::task::spawn_blocking(work).await;
            done.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)?;
            watch(Step::Rows(count));
        }
        copied.push(Copied { table: table.name.clone(), rows, checksum });
    }
    let of = |copied: &Copied| ManifestTable {
        name: copied.table.clone(),
        rows: copied.rows,
        checksum: copied.checksum.to_string(),
    };
    let manifest = Manifest { tables: copied.iter().map(of).collect() };
    let manifest = json(&manifest)?;
    let mut writing = writing.lock();
    writing.block(block::MANIFEST, &manifest).map_err(failed)?;
    writing.out.flush().and_then(|()| writing.out.get_ref().sync_all()).map_err(failed)?;
    Ok(copied)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, CopyError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Other(error.to_string()).into())
}

/// Only its owner reads it: it holds what no rule lets out.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}
