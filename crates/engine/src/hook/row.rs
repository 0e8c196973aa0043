//! Rows as hooks hold them: read and set by name, in the wire's form.
//!
//! What a hook sets is read as what a caller sends is: white space, type, bounds and patterns, at once, so that the line that
//! sets a wrong value is the one that fails. Columns that the server keeps are not set by hooks either.

use std::sync::Arc;

use mainstay_lang::schema::{Column, ColumnId, Operation, Schema, Table, TableId};
use mainstay_lang::suggest::nearest;
use mainstay_lang::value::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Key};
use crate::write::{Problems, read_value};

/// A type that stands for the rows of a table: `mainstay::schema!` makes one for each.
pub trait RowType: Sized + Send + 'static {
    /// The table's name.
    const TABLE: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// When the row has not the columns that the type was made for.
    fn read(row: &Row) -> Result<Self, Error>;

    /// Sets the columns that differ.
    ///
    /// # Errors
    /// When a column does not take its value.
    fn write(&self, row: &mut Row) -> Result<(), Error>;
}

/// A row of a table.
#[derive(Clone, Debug)]
pub struct Row {
    schema: Arc<Schema>,
    table: TableId,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(schema: &Arc<Schema>, table: TableId, values: &[Value]) -> Row {
        Row { schema: schema.clone(), table, values: values.to_vec() }
    }

    /// Its values, in the order of the table's columns.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    fn declared(&self) -> &Table {
        self.schema.table(self.table)
    }

    /// The name of its table.
    pub fn table(&self) -> &str {
        &self.declared().name
    }

    /// Its key.
    pub fn key(&self) -> &Value {
        &self.values[ColumnId::ID.0 as usize]
    }

    /// The value of a column; of a to-one relation the key of its row.
    ///
    /// # Errors
    /// When the table has no such column.
    pub fn value(&self, column: &str) -> Result<&Value, Error> {
        Ok(&self.values[self.column(column)?.id.0 as usize])
    }

    /// The text in a column; `None`: it is null, no text, or not there.
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.value(column) {
            Ok(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of a column, read from its wire form.
    ///
    /// # Errors
    /// When the table has no such column, or the type cannot hold its value.
    pub fn get<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        serde_json::from_str(&self.value(column)?.to_json())
            .map_err(|error| Error::internal(format!("{}.{column} is read as: {error}", self.table())))
    }

    /// Gives a column a value in its wire form.
    ///
    /// # Errors
    /// When the table has no such column, the server keeps it, or it does not take the value.
    pub fn set(&mut self, column: &str, value: impl Serialize) -> Result<(), Error> {
        let json = serde_json::to_string(&value).map_err(Error::internal)?;
        let declared = self.column(column)?;
        let id = declared.id;
        let mut problems = Problems::default();
        let ty = self.schema.storage_type(&declared.ty);
        let read = read_value(declared, ty, &json, &format!("/{}", declared.name), &mut problems);
        let kept = declared.is_managed() || id == ColumnId::ID || Some(id) == self.declared().tenant;
        problems.into_result()?;
        let Some(read) = read else { return Ok(()) };
        if kept && self.values[id.0 as usize] != read {
            let words = format!("{}.{column} is kept by the server", self.table());
            return Err(Error::at(Key::Invalid, format!("/{column}"), "managed", words));
        }
        self.values[id.0 as usize] = read;
        Ok(())
    }

    /// The row as a value of its type.
    ///
    /// # Errors
    /// When it is of another table.
    pub fn read<T: RowType>(&self) -> Result<T, Error> {
        if self.table() != T::TABLE {
            let words = format!("a row of {} is read as one of {}", self.table(), T::TABLE);
            return Err(Error::internal(words));
        }
        T::read(self)
    }

    fn column(&self, name: &str) -> Result<&Column, Error> {
        let table = self.declared();
        table.column_named(name).ok_or_else(|| {
            let names = table.columns.iter().map(|column| column.name.as_str());
            let nearest = nearest(name, names).map(|name| format!(", did you mean `{name}`?"));
            let words = format!("{} has no column `{name}`{}", table.name, nearest.unwrap_or_default());
            Error::internal(words)
        })
    }
}

/// A row that is about to be written.
#[derive(Debug)]
pub struct Processing {
    /// Before the change; `None`: the row is new.
    pub old: Option<Row>,
    /// As it is to be written; what is set here is written.
    pub row: Row,
}

/// A row that was changed.
#[derive(Clone, Debug)]
pub struct Update {
    /// Before.
    pub old: Row,
    /// Now.
    pub new: Row,
}

impl Update {
    /// Whether a column holds another value than before.
    pub fn changed(&self, column: &str) -> bool {
        matches!((self.old.value(column), self.new.value(column)), (Ok(old), Ok(new)) if old != new)
    }
}

/// Rows that one part of a request has changed.
#[derive(Debug)]
pub struct Updated {
    /// Each of them, in the order in which they were written.
    pub rows: Vec<Update>,
}

/// Links of one row that were made or ended.
#[derive(Clone, Debug)]
pub struct ListUpdated {
    /// The key of the row whose list it is.
    pub row: Value,
    /// The relation, by the name that it has in the table of the hook.
    pub relation: String,
    /// Keys of the rows that were added.
    pub added: Vec<Value>,
    /// Keys of those that were taken out.
    pub removed: Vec<Value>,
}

/// Rows that are about to be deleted.
#[derive(Debug)]
pub struct Deleted {
    /// Each of them, as it stands.
    pub rows: Vec<Row>,
}

/// A change that a rule in Rust is asked about.
#[derive(Debug)]
pub struct Changing {
    /// Create, update, delete, link or unlink.
    pub operation: Operation,
    /// Before the change; `None`: the row is new.
    pub old: Option<Row>,
    /// After the change; `None`: the row is to be deleted.
    pub new: Option<Row>,
    /// The link that is to be made or ended; `None`: it is the row that is to change.
    pub link: Option<Linking>,
}

/// A link that is to be made or ended.
#[derive(Clone, Debug)]
pub struct Linking {
    /// The relation, by the name that it has in the table that declares it.
    pub relation: String,
    /// The key of the row at the other end.
    pub target: Value,
}

/// Rows of a hook as values of their type.
pub mod typed {
    /// A row that is about to be written; see [`super::Processing`].
    #[derive(Debug)]
    pub struct Processing<T> {
        /// Before the change; `None`: the row is new.
        pub old: Option<T>,
        /// As it is to be written; what is set here is written.
        pub row: T,
    }

    /// A row that was changed; see [`super::Update`].
    #[derive(Debug)]
    pub struct Update<T> {
        /// Before.
        pub old: T,
        /// Now.
        pub new: T,
    }
}
