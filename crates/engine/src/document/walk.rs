//! A walk through valid JSON: the members of objects in order, each once, and values as they are written.
//!
//! It knows nothing of queries. The text has been parsed as a whole before, so it looks for ends alone, and goes past each byte
//! once: whoever is at a value either enters it or goes past it. A map type would sort members, or let the last of two win in
//! silence; both would change what a request means.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{join_path, malformed};
use crate::error::{Error, Key};
use crate::part::Raw;

/// Names of so few members are compared with each other, which takes less time than hashing them.
const COMPARED_MAX: usize = 16;

/// A place in a text that is known to be valid JSON.
pub(super) struct Walk<'r> {
    raw: &'r Raw,
    text: &'r str,
    at: usize,
}

impl<'r> Walk<'r> {
    /// At the beginning of a text.
    pub(super) fn of(raw: &'r Raw) -> Walk<'r> {
        Walk { raw, text: raw.get(), at: 0 }
    }

    /// The first byte of the value that comes next, which tells what it is; a space at the end.
    pub(super) fn next_byte(&mut self) -> u8 {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let blanks = rest.iter().position(|byte| !is_blank(byte)).unwrap_or(rest.len());
        self.at += blanks;
        rest.get(blanks).copied().unwrap_or(b' ')
    }

    /// Where it is, to come back to; behind a call of [`Walk::next_byte`] the beginning of a value.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Goes past the value that begins at a place.
    pub(super) fn past(&mut self, place: usize) {
        self.at = place;
        self.value();
    }

    /// The text from a place to here.
    pub(super) fn raw_from(&self, place: usize) -> Raw {
        self.raw.piece(self.text.get(place..self.at).unwrap_or_default())
    }

    /// Goes past a value, and gives it.
    pub(super) fn raw(&mut self) -> Raw {
        let value = self.value();
        self.raw.piece(value)
    }

    /// Goes past a value, and gives its text.
    pub(super) fn value(&mut self) -> &'r str {
        let first = self.next_byte();
        let start = self.at;
        match first {
            b'"' => self.past_string(),
            b'{' | b'[' => self.past_brackets(),
            _ => self.past_word(),
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Enters an object and calls `read` at the value of each member, which it has to go past. A member that stands twice is refused,
    /// before whatever is wrong with the value of another: a text that can be understood in two ways is not looked into.
    pub(super) fn members(
        &mut self,
        path: &str,
        mut read: impl FnMut(&mut Self, Cow<'r, str>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.next_byte() != b'{' {
            return Err(malformed(path, "must be an object"));
        }
        self.at += 1;
        let mut names = Names::default();
        let mut refused = None;
        loop {
            match self.next_byte() {
                b',' => self.at += 1,
                b'"' => {
                    let name = self.name(path)?;
                    if !names.add(name.clone()) {
                        let message = format!("`{name}` stands twice in one object");
                        return Err(Error::at(Key::Json, join_path(path, &name), "duplicate", message));
                    }
                    self.next_byte();
                    // The colon.
                    self.at += 1;
                    let start = self.place();
                    if refused.is_none() {
                        refused = read(self, name).err();
                    }
                    if refused.is_some() {
                        self.past(start);
                    }
                }
                _ => break,
            }
        }
        self.at += 1;
        refused.map_or(Ok(()), Err)
    }

    /// Enters an array and calls `read` at each item, which it has to go past.
    pub(super) fn items<T>(
        &mut self,
        mut read: impl FnMut(&mut Self, usize) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            match self.next_byte() {
                b',' => self.at += 1,
                b']' | b' ' => break,
                _ => items.push(read(self, items.len())?),
            }
        }
        self.at += 1;
        Ok(items)
    }

    fn name(&mut self, path: &str) -> Result<Cow<'r, str>, Error> {
        let written = self.value();
        let plain = written.get(1..written.len() - 1).filter(|name| !name.contains('\\'));
        match plain {
            Some(name) => Ok(Cow::Borrowed(name)),
            // A lone surrogate is valid JSON and no text.
            None => serde_json::from_str(written)
                .map(Cow::Owned)
                .map_err(|error| Error::at(Key::Json, path, "form", error.to_string())),
        }
    }

    fn past_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            self.at += if *byte == b'\\' { 2 } else { 1 };
            if *byte == b'"' {
                break;
            }
        }
    }

    fn past_brackets(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    self.past_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
    }

    fn past_word(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
        self.at += rest.iter().position(is_end).unwrap_or(rest.len());
    }
}

/// The names of an object so far.
#[derive(Default)]
struct Names<'r> {
    few: [&'r str; COMPARED_MAX],
    count: usize,
    /// All of them, once there are many, or one is not as it is written.
    many: Option<HashSet<Cow<'r, str>>>,
}

impl<'r> Names<'r> {
    /// Takes one more; false: it has been there before.
    fn add(&mut self, name: Cow<'r, str>) -> bool {
        if let (None, Cow::Borrowed(name), true) = (&self.many, &name, self.count < COMPARED_MAX) {
            let is_new = !self.few[..self.count].contains(name);
            self.few[self.count] = name;
            self.count += 1;
            return is_new;
        }
        let few = &self.few[..self.count];
        let many = self.many.get_or_insert_with(|| few.iter().map(|name| Cow::Borrowed(*name)).collect());
        many.insert(name)
    }
}
