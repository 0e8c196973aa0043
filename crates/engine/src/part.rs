//! A request as it was asked, before any name is looked up.
//!
//! The query language's JSON and REST's parameters both become [`Document`]s of [`Part`]s here; everything behind
//! this knows neither. Values stay raw JSON text, because only the column they meet says how they are read, and
//! a number must not lose digits on the way.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::Error;

/// The text of one JSON value: a piece of the request, shared with it. Always valid JSON.
#[derive(Clone)]
pub struct Raw {
    request: Arc<str>,
    range: Range<usize>,
}

impl Raw {
    /// A text that is one valid JSON value.
    pub fn new(json: impl Into<Arc<str>>) -> Raw {
        let request = json.into();
        let range = 0..request.len();
        Raw { request, range }
    }

    /// The JSON string of a text.
    pub fn of_text(text: &str) -> Raw {
        Raw::new(serde_json::to_string(text).expect("a text is always JSON"))
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        &self.request[self.range.clone()]
    }

    /// The piece that `slice` is, which must lie within this one's text.
    pub(crate) fn piece(&self, slice: &str) -> Raw {
        let start = slice.as_ptr() as usize - self.request.as_ptr() as usize;
        debug_assert!(self.request.get(start..start + slice.len()) == Some(slice));
        Raw { request: self.request.clone(), range: start..start + slice.len() }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

/// One operation: documents that run in order, in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// The documents.
    pub documents: Vec<Document>,
    /// `Idempotency-Key` with what it is bound to.
    pub idempotency: Option<Idempotency>,
    /// Ids of warnings that the caller accepts.
    pub accepted_warnings: Vec<String>,
    /// `?explain`: also answer the SQL, its plan and timings.
    pub explain: bool,
}

impl Operation {
    /// The same, in which rows change hands: relations that are `immutable` may be set. It is for the server's own code, where somebody
    /// turns out to be somebody else; no request can say it.
    pub fn handing_over(mut self) -> Operation {
        let parts = self
            .documents
            .iter_mut()
            .flat_map(|document| &mut document.entries)
            .flat_map(|entry| &mut entry.parts);
        parts.for_each(|part| part.hands_over = true);
        self
    }
}

/// What an idempotency key is bound to beside the caller and tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key as sent.
    pub key: String,
    /// Method and path.
    pub target: String,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

/// `{"Table": part | [parts], …}`: parts in document order.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Top-level entries in order.
    pub entries: Vec<Entry>,
}

/// One top-level member of a document.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The table's name as written.
    pub table: String,
    /// Its parts in order; their answers are joined in one array.
    pub parts: Vec<Part>,
}

/// A part: constraints on columns and relations, plus keywords.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// JSON pointer to the part in the request, for errors: `/Order/0/lines/2`.
    pub path: String,
    /// The keywords that it names, in order, as written.
    pub keywords: Vec<&'static str>,
    /// Constraints, values to create with, nested parts: everything that is no keyword, in order.
    pub fields: Vec<(String, Field)>,
    /// `get`: `None` when absent.
    pub get: Option<Vec<Get>>,
    /// `create: true`
    pub create: bool,
    /// `set`
    pub set: Option<Vec<(String, Field)>>,
    /// `delete: true`
    pub delete: bool,
    /// `add` (under a to-many)
    pub add: Vec<Part>,
    /// `remove` (under a to-many)
    pub remove: Vec<Part>,
    /// `required: true`
    pub required: bool,
    /// `where` expression text.
    pub filter: Option<String>,
    /// `params`: names and raw JSON values.
    pub params: Vec<(String, Raw)>,
    /// `order` items as written: `[-]path [nulls first|last]`.
    pub order: Vec<String>,
    /// `limit`
    pub limit: Option<u64>,
    /// `offset`
    pub offset: Option<u64>,
    /// `after`
    pub after: Option<String>,
    /// `count: true`
    pub count: bool,
    /// `aggregate`: names and expression texts.
    pub aggregate: Vec<(String, String)>,
    /// `group` paths.
    pub group: Vec<String>,
    /// `all: true`: a write without a constraint is meant.
    pub all: bool,
    /// `if_updated`
    pub if_updated: Option<String>,
    /// Whether relations change hands that are given at creation only: said by the server's own code, never by a request.
    pub hands_over: bool,
    /// Whether the part was written as a bare scalar for a to-one relation (`"sender": "…"`).
    pub by_key: bool,
}

impl Part {
    /// The members that a write gives values: of a new row all, of a found one those of `set`.
    fn assigned(&mut self) -> Option<&mut Vec<(String, Field)>> {
        if self.create { Some(&mut self.fields) } else { self.set.as_mut() }
    }

    /// Gives a column of a part that writes another value, in its wire form.
    ///
    /// # Errors
    /// When the part gives no values, or the value cannot be written as JSON.
    pub fn assign(&mut self, name: &str, value: impl serde::Serialize) -> Result<(), Error> {
        let raw = Raw::new(serde_json::to_string(&value).map_err(Error::internal)?);
        let missing = || Error::internal(format!("a part without `create` or `set` gives `{name}` no value"));
        let field = crate::document::field(&raw, &self.path, name)?;
        let assigned = self.assigned().ok_or_else(missing)?;
        match assigned.iter_mut().find(|(member, _)| member == name) {
            Some((_, held)) => *held = field,
            None => assigned.push((name.to_owned(), field)),
        }
        Ok(())
    }

    /// What a member gives, or asks for.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let set = self.set.as_deref().unwrap_or_default();
        set.iter().chain(&self.fields).find(|(member, _)| member == name).map(|(_, field)| field)
    }

    /// Calls `visit` for this part and every one inside it.
    pub fn visit<'p>(&'p self, visit: &mut dyn FnMut(&'p Part)) {
        visit(self);
        let set = self.set.as_deref().unwrap_or_default();
        self.fields.iter().chain(set).for_each(|(_, field)| field.visit(visit));
        self.add.iter().chain(&self.remove).for_each(|part| part.visit(visit));
    }
}

/// The value of a member that is no keyword.
#[derive(Clone, Debug)]
pub enum Field {
    /// A scalar's raw JSON: string, number, `true`, `false`, `null`.
    Scalar(Raw),
    /// An array: any of (constraint), a list's value, or several parts. Its raw text and its items.
    Array(Raw, Vec<Field>),
    /// An object: operators of a constraint, a json value, or a nested part: which one, the name's meaning says.
    /// Its raw text, and itself read as a part.
    /// It is no part when a keyword in it is wrong, which a json value is free to do: the error is raised only when
    /// the name's meaning asks for a part ([`Field::part`]).
    Object(Raw, Result<Box<Part>, Box<Error>>),
}

impl Field {
    /// Its raw JSON text.
    pub fn raw(&self) -> &str {
        match self {
            Field::Scalar(raw) | Field::Array(raw, _) | Field::Object(raw, _) => raw.get(),
        }
    }

    fn visit<'p>(&'p self, visit: &mut dyn FnMut(&'p Part)) {
        match self {
            Field::Scalar(_) => {}
            Field::Array(_, items) => items.iter().for_each(|item| item.visit(visit)),
            Field::Object(_, part) => {
                if let Ok(part) = part {
                    part.visit(visit);
                }
            }
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Field::Scalar(raw) if raw.get() == "null")
    }

    /// The object as a part, `None` when it is no object.
    ///
    /// # Errors
    /// When it is an object that cannot be read as a part.
    pub fn part(&self) -> Result<Option<&Part>, Error> {
        match self {
            Field::Object(_, Ok(part)) => Ok(Some(part)),
            Field::Object(_, Err(error)) => Err(Error::clone(error)),
            _ => Ok(None),
        }
    }
}

/// One item of `get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Get {
    /// `"*"`: every column that is not hidden, secret or a to-many relation.
    All,
    /// A column or relation, with what to get of it (REST: `sender(name)`; in JSON nested parts say it).
    Member(String, Vec<Get>),
}
