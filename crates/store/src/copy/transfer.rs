//! Filling a database from a source: begin, or go on; copy; read again; compare; finish.
//!
//! The target is marked as unfinished from its first table on, by a table that goes in the same transaction that makes
//! references and indexes. Until then no server takes it, and the same copy can be run again: rows that are kept are compared
//! with the source as it is then, and a table in which they differ is copied anew.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_lang::schema::Schema;
use mainstay_lang::value::Value;
use mainstay_sql::catalogue::Catalogue;
use mainstay_sql::copy::{self, CopyTable, Misfit};

use super::batch::{Batch, Batches};
use super::{Checksum, CopyError, Destination, Source};
use crate::StoreError;

/// Rows are kept whenever so many bytes of them have come.
const KEEP_BYTES: usize = 8 << 20;

/// What a table's copy has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The table's name in the database.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Their checksum, the same on every database.
    pub checksum: Checksum,
}

/// What is being done, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A table with so many rows is copied.
    Table(&'a str, u64),
    /// So many more rows of it are there.
    Rows(u64),
    /// A table with so many rows is read again.
    Verify(&'a str, u64),
    /// References and indexes are made.
    Finish,
}

/// How a database is to be filled.
#[derive(Clone, Copy, Debug)]
pub struct Filling<'a> {
    /// The schema of the rows.
    pub schema: &'a Schema,
    /// What the source is called; a copy goes on only under the same name.
    pub source_name: &'a str,
    /// Whether everything that the target holds may be dropped first.
    pub replace: bool,
    /// Whether the source may change meanwhile.
    pub while_serving: bool,
}

/// Looks whether a source is a database of the schema, and notes where its change log stands. What it holds beside the
/// schema's tables comes back.
///
/// # Errors
/// When it is not.
pub async fn check_source(source: &mut Source, schema: &Schema) -> Result<Vec<String>, CopyError> {
    let Some(dialect) = source.dialect() else { return Ok(Vec::new()) };
    let found = source.catalogue(dialect).await?;
    let unfinished = found.table(copy::PROGRESS.name).is_some();
    let Misfit { mut missing, undeclared } = copy::misfit(&copy::tables(schema), dialect, &found);
    if unfinished {
        missing.insert(0, "it was left unfinished by a move or a restore itself".to_owned());
    }
    if !missing.is_empty() {
        return Err(CopyError::Misfit(missing));
    }
    source.read_last_change().await?;
    Ok(undeclared)
}

/// Copies everything.
///
/// # Errors
/// What stands in the way. The target is left as it was, or marked as unfinished.
pub async fn transfer(
    source: &Source,
    mut destination: Destination,
    filling: Filling<'_>,
    watch: &mut (dyn FnMut(Step<'_>) + Send),
) -> Result<Vec<Copied>, CopyError> {
    let tables: Vec<Arc<CopyTable>> = copy::tables(filling.schema).into_iter().map(Arc::new).collect();
    let mut kept = begin(&destination, &tables, filling).await?;
    let mut copied = Vec::new();
    for table in &tables {
        let rows = source.count(table).await.map_err(at(table))?;
        watch(Step::Table(&table.name, rows));
        let kept = kept.remove(&table.name).unwrap_or_default();
        if table.of_kind && source.kind() != destination.kind() {
            let checksum = Checksum::default();
            copied.push(Copied { table: table.name.clone(), rows: 0, checksum });
            continue;
        }
        let (rows, checksum) =
            copy_table(source, &mut destination, table, kept, watch).await.map_err(at(table))?;
        copied.push(Copied { table: table.name.clone(), rows, checksum });
    }
    for (table, expected) in tables.iter().zip(&copied) {
        watch(Step::Verify(&table.name, expected.rows));
        verify(&destination, table, expected, watch).await?;
    }
    let (then, now) = (source.last_change(), source.last_change_now().await?);
    if then != now && !filling.while_serving {
        return Err(CopyError::SourceChanged { then, now });
    }
    watch(Step::Finish);
    let finish = copy::finish(filling.schema, destination.dialect());
    destination.script(finish).await.map_err(CopyError::Finish)?;
    destination.close().await?;
    Ok(copied)
}

fn at(table: &CopyTable) -> impl FnOnce(StoreError) -> CopyError {
    let table = table.name.clone();
    move |error| CopyError::Table { table, error }
}

/// Rows of a table that are kept already.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    rows: u64,
    checksum: Checksum,
}

/// Makes the tables of an empty target, or finds out how far an unfinished one has come.
async fn begin(
    destination: &Destination,
    tables: &[Arc<CopyTable>],
    filling: Filling<'_>,
) -> Result<HashMap<String, Kept>, CopyError> {
    let dialect = destination.dialect();
    let found = destination.catalogue().await?;
    let unfinished = found.table(copy::PROGRESS.name).is_some();
    if unfinished {
        match progress(destination, &found, tables, filling.source_name).await {
            Err(CopyError::OtherSource { .. } | CopyError::OtherSchema(_)) if filling.replace => {}
            kept => return kept,
        }
    } else if !found.tables.is_empty() && !filling.replace {
        let tables = found.tables.into_iter().map(|table| table.name).collect();
        return Err(CopyError::NotEmpty { tables });
    }
    let mut statements = copy::drop_all(dialect, &found);
    let none = Checksum::default().to_string();
    let mut begin = copy::begin(filling.schema, dialect, filling.source_name, &none);
    if found.has_setup {
        // What statements call is there already.
        begin.drain(..dialect.setup().len());
    }
    statements.append(&mut begin);
    destination.script(statements).await?;
    Ok(HashMap::new())
}

/// What an unfinished target says of itself.
async fn progress(
    destination: &Destination,
    found: &Catalogue,
    tables: &[Arc<CopyTable>],
    source_name: &str,
) -> Result<HashMap<String, Kept>, CopyError> {
    let dialect = destination.dialect();
    let wanted: Vec<CopyTable> = tables.iter().map(|table| (**table).clone()).collect();
    let Misfit { mut missing, undeclared } = copy::misfit(&wanted, dialect, found);
    let mut kept = HashMap::new();
    for row in destination.values(copy::progress_read(dialect), Vec::new()).await? {
        let [
            Value::Text(table),
            Value::Text(source),
            Value::Int(rows),
            Value::Text(checksum),
            Value::Bool(_),
        ] = row.as_slice()
        else {
            continue;
        };
        if source != source_name {
            return Err(CopyError::OtherSource { source_name: source.clone() });
        }
        if let (Ok(rows), Ok(checksum)) = (u64::try_from(*rows), checksum.parse()) {
            kept.insert(table.clone(), Kept { rows, checksum });
        }
    }
    missing.extend(undeclared.into_iter().map(|place| format!("{place} is not declared")));
    if missing.is_empty() { Ok(kept) } else { Err(CopyError::OtherSchema(missing)) }
}

async fn copy_table(
    source: &Source,
    destination: &mut Destination,
    table: &Arc<CopyTable>,
    kept: Kept,
    watch: &mut (dyn FnMut(Step<'_>) + Send),
) -> Result<(u64, Checksum), StoreError> {
    let mut batches = source.stream(table);
    let mut done = Kept::default();
    if kept.rows > 0 && !skip(&mut batches, kept, &mut done, watch).await? {
        tracing::info!(
            table = table.name,
            "the rows kept so far are not those of the source any more: copied anew"
        );
        destination.script(vec![copy::empty(destination.dialect(), table)]).await?;
        note(destination, table, Kept::default(), false).await?;
        batches = source.stream(table);
        done = Kept::default();
    }
    let mut bytes = 0;
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        let rows = batch.rows;
        done.rows += rows;
        done.checksum.add(batch.checksum);
        bytes += batch.tuples.len();
        destination.append(table, batch).await?;
        if bytes >= KEEP_BYTES {
            note(destination, table, done, false).await?;
            bytes = 0;
        }
        watch(Step::Rows(rows));
    }
    note(destination, table, done, true).await?;
    Ok((done.rows, done.checksum))
}

/// Reads past the rows that are kept; whether they are the same as in the source.
async fn skip(
    batches: &mut Batches,
    kept: Kept,
    done: &mut Kept,
    watch: &mut (dyn FnMut(Step<'_>) + Send),
) -> Result<bool, StoreError> {
    while done.rows < kept.rows {
        let Some(batch) = batches.recv().await else { return Ok(false) };
        let Batch { rows, checksum, .. } = batch?;
        done.rows += rows;
        done.checksum.add(checksum);
        watch(Step::Rows(rows));
    }
    Ok(done.rows == kept.rows && done.checksum == kept.checksum)
}

async fn note(
    destination: &mut Destination,
    table: &CopyTable,
    done: Kept,
    complete: bool,
) -> Result<(), StoreError> {
    let rows = i64::try_from(done.rows).unwrap_or(i64::MAX);
    let values = vec![
        Value::Int(rows),
        Value::Text(done.checksum.to_string()),
        Value::Bool(complete),
        Value::Text(table.name.clone()),
    ];
    let statement = copy::progress_update(destination.dialect());
    destination.commit(statement, values).await
}

/// Reads a table again and compares it with what was written.
async fn verify(
    destination: &Destination,
    table: &CopyTable,
    expected: &Copied,
    watch: &mut (dyn FnMut(Step<'_>) + Send),
) -> Result<(), CopyError> {
    let mut batches = destination.stream(table).await.map_err(at(table))?;
    let mut found = Kept::default();
    while let Some(batch) = batches.recv().await {
        let Batch { rows, checksum, .. } = batch.map_err(at(table))?;
        found.rows += rows;
        found.checksum.add(checksum);
        watch(Step::Rows(rows));
    }
    if (found.rows, found.checksum) == (expected.rows, expected.checksum) {
        return Ok(());
    }
    Err(CopyError::Differs {
        table: table.name.clone(),
        rows: expected.rows,
        checksum: expected.checksum,
        found_rows: found.rows,
        found: found.checksum,
    })
}
