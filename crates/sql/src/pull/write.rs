//! The text of the file.
//!
//! Tables in the order of the database's names, columns in their own. What a table has and the language does not is said above it, and once more
//! among the notes.

use std::fmt::Write as _;

use mainstay_lang::types::Type;

use super::default::{self, Default};
use super::{Column, Key, Pulled, Table};
use crate::catalogue::{FoundIndex, ReferenceAction};

/// Room for a key that is put together.
const KEY_LENGTH: u32 = 400;

/// Names of columns that hold what nobody should be shown.
const SECRETS: [&str; 6] = ["password", "passwd", "secret", "token", "api_key", "salt"];

pub(super) fn write(app: &str, tables: &mut [Table<'_>], pulled: &mut Pulled) {
    let mut body = String::new();
    let targets: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
    for table in tables.iter_mut() {
        let text = one(table, &targets);
        let place = table.found.name.clone();
        body.push('\n');
        for note in &table.notes {
            line(&mut body, &format!("// {}", flat(note)));
        }
        body.push_str(&text);
        pulled.notes.extend(table.notes.iter().map(|note| format!("{place}: {note}")));
    }
    let mut head = format!("app {app} existing\n\n");
    head.push_str("// Made by `mainstay pull` from a database that others made. Nothing in it is changed from here but rows.\n");
    head.push_str("// No rule allows anything yet, so rows are reached with an --admin token alone: write `allow` lines.\n");
    if !pulled.notes.is_empty() {
        head.push_str("//\n// What has no words here, or other ones:\n");
        for note in &pulled.notes {
            line(&mut head, &format!("// - {}", flat(note)));
        }
    }
    pulled.text = head + &body;
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// On one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name in quotes, as a text literal.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn docs(text: &mut String, comment: Option<&str>) {
    for words in comment.into_iter().flat_map(str::lines) {
        line(text, format!("/// {words}").trim_end());
    }
}

fn one(table: &mut Table<'_>, targets: &[String]) -> String {
    let mut text = String::new();
    docs(&mut text, table.found.comment.as_deref());
    let db = if table.name == table.found.name {
        String::new()
    } else {
        format!(" db {}", quoted(&table.found.name))
    };
    line(&mut text, &format!("table {}{db} {{", table.name));
    let mut notes = Vec::new();
    if let Key::Several(parts) = &table.key {
        let names = parts.iter().filter_map(|part| {
            table.columns.iter().find(|column| column.found.name == *part).map(|column| column.name.as_str())
        });
        let names = names.collect::<Vec<_>>().join(", ");
        line(&mut text, &format!("  id text({KEY_LENGTH}) of ({names})"));
        notes.push(format!(
            "its key ({}) has several columns: rows are known by an id that is put together from them",
            parts.join(", ")
        ));
    }
    for column in &table.columns {
        docs(&mut text, column.found.comment.as_deref());
        let declared = declaration(table, column, targets, &mut notes);
        line(&mut text, &format!("  {declared}"));
    }
    let missing: Vec<&str> = ["created", "updated"]
        .into_iter()
        .filter(|stamp| !table.columns.iter().any(|column| column.name == *stamp))
        .collect();
    if !missing.is_empty() {
        line(&mut text, &format!("  without {}", missing.join(", ")));
    }
    for many in &table.relations {
        let by = many.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let link = many
            .link
            .as_ref()
            .map(|(name, [one, other])| format!(" db {} ({}, {})", quoted(name), quoted(one), quoted(other)));
        line(&mut text, &format!("  {} {}[]{by}{}", many.name, many.target, link.unwrap_or_default()));
    }
    indexes(table, &mut text, &mut notes);
    if let Some(label) = label(table) {
        line(&mut text, &format!("  label {label}"));
    }
    line(&mut text, "}");
    let found = table.found;
    notes.extend(
        found.checks.iter().map(|check| format!("the condition {} stays with the database", check.text)),
    );
    notes.extend(found.triggers.iter().map(|trigger| format!("the trigger {trigger} goes on as ever")));
    table.notes.extend(notes);
    text
}

/// `name type modifiers`
fn declaration(
    table: &Table<'_>,
    column: &Column<'_>,
    targets: &[String],
    notes: &mut Vec<String>,
) -> String {
    let found = column.found;
    let is_key = column.name == "id";
    let is_stamp = matches!(column.name.as_str(), "created" | "updated");
    let ty = match column.target {
        Some(target) => targets[target].clone(),
        // A key of text says its longest length.
        None if is_key && column.ty == (Type::Text { max: None }) => "text(255)".to_owned(),
        None => column.ty.to_string(),
    };
    let mut text = format!("{} {ty}{}", column.name, if found.nullable && !is_key { "?" } else { "" });
    if !is_stamp {
        default_of(table, column, &mut text, notes);
    }
    let single = |index: &&FoundIndex| {
        index.is_plain()
            && index.columns.len() == 1
            && index.columns[0].name == found.name
            && is_indexable(column)
    };
    let is_unique = table.found.indexes.iter().filter(single).any(|index| index.unique);
    let is_indexed = table.found.indexes.iter().any(|index| single(&index));
    if is_unique && !is_key && !is_stamp {
        text.push_str(" unique");
    } else if is_indexed && !is_key && !is_stamp {
        text.push_str(" index");
    }
    let snake = mainstay_lang::naming::to_snake_case(&found.name);
    if SECRETS.iter().any(|secret| snake.contains(secret)) && !is_key && !is_stamp && column.target.is_none()
    {
        text.push_str(" secret");
        notes.push(format!("the column {} looks like a secret and is declared as one", found.name));
    }
    if column.target.is_some() {
        on_delete(table, column, &mut text);
    }
    if column.name != found.name {
        write!(text, " db {}", quoted(&found.name)).expect("writing to a string does not fail");
    }
    text
}

fn default_of(table: &Table<'_>, column: &Column<'_>, text: &mut String, notes: &mut Vec<String>) {
    let found = column.found;
    // SQLite numbers the rows of a table whose key is exactly this.
    let is_rowid = found.type_name.eq_ignore_ascii_case("INTEGER")
        && table.key == Key::One(found.name.clone())
        && found.name == table.found.key.first().map(String::as_str).unwrap_or_default()
        && found.type_name == found.type_name.to_ascii_uppercase();
    if found.generated {
        text.push_str(" generated always");
        notes.push(format!("the column {} is computed by the database and cannot be set", found.name));
    } else if found.identity || is_rowid {
        text.push_str(" generated");
    } else if let Some(default) = &found.default {
        match default::read(default, &column.ty) {
            Default::None => {}
            Default::Said(default) if column.target.is_none() => {
                write!(text, " = {default}").expect("writing to a string does not fail");
            }
            _ => {
                text.push_str(" generated");
                notes.push(format!("the default of {} is left to the database: {default}", found.name));
            }
        }
    }
}

fn on_delete(table: &Table<'_>, column: &Column<'_>, text: &mut String) {
    let action = table.found.reference(&column.found.name).map(|reference| reference.on_delete);
    match (action, column.found.nullable) {
        (Some(ReferenceAction::Cascade), _) => text.push_str(" on delete cascade"),
        // What a column that may be null does unless it says otherwise.
        (Some(ReferenceAction::SetNull), true) | (_, false) => {}
        (_, true) => text.push_str(" on delete restrict"),
    }
}

fn is_indexable(column: &Column<'_>) -> bool {
    !matches!(column.ty, Type::Json | Type::List(_))
}

fn indexes(table: &Table<'_>, text: &mut String, notes: &mut Vec<String>) {
    for index in &table.found.indexes {
        if !index.is_plain() {
            let what = match (index.has_expressions, index.is_partial) {
                (true, _) => "is over expressions",
                (_, true) => "is over a part of the rows",
                _ => "was not built to its end",
            };
            let unique = if index.unique { "; what it keeps unique is refused by the database" } else { "" };
            notes.push(format!("the index {} {what} and stays with the database{unique}", index.name));
            continue;
        }
        let columns: Vec<Option<&Column<'_>>> = index
            .columns
            .iter()
            .map(|of| {
                table.columns.iter().find(|column| column.found.name == of.name && is_indexable(column))
            })
            .collect();
        let Some(columns) = columns.into_iter().collect::<Option<Vec<_>>>() else {
            notes.push(format!("the index {} is over columns that have none here", index.name));
            continue;
        };
        let is_key = |column: &&Column<'_>| matches!(column.name.as_str(), "id" | "created" | "updated");
        if columns.len() == 1 && !is_key(&columns[0]) {
            continue;
        }
        let is_of_key = match &table.key {
            Key::Several(parts) => {
                parts.len() == columns.len()
                    && columns.iter().all(|column| parts.contains(&column.found.name))
            }
            Key::One(_) => columns.len() == 1,
        };
        if is_of_key {
            continue;
        }
        let word = if index.unique { "unique" } else { "index" };
        let names = columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        line(text, &format!("  {word} ({names})"));
    }
}

/// The column that stands for a row: the first short text that is required.
fn label<'t>(table: &'t Table<'_>) -> Option<&'t str> {
    let is_secret = |column: &&Column<'_>| {
        let snake = mainstay_lang::naming::to_snake_case(&column.found.name);
        SECRETS.iter().any(|secret| snake.contains(secret))
    };
    let wanted = ["name", "title", "label"];
    let texts = || {
        table.columns.iter().filter(|column| {
            matches!(column.ty, Type::Text { .. })
                && column.target.is_none()
                && column.name != "id"
                && !is_secret(column)
        })
    };
    let exact = texts().find(|column| wanted.contains(&column.name.as_str()));
    exact.or_else(|| texts().find(|column| column.name.ends_with("_name"))).map(|column| column.name.as_str())
}
