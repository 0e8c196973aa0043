//! What is subscribed to: one part about one table.
//!
//! It is read when somebody subscribes, and again whenever that one's rights have changed. Between the two it is kept as the text
//! that it was asked with, which takes a tenth of the memory.

use std::borrow::Cow;

use mainstay_engine::document;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Part;
use sha2::{Digest, Sha256};

/// What is asked for: a table and a part about its rows.
#[derive(Debug)]
pub struct Request {
    asked: Asked,
    print: [u8; 16],
}

#[derive(Debug)]
enum Asked {
    /// `{"Table": {…}}`
    Text(Box<str>),
    /// By other means than JSON.
    Part(Box<(String, Part)>),
}

impl Request {
    /// A request for a part: constraints, `where`, `get`.
    pub fn of(table: String, part: Part) -> Request {
        let print = print_of(&table, &part);
        Request { asked: Asked::Part(Box::new((table, part))), print }
    }

    /// A request as JSON: `{"Table": {…}}`.
    ///
    /// # Errors
    /// When it is none, or more than one.
    pub fn read(json: &str) -> Result<Request, Error> {
        let (table, part) = parse(json)?;
        Ok(Request { print: print_of(&table, &part), asked: Asked::Text(json.into()) })
    }

    /// The table's name, and the part.
    ///
    /// # Errors
    /// None that reading it has not met before.
    pub fn part(&self) -> Result<(Cow<'_, str>, Cow<'_, Part>), Error> {
        match &self.asked {
            Asked::Text(json) => parse(json).map(|(table, part)| (Cow::Owned(table), Cow::Owned(part))),
            Asked::Part(asked) => Ok((Cow::Borrowed(&asked.0), Cow::Borrowed(&asked.1))),
        }
    }

    /// A hash of what is asked.
    pub(crate) fn print(&self) -> &[u8] {
        &self.print
    }
}

fn print_of(table: &str, part: &Part) -> [u8; 16] {
    let hash = Sha256::digest(format!("{table:?}{part:?}"));
    let mut print = [0; 16];
    print.copy_from_slice(&hash[..16]);
    print
}

fn parse(json: &str) -> Result<(String, Part), Error> {
    let mut documents = document::parse(json.as_bytes())?;
    let mut entries = documents.pop().filter(|_| documents.is_empty()).map(|document| document.entries);
    let entry = entries.as_mut().and_then(Vec::pop).filter(|_| entries.as_ref().is_some_and(Vec::is_empty));
    let one = entry.and_then(|mut entry| {
        let part = entry.parts.pop()?;
        entry.parts.is_empty().then_some((entry.table, part))
    });
    one.ok_or_else(|| {
        let words = "A subscription is one part about one table: {\"Table\": {…}}.";
        Error::new(Key::LiveUnsupported, words)
    })
}
