//! Which keywords have a place where.

use crate::document::join_path;
use crate::error::{Error, Key};
use crate::part::Part;

/// Saying `false` to these is saying nothing.
const WRITES: &[&str] = &["create", "delete"];

/// Of a top-level part that reads.
pub(super) const TOP_LEVEL: &[&str] =
    &["after", "aggregate", "count", "get", "group", "limit", "offset", "order", "params", "where"];

/// Of a part under a to-one relation.
pub(super) const TO_ONE: &[&str] = &["get", "params", "required", "where"];

/// Of a part under a to-many relation.
pub(super) const TO_MANY: &[&str] = &[
    "after",
    "aggregate",
    "count",
    "get",
    "group",
    "limit",
    "offset",
    "order",
    "params",
    "required",
    "where",
];

/// Items of `order`, `group` and `aggregate`: databases take some two thousand columns, and guards and keys beside these
/// are columns, too.
const ITEMS_MAX: usize = 256;

/// Refuses what has no place in a part that reads, and more of it than a statement can hold.
pub(super) fn check(part: &Part, allowed: &[&str], place: &str) -> Result<(), Error> {
    let items =
        [("order", part.order.len()), ("group", part.group.len()), ("aggregate", part.aggregate.len())];
    if let Some((word, _)) = items.iter().find(|(_, count)| *count > ITEMS_MAX) {
        let words = format!("`{word}` may have {ITEMS_MAX} items");
        return Err(Error::at(Key::Limit, join_path(&part.path, word), "items", words));
    }
    for word in &part.keywords {
        if allowed.contains(word) || WRITES.contains(word) {
            continue;
        }
        let words = match *word {
            "all" | "if_updated" => format!("`{word}` stands beside `set` or `delete`"),
            "add" | "remove" => format!("`{word}` stands under a to-many relation of a row that is written"),
            "required" => "`required` stands in a nested part".to_owned(),
            _ => format!("`{word}` has no place {place}"),
        };
        return Err(refused(part, word, words));
    }
    Ok(())
}

/// Refuses combinations that say two things at once.
pub(super) fn check_together(part: &Part) -> Result<(), Error> {
    if part.after.is_some() && part.offset.is_some() {
        return Err(refused(
            part,
            "offset",
            "`after` and `offset` say two different places to start".to_owned(),
        ));
    }
    if part.aggregate.is_empty() {
        let group = part.group.is_empty();
        return if group {
            Ok(())
        } else {
            Err(refused(part, "group", "`group` stands beside `aggregate`".to_owned()))
        };
    }
    for word in ["get", "count", "after"] {
        if part.keywords.contains(&word) {
            return Err(refused(
                part,
                word,
                format!("`{word}` has no place beside `aggregate`: it answers groups, not rows"),
            ));
        }
    }
    Ok(())
}

fn refused(part: &Part, word: &str, words: String) -> Error {
    Error::at(Key::Query, join_path(&part.path, word), "keyword", words)
}
