//! The keywords of a part and the form that each one's value has.
//!
//! Every one of them is a reserved word of [`mainstay_lang::reserved`], so no column is shadowed.

use super::members::members_of;
use super::{first_byte, join_path, malformed, part_by_key, read_fields, read_parts};
use crate::error::Error;
use crate::part::{Get, Part, Raw};

/// How the value of a keyword is read into a part.
enum Reading {
    Flag(fn(&mut Part, bool)),
    Text(fn(&mut Part, String)),
    Number(fn(&mut Part, u64)),
    Texts(fn(&mut Part, Vec<String>)),
    Parts(fn(&mut Part, Vec<Part>)),
    Special(fn(&mut Part, &Raw, &str, usize) -> Result<(), Error>),
}

/// Every keyword of a part.
const KEYWORDS: &[(&str, Reading)] = &[
    ("add", Reading::Parts(|part, parts| part.add = parts)),
    ("after", Reading::Special(read_after)),
    ("aggregate", Reading::Special(read_aggregate)),
    ("all", Reading::Flag(|part, flag| part.all = flag)),
    ("count", Reading::Flag(|part, flag| part.count = flag)),
    ("create", Reading::Flag(|part, flag| part.create = flag)),
    ("delete", Reading::Flag(|part, flag| part.delete = flag)),
    ("get", Reading::Texts(|part, names| part.get = Some(names.into_iter().map(get_of).collect()))),
    ("group", Reading::Texts(|part, paths| part.group = paths)),
    ("if_updated", Reading::Text(|part, text| part.if_updated = Some(text))),
    ("limit", Reading::Number(|part, number| part.limit = Some(number))),
    ("offset", Reading::Number(|part, number| part.offset = Some(number))),
    ("order", Reading::Texts(|part, items| part.order = items)),
    ("params", Reading::Special(read_params)),
    ("remove", Reading::Parts(|part, parts| part.remove = parts)),
    ("required", Reading::Flag(|part, flag| part.required = flag)),
    ("set", Reading::Special(read_set)),
    ("where", Reading::Text(|part, text| part.filter = Some(text))),
];

/// Reads a member into the part if its name is a keyword; says whether it is.
pub(super) fn read(part: &mut Part, name: &str, raw: &Raw, level: usize) -> Result<bool, Error> {
    let Ok(index) = KEYWORDS.binary_search_by_key(&name, |(word, _)| word) else { return Ok(false) };
    let (word, reading) = &KEYWORDS[index];
    part.keywords.push(word);
    let path = join_path(&part.path, word);
    match reading {
        Reading::Flag(put) => put(part, read_flag(raw, &path)?),
        Reading::Text(put) => put(part, read_text(raw, &path)?),
        Reading::Number(put) => put(part, read_number(raw, &path)?),
        Reading::Texts(put) => put(part, read_texts(raw, &path)?),
        Reading::Parts(put) => put(part, read_parts(raw, &path, level + 1, part_by_key)?),
        Reading::Special(read) => read(part, raw, &path, level)?,
    }
    Ok(true)
}

fn get_of(name: String) -> Get {
    if name == "*" { Get::All } else { Get::Member(name, Vec::new()) }
}

fn read_flag(raw: &Raw, path: &str) -> Result<bool, Error> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(malformed(path, "must be true or false")),
    }
}

fn read_text(raw: &Raw, path: &str) -> Result<String, Error> {
    serde_json::from_str(raw.get()).map_err(|_| malformed(path, "must be a string"))
}

fn read_number(raw: &Raw, path: &str) -> Result<u64, Error> {
    // The database's integers are signed.
    let number: Option<i64> = serde_json::from_str(raw.get()).ok();
    number
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| malformed(path, "must be a whole number that is not negative"))
}

fn read_texts(raw: &Raw, path: &str) -> Result<Vec<String>, Error> {
    let wrong = "must be a string or an array of strings";
    match first_byte(raw) {
        b'"' => Ok(vec![read_text(raw, path)?]),
        b'[' => serde_json::from_str(raw.get()).map_err(|_| malformed(path, wrong)),
        _ => Err(malformed(path, wrong)),
    }
}

/// `null` is what `next` says behind the last page, and may be sent back.
fn read_after(part: &mut Part, raw: &Raw, path: &str, _: usize) -> Result<(), Error> {
    part.after = if raw.get() == "null" { None } else { Some(read_text(raw, path)?) };
    Ok(())
}

fn read_aggregate(part: &mut Part, raw: &Raw, path: &str, _: usize) -> Result<(), Error> {
    let wrong = "must be an object such as {\"total\": \"sum(price)\"}";
    if first_byte(raw) != b'{' {
        return Err(malformed(path, wrong));
    }
    for (name, raw) in members_of(raw, path)? {
        let text = read_text(&raw, &join_path(path, &name))?;
        part.aggregate.push((name, text));
    }
    if part.aggregate.is_empty() { Err(malformed(path, wrong)) } else { Ok(()) }
}

fn read_params(part: &mut Part, raw: &Raw, path: &str, _: usize) -> Result<(), Error> {
    part.params = members_of(raw, path)?;
    Ok(())
}

fn read_set(part: &mut Part, raw: &Raw, path: &str, level: usize) -> Result<(), Error> {
    part.set = Some(read_fields(raw, path, level)?);
    Ok(())
}

/// Every keyword, for the test that compares with the reserved words.
#[cfg(test)]
pub(super) fn words() -> Vec<&'static str> {
    KEYWORDS.iter().map(|(word, _)| *word).collect()
}
