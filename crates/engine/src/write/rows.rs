//! Every row and link that a request has written, as it stood before and as it stands now.
//!
//! The memory of one request: rules, checks, the change log and the answer's flags are taken from here. A row stands
//! here once, however often it was written; its order is that of its first write.

use std::sync::Arc;

use foldhash::HashMap;
use mainstay_lang::schema::{LinkTable, TableId};
use mainstay_lang::value::Value;
use uuid::Uuid;

use crate::error::{Error, Key};

/// A row's values in the order of its table's columns.
pub(super) type Image = Arc<[Value]>;

/// A key that can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum RowKey {
    /// `uuid`
    Uuid(Uuid),
    /// `int`
    Int(i64),
    /// `text(n)`
    Text(String),
}

impl RowKey {
    /// Of a value that is no null.
    pub(super) fn of(value: &Value) -> RowKey {
        match value {
            Value::Uuid(uuid) => RowKey::Uuid(*uuid),
            Value::Int(int) => RowKey::Int(*int),
            Value::Text(text) => RowKey::Text(text.clone()),
            other => RowKey::Text(other.to_json()),
        }
    }
}

/// A row that was written.
#[derive(Debug)]
pub(super) struct Written {
    /// Its table.
    pub(super) table: TableId,
    /// Its key.
    pub(super) key: Value,
    /// Before the request; `None`: it was made by it.
    pub(super) before: Option<Image>,
    /// Now; `None`: it was deleted.
    pub(super) after: Option<Image>,
    /// The part that wrote it first.
    pub(super) path: String,
}

impl Written {
    /// Whether it is no longer there.
    pub(super) fn is_gone(&self) -> bool {
        self.after.is_none()
    }

    /// What became of it in the end; `None`: it is as it was, or was there only meanwhile.
    pub(super) fn kind(&self) -> Option<Kind> {
        match (&self.before, &self.after) {
            (None, Some(_)) => Some(Kind::New),
            (Some(_), None) => Some(Kind::Deleted),
            (Some(before), Some(after)) if before != after => Some(Kind::Edited),
            _ => None,
        }
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was made.
    New,
    /// It was changed.
    Edited,
    /// It was deleted.
    Deleted,
}

/// A link that was made or ended.
#[derive(Clone, Debug)]
pub(super) struct LinkWritten {
    /// Its table.
    pub(super) link: Arc<LinkTable>,
    /// Key of the declaring side.
    pub(super) owner: Value,
    /// Key of the other side.
    pub(super) target: Value,
    /// Whether it was made.
    pub(super) added: bool,
    /// The part that did it.
    pub(super) path: String,
}

/// What a request has written so far.
#[derive(Debug)]
pub(super) struct Rows {
    places: HashMap<(TableId, RowKey), usize>,
    written: Vec<Written>,
    links: Vec<LinkWritten>,
    writes: usize,
    rows_max: u64,
}

impl Rows {
    /// Nothing yet, and at most so many rows and links.
    pub(super) fn new(rows_max: u64) -> Rows {
        Rows { places: HashMap::default(), written: Vec::new(), links: Vec::new(), writes: 0, rows_max }
    }

    /// How many rows and links there may be.
    pub(super) fn rows_max(&self) -> u64 {
        self.rows_max
    }

    /// How many writes there were, those of one row counted each.
    pub(super) fn writes(&self) -> usize {
        self.writes
    }

    /// Rows in the order in which they were first written.
    pub(super) fn written(&self) -> &[Written] {
        &self.written
    }

    /// Whether a row of a table was.
    pub(super) fn has_written(&self, table: TableId) -> bool {
        self.written.iter().any(|written| written.table == table)
    }

    /// Links in the order in which they were written.
    pub(super) fn links(&self) -> &[LinkWritten] {
        &self.links
    }

    /// Whether anything is other than it was.
    pub(super) fn has_changes(&self) -> bool {
        !self.links.is_empty() || self.written.iter().any(|row| row.kind().is_some())
    }

    /// A row, if it was written.
    pub(super) fn get(&self, table: TableId, key: &Value) -> Option<&Written> {
        self.places.get(&(table, RowKey::of(key))).map(|place| &self.written[*place])
    }

    /// A row as it stands now, when it was read as `image` before; `None` when it was deleted since.
    pub(super) fn current(&self, table: TableId, image: &Image) -> Option<Image> {
        match self.get(table, &image[0]) {
            Some(written) => written.after.clone(),
            None => Some(image.clone()),
        }
    }

    /// Notes a write.
    ///
    /// # Errors
    /// [`Key::Limit`] when there were too many.
    pub(super) fn note(
        &mut self,
        table: TableId,
        before: Option<Image>,
        after: Option<Image>,
        path: &str,
    ) -> Result<(), Error> {
        self.writes += 1;
        let image = after.as_ref().or(before.as_ref());
        let key = image.expect("a write has an image before or after")[0].clone();
        let name = (table, RowKey::of(&key));
        if let Some(place) = self.places.get(&name) {
            self.written[*place].after = after;
            return Ok(());
        }
        self.places.insert(name, self.written.len());
        self.written.push(Written { table, key, before, after, path: path.to_owned() });
        self.refuse_too_many(path)
    }

    /// Notes a link.
    ///
    /// # Errors
    /// As [`Self::note`].
    pub(super) fn note_link(&mut self, change: LinkWritten) -> Result<(), Error> {
        self.writes += 1;
        let path = change.path.clone();
        self.links.push(change);
        self.refuse_too_many(&path)
    }

    fn refuse_too_many(&self, path: &str) -> Result<(), Error> {
        let count = (self.written.len() + self.links.len()) as u64;
        if count <= self.rows_max { Ok(()) } else { Err(too_many(path, self.rows_max)) }
    }
}

/// A request touches more rows than it may.
pub(super) fn too_many(path: &str, rows_max: u64) -> Error {
    Error::at(Key::Limit, path, "rows", format!("a request may write at most {rows_max} rows"))
}
