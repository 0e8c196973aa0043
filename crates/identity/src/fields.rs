//! Bodies of requests to sign in and the like: JSON objects with named members, read one by one.
//!
//! A member that is wrong is told with its path and what was expected, one that nobody asked for with the nearest name. Values
//! are never repeated: they may be secrets.

use axum::body::Bytes;
use mainstay_engine::error::{Error, FieldError, Key};
use mainstay_lang::suggest::nearest;
use serde_json::{Map, Value as Json};

/// The members of a body.
pub(crate) struct Fields {
    members: Map<String, Json>,
    problems: Vec<FieldError>,
}

impl Fields {
    /// Reads a body that may have some members; an empty one has none.
    ///
    /// # Errors
    /// When it is not an object, or has others.
    pub(crate) fn read(body: &Bytes, names: &[&str]) -> Result<Fields, Error> {
        if body.is_empty() {
            return Ok(Fields { members: Map::new(), problems: Vec::new() });
        }
        let parsed = serde_json::from_slice::<Json>(body)
            .map_err(|error| Error::new(Key::Json, format!("The body is read as JSON: {error}")))?;
        let Json::Object(members) = parsed else {
            return Err(Error::new(Key::Request, "The body is an object."));
        };
        if let Some(unknown) = members.keys().find(|name| !names.contains(&name.as_str())) {
            let hint =
                nearest(unknown, names.iter().copied()).map(|name| format!(", did you mean `{name}`?"));
            let words = format!("`{unknown}` is not known here{}", hint.unwrap_or_default());
            return Err(Error::at(Key::NameUnknown, format!("/{unknown}"), "name", words));
        }
        Ok(Fields { members, problems: Vec::new() })
    }

    fn problem(&mut self, name: &str, key: &str, message: &str) {
        let (path, key, message) = (format!("/{name}"), key.to_owned(), message.to_owned());
        self.problems.push(FieldError { path, key, message });
    }

    /// A text that has to be there; an empty one is none.
    pub(crate) fn text(&mut self, name: &str) -> String {
        let text = self.text_or_none(name);
        if text.is_none() && !self.problems.iter().any(|problem| problem.path == format!("/{name}")) {
            self.problem(name, "required", "is required");
        }
        text.unwrap_or_default()
    }

    /// A text that may be absent.
    pub(crate) fn text_or_none(&mut self, name: &str) -> Option<String> {
        match self.members.remove(name) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) if text.contains('\0') => {
                self.problem(name, "text", "must not contain U+0000");
                None
            }
            Some(Json::String(text)) if text.trim().is_empty() => None,
            Some(Json::String(text)) => Some(text),
            Some(_) => {
                self.problem(name, "type", "must be a text");
                None
            }
        }
    }

    /// A list of texts that may be absent.
    pub(crate) fn texts_or_none(&mut self, name: &str) -> Option<Vec<String>> {
        let texts = match self.members.remove(name)? {
            Json::Null => return None,
            Json::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        if texts.is_none() {
            self.problem(name, "type", "must be a list of texts");
        }
        texts
    }

    /// Any value that may be absent.
    pub(crate) fn json_or_none(&mut self, name: &str) -> Option<Json> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// All that was wrong.
    ///
    /// # Errors
    /// When something was.
    pub(crate) fn done(self) -> Result<(), Error> {
        let Some(first) = self.problems.first() else { return Ok(()) };
        let detail = format!("{} {}", first.path, first.message);
        Err(Error { errors: self.problems, ..Error::new(Key::Invalid, detail) })
    }
}
