//! The answer to what was written: the rows read again, at the end, as the caller may see them.
//!
//! Rows that show the same are read together. A row that its own request has made unreadable comes back as key and flag
//! alone; a deleted one shows what was asked of it as it stood before.

use std::sync::Arc;

use foldhash::HashMap;
use mainstay_lang::schema::{ColumnId, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::plan::{OutputKind, Select};
use mainstay_store::{Query, ReadLimits};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::rows::{Image, Kind, RowKey};
use super::run::{AnswerRow, Run};
use crate::bind;
use crate::error::Error;
use crate::plan_cache::Plan;

/// Keys in one statement.
const KEYS_MAX: usize = 512;

/// What is shown of rows.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Whose rows.
    pub(super) table: TableId,
    /// How they are read; its first condition stands for the keys, which are not known yet.
    pub(super) select: Select,
    /// The parameters of `select`.
    pub(super) params: Vec<Value>,
    /// Equal when the same is shown.
    pub(super) signature: String,
}

impl Plan for Arc<Shown> {
    fn bytes(&self) -> usize {
        // A select's expressions are not counted one by one: an output takes some hundred bytes.
        self.signature.len() + self.select.outputs.len() * 256
    }
}

/// The JSON of rows, by what is shown of them and their key. Rows that the caller may not read are absent.
type Read<'p> = HashMap<(&'p str, RowKey), String>;

impl Run<'_> {
    /// The JSON objects of rows, joined by commas.
    pub(super) async fn render(&mut self, rows: &[AnswerRow<'_>]) -> Result<String, Error> {
        if let [row] = rows
            && let Some(json) = self.render_one(row).await?
        {
            return Ok(json);
        }
        let mut wanted: Vec<(&Shown, Vec<Value>)> = Vec::new();
        collect(rows, &mut wanted);
        let mut read = Read::default();
        for (shown, keys) in wanted {
            Box::pin(self.read_shown(shown, &keys, &mut read)).await?;
        }
        let mut out = String::new();
        self.write_rows(&mut out, rows, &read);
        Ok(out)
    }

    /// The commonest answer of all: one row that was written and is shown as it is in memory. Any other: `None`.
    async fn render_one(&mut self, row: &AnswerRow<'_>) -> Result<Option<String>, Error> {
        let shown = &row.step.shown;
        if row.was.is_some() || !row.nested.is_empty() || !is_plain(shown) {
            return Ok(None);
        }
        let Some(written) = self.rows.get(shown.table, &row.key) else { return Ok(None) };
        let Some(image) = written.after.clone() else { return Ok(None) };
        let kind = row.done.or(written.kind());
        let Local::Row(mut json) = self.show(shown, &image).await? else { return Ok(None) };
        json.pop();
        json.push_str(end(kind));
        Ok(Some(json))
    }

    /// Reads what rows show before they are deleted.
    pub(super) async fn read_doomed(&mut self, rows: &mut [AnswerRow<'_>]) -> Result<(), Error> {
        let Some(shown) = rows.first().map(|row| &row.step.shown) else { return Ok(()) };
        let keys: Vec<Value> = rows.iter().map(|row| row.key.clone()).collect();
        let mut read = Read::default();
        self.read_shown(shown, &keys, &mut read).await?;
        for row in rows {
            row.was = read.remove(&(shown.signature.as_str(), RowKey::of(&row.key)));
        }
        Ok(())
    }

    async fn read_shown<'p>(
        &mut self,
        shown: &'p Shown,
        keys: &[Value],
        read: &mut Read<'p>,
    ) -> Result<(), Error> {
        let mut left = Vec::new();
        for key in keys {
            let image = self.rows.get(shown.table, key).and_then(|written| written.after.clone());
            let local = match image.filter(|_| is_plain(shown)) {
                Some(image) => self.show(shown, &image).await?,
                None => Local::Unknown,
            };
            match local {
                Local::Row(json) => {
                    read.insert((&shown.signature, RowKey::of(key)), json);
                }
                Local::Hidden => {}
                Local::Unknown => left.push(key.clone()),
            }
        }
        for keys in left.chunks(KEYS_MAX) {
            let first = u32::try_from(shown.params.len()).expect("a request is smaller than 2^32 values");
            let (among, keys) = self.one_of(shown.table, keys, first);
            let mut select = shown.select.clone();
            select.filter[0] = among;
            let params: Vec<Value> = shown.params.iter().cloned().chain(keys).collect();
            let statement = self.prepared.select(&select);
            let values = bind::values(&statement.binds, self.ctx, &params, bind::Images::default());
            let limits = self.read_limits();
            let query = Query { statement, values };
            // Rows whose columns wait were shown from memory.
            let rows = match is_plain(shown) && self.reads_row_alone(shown.table) {
                true => self.json_as_stored(&query, limits).await?,
                false => self.json(&query, limits).await?,
            };
            for row in split(&rows.text)? {
                let id: Id<'_> = serde_json::from_str(row.get()).map_err(Error::internal)?;
                let ty = self.schema().key_type(shown.table);
                let key = Value::from_json(id.id.get(), ty).map_err(Error::internal)?;
                read.insert((&shown.signature, RowKey::of(&key)), row.get().to_owned());
            }
        }
        Ok(())
    }

    /// A row from memory, when what it shows are its own columns and the rule for reading needs no other rows.
    async fn show(&mut self, shown: &Shown, image: &Image) -> Result<Local, Error> {
        if !self.reads_row_alone(shown.table) {
            return Ok(Local::Unknown);
        }
        if !self.is_readable(shown.table, image).await? {
            return Ok(Local::Hidden);
        }
        match object(shown, |column| &image[column.0 as usize]) {
            Some(json) => Ok(Local::Row(json)),
            None => Ok(Local::Unknown),
        }
    }

    fn write_rows(&self, out: &mut String, rows: &[AnswerRow<'_>], read: &Read<'_>) {
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.write_row(out, row, read);
        }
    }

    fn write_row(&self, out: &mut String, row: &AnswerRow<'_>, read: &Read<'_>) {
        let shown = &row.step.shown;
        let kind = match self.rows.get(shown.table, &row.key) {
            Some(written) if written.is_gone() => Some(Kind::Deleted),
            written => row.done.or_else(|| written.and_then(|written| written.kind())),
        };
        let json = row.was.as_ref().or_else(|| read.get(&(shown.signature.as_str(), RowKey::of(&row.key))));
        match json {
            Some(json) => {
                out.push_str(json.strip_suffix('}').unwrap_or(json));
                for nested in &row.nested {
                    out.push_str(&format!(",\"{}\":", nested.name));
                    match (nested.is_list, nested.rows.first()) {
                        (true, _) => {
                            out.push('[');
                            self.write_rows(out, &nested.rows, read);
                            out.push(']');
                        }
                        (false, Some(row)) => self.write_row(out, row, read),
                        (false, None) => out.push_str("null"),
                    }
                }
            }
            None => out.push_str(&format!("{{\"id\":{}", row.key.to_json())),
        }
        out.push_str(end(kind));
    }

    fn read_limits(&self) -> ReadLimits {
        ReadLimits { rows: self.limits.rows, bytes: self.limits.bytes, deadline: self.ctx.deadline }
    }
}

/// A row as a JSON object, where what it shows are its own columns.
fn object<'v>(shown: &Shown, value: impl Fn(ColumnId) -> &'v Value) -> Option<String> {
    let mut json = Vec::with_capacity(64 * shown.select.outputs.len());
    json.push(b'{');
    for output in &shown.select.outputs {
        let OutputKind::Column(column) = output.kind else { return None };
        if json.len() > 1 {
            json.push(b',');
        }
        json.push(b'"');
        json.extend_from_slice(output.name.as_bytes());
        json.extend_from_slice(b"\":");
        value(column).write_json(&mut json);
    }
    json.push(b'}');
    Some(String::from_utf8(json).expect("JSON is text"))
}

/// A plain row that was changed.
pub(super) fn edited<'v>(shown: &Shown, value: impl Fn(ColumnId) -> &'v Value) -> Option<String> {
    let mut json = object(shown, value)?;
    json.pop();
    json.push_str(end(Some(Kind::Edited)));
    Some(json)
}

/// What memory says of a row.
enum Local {
    Row(String),
    Hidden,
    Unknown,
}

/// What stands behind the last member of a row.
fn end(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::New) => ",\"new\":true}",
        Some(Kind::Edited) => ",\"edited\":true}",
        Some(Kind::Deleted) => ",\"deleted\":true}",
        None => "}",
    }
}

/// Whether a row shows its own columns alone, each of them wherever the row is seen.
pub(super) fn is_plain(shown: &Shown) -> bool {
    let is_plain_output = |output: &mainstay_sql::plan::Output| {
        output.guard.is_none() && matches!(output.kind, OutputKind::Column(_))
    };
    // The first condition stands for the keys, behind it is at most the rule for reading.
    shown.select.outputs.iter().all(is_plain_output)
}

/// The rows to be read, together where they show the same.
fn collect<'p>(rows: &[AnswerRow<'p>], wanted: &mut Vec<(&'p Shown, Vec<Value>)>) {
    for row in rows {
        let shown = &row.step.shown;
        if row.was.is_none() {
            match wanted.iter_mut().find(|(known, _)| known.signature == shown.signature) {
                Some((_, keys)) => keys.push(row.key.clone()),
                None => wanted.push((shown, vec![row.key.clone()])),
            }
        }
        row.nested.iter().for_each(|nested| collect(&nested.rows, wanted));
    }
}

/// The key of a row.
#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

/// JSON objects joined by commas, one by one.
fn split(text: &str) -> Result<Vec<Box<RawValue>>, Error> {
    serde_json::from_str(&format!("[{text}]")).map_err(Error::internal)
}
