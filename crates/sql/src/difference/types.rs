//! Declared types as recorded text: what a database does not tell about its columns.
//!
//! One line for each column: table, column and type, with tabs between them. Only what changes the meaning of
//! a stored value is in it: the longest text and a decimal's precision are not.

use std::collections::HashMap;

use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;

use super::{Existing, Unsafe};

/// The types of a schema's columns, to be recorded in the database and compared by [`super::differences`].
pub fn declared_types(schema: &Schema) -> String {
    let mut lines = String::new();
    for table in &schema.tables {
        for column in &table.columns {
            let ty = meaning(schema, &column.ty);
            lines.push_str(&format!("{}\t{}\t{ty}\n", table.db_name, column.db_name));
        }
    }
    lines
}

fn meaning(schema: &Schema, ty: &Type) -> String {
    match ty {
        Type::Text { .. } => "text".to_owned(),
        Type::Decimal { scale, .. } => format!("decimal with {scale} digits behind the point"),
        Type::Ref(target) => format!("row of {}", schema.table(*target).db_name),
        Type::List(of) => format!("{}[]", meaning(schema, of)),
        other => other.to_string(),
    }
}

/// Columns whose values would mean something else than when they were recorded. What somebody has dropped from the database
/// since is of no matter.
pub(super) fn changes(schema: &Schema, recorded: &str, existing: &Existing) -> Vec<Unsafe> {
    let now = declared_types(schema);
    let now: HashMap<(&str, &str), &str> = lines(&now).collect();
    let tables: Vec<&str> = schema.tables.iter().map(|table| table.db_name.as_str()).collect();
    let mut problems = Vec::new();
    let mut gone = Vec::new();
    for ((table, column), was) in lines(recorded) {
        if existing.catalogue.table(table).is_none_or(|found| found.column(column).is_none()) {
            continue;
        }
        if !tables.contains(&table) {
            if !gone.contains(&table) {
                gone.push(table);
                let words =
                    "is in the database but no longer declared: declare it, or drop it from the database";
                problems.push(Unsafe { place: table.to_owned(), words: words.to_owned() });
            }
            continue;
        }
        let words = match now.get(&(table, column)) {
            None => "is in the database but no longer declared: declare it, or drop it from the database"
                .to_owned(),
            Some(is) if keeps_meaning(was, is) => continue,
            Some(is) => format!("was {was} and is declared to be {is}"),
        };
        problems.push(Unsafe { place: format!("{table}.{column}"), words });
    }
    problems
}

fn lines(text: &str) -> impl Iterator<Item = ((&str, &str), &str)> {
    text.lines().filter_map(|line| {
        let (table, rest) = line.split_once('\t')?;
        let (column, ty) = rest.split_once('\t')?;
        Some(((table, column), ty))
    })
}

/// The same, or an enum that has grown.
fn keeps_meaning(was: &str, is: &str) -> bool {
    let names = |ty: &str| -> Option<Vec<String>> {
        let list = ty.strip_prefix("enum(")?.strip_suffix(')')?;
        Some(list.split(", ").map(str::to_owned).collect())
    };
    match (names(was), names(is)) {
        (Some(was), Some(is)) => was.iter().all(|name| is.contains(name)),
        _ => was == is,
    }
}
