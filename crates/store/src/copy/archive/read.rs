//! Reading a file: all of it once, to know that it is whole, then table by table.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_sql::copy::CopyTable;

use super::block::{self, Block, Broken, Chain};
use super::{ArchiveHead, ArchiveTable, FIRST_LINE, FIRST_WORDS, Manifest, Place};
use crate::StoreError;
use crate::copy::batch::{self, Batches};
use crate::copy::{Checksum, Copied, CopyError, tuple};

/// A file that was found whole.
#[derive(Clone, Debug)]
pub struct Archive {
    path: PathBuf,
    head: ArchiveHead,
    places: HashMap<String, (Place, Chain)>,
}

/// A file whose tables are those of a schema.
#[derive(Clone, Debug)]
pub struct ArchiveSource(Arc<Archive>);

impl Archive {
    /// Reads a file from its beginning to its end. `watch` is told how much of how much was read.
    ///
    /// # Errors
    /// When it is none, or not whole.
    pub fn open(path: &Path, watch: &mut dyn FnMut(u64, u64)) -> Result<Archive, CopyError> {
        let failed = |error| CopyError::File { path: path.to_owned(), error };
        let wrong = |detail: String| CopyError::Archive { path: path.to_owned(), detail };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut from = BufReader::with_capacity(1 << 20, file);
        first_line(&mut from, size).map_err(&wrong)?;
        let mut reading =
            Reading { from, size, left: size - FIRST_LINE.len() as u64, chain: Chain::default() };
        let head = match reading.next().map_err(&wrong)? {
            Some(Block { kind: block::HEAD, payload }) => {
                serde_json::from_slice::<ArchiveHead>(&payload).map_err(|error| wrong(error.to_string()))?
            }
            _ => return Err(wrong("it does not begin as a backup does".to_owned())),
        };
        let places = reading.tables(&head, watch).map_err(&wrong)?;
        Ok(Archive { path: path.to_owned(), head, places })
    }

    /// What it says of itself.
    pub fn head(&self) -> &ArchiveHead {
        &self.head
    }

    /// Its tables in their order, with what they hold.
    pub fn tables(&self) -> Vec<Copied> {
        let of = |table: &ArchiveTable| {
            self.places.get(&table.name).map(|(place, _)| Copied {
                table: table.name.clone(),
                rows: place.rows,
                checksum: place.checksum,
            })
        };
        self.head.tables.iter().filter_map(of).collect()
    }

    /// As a source of the tables of a schema. What they have beside the file's stays empty.
    ///
    /// # Errors
    /// When the file holds what they have no place for.
    pub fn source(self, tables: &[CopyTable]) -> Result<ArchiveSource, CopyError> {
        let mut missing = Vec::new();
        for table in &self.head.tables {
            let Some(known) = tables.iter().find(|known| known.name == table.name) else {
                missing.push(format!("the table {}", table.name));
                continue;
            };
            let known = ArchiveTable::of(known);
            let lacks = |column: &&super::ArchiveColumn| !known.columns.contains(column);
            let columns = table.columns.iter().filter(lacks);
            missing.extend(columns.map(|column| format!("{}.{} ({})", table.name, column.name, column.form)));
        }
        if missing.is_empty() {
            return Ok(ArchiveSource(Arc::new(self)));
        }
        let detail = format!("it holds what this version has no place for: {}", missing.join(", "));
        Err(CopyError::Archive { path: self.path, detail })
    }
}

fn first_line(from: &mut BufReader<File>, size: u64) -> Result<(), String> {
    let mut line = [0; FIRST_LINE.len()];
    if size < line.len() as u64 {
        return Err("it is no backup".to_owned());
    }
    from.read_exact(&mut line).map_err(|error| error.to_string())?;
    if line == FIRST_LINE {
        Ok(())
    } else if line.starts_with(FIRST_WORDS) {
        Err("it was made by another version, in a form that this one cannot read".to_owned())
    } else {
        Err("it is no backup".to_owned())
    }
}

/// A file that is being read.
struct Reading {
    from: BufReader<File>,
    size: u64,
    left: u64,
    chain: Chain,
}

impl Reading {
    fn next(&mut self) -> Result<Option<Block>, String> {
        let at = self.size - self.left;
        block::read(&mut self.from, &mut self.chain, &mut self.left).map_err(|broken| match broken {
            Broken::CutOff => format!("it is cut off: a part that begins at byte {at} is not all there"),
            Broken::Damaged => format!("it is damaged: the part at byte {at} is not what was written"),
            Broken::Io(error) => error.to_string(),
        })
    }

    /// Reads everything behind the head; where each table's rows begin.
    fn tables(
        &mut self,
        head: &ArchiveHead,
        watch: &mut dyn FnMut(u64, u64),
    ) -> Result<HashMap<String, (Place, Chain)>, String> {
        let mut places = HashMap::new();
        let mut current: Option<(&ArchiveTable, Place, Chain)> = None;
        loop {
            watch(self.size - self.left, self.size);
            let Some(Block { kind, payload }) = self.next()? else {
                return Err("it is cut off: its end is missing".to_owned());
            };
            match (kind, &mut current) {
                (block::TABLE, _) => {
                    if let Some((table, place, chain)) = current.take() {
                        places.insert(table.name.clone(), (place, chain));
                    }
                    let table = head.tables.iter().find(|table| table.name.as_bytes() == payload);
                    let table = table.ok_or("it holds a table that its head does not name")?;
                    let offset = self.size - self.left;
                    let place = Place { offset, rows: 0, checksum: Checksum::default() };
                    current = Some((table, place, self.chain));
                }
                (block::ROWS, Some((table, place, _))) => {
                    let mut rest = &payload[..];
                    while !rest.is_empty() {
                        let tuple = tuple::take(&mut rest, table.columns.len());
                        let tuple = tuple.ok_or_else(|| format!("a row of {} cannot be read", table.name))?;
                        place.rows += 1;
                        place.checksum.add_row(tuple);
                    }
                }
                (block::MANIFEST, _) => {
                    if let Some((table, place, chain)) = current.take() {
                        places.insert(table.name.clone(), (place, chain));
                    }
                    if self.left > 0 {
                        return Err("there is more behind its end".to_owned());
                    }
                    compare(&payload, &places)?;
                    return Ok(places);
                }
                _ => return Err("it holds a part that this version does not know".to_owned()),
            }
        }
    }
}

/// That the tables are those of the manifest, and no others.
fn compare(manifest: &[u8], places: &HashMap<String, (Place, Chain)>) -> Result<(), String> {
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(|error| error.to_string())?;
    for table in &manifest.tables {
        let same = places.get(&table.name).is_some_and(|(place, _)| {
            place.rows == table.rows && place.checksum.to_string() == table.checksum
        });
        if !same {
            return Err(format!("the rows of {} are not those that its end tells of", table.name));
        }
    }
    if manifest.tables.len() == places.len() {
        Ok(())
    } else {
        Err("its end does not name all its tables".to_owned())
    }
}

impl ArchiveSource {
    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn database(&self) -> &str {
        &self.0.head.database
    }

    pub(crate) fn last_change(&self) -> i64 {
        self.0.head.last_change
    }

    pub(crate) fn rows(&self, table: &str) -> u64 {
        self.0.places.get(table).map_or(0, |(place, _)| place.rows)
    }

    /// All rows of a table, as its tuples are to be: columns that the file does not have are null.
    pub(crate) fn stream(&self, table: &CopyTable) -> Batches {
        let (mut sender, batches) = batch::channel();
        let (archive, table) = (self.0.clone(), table.clone());
        tokio::task::spawn_blocking(move || {
            let read = read(&archive, &table, &mut sender);
            sender.blocking_end(read);
        });
        batches
    }
}

fn read(archive: &Archive, table: &CopyTable, sender: &mut batch::Sender) -> Result<(), StoreError> {
    let Some((place, chain)) = archive.places.get(&table.name) else { return Ok(()) };
    let held = archive.head.tables.iter().find(|held| held.name == table.name);
    let held = held.ok_or_else(|| StoreError::Other(format!("{} is not in the backup", table.name)))?;
    let wanted = table.columns.iter();
    let places: Vec<Option<usize>> =
        wanted.map(|wanted| held.columns.iter().position(|column| column.name == wanted.name)).collect();
    let same = places.iter().copied().eq((0..held.columns.len()).map(Some));
    let io =
        |error: std::io::Error| StoreError::Io { detail: format!("{}: {error}", archive.path.display()) };
    let changed =
        |_| StoreError::Io { detail: format!("{}: it has changed meanwhile", archive.path.display()) };
    let mut file = File::open(&archive.path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    file.seek(SeekFrom::Start(place.offset)).map_err(io)?;
    let mut from = BufReader::with_capacity(1 << 20, file);
    let (mut chain, mut left) = (*chain, size.saturating_sub(place.offset));
    while let Some(Block { kind: block::ROWS, payload }) =
        block::read(&mut from, &mut chain, &mut left).map_err(changed)?
    {
        let mut rest = &payload[..];
        while let Some(tuple) = tuple::take(&mut rest, held.columns.len()) {
            let tuples = sender.tuples();
            let from = tuples.len();
            if same {
                tuples.extend_from_slice(tuple);
            } else {
                rearrange(tuple, &places, tuples);
            }
            if sender.end_row(from) && sender.blocking_send().is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A tuple with its columns at other places.
fn rearrange(mut tuple: &[u8], places: &[Option<usize>], out: &mut Vec<u8>) {
    tuple::take_columns(&mut tuple);
    let mut raws = Vec::new();
    while let Some(raw) = tuple::take_raw(&mut tuple) {
        raws.push(raw);
    }
    tuple::begin(out, places.len());
    for place in places {
        match place.and_then(|place| raws.get(place).copied().flatten()) {
            Some(raw) => tuple::put(out, tuple::Field::Bytes(raw)),
            None => tuple::put(out, tuple::Field::Null),
        }
    }
}
