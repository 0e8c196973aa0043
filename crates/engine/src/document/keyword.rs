//! The keywords of a part and the form that each one's value has.
//!
//! Every one of them is a reserved word of [`mainstay_lang::reserved`], so no column is shadowed.

use super::walk::Walk;
use super::{join_path, malformed, part_by_key, read_fields, read_parts};
use crate::error::Error;
use crate::part::{Get, Part};

/// How the value of a keyword is read into a part.
enum Reading {
    Flag(fn(&mut Part, bool)),
    Text(fn(&mut Part, String)),
    Number(fn(&mut Part, u64)),
    Texts(fn(&mut Part, Vec<String>)),
    Parts(fn(&mut Part, Vec<Part>)),
    Special(fn(&mut Part, &mut Walk<'_>, &str, usize) -> Result<(), Error>),
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

/// Reads a member of the part at `path` into it if its name is a keyword; says whether it is.
pub(super) fn read(
    (part, path): (&mut Part, &str),
    name: &str,
    walk: &mut Walk<'_>,
    level: usize,
) -> Result<bool, Error> {
    let Ok(index) = KEYWORDS.binary_search_by_key(&name, |(word, _)| word) else { return Ok(false) };
    let (word, reading) = &KEYWORDS[index];
    part.keywords.push(word);
    let path = || join_path(path, word);
    let wrong = |words: &'static str| malformed(&path(), words);
    match reading {
        Reading::Flag(put) => put(part, read_flag(walk.value()).map_err(wrong)?),
        Reading::Text(put) => put(part, read_text(walk.value()).map_err(wrong)?),
        Reading::Number(put) => put(part, read_number(walk.value()).map_err(wrong)?),
        Reading::Texts(put) => put(part, read_texts(walk.value()).map_err(wrong)?),
        Reading::Parts(put) => put(part, read_parts(walk, &path(), level + 1, part_by_key)?),
        Reading::Special(read) => read(part, walk, &path(), level)?,
    }
    Ok(true)
}

fn get_of(name: String) -> Get {
    if name == "*" { Get::All } else { Get::Member(name, Vec::new()) }
}

fn read_flag(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false"),
    }
}

fn read_text(value: &str) -> Result<String, &'static str> {
    serde_json::from_str(value).map_err(|_| "must be a string")
}

fn read_number(value: &str) -> Result<u64, &'static str> {
    // The database's integers are signed.
    let number: Option<i64> = serde_json::from_str(value).ok();
    number.and_then(|number| u64::try_from(number).ok()).ok_or("must be a whole number that is not negative")
}

fn read_texts(value: &str) -> Result<Vec<String>, &'static str> {
    match value.as_bytes().first() {
        Some(b'"') => Ok(vec![read_text(value)?]),
        _ => serde_json::from_str(value).map_err(|_| "must be a string or an array of strings"),
    }
}

/// `null` is what `next` says behind the last page, and may be sent back.
fn read_after(part: &mut Part, walk: &mut Walk<'_>, path: &str, _: usize) -> Result<(), Error> {
    let value = walk.value();
    if value != "null" {
        part.after = Some(read_text(value).map_err(|words| malformed(path, words))?);
    }
    Ok(())
}

fn read_aggregate(part: &mut Part, walk: &mut Walk<'_>, path: &str, _: usize) -> Result<(), Error> {
    let wrong = "must be an object such as {\"total\": \"sum(price)\"}";
    if walk.next_byte() != b'{' {
        return Err(malformed(path, wrong));
    }
    walk.members(path, |walk, name| {
        let text = read_text(walk.value()).map_err(|words| malformed(&join_path(path, &name), words))?;
        part.aggregate.push((name.into_owned(), text));
        Ok(())
    })?;
    if part.aggregate.is_empty() { Err(malformed(path, wrong)) } else { Ok(()) }
}

fn read_params(part: &mut Part, walk: &mut Walk<'_>, path: &str, _: usize) -> Result<(), Error> {
    walk.members(path, |walk, name| {
        part.params.push((name.into_owned(), walk.raw()));
        Ok(())
    })
}

fn read_set(part: &mut Part, walk: &mut Walk<'_>, path: &str, level: usize) -> Result<(), Error> {
    part.set = Some(read_fields(walk, path, level)?);
    Ok(())
}

/// Every keyword, for the test that compares with the reserved words.
#[cfg(test)]
pub(super) fn words() -> Vec<&'static str> {
    KEYWORDS.iter().map(|(word, _)| *word).collect()
}
